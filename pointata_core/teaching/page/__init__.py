# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The label page: plain modules of JavaScript, and three.js (see NOTICE), as npm has it."""
