# SPDX-License-Identifier: Apache-2.0
"""Scores of a skill: on prepared clips, or of recordings that are streamed through its bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from pointata_core.bundles.bundle import Bundle
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.evaluation.metrics.actions import TimelineScores
from pointata_core.evaluation.metrics.clips import VideoScores
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.inference.session import Skipped, StreamingSession
from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_batch import ClipBatch, predict, with_auxiliary
from pointata_core.training.clips.clip_store import Clips
from pointata_core.training.clips.preparation import Task, sensor_motions

_PERIOD_NS = 100_000_000


@dataclass(frozen=True)
class SkillScore:
    """What was measured of one task on one split.

    Args:
        task: What was scored.
        metrics: Figures by name, each in 0..1.
        right: Right predictions (recordings, frames or points).
        total: Of how many.
        confusion: ``(C, C)`` counts by true and predicted class.
        classes: Class names.
        facts: Counts and notes.
        kind: Kind of recording that was scored; empty for all of the split.
    """

    task: Task
    metrics: dict[str, float]
    right: int
    total: int
    confusion: list[list[int]]
    classes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    kind: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)


class Scorer(Protocol):
    """Counts predictions of one task."""

    def add(self, batch: ClipBatch, output: NetworkOutput, videos: np.ndarray) -> None:
        """Count a batch of clips of these recordings."""

    def score(self) -> SkillScore:
        """All that was counted."""


class _Videos:
    """Softmax summed over the clips of a recording, as public protocols do."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.scores = VideoScores(len(classes))

    def add(self, batch: ClipBatch, output: NetworkOutput, videos: np.ndarray) -> None:
        assert output.action is not None
        logits = output.action[:, -1].float().cpu().numpy()
        truth = batch.action[:, -1].tolist()
        for video, row, label in zip(videos, logits, truth, strict=True):
            self.scores.add(str(video), row, label)

    def score(self) -> SkillScore:
        score = self.scores.score()
        assert score is not None
        metrics = {
            'accuracy': score.accuracy,
            'clip_accuracy': score.clip_accuracy,
            'mean_class_accuracy': float(np.mean([*score.class_accuracy.values()])),
        }
        facts = {'recordings': score.videos, 'clips': score.clips}
        matrix = score.confusion.tolist()
        return SkillScore('clip', metrics, score.correct, score.videos, matrix, self.classes, facts)


class _Frames:
    """Accuracy, segmental F1 and edit score of timelines."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.timelines = TimelineScores()
        self.matrix = np.zeros((len(classes),) * 2, np.int64)

    def add(self, batch: ClipBatch, output: NetworkOutput, videos: np.ndarray) -> None:
        assert output.action is not None
        predicted = output.action.argmax(-1).cpu().numpy()
        for row, truth in zip(predicted, batch.action.cpu().numpy(), strict=True):
            self.add_timeline(row, truth)

    def add_timeline(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count the frames ``(T,)`` of one recording."""
        self.timelines.add(predicted, truth)
        use = truth >= 0
        np.add.at(self.matrix, (truth[use], predicted[use]), 1)

    def score(self) -> SkillScore:
        score = self.timelines.score()
        assert score is not None
        metrics = {'accuracy': score.accuracy, 'edit': score.edit}
        metrics.update({f'f1_{k}': v for k, v in score.f1.items()})
        facts = {'majority_share': float(self.matrix.sum(1).max() / max(self.matrix.sum(), 1))}
        right = int(np.trace(self.matrix))
        matrix = self.matrix.tolist()
        return SkillScore('frames', metrics, right, score.frames, matrix, self.classes, facts)


class _Points:
    """IoU over voxels of each clip's last frame, or over points."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.matrix = ConfusionMatrix(classes)

    def add(self, batch: ClipBatch, output: NetworkOutput, videos: np.ndarray) -> None:
        assert output.segmentation is not None
        predicted = output.segmentation[:, -1].argmax(-1).cpu().numpy()
        self.add_points(predicted, batch.label[:, -1].cpu().numpy())

    def add_points(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count points of any shape; negative truth does not count."""
        self.matrix.add(truth.ravel().astype(np.int64), predicted.ravel())

    def score(self) -> SkillScore:
        score = self.matrix.score()
        assert score is not None
        metrics = {'miou': score.miou, 'accuracy': score.accuracy}
        counts = self.matrix.counts[:, : len(self.classes)]
        facts = {'iou': score.iou, 'points': score.points}
        right, matrix = int(np.trace(counts)), counts.tolist()
        return SkillScore('points', metrics, right, score.points, matrix, self.classes, facts)


_SCORERS: dict[Task, Callable[[tuple[str, ...]], Scorer]] = {
    'clip': _Videos,
    'frames': _Frames,
    'points': _Points,
}


