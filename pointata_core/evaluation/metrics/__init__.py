# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of segmentation, actions and clips, and latency percentiles."""
