# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The HTML report of a run: the page, its charts and its images."""
