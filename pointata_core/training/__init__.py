# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training: one engine, the clips it trains on, and one room for each method."""
