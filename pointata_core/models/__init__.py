# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks: a frozen 3D transformer, adapters along tubes, and heads."""

from pointata_core.models.point.config import (
    PRESETS,
    BackboneConfig,
    GeometryConfig,
    NetworkConfig,
    preset_config,
)
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.stream_state import StreamState

__all__ = [
    'PRESETS',
    'BackboneConfig',
    'GeometryConfig',
    'NetworkConfig',
    'NetworkOutput',
    'PointATA',
    'StreamState',
    'preset_config',
]
