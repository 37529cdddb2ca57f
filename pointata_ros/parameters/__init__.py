# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the node: the table, its rules, its files and its server."""