@torch.inference_mode()
def score_clips(
    network: nn.Module,
    clips: Clips,
    tasks: Sequence[Task],
    device: torch.device | str = 'cpu',
    batch: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[SkillScore, ...]:
    """Score a network on all clips and copies of a store.

    Clips run whole, which gives the same numbers as streaming them frame by frame. A head of two
    streams is also scored by its positions and by its tokens alone (``positions_accuracy``,
    ``tokens_accuracy``), to tell what each adds.

    Args:
        network: Evaluated, in float32, and left in the mode it was in.
        clips: Prepared clips or frozen features.
        tasks: What to score.
        device: Where to run.
        batch: Clips at a time.
        progress: Called with clips done and their number.

    Returns:
        One score for each task.
    """
    was_training = network.training
    network = network.to(device).eval()
    scorers = {task: _SCORERS[task](clips.classes[task]) for task in tasks}
    head = getattr(network, 'action_head', None)
    streams: dict[str, _Videos] = {}
    if 'clip' in tasks and isinstance(head, TwoStreamHead):
        names = ('positions', 'tokens') if head.token_weight else ('positions',)
        streams = {name: _Videos(clips.classes['clip']) for name in names}
    pairs = list(np.ndindex(len(clips), clips.variants))
    for start in range(0, len(pairs), batch):
        chosen = pairs[start : start + batch]
        data = with_auxiliary(network, clips[chosen].to(device))
        output = predict(network, data)
        videos = clips.videos[[clip for clip, _ in chosen]]
        for scorer in scorers.values():
            scorer.add(data, output, videos)
        if isinstance(head, TwoStreamHead) and isinstance(network, PointATA) and streams:
            positions = network.predict_from_positions(
                data.geometry, len(chosen), data.motion, data.auxiliary
            )
            alone = {'positions': positions}
            if 'tokens' in streams:
                assert output.action is not None
                alone['tokens'] = head.token_logits(output.action, positions)
            for name, logits in alone.items():
                streams[name].add(data, NetworkOutput(None, logits), videos)
        if progress is not None:
            progress(start + len(chosen), len(pairs))
    network.train(was_training)
    scores = {task: scorer.score() for task, scorer in scorers.items()}
    for name, scorer in streams.items():
        scores['clip'].metrics[f'{name}_accuracy'] = scorer.score().metrics['accuracy']
    return tuple(scores.values())


def score_streams(
    bundle: Bundle,
    dataset: ClipDataset,
    tasks: Sequence[Task],
    progress: Callable[[int, int], None] | None = None,
    *,
    motion: bool = False,
) -> tuple[SkillScore, ...]:
    """Stream every clip through a bundle as a live sensor would, and score every input point.

    Args:
        bundle: What is scored.
        dataset: Whole recordings, frames a tenth of a second apart; ``clip_kinds`` names the kind
            of each.
        tasks: ``points``, ``frames`` or both.
        progress: Called with clips done and their number.
        motion: Whether the session learns the sensor's motion between frames.

    Returns:
        One score for each kind of recording and task.
    """
    kinds = getattr(dataset, 'clip_kinds', ('',) * len(dataset))
    points_by_kind: dict[str, _Points] = {}
    frames_by_kind: dict[str, _Frames] = {}
    manifest = bundle.manifest
    for number, kind in enumerate(kinds):
        clip, session = dataset[number], StreamingSession(bundle)
        actions = np.full(len(clip), -1)
        motions = sensor_motions(clip) if motion else [None] * len(clip)
        for t, cloud in enumerate(clip.points):
            features = None
            if clip.features is not None:
                columns = clip.features[t].T
                features = dict(zip(dataset.feature_names, columns, strict=True))
            stamp_ns = (t + 1) * _PERIOD_NS
            result = session.step(cloud, stamp_ns, features, transform=motions[t])
            assert not isinstance(result, Skipped)
            if 'points' in tasks:
                assert clip.labels is not None
                scorer = points_by_kind.setdefault(kind, _Points(manifest.segmentation_classes))
                scorer.add_points(result.labels, clip.labels[t])
            if result.action is not None:
                actions[t] = result.action.argmax()
        if 'frames' in tasks:
            assert clip.actions is not None
            timelines = frames_by_kind.setdefault(kind, _Frames(manifest.action_classes))
            timelines.add_timeline(actions, clip.actions)
        if progress is not None:
            progress(number + 1, len(kinds))
    points = [replace(scorer.score(), kind=kind) for kind, scorer in points_by_kind.items()]
    frames = [replace(scorer.score(), kind=kind) for kind, scorer in frames_by_kind.items()]
    return (*points, *frames)
