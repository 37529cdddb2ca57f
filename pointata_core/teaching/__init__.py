# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans of a recording, corrected by a person, and a bundle that learns from the corrections."""
