# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers whose products may be taken in bfloat16, everything around them in float32.

Products are most of what a frame costs, and processors with bfloat16 units take them twice as fast.
Residual streams, norms, sums and states stay in float32, so that errors do not pile up over blocks
and frames.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError

Precision = Literal['float32', 'bfloat16']
PRECISIONS: tuple[str, ...] = get_args(Precision)


class Reducible(nn.Module):
    """A module that can take its products in another type."""

    def reduce(self, dtype: torch.dtype) -> None:
        """Take products in ``dtype`` from now on; float32 undoes it."""
        raise NotImplementedError


class Linear(nn.Linear, Reducible):
    """A linear layer that can take its product in bfloat16; same parameters, same names."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        # Beside the weights, not instead of them: what is saved and hashed does not change.
        self.register_buffer('_reduced', None, persistent=False)

    @property
    def factor(self) -> Tensor:
        """The weight ``(out, in)`` in the type in which products are taken."""
        return self.weight if self._reduced is None else self._reduced

    def reduce(self, dtype: torch.dtype) -> None:
        """Take products in ``dtype`` from now on; float32 undoes it."""
        self._reduced = None if dtype == torch.float32 else self.weight.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)``, both in the type of ``x``."""
        return product(x, self.factor, self.bias)


def product(x: Tensor, factor: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ factor.T + bias``, the product in the type of ``factor``, the result in that of ``x``.

    Args:
        x: ``(..., in)``.
        factor: ``(out, in)``, a :attr:`Linear.factor` or some of its columns.
        bias: ``(out,)`` float32, or ``None``.
    """
    if x.dtype == factor.dtype:
        return F.linear(x, factor, None if bias is None else bias.to(x.dtype))
    if factor.dtype == torch.float32:
        return F.linear(x, factor, bias)
    result = F.linear(x.to(factor.dtype), factor).to(x.dtype)
    return result if bias is None else result.add_(bias)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products in bfloat16."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported()


def set_precision(network: nn.Module, precision: str) -> None:
    """Choose in what type every :class:`Reducible` part of a network takes its products.

    For inference: gradients of products in bfloat16 would not reach the weights.

    Raises:
        ConfigError: The name is unknown.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"precision '{precision}' is unknown", f'Choose one of {", ".join(PRECISIONS)}'
        )
    for module in network.modules():
        if isinstance(module, Reducible):
            module.reduce(getattr(torch, precision))
