# SPDX-License-Identifier: Apache-2.0
"""Scores of a skill on prepared clips: the numbers a training ends with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from pointata_core.evaluation.metrics.actions import TimelineScores
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.prepared_clips import IGNORED, ClipBatch, with_auxiliary
from pointata_core.training.skill.settings import Task


@dataclass(frozen=True)
class SkillScore:
    """What was measured on one split.

    Args:
        task: What was scored.
        metrics: Figures by name, each in 0..1.
        right: Right answers (recordings, frames or points).
        total: Of how many.
        confusion: ``(C, C)`` counts by true class and answer; empty for ``points`` without labels.
        classes: Class names.
        facts: Counts and notes.
    """

    task: Task
    metrics: dict[str, float]
    right: int
    total: int
    confusion: list[list[int]]
    classes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)


class _Clips:
    """Softmax summed over the clips of a recording, as public protocols do."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.sums: dict[int, np.ndarray] = {}
        self.truth: dict[int, int] = {}
        self.clips_right, self.clips = 0, 0

    def add(self, batch: ClipBatch, output, videos: np.ndarray) -> None:
        shares = output.action[:, -1].float().softmax(-1).cpu().double().numpy()
        truth = batch.action[:, -1].cpu().numpy()
        for share, label, video in zip(shares, truth, videos, strict=True):
            self.sums[int(video)] = self.sums.get(int(video), 0.0) + share
            self.truth[int(video)] = int(label)
        self.clips_right += int((shares.argmax(1) == truth).sum())
        self.clips += len(truth)

    def score(self) -> SkillScore:
        matrix = np.zeros((len(self.classes),) * 2, np.int64)
        for video, share in self.sums.items():
            matrix[self.truth[video], int(share.argmax())] += 1
        right, total = int(np.trace(matrix)), int(matrix.sum())
        present = matrix.sum(1) > 0
        per_class = np.diag(matrix)[present] / matrix.sum(1)[present]
        metrics = {
            'accuracy': right / total,
            'clip_accuracy': self.clips_right / self.clips,
            'mean_class_accuracy': float(per_class.mean()),
        }
        facts = {'recordings': total, 'clips': self.clips}
        return SkillScore('clip', metrics, right, total, matrix.tolist(), self.classes, facts)


class _Frames:
    """Accuracy, segmental F1 and edit score of timelines."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.timelines = TimelineScores()
        self.matrix = np.zeros((len(classes),) * 2, np.int64)

    def add(self, batch: ClipBatch, output, videos: np.ndarray) -> None:
        answers = output.action.argmax(-1).cpu().numpy()
        for answer, truth in zip(answers, batch.action.cpu().numpy(), strict=True):
            self.timelines.add(answer, truth)
            use = truth >= 0
            np.add.at(self.matrix, (truth[use], answer[use]), 1)

    def score(self) -> SkillScore:
        score = self.timelines.score()
        metrics = {'accuracy': score.accuracy, 'edit': score.edit}
        metrics.update({f'f1_{k}': v for k, v in score.f1.items()})
        right = int(np.trace(self.matrix))
        matrix = self.matrix.tolist()
        return SkillScore('frames', metrics, right, score.frames, matrix, self.classes)


class _Points:
    """IoU over voxels; every frame of a clip counts where it has labels."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.matrix = ConfusionMatrix(classes)

    def add(self, batch: ClipBatch, output, videos: np.ndarray) -> None:
        answer = output.segmentation[:, -1].argmax(-1).cpu().numpy()
        truth = batch.label[:, -1].cpu().numpy()
        truth = np.where(truth == IGNORED, -1, truth)
        self.matrix.add(truth.ravel(), answer.ravel())

    def score(self) -> SkillScore:
        score = self.matrix.score()
        metrics = {'miou': score.miou, 'accuracy': score.accuracy}
        counts = self.matrix.counts
        facts = {'iou': score.iou, 'voxels': score.points}
        return SkillScore(
            'points',
            metrics,
            int(np.trace(counts[:, :-1])),
            score.points,
            counts[:, :-1].tolist(),
            self.classes,
            facts,
        )


_SCORERS = {'clip': _Clips, 'frames': _Frames, 'points': _Points}


@torch.inference_mode()
def score_clips(
    network: PointATA,
    clips,
    task: Task,
    device: torch.device | str = 'cpu',
    batch: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> SkillScore:
    """Score a network on all clips and variants of a store.

    Clips run whole, which gives the same numbers as streaming them frame by frame. A head of two
    streams is also scored by its positions and by its tokens alone (``positions_accuracy``,
    ``tokens_accuracy``), to tell what either adds.

    Args:
        network: Evaluated, in float32, and left in the mode it was in.
        clips: A clip store or frozen features.
        task: What to score.
        device: Where to run.
        batch: Clips at a time.
        progress: Called with clips done and their number.
    """
    was_training = network.training
    network = network.to(device).eval()
    scorer = _SCORERS[task](clips.classes)
    head = getattr(network, 'action_head', None)
    by_positions = by_tokens = None
    if task == 'clip' and isinstance(head, TwoStreamHead):
        by_positions = _Clips(clips.classes)
        by_tokens = _Clips(clips.classes) if head.token_weight else None
    pairs = list(np.ndindex(len(clips), clips.variants))
    for start in range(0, len(pairs), batch):
        chosen = pairs[start : start + batch]
        data = with_auxiliary(network, clips[chosen].to(device))
        output = network(
            data.points,
            data.features,
            data.mask,
            data.motion,
            geometry=data.geometry,
            prefix=data.prefix,
            auxiliary=data.auxiliary,
        )
        videos = clips.videos[[clip for clip, _ in chosen]]
        scorer.add(data, output, videos)
        if by_positions is not None:
            positions = network.predict_from_positions(
                data.geometry, len(chosen), data.motion, data.auxiliary
            )
            by_positions.add(data, NetworkOutput(None, positions), videos)
            if by_tokens is not None:
                tokens = head.token_logits(output.action, positions)
                by_tokens.add(data, NetworkOutput(None, tokens), videos)
        if progress is not None:
            progress(start + len(chosen), len(pairs))
    network.train(was_training)
    score = scorer.score()
    for name, alone in (('positions_accuracy', by_positions), ('tokens_accuracy', by_tokens)):
        if alone is not None:
            score.metrics[name] = alone.score().metrics['accuracy']
    return score
