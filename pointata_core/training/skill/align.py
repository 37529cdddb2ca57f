# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``align`` stage: bring the features of point-cloud video close to those of 3D shapes.

Only the align embedder is trained, by a dataset distance (``pointata_core.transport``) between
pooled features of labelled frames and of labelled shapes. As in the published use of OTDD as a
loss (ORCA, Shen et al., ICML 2023), one class at a time is compared with the whole source, weighted
by its frequency, and the optimiser steps once per epoch. The embedder's BatchNorm keeps the
statistics of the 3D embedder. Before that, one number is matched in closed form: how far the points
of a patch lie from its centre. A sensor that sees few points has patches many times as wide as
those of shapes, which then dominates every feature.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_batch import ClipBatch, collate, frame_of
from pointata_core.training.clips.clip_store import ClipStore
from pointata_core.training.clips.preparation import Task
from pointata_core.training.engine.optimiser import constant, make_optimiser, require_finite
from pointata_core.training.skill.settings import AlignSettings
from pointata_core.training.skill.shape_source import LabelledFeatures
from pointata_core.transport import OtddConfig, OtddLoss, PerClass, alignment_loss

_MEASURED = 1024
_MEASURED_SOURCE = 1000


@dataclass(frozen=True)
class AlignState:
    """How far the clips' features are from the shapes'.

    Args:
        otdd: Distance with Gaussian label distances, on standardised features, whatever was
            trained; a squared distance.
        feature_norm: Mean norm of the features in units of the source (1 = alike).
        separability: Share of frames nearest to the mean of their own class, those of the other
            half of the clips: what stage 1 must not destroy.
    """

    otdd: float
    feature_norm: float
    separability: float


@dataclass(frozen=True)
class AlignResult:
    """What stage 1 did.

    Args:
        before: Of the 3D embedder.
        after: Of the trained one.
        losses: Of each epoch.
        objective: What was trained.
        seconds: Of training.
        offsets_scaled: Factor that the clips' offsets were scaled by first; 1 if they were not.
    """

    before: AlignState
    after: AlignState
    losses: list[float]
    objective: str
    seconds: float
    offsets_scaled: float = 1.0


class LabelledFrames:
    """Frames of a clip store with one class each.

    Args:
        store: Prepared clips; unaugmented copies are used.
        tasks: Where the class comes from: the clip or the frame, else the majority of its points.

    Attributes:
        positions: ``(n, 2)`` clip and frame.
        labels: ``(n,)`` int64.

    Raises:
        ConfigError: No frame has a class.
    """

    def __init__(self, store: ClipStore, tasks: Sequence[Task]) -> None:
        self.store = store
        by_points = set(tasks) == {'points'}
        positions, labels = [], []
        for clip in range(len(store)):
            arrays = store.arrays(clip, 0)
            sizes = np.diff(arrays['offsets'])
            for t in np.flatnonzero(sizes):
                label = _label_of(arrays, int(t), by_points)
                if label >= 0:
                    positions.append((clip, int(t)))
                    labels.append(label)
        if not positions:
            raise ConfigError('no frame has a class to align', 'Choose another split or tasks')
        self.positions, self.labels = np.array(positions), np.array(labels, np.int64)

    def batch(self, rows: np.ndarray) -> tuple[ClipBatch, Tensor]:
        """Collate frames, each as a clip of its own, with their classes."""
        windows = [
            [frame_of(self.store.arrays(int(clip), 0), int(t))] for clip, t in self.positions[rows]
        ]
        return collate(windows), torch.from_numpy(self.labels[rows])

    def shares(self) -> dict[int, float]:
        """Share of each class."""
        classes, counts = np.unique(self.labels, return_counts=True)
        return {int(c): float(n) / len(self.labels) for c, n in zip(classes, counts, strict=True)}


def pooled_features(network: PointATA, batch: ClipBatch) -> Tensor:
    """Mean of the align embedder's tokens: ``(frames, D)``, differentiable."""
    layout = batch.geometry
    features = None if batch.features is None else batch.features.flatten(0, 1)
    tokens = network.embedder(
        batch.points.flatten(0, 1), features, layout.centres, layout.patch_index
    )
    mask = layout.token_mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * mask).sum(1) / mask.sum(1).clamp_min(1.0)


