# SPDX-License-Identifier: Apache-2.0
"""Training of actor pooling and action readout on the actors' labelled points alone.

What tells actions apart is how somebody's points move, and that needs many more recordings than
the backbone can be run over: trained on whole-scene tokens of a hundred rooms, the readout learns
the rooms by heart. An actor has a few hundred points, so thousands of frames pass in a second. The
truth chooses the points here and the segmentation head does live, so some points are dropped and
some of the surroundings mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.prepared_clips import collate, frame_of


@dataclass(frozen=True)
class ActorTrainingConfig:
    """How to train.

    Attributes:
        steps: Optimiser steps; the learning rate follows one cosine over them.
        learning_rate: Peak rate of AdamW.
        weight_decay: Of AdamW.
        window: Frames per training window.
        batch: Windows per step.
        points: Points kept per frame.
        drop: Largest share of the actor's points that a window loses.
        intruders: Largest number of other points mixed into a frame.
        jitter: Standard deviation of noise on every point, normalised units.
        seed: Of everything random.
    """

    steps: int = 900
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    window: int = 32
    batch: int = 24
    points: int = 128
    drop: float = 0.4
    intruders: int = 6
    jitter: float = 0.001
    seed: int = 0


@dataclass(frozen=True)
class ActorClip:
    """The actor class's points of one clip.

    Attributes:
        points: Per frame ``(n, 3)`` normalised, the actor's.
        probability: Per frame ``(n,)`` that they are.
        others: Per frame ``(m, 3)``, a sample of everything else.
        action: ``(T,)`` int64.
    """

    points: list[np.ndarray]
    probability: list[np.ndarray]
    others: list[np.ndarray]
    action: np.ndarray


def read_actor_clips(paths: Iterable[Path], actor: int, seed: int = 0) -> list[ActorClip]:
    """Cut the points labelled ``actor`` out of prepared clips."""
    rng = np.random.default_rng(seed)
    clips = []
    for path in sorted(paths):
        clip = np.load(path)
        points, label, offsets = clip['points'], clip['label'], clip['offsets']
        mine, others = [], []
        for first, last in pairwise(offsets):
            frame, person = points[first:last], label[first:last] == actor
            mine.append(frame[person])
            rest = frame[~person]
            others.append(rest[rng.integers(0, max(len(rest), 1), min(len(rest), 32))])
        certain = [np.ones(len(points), np.float32) for points in mine]
        clips.append(ActorClip(mine, certain, others, clip['action']))
    return clips


@torch.no_grad()
def find_actor_clips(
    network: PointATA, paths: Iterable[Path], actor: int, least: float = 0.2
) -> list[ActorClip]:
    """Cut out the points that the network itself takes for the actor, mistakes included.

    Args:
        network: Its segmentation chooses.
        paths: Prepared clips.
        actor: Class to look for.
        least: Probability from which a point is kept.
    """
    network.eval()
    clips = []
    for path in track(sorted(paths), description='finding actors'):
        clip = dict(np.load(path))
        batch = collate([[frame_of(clip, t) for t in range(len(clip['action']))]])
        output = network(batch.points, mask=batch.mask, geometry=batch.geometry)
        share = output.segmentation[0].softmax(-1)[..., actor] * batch.mask[0]
        rows = zip(batch.points[0], share, strict=True)
        found = [(p[q >= least].numpy(), q[q >= least].numpy()) for p, q in rows]
        nobody = [np.zeros((0, 3), np.float32)] * len(found)
        points, probability = map(list, zip(*found, strict=True))
        clips.append(ActorClip(points, probability, nobody, clip['action']))
    return clips


def train_on_actors(
    network: PointATA, clips: Sequence[ActorClip], config: ActorTrainingConfig
) -> list[float]:
    """Train actor pooling and action head; return the loss of every step.

    The head's weights on class token and tokens become zero: until stage 2 trains them on real
    recordings, only the actor speaks.
    """
    torch.manual_seed(config.seed)
    actor, head = network.actor, network.action_head
    network.set_stage('probe')
    actor.train()
    head.train()
    silent = 2 * network.config.backbone.width
    weights = _class_weights(clips, len(network.config.action_classes))
    parameters = [*actor.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.steps, pct_start=0.1
    )
    store = _Store.of(clips, config)
    generator = torch.Generator().manual_seed(config.seed)
    losses = []
    for _ in track(range(config.steps), description='actors'):
        points, probability, action, mask = store.draw(config, generator)
        descriptor = actor(points.flatten(0, 1), probability.flatten(0, 1))
        evidence = F.pad(descriptor, (silent, 0)).unflatten(0, mask.shape)
        logits = head(head.describe(evidence), mask)
        loss = F.cross_entropy(
            logits.flatten(0, 1), action.flatten(), weights, label_smoothing=0.05
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    with torch.no_grad():
        head.compress.weight[:, :silent] = 0.0
    network.eval()
    return losses


def _class_weights(clips: Sequence[ActorClip], classes: int) -> Tensor:
    counts = np.bincount(np.concatenate([c.action for c in clips]), minlength=classes)
    weights = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0.0)
    return torch.tensor(weights / weights[counts > 0].mean(), dtype=torch.float32)


@dataclass(frozen=True)
class _Store:
    """All frames of all clips in a few tensors, from which windows are cut a batch at a time.

    Attributes:
        points: ``(F, P, 3)``, zeros behind the last.
        probability: ``(F, P)``; zero for padding.
        others: ``(F, I, 3)``.
        has_other: ``(F, I)``.
        action: ``(F,)``.
        first: ``(C,)`` first frame of each clip.
        length: ``(C,)`` frames of each clip.
    """

    points: Tensor
    probability: Tensor
    others: Tensor
    has_other: Tensor
    action: Tensor
    first: Tensor
    length: Tensor

    @classmethod
    def of(cls, clips: Sequence[ActorClip], config: ActorTrainingConfig) -> _Store:
        rng = np.random.default_rng(config.seed)
        length = np.array([len(clip.action) for clip in clips])
        frames = int(length.sum())
        points = np.zeros((frames, config.points, 3), np.float32)
        probability = np.zeros((frames, config.points), np.float32)
        others = np.zeros((frames, config.intruders, 3), np.float32)
        has_other = np.zeros((frames, config.intruders), bool)
        rows = (row for c in clips for row in zip(c.points, c.probability, c.others, strict=True))
        for t, (mine, certain, rest) in enumerate(rows):
            chosen = rng.permutation(len(mine))[: config.points]
            points[t, : len(chosen)] = mine[chosen]
            probability[t, : len(chosen)] = certain[chosen]
            rest = rest[: config.intruders]
            others[t, : len(rest)] = rest
            has_other[t, : len(rest)] = True
        arrays = (points, probability, others, has_other)
        action = np.concatenate([clip.action for clip in clips])
        first = np.cumsum(length) - length
        return cls(*(torch.from_numpy(a) for a in (*arrays, action, first, length)))

    def draw(
        self, config: ActorTrainingConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cut and disturb a batch of windows; short clips are padded.

        Returns:
            Points ``(B, W, P + I, 3)``, probability ``(B, W, P + I)``, action ``(B, W)`` with -100
            for padding, and mask ``(B, W)``.
        """

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator)

        batch, window = config.batch, config.window
        # Windows, not clips, are drawn evenly.
        clip = torch.multinomial(self.length.float(), batch, True, generator=generator)
        spare = (self.length[clip] - window).clamp_min(0)
        start = (uniform(batch) * (spare + 1)).long().minimum(spare)
        offset = start.unsqueeze(1) + torch.arange(window)
        mask = offset < self.length[clip].unsqueeze(1)
        frame = self.first[clip].unsqueeze(1) + offset.minimum(self.length[clip, None] - 1)
        kept = 1.0 - config.drop * uniform(batch, 1, 1)
        probability = self.probability[frame]
        probability = probability * (uniform(*probability.shape) < kept)
        number = (uniform(batch, window, 1) * (config.intruders + 1)).long()
        others = (torch.arange(config.intruders) < number) & self.has_other[frame]
        points = torch.cat([self.points[frame], self.others[frame]], dim=2)
        noise = torch.randn(points.shape, generator=generator)
        turn = _disturbance(batch, generator)
        points = torch.einsum('bwpi,bji->bwpj', points + config.jitter * noise, turn)
        action = self.action[frame].masked_fill(~mask, -100)
        probability = torch.cat([probability, others.to(points.dtype)], dim=2)
        return points, probability * mask.unsqueeze(-1), action, mask


def _disturbance(batch: int, generator: torch.Generator) -> Tensor:
    """Turns about the vertical, perhaps a mirror, and a little scale: ``(B, 3, 3)``."""
    angle, scale, side = torch.rand((3, batch), generator=generator)
    angle, scale = (2 * angle - 1) * torch.pi, 0.93 + 0.14 * scale
    mirror = torch.where(side < 0.5, -1.0, 1.0)
    matrix = torch.zeros(batch, 3, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() * scale, -angle.sin() * scale * mirror
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() * scale, angle.cos() * scale * mirror
    matrix[:, 2, 2] = scale
    return matrix
