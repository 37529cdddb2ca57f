# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sets the middleware of a live benchmark when it is imported: before ``rclpy.init``.

What the environment sets already stays. Every process gets a domain of its own, so that parallel
runs do not meet.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROFILE = Path(__file__).resolve().parents[2] / 'config/dds/fastdds_large_clouds.xml'

os.environ.setdefault('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
if _PROFILE.is_file():
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(_PROFILE))
