# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message classes by name, of packages that may be absent."""

from __future__ import annotations

import importlib

from pointata_core.errors import ConfigError
from pointata_core.io.messages.message_types import INPUT_TYPES

_FIXES = {
    'livox': (
        'Build livox_ros_driver2 in your workspace and source it, or let the driver publish '
        'PointCloud2 (its parameter xfer_format: 0) and leave input_type out'
    ),
    'compressed': (
        'Install it (apt install ros-$ROS_DISTRO-point-cloud-interfaces), or republish the clouds '
        'as PointCloud2 with point_cloud_transport'
    ),
}


def find_message_class(name: str) -> type | None:
    """The message class of ``package/msg/Name``; ``None`` where its package is not installed."""
    package, _, message = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), message)
    except (ImportError, AttributeError):
        return None


def input_class(input_type: str) -> tuple[str, type]:
    """Name and class of the messages of an input.

    Args:
        input_type: A key of ``INPUT_TYPES``. Of several packages with the same message, the first
            that is installed counts.

    Raises:
        ConfigError: None is installed.
    """
    names = INPUT_TYPES[input_type]
    for name in names:
        found = find_message_class(name)
        if found is not None:
            return name, found
    raise ConfigError(
        f"parameter input_type is '{input_type}', and no package with its messages is installed "
        f'({", ".join(name.partition("/")[0] for name in names)})',
        _FIXES.get(input_type, 'Install the package'),
    )
