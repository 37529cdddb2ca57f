# SPDX-License-Identifier: Apache-2.0
"""Streams: bundles on disk, preparation of frames, time rules and the session."""
