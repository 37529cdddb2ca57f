# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good a bundle is on a recording: metrics, bag evaluation and the report."""
