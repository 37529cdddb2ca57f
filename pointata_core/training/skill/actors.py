# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``actors`` stage: train actor pooling and action readout on the points of actors alone.

Actions differ in how the points of a person move. Learning that needs many more recordings than
the backbone can process: trained on tokens of whole scenes from a hundred rooms, the readout
overfits to the rooms. A person has a few hundred points, so thousands of frames pass in a second.
In training labels select these points, in a stream the segmentation head does. Some points are
therefore dropped, and some of the surroundings are mixed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.point.heads.action_head import ActionHead
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.augmentation import rotations
from pointata_core.training.clips.clip_batch import collate, frame_of, predict
from pointata_core.training.clips.clip_store import ClipStore, Progress
from pointata_core.training.engine.optimiser import cosine, make_optimiser, train_steps
from pointata_core.training.skill.adapt import class_weights
from pointata_core.training.skill.settings import ActorSettings, OptimiserSettings

_LEAST_PROBABILITY = 0.2
_OTHERS = 32
_FOUND_WEIGHT = 2.0


@dataclass(frozen=True)
class ActorClip:
    """The actor class's points of one clip.

    Attributes:
        points: Per frame ``(n, 3)`` normalised, the actor's.
        probability: Per frame ``(n,)`` that they are.
        others: Per frame ``(m, 3)``, a sample of everything else.
        action: ``(T,)`` int64.
        weight: How often its windows are drawn, relative to those of others.
    """

    points: list[np.ndarray]
    probability: list[np.ndarray]
    others: list[np.ndarray]
    action: np.ndarray
    weight: float = 1.0


def read_actor_clips(store: ClipStore, actor: int, seed: int = 0) -> list[ActorClip]:
    """Cut the points labelled ``actor`` out of prepared clips."""
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(len(store)):
        clip = store.read(number, 0)
        mine, others = [], []
        for first, last in pairwise(clip['offsets']):
            frame, own = clip['points'][first:last], clip['label'][first:last] == actor
            mine.append(frame[own])
            rest = frame[~own]
            others.append(rest[rng.integers(0, max(len(rest), 1), min(len(rest), _OTHERS))])
        certain = [np.ones(len(points), np.float32) for points in mine]
        clips.append(ActorClip(mine, certain, others, clip['action']))
    return clips


@torch.no_grad()
def find_actor_clips(
    network: PointATA,
    store: ClipStore,
    actor: int,
    device: torch.device,
    progress: Progress | None = None,
) -> list[ActorClip]:
    """Cut out the points that the network itself takes for the actor, mistakes included.

    Args:
        network: Its segmentation chooses.
        store: Prepared clips.
        actor: Class to look for.
        device: Where to compute.
        progress: Called with clips done and their number.
    """
    network.to(device).eval()
    clips = []
    for number in range(len(store)):
        clip = store.read(number, 0)
        frames = len(clip['action'])
        batch = collate([[frame_of(clip, t) for t in range(frames)]]).to(device)
        logits = predict(network, batch).segmentation
        assert logits is not None
        share = (logits[0].float().softmax(-1)[..., actor] * batch.mask[0]).cpu()
        rows = zip(batch.points[0].cpu(), share, strict=True)
        kept = [(p, q, q >= _LEAST_PROBABILITY) for p, q in rows]
        empty = [np.zeros((0, 3), np.float32)] * frames
        points = [p[use].numpy() for p, _, use in kept]
        probability = [q[use].numpy() for _, q, use in kept]
        clips.append(ActorClip(points, probability, empty, clip['action'], _FOUND_WEIGHT))
        if progress is not None:
            progress(number + 1, len(store))
    return clips


def train_on_actors(
    network: PointATA,
    clips: Sequence[ActorClip],
    settings: ActorSettings,
    optimiser: OptimiserSettings,
    window: int,
    seed: int,
    progress: Progress | None = None,
) -> list[float]:
    """Train actor pooling and action head; return the loss of every step.

    The head's weights on class token and tokens become zero: until an ``adapt`` stage trains them
    on real recordings, only the actor decides.

    Args:
        network: Left evaluating, on the CPU.
        clips: What to train on.
        settings: Points of a window.
        optimiser: Steps, batch and rates.
        window: Frames of a window; shorter clips are padded.
        seed: Of everything random.
        progress: Called with steps done and their number.
    """
    torch.manual_seed(seed)
    network.cpu()
    actor, head = network.actor, network.action_head
    assert actor is not None and isinstance(head, ActionHead)
    network.set_stage('probe')
    actor.train()
    head.train()
    tokens = 2 * network.config.backbone.width
    actions = torch.from_numpy(np.concatenate([clip.action for clip in clips]))
    classes = len(network.config.action_classes)
    weights = class_weights(actions, classes, optimiser.class_weight_power)
    store = _Frames.of(clips, settings, seed)
    generator = torch.Generator().manual_seed(seed)

    def loss_of(step: int) -> Tensor:
        points, probability, action, mask = store.draw(settings, optimiser.batch, window, generator)
        descriptor = actor(points.flatten(0, 1), probability.flatten(0, 1))
        evidence = F.pad(descriptor, (tokens, 0)).unflatten(0, mask.shape)
        logits = head(head.describe(evidence), mask)
        return F.cross_entropy(
            logits.flatten(0, 1), action.flatten(), weights,
            label_smoothing=optimiser.label_smoothing,
        )  # fmt: skip

    losses = train_steps(
        make_optimiser(
            [*actor.parameters(), *head.parameters()],
            cosine(optimiser.steps, optimiser.warmup),
            learning_rate=optimiser.learning_rate,
            weight_decay=optimiser.weight_decay,
        ),
        loss_of,
        optimiser.steps,
        clip=optimiser.clip,
        progress=progress or (lambda done, total: None),
    )
    with torch.no_grad():
        head.compress.weight[:, :tokens] = 0.0
    network.eval()
    return losses


