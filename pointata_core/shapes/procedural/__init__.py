# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural families of 3D shapes, and the solids that they are assembled from."""
