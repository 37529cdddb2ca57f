# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments of time with one action, from one prediction per frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointata_core.evaluation.metrics.actions import segments
from pointata_core.evaluation.results import ActionSegment

NO_PREDICTION = -1


def action_segments(
    times_s: Sequence[float],
    actions: Sequence[int],
    classes: Sequence[str],
    scores: Sequence[float] | None = None,
) -> tuple[ActionSegment, ...]:
    """Join equal neighbours into segments.

    A segment ends where the next frame begins; the last one lasts one median frame period.

    Args:
        times_s: ``(F,)`` seconds, ascending.
        actions: ``(F,)`` class indices; negative = no prediction: such frames form no segment.
        classes: Class names.
        scores: ``(F,)`` score of each frame's action; ``None`` for ground truth.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if not times.size:
        return ()
    period = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    ends = np.append(times[1:], times[-1] + period)
    return tuple(
        ActionSegment(
            label=classes[segment.label],
            start_s=round(float(times[segment.start]), 6),
            end_s=round(float(ends[segment.end - 1]), 6),
            score=None if scores is None else float(np.mean(scores[segment.start : segment.end])),
        )
        for segment in segments(actions, background={a for a in actions if a < 0})
    )
