# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where sensors are: transforms from TF, the ego motion, and the mounting of cameras."""
