# SPDX-License-Identifier: Apache-2.0
"""The networks: a frozen 3D transformer, adapters along tubes, and heads."""

from pointata_core.models.config import (
    PRESETS,
    BackboneConfig,
    GeometryConfig,
    NetworkConfig,
    preset_config,
)
from pointata_core.models.network_output import NetworkOutput
from pointata_core.models.pointata import PointATA
from pointata_core.models.stream_state import StreamState

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
