# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips as training takes them: prepared once, kept on disk, augmented."""