def align(
    network: PointATA,
    source: LabelledFeatures,
    frames: LabelledFrames,
    settings: AlignSettings,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> AlignResult:
    """Train the align embedder of a network in place.

    Args:
        network: Left without gradients.
        source: Features of shapes by the same backbone.
        frames: Labelled frames of the training clips.
        settings: How.
        seed: Of the choice of frames.
        device: Where to compute.
        progress: Called with epochs done and their number.

    Raises:
        FloatingPointError: The loss is not finite.
        TransportError: Features cannot be compared.
        ConfigError: Patches cannot be scaled: they have no extent.
    """
    network = network.to(device).eval()
    network.requires_grad_(False)
    gauge = _Gauge(source, frames, seed)
    before = gauge.read(network, device)
    started, losses = time.perf_counter(), []
    factor = 1.0
    if settings.match_extent and network.embedder.starts_from(network.backbone):
        factor = source.extent / gauge.extent(network, device)
        network.embedder.scale_offsets(factor)
    network.embedder.requires_grad_(True)
    loss = alignment_loss(
        settings.objective, source.features.to(device), source.labels.to(device), settings.otdd
    )
    if settings.per_class:
        loss = PerClass(loss, frames.shares())
    optimiser = make_optimiser(
        network.embedder.parameters(), constant, learning_rate=settings.learning_rate
    )
    for epoch in range(settings.epochs):
        generator = np.random.default_rng((seed, epoch))
        total = 0.0
        for weight, rows, last in _batches(frames, settings, generator):
            batch, labels = frames.batch(rows)
            part = weight * loss(pooled_features(network, batch.to(device)), labels.to(device))
            require_finite(part, epoch)
            part.backward()
            total += float(part.detach())
            if last:
                optimiser.step()
        losses.append(round(total, 6))
        if progress is not None:
            progress(epoch + 1, settings.epochs)
    network.requires_grad_(False)
    seconds = round(time.perf_counter() - started, 2)
    after = gauge.read(network, device)
    return AlignResult(before, after, losses, settings.objective, seconds, round(factor, 6))


def _batches(
    frames: LabelledFrames, settings: AlignSettings, generator: np.random.Generator
) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Yield weight, rows, and whether the optimiser steps after them.

    One class at a time keeps the memory of a step small; its share is part of the loss.
    """
    if settings.per_class:
        shares = frames.shares()
        # A single sample has no distribution.
        usable = [c for c in shares if (frames.labels == c).sum() > 1]
        order = generator.permutation(usable)
        for number, label in enumerate(order.tolist()):
            own = np.flatnonzero(frames.labels == label)
            rows = generator.permutation(own)[: settings.batch]
            yield 1.0, rows, number == len(order) - 1
        return
    order = generator.permutation(len(frames.labels))
    batches = max(1, min(len(order) // settings.batch, len(frames.shares())))
    for number in range(batches):
        rows = order[number * settings.batch : (number + 1) * settings.batch]
        yield 1.0 / batches, rows, True


class _Gauge:
    """Measures the same frames against the same shapes before and after."""

    def __init__(self, source: LabelledFeatures, frames: LabelledFrames, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.frames = frames
        self.rows = np.sort(generator.permutation(len(frames.labels))[:_MEASURED])
        shapes = np.sort(generator.permutation(len(source.labels))[:_MEASURED_SOURCE])
        self.distance = OtddLoss(
            source.features[shapes], source.labels[shapes], OtddConfig(label_distance='gaussian')
        )

    def _batches(self, device: torch.device) -> Iterator[tuple[ClipBatch, Tensor]]:
        for start in range(0, len(self.rows), 128):
            batch, labels = self.frames.batch(self.rows[start : start + 128])
            yield batch.to(device), labels

    @torch.no_grad()
    def extent(self, network: PointATA, device: torch.device) -> float:
        """Mean extent of the frames' patches, normalised units.

        Raises:
            ConfigError: It is zero.
        """
        found = []
        for batch, _ in self._batches(device):
            layout = batch.geometry
            extents = network.embedder.patch_extents(
                batch.points.flatten(0, 1), layout.centres, layout.patch_index
            )
            found.append(extents[layout.token_mask])
        extent = float(torch.cat(found).mean())
        if not extent > 0:
            raise ConfigError(
                'the patches of the clips have no extent: every token stands for a single point',
                'Lower preparation.voxel_size_m or network.geometry.tokens, '
                'or set align.match_extent to false',
            )
        return extent

    @torch.no_grad()
    def read(self, network: PointATA, device: torch.device) -> AlignState:
        pooled, classes = [], []
        for batch, some in self._batches(device):
            pooled.append(pooled_features(network, batch).cpu())
            classes.append(some)
        features, labels = torch.cat(pooled), torch.cat(classes)
        found = self.distance.measure(features, labels)
        odd = torch.from_numpy(self.frames.positions[self.rows, 0] % 2 == 1)
        return AlignState(
            round(float(found.value), 6),
            round(found.feature_norm, 4),
            round(_separability(features, labels, odd), 4),
        )


def _separability(features: Tensor, labels: Tensor, odd: Tensor) -> float:
    """Nearest class mean: means of the odd clips judge the even ones, and the reverse."""
    right = total = 0
    scaled = (features - features.mean(0)) / features.std(0).clamp_min(1e-6)
    for half in (odd, ~odd):
        classes = labels[half].unique()
        if not len(classes) or half.all():
            continue
        means = torch.stack([scaled[half & (labels == c)].mean(0) for c in classes])
        nearest = classes[torch.cdist(scaled[~half], means).argmin(1)]
        right += int((nearest == labels[~half]).sum())
        total += int((~half).sum())
    return right / max(total, 1)


def _label_of(arrays: dict[str, np.ndarray], t: int, by_points: bool) -> int:
    if not by_points:
        return int(arrays['action'][t])
    first, last = arrays['offsets'][t : t + 2]
    labels = arrays['label'][first:last]
    labels = labels[labels >= 0]
    return int(np.bincount(labels).argmax()) if len(labels) else -1
