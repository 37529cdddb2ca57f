# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated people: bodies, motions and what they do over time."""
