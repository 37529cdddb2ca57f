# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a person skill on people that its training left out, decided on as in a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.bundles.person_manifest import PersonPreparation
from pointata_core.evaluation.metrics.actions import TimelineScores, segments
from pointata_core.inference.people.decision import UNKNOWN, decide
from pointata_core.models.person.person_network import PersonNetwork
from pointata_core.training.people.crop_store import CLASSES, PersonClip

_TEMPERATURES = np.geomspace(0.5, 4.0, 25)


@torch.inference_mode()
def clip_logits(network: PersonNetwork, clip: PersonClip) -> Tensor:
    """Logits (T, classes) of all frames of a person."""
    frames = len(clip.action)
    sizes = np.diff(clip.first)
    points = np.zeros((frames, max(1, sizes.max()), 3), np.float32)
    mask = np.arange(points.shape[1])[None] < sizes[:, None]
    points[mask] = clip.points
    inputs = (torch.from_numpy(one)[None] for one in (points, mask, clip.motion))
    return network(*inputs)[0]


def fit_temperature(logits: Sequence[Tensor], actions: Sequence[np.ndarray]) -> float:
    """The temperature with the least cross-entropy (Guo et al., ICML 2017)."""
    known = [action >= 0 for action in actions]
    if not any(use.any() for use in known):
        return 1.0
    every = torch.cat([one[torch.from_numpy(use)] for one, use in zip(logits, known, strict=True)])
    truth = torch.from_numpy(np.concatenate([a[u] for a, u in zip(actions, known, strict=True)]))
    losses = [float(F.cross_entropy(every / t, truth)) for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def score_clips(
    logits: Sequence[Tensor], clips: Sequence[PersonClip], settings: PersonPreparation
) -> dict[str, dict[str, Any]]:
    """Accuracy, F1, edit score and changes, for all sensors together and for each.

    Args:
        logits: Of each clip.
        clips: Only frames of held-out bodies and motions are counted.
        settings: Temperature, smoothing and thresholds.
    """
    kinds = ['all', *sorted({clip.sensor for clip in clips})]
    scores = {kind: TimelineScores() for kind in kinds}
    changes = {kind: np.zeros(2, np.int64) for kind in kinds}
    for one, clip in zip(logits, clips, strict=True):
        predicted = decisions(one, settings)
        truth = np.where(clip.unseen, clip.action, -1)
        for kind in ('all', clip.sensor):
            scores[kind].add(predicted, truth)
            known = truth >= 0
            for column, row in enumerate((predicted[known], truth[known])):
                changes[kind][column] += max(0, len(segments(row)) - 1)
    return {
        kind: {
            'accuracy': found.accuracy,
            'f1': found.f1,
            'edit': found.edit,
            'frames': found.frames,
            'changes': int(changes[kind][0]),
            'true_changes': int(changes[kind][1]),
            'classes': list(CLASSES),
        }
        for kind, one in scores.items()
        if (found := one.score()) is not None
    }


def decisions(logits: Tensor, settings: PersonPreparation) -> np.ndarray:
    """(T,) actions as a session decides them."""
    found, mean, action = [], None, UNKNOWN
    for row in (logits / settings.temperature).softmax(-1).numpy():
        mean, action = decide(row, mean, action, settings)
        found.append(action)
    return np.array(found, np.int64)
