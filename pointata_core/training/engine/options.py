# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choices that every kind of training has: where and how it computes, saves and draws at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunOptions:
    """Settings of a method derive from this class, so that these names are the same everywhere.

    Args:
        seed: Of everything random.
        precision: ``auto`` is bf16 where the device computes it fast, else 32.
        device: ``auto``, ``cpu`` or ``gpu``.
        checkpoint_steps: Steps between two checkpoints.
        workers: Processes that prepare batches; 0 prepares them in the training process.
    """

    seed: int = 0
    precision: Literal['auto', '32', 'bf16'] = 'auto'
    device: Literal['auto', 'cpu', 'gpu'] = 'auto'
    checkpoint_steps: int = 100
    workers: int = 0
