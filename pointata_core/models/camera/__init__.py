# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network for a camera beside a LiDAR (FtD++)."""
