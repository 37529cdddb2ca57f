# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scores of single frames to an action that does not flicker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.person_manifest import PersonPreparation

UNKNOWN = -1
"""In place of the index of an action."""


def decide(
    scores: NDArray[np.float32],
    mean: NDArray[np.float32] | None,
    present: int,
    settings: PersonPreparation,
) -> tuple[NDArray[np.float32], int]:
    """The action after one more frame.

    Args:
        scores: (K,) probabilities of this frame.
        mean: (K,) running mean so far; ``None`` before the first frame.
        present: Index of the action so far, or ``UNKNOWN``.
        settings: Smoothing and thresholds.

    Returns:
        The running mean, and the index of the action or ``UNKNOWN``.
    """
    if mean is None:
        mean = scores
    else:
        mean = mean + np.float32(settings.smoothing) * (scores - mean)
    best = int(mean.argmax())
    if present != UNKNOWN and mean[best] < mean[present] + settings.margin:
        best = present
    return mean, best if mean[best] >= settings.least_score else UNKNOWN
