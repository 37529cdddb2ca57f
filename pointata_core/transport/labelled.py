# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled feature sets: checked on entry, with classes numbered from zero.

Only classes that occur exist here: one without samples has no distribution to transport.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointata_core.errors import PointataError


class TransportError(PointataError):
    """Features or labels that no distance can be computed for."""


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Features with the classes that occur among them.

    Args:
        features: (n, D) floating point, finite, n > 0.
        class_of: (n,) int64, position of each sample's label in ``classes``.
        classes: (C,) int64 labels that occur, ascending.
    """

    features: Tensor
    class_of: Tensor
    classes: Tensor

    @classmethod
    def checked(cls, features: Tensor, labels: Tensor, role: str) -> LabelledSet:
        """Check a set and number its classes.

        Args:
            features: (n, D) floating point.
            labels: (n,) integers, not negative.
            role: What the error calls the set.

        Returns:
            LabelledSet: Without the graph behind ``features``, in at least float32.

        Raises:
            TransportError: Shape, type or content does not allow a distance.
        """
        features = check_features(features, role)
        if labels.shape != features.shape[:1]:
            raise TransportError(
                f'{role} labels have shape {tuple(labels.shape)}, expected ({len(features)},)',
                'Give one class per sample',
            )
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TransportError(
                f'{role} labels are {labels.dtype}, expected integers', 'Convert them to int64'
            )
        labels = labels.to(features.device, torch.int64)
        if labels.min() < 0:
            raise TransportError(
                f'{role} labels hold {int(labels.min())}, expected 0 or more',
                'Leave samples without a class out',
            )
        classes, class_of = labels.unique(return_inverse=True)
        return cls(features.detach(), class_of, classes)

    def clouds(self) -> list[Tensor]:
        """Split the features by class: C tensors (n_c, D)."""
        order = self.class_of.argsort(stable=True)
        counts = self.class_of.bincount(minlength=len(self.classes))
        return list(self.features[order].split(counts.tolist()))


def check_features(features: Tensor, role: str, width: int | None = None) -> Tensor:
    """Return features in at least float32 with their graph, or raise if they cannot be used.

    Raises:
        TransportError: Not (n, D) of floating point, empty, of another width, or not finite.
    """
    if features.dim() != 2 or not features.is_floating_point():
        raise TransportError(
            f'{role} features are {features.dtype} of shape {tuple(features.shape)}, '
            'expected floating point of shape (samples, D)',
            'Pool the tokens of each sample into one vector',
        )
    if not features.numel():
        raise TransportError(
            f'{role} features are empty: shape {tuple(features.shape)}',
            'Leave batches without samples out',
        )
    if width is not None and features.shape[1] != width:
        raise TransportError(
            f'{role} features have {features.shape[1]} columns, those of the source {width}',
            'Take both from networks of the same width',
        )
    finite = features.detach().isfinite().all(1)
    if not finite.all():
        bad = (~finite).nonzero().flatten()
        raise TransportError(
            f'{role} features hold NaN or infinity in {len(bad)} of {len(features)} samples, '
            f'first in sample {int(bad[0])}',
            'Lower the learning rate, or look for broken clips',
        )
    return features.to(torch.promote_types(features.dtype, torch.float32))


def working_dtype(device: torch.device) -> torch.dtype:
    """Float64, in which potentials stay exact next to costs; float32 where there is none (MPS)."""
    return torch.float32 if device.type == 'mps' else torch.float64


def full_precision(device: torch.device) -> torch.autocast:
    """Context without autocast: Sinkhorn in half precision diverges."""
    return torch.autocast(device.type, enabled=False)


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances (..., n, m) between rows; never negative."""
    squares = first.square().sum(-1).unsqueeze(-1) + second.square().sum(-1).unsqueeze(-2)
    return (squares - 2 * first @ second.transpose(-1, -2)).clamp_min(0)
