# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural scenes: streets, yards and rooms, filled with objects and people."""
