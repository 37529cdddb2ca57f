# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which device to run on, and why: a silent fall-back to the CPU is a classic complaint."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pointata_core.errors import ConfigError
from pointata_core.models.linear import has_fast_bfloat16


@dataclass(frozen=True)
class DeviceChoice:
    """A device and the reason for it, to be shown to the user."""

    device: torch.device
    reason: str

    @property
    def has_fast_bfloat16(self) -> bool:
        """Whether the device has instructions for products in bfloat16."""
        return has_fast_bfloat16(self.device)

    def precision(self, requested: str) -> str:
        """Resolve ``auto``: bfloat16 on a CPU that has instructions for it, else float32."""
        if requested != 'auto':
            return requested
        faster = self.device.type == 'cpu' and self.has_fast_bfloat16
        return 'bfloat16' if faster else 'float32'


def choose_device(requested: str = 'auto') -> DeviceChoice:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: The name is unknown, or that GPU is not there; ``auto`` never fails.
    """
    if requested == 'auto':
        if torch.cuda.is_available():
            return DeviceChoice(
                torch.device('cuda'), f'auto: CUDA GPU {torch.cuda.get_device_name()}'
            )
        built = torch.version.cuda
        why = f'torch {torch.__version__} finds no GPU' if built else 'torch is built without CUDA'
        return DeviceChoice(torch.device('cpu'), f'auto: {why}')
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise ConfigError(
            f"device '{requested}' is unknown", 'Use auto, cpu, cuda or cuda:N'
        ) from error
    if device.type not in ('cpu', 'cuda'):
        raise ConfigError(f"device '{requested}' is not supported", 'Use auto, cpu, cuda or cuda:N')
    if device.type == 'cuda':
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise ConfigError(
                f"device '{requested}' is not there: torch sees {count} CUDA GPUs",
                "Use device 'auto' or 'cpu', or install a CUDA build of torch and the driver",
            )
    return DeviceChoice(device, f"asked for '{requested}'")
