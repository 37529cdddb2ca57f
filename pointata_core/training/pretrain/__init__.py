# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of the 3D backbone against images: shapes, images, method, probes."""
