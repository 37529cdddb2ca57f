# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One account of many streams: per recording, per sensor, and the worst frames of all."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.evaluation.results import EvaluationResults, FrameFacts

WORST = 20
_LOSSES = ('rejected', 'skipped', 'dropped', 'resets')


def summarise(recording: str, folder: str, results: EvaluationResults) -> dict[str, Any]:
    """What the account needs of one stream, as plain values."""
    total, score = results.latency.get('total'), results.segmentation
    confusion = results.trace.confusion
    return {
        'recording': recording,
        'topic': results.topic,
        'folder': folder,
        'frames': results.frames,
        'frames_predicted': results.frames_predicted,
        'points': results.points,
        'points_labelled': results.points_labelled,
        **{name: getattr(results, name) for name in _LOSSES},
        'labels_sha256': results.labels_sha256,
        'duration_s': results.duration_s,
        'wall_s': results.wall_s,
        'latency_ms': None if total is None else {'p50': total.p50, 'p99': total.p99},
        'miou': None if score is None else score.miou,
        'accuracy': None if score is None else score.accuracy,
        'action_accuracy': None if results.action is None else results.action.accuracy,
        'notes': list(results.notes),
        'worst_frames': [
            {'recording': recording, 'topic': results.topic, **_plain(frame)}
            for frame in sorted(results.trace.frames, key=_rank)[:WORST]
        ],
        'confusion': None if confusion is None else confusion.tolist(),
        'classes': results.bundle['segmentation_classes'],
    }


def account(
    summaries: Sequence[Mapping[str, Any]], failures: Iterable[Any], wall_s: float
) -> dict[str, Any]:
    """The account of a fleet.

    Args:
        summaries: Of all streams with results, see :func:`summarise`.
        failures: Of recordings and streams without, in order.
        wall_s: Seconds that this run took; streams with results from before take none.
    """
    by_topic: dict[str, list[Mapping[str, Any]]] = {}
    for summary in summaries:
        by_topic.setdefault(summary['topic'], []).append(summary)
    worst = [frame for summary in summaries for frame in summary['worst_frames']]
    left_out = ('worst_frames', 'confusion', 'classes')
    return {
        'format': 1,
        'kind': 'fleet',
        'recordings': [
            {key: value for key, value in one.items() if key not in left_out} for one in summaries
        ],
        'sensors': [_sensor(topic, group) for topic, group in sorted(by_topic.items())],
        'worst_frames': sorted(worst, key=_plain_rank)[:WORST],
        'failures': [asdict(failure) for failure in failures],
        **_sums(summaries),
        'wall_s': wall_s,
    }


def _sensor(topic: str, group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All streams of a sensor together; scores come from one confusion matrix."""
    score = None
    scored = [one for one in group if one['confusion'] is not None]
    if scored:
        matrix = ConfusionMatrix(scored[0]['classes'])
        for one in scored:
            matrix.counts += np.array(one['confusion'], np.int64)
        score = matrix.score()
    medians = [one['latency_ms']['p50'] for one in group if one['latency_ms']]
    return {
        'topic': topic,
        'recordings': len(group),
        **_sums(group),
        'median_ms': statistics.median(medians) if medians else None,
        'segmentation': None if score is None else asdict(score),
    }


def _sums(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ('frames', 'frames_predicted', 'points', 'points_labelled')
    return {name: sum(one[name] for one in group) for name in names}


def _plain(frame: FrameFacts) -> dict[str, Any]:
    return {
        'stamp_ns': frame.stamp_ns,
        'time_s': frame.time_s,
        'accuracy': frame.right / frame.known if frame.known else None,
        'labelled': frame.labelled / frame.points if frame.points else 0.0,
        'milliseconds': frame.total_ms,
    }


def _rank(frame: FrameFacts) -> tuple[float, float, float]:
    return _plain_rank(_plain(frame))


def _plain_rank(frame: Mapping[str, Any]) -> tuple[float, float, float]:
    """The worst first: few right points, then few labelled points, then a long time."""
    accuracy = frame['accuracy']
    return (2.0 if accuracy is None else accuracy, frame['labelled'], -(frame['milliseconds'] or 0))
