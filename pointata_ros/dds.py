# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Large clouds need a larger shared-memory segment than Fast DDS gives by default.

Without it nearly every full LiDAR scan at best-effort quality of service is lost on the way, and
nothing reports it. See ``config/dds/fastdds_large_clouds.xml``.
"""

from __future__ import annotations

import os

from pointata_core.errors import PointataError
from pointata_core.resources import resource_path

VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
PROFILE = 'config/dds/fastdds_large_clouds.xml'


def use_large_cloud_profile() -> None:
    """Give this process the profile, unless the user chose one; call before ``rclpy.init``."""
    if any(os.environ.get(name) for name in VARIABLES):
        return
    try:
        path = str(resource_path(PROFILE))
    except PointataError:
        return  # a partial installation still works with small clouds
    for name in VARIABLES:
        os.environ[name] = path


def profile_in_use() -> str:
    """Path of the Fast DDS profile of this process, empty if there is none."""
    return next((os.environ[name] for name in VARIABLES if os.environ.get(name)), '')
