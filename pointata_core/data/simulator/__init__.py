# SPDX-License-Identifier: Apache-2.0
"""A LiDAR simulator: drawn scenes, cast rays, true labels; our licence-free data."""

from pointata_core.data.simulator.recording import write_bag
from pointata_core.data.simulator.sensors import SENSORS, SensorModel, get_sensor
from pointata_core.data.simulator.shards import (
    Shard,
    ShardError,
    ShardJob,
    read_shard,
    write_shard,
    write_shards,
)
from pointata_core.data.simulator.simulation import SCENES, SimulatedFrame, simulate

__all__ = [
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
