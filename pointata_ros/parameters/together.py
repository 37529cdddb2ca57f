# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules that involve several parameters.

This module does not import ROS.
"""

from __future__ import annotations

from collections.abc import Mapping

from pointata_core.errors import ConfigError
from pointata_ros.parameters.input_types import input_types_in
from pointata_ros.parameters.poses import placements_in
from pointata_ros.parameters.rules import Value


def refuse_together(values: Mapping[str, Value]) -> str:
    """Why these values do not go together, empty if they do.

    Args:
        values: Name to value, each legal by itself. A rule is checked only where all of its
            parameters are given.
    """
    if 'sensor_pose' in values:
        try:
            input_types_in(values)
            placements_in(values)
        except ConfigError as error:
            return error.message
    warn_rate, error_rate = values.get('warn_rate'), values.get('error_rate')
    if not isinstance(warn_rate, float) or not isinstance(error_rate, float):
        return ''
    if error_rate > warn_rate:
        return f'parameter error_rate is {error_rate!r}, expected at most warn_rate ({warn_rate!r})'
    return ''
