# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams: bundles on disk, preparation of frames, time rules and the session."""
