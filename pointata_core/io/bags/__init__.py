# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: rosbag2 in sqlite3 and mcap, and ROS 1 bags."""
