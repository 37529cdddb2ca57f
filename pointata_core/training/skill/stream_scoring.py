# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of recordings that are streamed through a bundle frame by frame, as on a robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import Clip, ClipDataset
from pointata_core.inference.frames import FrameResult, Skipped
from pointata_core.inference.session_base import Session
from pointata_core.training.clips.preparation import Task, scored_frames, sensor_motions
from pointata_core.training.skill.classes import SharedClasses
from pointata_core.training.skill.scorers import (
    FrameScorer,
    PointScorer,
    Scorer,
    SkillScore,
    VideoScorer,
)
from pointata_core.training.skill.scoring import new_scorer

_PERIOD_NS = 100_000_000


def score_streams(
    session: Callable[[], Session],
    dataset: ClipDataset,
    shared: Mapping[Task, SharedClasses],
    info: DatasetInfo | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    motion: bool = False,
) -> tuple[SkillScore, ...]:
    """Stream every clip through a session of its own, and score what it predicts.

    Args:
        session: Makes a session of the bundle.
        dataset: Clips, frames a tenth of a second apart; ``clip_kinds`` names the kind of each.
        shared: Tasks to score, and how the classes of bundle and data set belong together.
        info: Entry of the data set, with the rules of its score.
        progress: Called with clips done and their number.
        motion: Whether the session learns the sensor's motion between frames.

    Returns:
        One score for each task and kind of recording.
    """
    kinds = getattr(dataset, 'clip_kinds', ('',) * len(dataset))
    videos = getattr(dataset, 'clip_recordings', np.arange(len(dataset)))
    sampling = getattr(dataset, 'sampling', None)
    scorers: dict[tuple[Task, str], Scorer] = {
        (task, kind): new_scorer(task, classes, info)
        for task, classes in shared.items()
        for kind in dict.fromkeys(kinds)
    }
    for number, kind in enumerate(kinds):
        clip = dataset[number]
        motions = sensor_motions(clip) if motion else [None] * len(clip)
        results = _stream(session(), clip, dataset.feature_names, motions)
        for task, classes in shared.items():
            scorer = scorers[task, kind]
            if isinstance(scorer, PointScorer):
                assert clip.labels is not None
                for t in np.flatnonzero(scored_frames(clip, sampling)).tolist():
                    scorer.add_points(classes.rename(results[t].labels), clip.labels[t])
            elif isinstance(scorer, FrameScorer):
                assert clip.actions is not None
                actions = [-1 if r.action is None else int(r.action.argmax()) for r in results]
                scorer.add_timeline(
                    classes.rename(np.array(actions)), clip.actions, clip.subject or ''
                )
            elif isinstance(scorer, VideoScorer):
                assert clip.action is not None
                scorer.add_clip(
                    int(videos[number]), _logits(results[-1], classes), clip.action,
                    clip.subject or '',
                )  # fmt: skip
        if progress is not None:
            progress(number + 1, len(kinds))
    return tuple(replace(scorer.score(), kind=kind) for (_, kind), scorer in scorers.items())


def _stream(
    session: Session,
    clip: Clip,
    names: Sequence[str],
    motions: Sequence[np.ndarray | None] | np.ndarray,
) -> list[FrameResult]:
    results = []
    for t, cloud in enumerate(clip.points):
        features = None
        if clip.features is not None:
            features = dict(zip(names, clip.features[t].T, strict=True))
        result = session.step(cloud, (t + 1) * _PERIOD_NS, features, transform=motions[t])
        assert not isinstance(result, Skipped)
        results.append(result)
    return results


def _logits(result: FrameResult, classes: SharedClasses) -> np.ndarray:
    """Logits of the action; equal ones where the frame has none, as at an empty cloud."""
    if result.action is None:
        return np.zeros(len(classes.names))
    likely = np.append(result.action, 0.0)[list(classes.columns)]
    return np.log(np.maximum(likely, 1e-12))
