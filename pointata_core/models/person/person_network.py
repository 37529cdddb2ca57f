# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person does, from the points of this person alone.

A PointNet (Qi et al., CVPR 2017) describes each crop; causal dilated convolutions (Bai et al.,
arXiv 1803.01271) read the last descriptions. A crop stands upright on the floor, in metres, centred
on the person, and turned so that the sensor looks along x. So nothing depends on where the person
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError

MOTION_WIDTH = 4
"""Velocity along the view and across it, speed, and how far above the floor the sensor is."""

_SCALE = 1.0 / 1.5  # metres to about -1..1


@dataclass(frozen=True)
class PersonConfig:
    """Sizes of the network.

    Attributes:
        classes: Names of the actions.
        width: Width of the description of a crop.
        point_widths: Widths of the layers on single points.
        dilations: Of the convolutions over time, each over three frames.
        dropout: While training.
    """

    classes: tuple[str, ...]
    width: int = 128
    point_widths: tuple[int, ...] = (64, 128)
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2

    def __post_init__(self) -> None:
        sizes = (self.width, *self.point_widths, *self.dilations)
        if not (self.classes and self.point_widths and self.dilations) or min(sizes) < 1:
            raise ConfigError(
                f'person network: classes {self.classes}, sizes {sizes}',
                'Give classes, and sizes of at least 1',
            )

    @property
    def frames(self) -> int:
        """Frames that a prediction can depend on."""
        return 1 + 2 * sum(self.dilations)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PersonConfig:
        """From plain values.

        Raises:
            ConfigError: A value is missing, unknown or out of range.
        """
        try:
            read: dict[str, Any] = {}
            for name, value in values.items():
                read[name] = tuple(value) if isinstance(value, list) else value
            return cls(**read)
        except TypeError as error:
            raise ConfigError(f'person network: {error}') from error


class PersonNetwork(nn.Module):
    """Actions of many people at once, on clips or on streams.

    Args:
        config: Sizes and classes.
    """

    def __init__(self, config: PersonConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.point_widths)
        self.points = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.describe = nn.Linear(2 * widths[-1] + MOTION_WIDTH + 1, config.width)
        self.time = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 3, dilation=d) for d in config.dilations
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in config.dilations)
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.width, len(config.classes))

    def initial_state(self, people: int = 1) -> Tensor:
        """(P, frames - 1, width): what is remembered of people before their first frame."""
        return self.out.weight.new_zeros(people, self.config.frames - 1, self.config.width)

    def encode(self, points: Tensor, mask: Tensor, motion: Tensor) -> Tensor:
        """Describe crops.

        Args:
            points: (F, N, 3) metres, z above the floor.
            mask: (F, N) bool; false for padding. A crop without points is described by zeros.
            motion: (F, MOTION_WIDTH).

        Returns:
            (F, width).
        """
        # Padding, most of a batch, is never computed.
        x = (points[mask] - points.new_tensor([0.0, 0.0, 0.9])) * _SCALE
        for layer in self.points:
            x = F.relu(layer(x))
        lengths = mask.sum(1)
        # Not negative, so the zeros of an empty crop are no more than any maximum.
        highest = torch.segment_reduce(x, 'max', lengths=lengths, initial=0.0)
        total = torch.segment_reduce(x, 'sum', lengths=lengths, initial=0.0)
        count = lengths.unsqueeze(1).to(x.dtype)
        parts = [highest, total / count.clamp_min(1.0), motion, count.log1p() / 6.0]
        return F.gelu(self.describe(torch.cat(parts, 1))) * (count > 0)

    def forward(self, points: Tensor, mask: Tensor, motion: Tensor) -> Tensor:
        """Logits (B, T, classes) of clips: (B, T, N, 3), (B, T, N) and (B, T, MOTION_WIDTH)."""
        batch, frames = points.shape[:2]
        found = self.encode(points.flatten(0, 1), mask.flatten(0, 1), motion.flatten(0, 1))
        found = self.drop(found).unflatten(0, (batch, frames))
        return self._read(torch.cat([self.initial_state(batch), found], 1))

    def step(
        self, points: Tensor, mask: Tensor, motion: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The next frame of P people: arguments as :meth:`encode`, and their state.

        Returns:
            Logits (P, classes), and the state after the frame.
        """
        window = torch.cat([state, self.encode(points, mask, motion).unsqueeze(1)], 1)
        return self._read(window)[:, 0], window[:, 1:]

    def _read(self, window: Tensor) -> Tensor:
        """Logits of all frames that have their whole past in the window (B, T, width)."""
        x = window
        for dilation, convolution, norm in zip(
            self.config.dilations, self.time, self.norms, strict=True
        ):
            past = 2 * dilation
            change = convolution(norm(x).transpose(1, 2)).transpose(1, 2)
            x = x[:, past:] + self.drop(F.gelu(change))
        return self.out(x)
