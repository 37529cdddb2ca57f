# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of robots as data sets: clips of labelled clouds."""
