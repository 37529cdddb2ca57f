# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse 3D convolution in plain torch, equal to the dense one on occupied voxels.

One function serves all three kinds; what differs is the rulebook:

* submanifold: ``convolve(x, w, grid.submanifold(3))`` keeps the sites (Graham et al., CVPR 2018);
* strided: ``coarse, rules = grid.strided(2, 2)``, then ``convolve(x, w, rules)``;
* transposed: ``convolve(y, w, rules.transposed)`` goes back to exactly the sites it came from.

Each tap is one matrix product over its pairs and one indexed addition. The gathered inputs are not
kept for the gradient but gathered again: at full resolution they would be the largest tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pointata_core.ops.sparse_grid import Rulebook, SparseGrid, average_by_voxel, sparse_grid
from pointata_core.ops.sparse_spconv import spconv_sum

__all__ = ['Backend', 'Rulebook', 'SparseGrid', 'average_by_voxel', 'convolve', 'sparse_grid']

Backend = Literal['torch', 'spconv']
_HALF = (torch.float16, torch.bfloat16)


def convolve(
    features: Tensor, weight: Tensor, rulebook: Rulebook, backend: Backend = 'torch'
) -> Tensor:
    """Sparse convolution: ``out[target] += features[source] @ weight[tap]`` over all pairs.

    It computes in the type of the features, autocast or not; half precision is summed in float32.

    Args:
        features: ``(inputs, C_in)``, rows as in the rulebook's input grid.
        weight: ``(K, C_in, C_out)``, taps in the order x, y, z: a ``conv3d`` kernel
            ``(C_out, C_in, k, k, k)`` is ``weight.permute(2, 1, 0).view(...)``.
        rulebook: From `SparseGrid`.
        backend: ``torch``, or ``spconv`` where that library is installed (same pairs, its own
            sums; float32 or float16).

    Returns:
        ``(outputs, C_out)``; zero where no input reaches.

    Raises:
        ValueError: Shapes that do not fit, or an unknown back end.
        ConfigError: ``spconv`` is requested but not installed.
    """
    if features.dim() != 2 or len(features) != rulebook.inputs:
        raise ValueError(f'features must be ({rulebook.inputs}, C), found {tuple(features.shape)}')
    expected = (len(rulebook.sizes), features.shape[1])
    if weight.dim() != 3 or tuple(weight.shape[:2]) != expected:
        raise ValueError(
            f'weight must be ({expected[0]}, {expected[1]}, C_out), found {tuple(weight.shape)}'
        )
    weight = weight.to(features.dtype)
    if backend not in _SUMS:
        raise ValueError(f'backend must be one of {sorted(_SUMS)}, found {backend!r}')
    return _Convolution.apply(features, weight, rulebook, _SUMS[backend])


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, rulebook: Rulebook, summed: Callable
    ) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rulebook, ctx.summed = rulebook, summed
        with torch.autocast(features.device.type, enabled=False):
            return summed(features, weight, rulebook)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, weight = ctx.saved_tensors
        to_features = to_weight = None
        with torch.autocast(gradient.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                back = ctx.rulebook.transposed
                to_features = ctx.summed(gradient, weight.transpose(1, 2), back)
            if ctx.needs_input_grad[1]:
                to_weight = _weight_gradient(features, gradient, ctx.rulebook)
        return to_features, to_weight, None, None


def _sum_over_taps(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    if rulebook.identity is None:
        kind = torch.float32 if features.dtype in _HALF else features.dtype
        out = features.new_zeros((rulebook.outputs, weight.shape[2]), dtype=kind)
    else:
        out = features @ weight[rulebook.identity]
        out = out.float() if out.dtype in _HALF else out
    for tap, source, target in rulebook.taps:
        out.index_add_(0, target, (features.index_select(0, source) @ weight[tap]).to(out.dtype))
    return out.to(features.dtype)


def _weight_gradient(features: Tensor, gradient: Tensor, rulebook: Rulebook) -> Tensor:
    shape = (len(rulebook.sizes), features.shape[1], gradient.shape[1])
    total = features.new_zeros(shape)
    if rulebook.identity is not None:
        total[rulebook.identity] = features.t() @ gradient
    for tap, source, target in rulebook.taps:
        total[tap] = features.index_select(0, source).t() @ gradient.index_select(0, target)
    return total


_SUMS: dict[str, Callable[[Tensor, Tensor, Rulebook], Tensor]] = {
    'torch': _sum_over_taps,
    'spconv': spconv_sum,
}
