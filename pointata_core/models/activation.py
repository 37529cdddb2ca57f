# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The activation of all branches, without fresh memory where no gradient is needed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gelu(x: Tensor) -> Tensor:
    """GELU (Hendrycks and Gimpel, 2016), exact form; may overwrite ``x``.

    Give it a value that nothing else reads, like the output of a linear layer. A full frame's
    activations are megabytes: writing them to fresh memory costs more than computing them.
    """
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


def relu(x: Tensor) -> Tensor:
    """Rectifier; may overwrite ``x``, as :func:`gelu` may."""
    return F.relu(x) if torch.is_grad_enabled() else F.relu_(x)
