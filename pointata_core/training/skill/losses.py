# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the ``adapt`` stage beside cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_softmax(logits: Tensor, truth: Tensor) -> Tensor:
    """A convex surrogate of one minus the mean IoU (Berman et al., CVPR 2018).

    Cross-entropy counts points, so large classes hide small ones; this loss counts the IoU of every
    class of the batch alike.

    Args:
        logits: ``(n, classes)``.
        truth: ``(n,)`` int64, no ignored ones.

    Returns:
        Mean over the classes that the batch holds; zero for an empty batch.
    """
    probabilities = logits.softmax(dim=-1)
    losses = []
    for label in truth.unique().tolist():
        inside = (truth == label).to(probabilities.dtype)
        errors, order = (inside - probabilities[:, label]).abs().sort(descending=True)
        losses.append(errors @ _iou_steps(inside[order]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0


def _iou_steps(inside: Tensor) -> Tensor:
    """How the loss 1 - IoU grows as one point after the other becomes wrong, worst first."""
    intersection = inside.sum() - inside.cumsum(0)
    union = inside.sum() + (1.0 - inside).cumsum(0)
    lost = 1.0 - intersection / union
    return torch.cat([lost[:1], lost.diff()])
