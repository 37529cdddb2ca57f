# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a network on prepared clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pointata_core.datasets.info import DatasetInfo
from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_batch import predict, with_auxiliary
from pointata_core.training.clips.clip_store import Clips, ClipStore
from pointata_core.training.clips.preparation import Task
from pointata_core.training.skill.classes import SharedClasses
from pointata_core.training.skill.scorers import (
    FrameScorer,
    Origin,
    PointScorer,
    Scorer,
    SkillScore,
    VideoScorer,
)


@torch.inference_mode()
def score_clips(
    network: nn.Module,
    clips: Clips,
    tasks: Sequence[Task],
    device: torch.device | str = 'cpu',
    batch: int = 8,
    progress: Callable[[int, int], None] | None = None,
    shared: Mapping[Task, SharedClasses] | None = None,
) -> tuple[SkillScore, ...]:
    """Score a network on all clips and copies of a store.

    Clips run whole, which gives the same numbers as streaming them frame by frame. Segmentation is
    scored on every point of the frames that the store keeps the truth of. A head of two streams is
    also scored by its positions and by its tokens alone (``positions_accuracy``,
    ``tokens_accuracy``), to tell what each adds.

    Args:
        network: Evaluated, in float32, and left in the mode it was in.
        clips: Prepared clips or frozen features.
        tasks: What to score.
        device: Where to run.
        batch: Clips at a time.
        progress: Called with clips done and their number.
        shared: How the network's classes and those of the clips belong together, where they differ.

    Returns:
        One score for each task.
    """
    was_training = network.training
    network = network.to(device).eval()
    shared = shared or {task: SharedClasses.equal(clips.classes[task]) for task in tasks}
    scorers = {task: new_scorer(task, shared[task], getattr(clips, 'info', None)) for task in tasks}
    head = getattr(network, 'action_head', None)
    streams: dict[str, VideoScorer] = {}
    if 'clip' in tasks and isinstance(head, TwoStreamHead):
        names = ('positions', 'tokens') if head.token_weight else ('positions',)
        streams = {name: VideoScorer(shared['clip'].names) for name in names}
    action = next((shared[task] for task in tasks if task != 'points'), None)
    pairs = list(np.ndindex(len(clips), clips.variants))
    for start in range(0, len(pairs), batch):
        chosen = pairs[start : start + batch]
        data = with_auxiliary(network, clips[chosen].to(device))
        output = predict(network, data)
        origin = _origin(clips, chosen, 'points' in tasks)
        renamed = NetworkOutput(
            _renamed(output.segmentation, shared.get('points')), _renamed(output.action, action)
        )
        for scorer in scorers.values():
            scorer.add(data, renamed, origin)
        if isinstance(head, TwoStreamHead) and isinstance(network, PointATA) and streams:
            positions = network.predict_from_positions(
                data.geometry, len(chosen), data.motion, data.auxiliary
            )
            alone = {'positions': positions}
            if 'tokens' in streams:
                assert output.action is not None
                alone['tokens'] = head.token_logits(output.action, positions)
            for name, logits in alone.items():
                streams[name].add(data, NetworkOutput(None, _renamed(logits, action)), origin)
        if progress is not None:
            progress(start + len(chosen), len(pairs))
    network.train(was_training)
    scores = {task: scorer.score() for task, scorer in scorers.items()}
    for name, scorer in streams.items():
        scores['clip'].metrics[f'{name}_accuracy'] = scorer.score().metrics['accuracy']
    return tuple(scores.values())


def new_scorer(task: Task, shared: SharedClasses, info: DatasetInfo | None = None) -> Scorer:
    """What counts the predictions of a task, by the rules of a data set."""
    if task == 'clip':
        return VideoScorer(shared.names)
    if task == 'frames':
        return FrameScorer(shared.names)
    if info is None:
        return PointScorer(shared.names, extra=shared.extra)
    unscored = tuple(name for name in info.unscored if name in shared.names)
    return PointScorer(shared.names, unscored, shared.extra, info.class_mean)


def _renamed(logits: Tensor | None, shared: SharedClasses | None) -> Tensor | None:
    return logits if logits is None or shared is None else shared.take(logits)


def _origin(clips: Clips, chosen: Sequence[tuple[int, int]], points: bool) -> Origin:
    numbers = [clip for clip, _ in chosen]
    known = getattr(clips, 'subjects', ())
    truth: list[np.ndarray] = []
    if points and isinstance(clips, ClipStore):
        found = [clips.arrays(*pair) for pair in chosen]
        truth = [arrays['truth'] for arrays in found if 'truth' in arrays]
    return Origin(clips.videos[numbers], [known[n] if known else '' for n in numbers], truth)
