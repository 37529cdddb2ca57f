# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side of PointATA: a thin perception node and a bag player.

This package is wiring only: it turns ROS messages into arrays, hands them to
:mod:`pointata_core.inference` and publishes what comes back. It does no tensor arithmetic.
"""

from __future__ import annotations
