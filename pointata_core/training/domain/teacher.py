# SPDX-License-Identifier: Apache-2.0
"""A teacher that is the moving average of its student (Tarvainen & Valpola, NeurIPS 2017)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class MovingAverageTeacher(nn.Module):
    """Copy of a network that follows it: ``theta' <- a theta' + (1 - a) theta``.

    ``a = min(1 - 1 / (t + 1), decay)`` with t the number of the step from 1, so that the first
    step weighs both equally and the start is soon forgotten.

    As published, it predicts with the statistics of the batch and with dropout.

    Args:
        student: The network to copy; it is not kept.
        decay: Largest a.
    """

    step: torch.Tensor

    def __init__(self, student: nn.Module, decay: float = 0.999) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f'decay must lie in [0, 1), found {decay}')
        self.decay = decay
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer('step', torch.zeros((), dtype=torch.int64))
        self.train()

    def train(self, mode: bool = True) -> MovingAverageTeacher:
        """Stay in training mode, whatever mode the training loop sets."""
        return super().train()

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        """Predict without a graph."""
        return self.network(*inputs)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> float:
        """Move towards the student after one of its steps; returns the weight a of the past."""
        self.step += 1
        past = min(1 - 1 / (int(self.step) + 1), self.decay)
        for own, new in zip(self.network.parameters(), student.parameters(), strict=True):
            own.lerp_(new, 1 - past)
        return past
