# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of labelled scenes, and clips of recordings."""
