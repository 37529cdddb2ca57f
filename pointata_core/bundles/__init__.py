# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles on disk: backbone, skill and manifest, verified before anything is used."""