@dataclass(frozen=True)
class _Frames:
    """All frames of all clips in a few tensors, from which windows are cut a batch at a time.

    Attributes:
        points: ``(F, P, 3)``, zeros behind the last.
        probability: ``(F, P)``; zero for padding.
        others: ``(F, I, 3)``.
        has_other: ``(F, I)``.
        action: ``(F,)``.
        first: ``(C,)`` first frame of each clip.
        length: ``(C,)`` frames of each clip.
        weight: ``(C,)`` how often each clip is drawn.
    """

    points: Tensor
    probability: Tensor
    others: Tensor
    has_other: Tensor
    action: Tensor
    first: Tensor
    length: Tensor
    weight: Tensor

    @classmethod
    def of(cls, clips: Sequence[ActorClip], settings: ActorSettings, seed: int) -> _Frames:
        rng = np.random.default_rng(seed)
        length = np.array([len(clip.action) for clip in clips])
        frames = int(length.sum())
        points = np.zeros((frames, settings.points, 3), np.float32)
        probability = np.zeros((frames, settings.points), np.float32)
        others = np.zeros((frames, settings.intruders, 3), np.float32)
        has_other = np.zeros((frames, settings.intruders), bool)
        rows = (row for c in clips for row in zip(c.points, c.probability, c.others, strict=True))
        for t, (mine, certain, rest) in enumerate(rows):
            chosen = rng.permutation(len(mine))[: settings.points]
            points[t, : len(chosen)] = mine[chosen]
            probability[t, : len(chosen)] = certain[chosen]
            rest = rest[: settings.intruders]
            others[t, : len(rest)] = rest
            has_other[t, : len(rest)] = True
        arrays = (points, probability, others, has_other)
        action = np.concatenate([clip.action for clip in clips])
        first = np.cumsum(length) - length
        # Windows, not clips, are drawn evenly.
        weight = length * np.array([clip.weight for clip in clips])
        return cls(*(torch.from_numpy(a) for a in (*arrays, action, first, length, weight)))

    def draw(
        self, settings: ActorSettings, batch: int, window: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cut and disturb a batch of windows; short clips are padded.

        Returns:
            Points ``(B, W, P + I, 3)``, probability ``(B, W, P + I)``, action ``(B, W)`` with
            ``IGNORE`` for padding, and mask ``(B, W)``.
        """

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator)

        clip = torch.multinomial(self.weight.float(), batch, True, generator=generator)
        spare = (self.length[clip] - window).clamp_min(0)
        start = (uniform(batch) * (spare + 1)).long().minimum(spare)
        offset = start.unsqueeze(1) + torch.arange(window)
        mask = offset < self.length[clip].unsqueeze(1)
        frame = self.first[clip].unsqueeze(1) + offset.minimum(self.length[clip, None] - 1)
        kept = 1.0 - settings.drop * uniform(batch, 1, 1)
        probability = self.probability[frame]
        probability = probability * (uniform(*probability.shape) < kept)
        number = (uniform(batch, window, 1) * (settings.intruders + 1)).long()
        others = (torch.arange(settings.intruders) < number) & self.has_other[frame]
        points = torch.cat([self.points[frame], self.others[frame]], dim=2)
        noise = torch.randn(points.shape, generator=generator)
        points = torch.einsum(
            'bwpi,bji->bwpj', points + settings.jitter * noise, _disturbance(batch, uniform)
        )
        action = self.action[frame].masked_fill(~mask, IGNORE)
        probability = torch.cat([probability, others.to(points.dtype)], dim=2)
        return points, probability * mask.unsqueeze(-1), action, mask


def _disturbance(batch: int, uniform: Callable[..., Tensor]) -> Tensor:
    """Rotations about the vertical, perhaps a mirror, and a little scale: ``(B, 3, 3)``."""
    angle, scale, side = uniform(3, batch)
    factors = (0.93 + 0.14 * scale).unsqueeze(1).repeat(1, 3)
    factors[:, 1] *= torch.where(side < 0.5, -1.0, 1.0)
    return rotations((2 * angle - 1) * torch.pi, 2) * factors.unsqueeze(1)
