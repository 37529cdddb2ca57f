# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR simulator: drawn scenes, cast rays, true labels; our licence-free data."""

from pointata_core.simulation.hits import NO_CLASS
from pointata_core.simulation.recording import write_bag
from pointata_core.simulation.scanning import SCENES, Mount, SimulatedFrame, simulate
from pointata_core.simulation.sensing.sensors import SENSORS, SensorModel, get_sensor
from pointata_core.simulation.shards import (
    Shard,
    ShardError,
    ShardJob,
    read_shard,
    write_shard,
    write_shards,
)

__all__ = [
    'NO_CLASS',
    'Mount',
    'SCENES',
    'SENSORS',
    'SensorModel',
    'Shard',
    'ShardError',
    'ShardJob',
    'SimulatedFrame',
    'get_sensor',
    'read_shard',
    'simulate',
    'write_bag',
    'write_shard',
    'write_shards',
]
