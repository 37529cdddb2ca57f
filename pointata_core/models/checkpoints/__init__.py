# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Public checkpoints of 3D transformers, converted once and offline."""
