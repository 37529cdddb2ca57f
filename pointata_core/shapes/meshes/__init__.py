# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Meshes on disk: files and folders of public shape collections."""
