# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The same convolution through spconv's kernels, for machines that have that library.

Only the arithmetic is borrowed: the pairs are ours, so both back ends see the same voxels and a
network may change between them at any time.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.ops.sparse_grid import Rulebook


def spconv_available() -> bool:
    """Whether spconv can be imported (not whether it was built for this CUDA)."""
    return find_spec('spconv') is not None


def spconv_sum(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Sum over taps as in ``convolve``, without gradients (those are made of the same sums).

    Raises:
        ConfigError: spconv is not installed.
    """
    if not spconv_available():
        raise ConfigError(
            'the sparse back end spconv is not installed',
            "Install spconv for your CUDA version, or choose the back end 'torch'",
        )
    from spconv.core import ConvAlgo
    from spconv.pytorch.ops import indice_conv

    pairs, sizes = _padded_pairs(rulebook)
    if not pairs.shape[2]:
        return features.new_zeros(rulebook.outputs, weight.shape[2])
    # spconv keeps kernels as (out, taps, in); its shape over three axes does not matter to it.
    kernel = weight.permute(2, 0, 1)[:, :, None, None].contiguous()
    return indice_conv(
        features.contiguous(), kernel, pairs, sizes, rulebook.outputs, algo=ConvAlgo.Native
    )


def _padded_pairs(rulebook: Rulebook) -> tuple[Tensor, Tensor]:
    """Pairs in spconv's layout: ``(2, K, longest)`` int32, -1 behind the end, and the lengths."""
    kept = rulebook.__dict__.get('_spconv')
    if kept is not None:
        return kept
    device, taps = rulebook.source.device, len(rulebook.sizes)
    sizes = list(rulebook.sizes)
    if rulebook.identity is not None:
        sizes[rulebook.identity] = rulebook.inputs
    pairs = torch.full((2, taps, max(sizes)), -1, dtype=torch.int32, device=device)
    for tap, source, target in rulebook.taps:
        pairs[0, tap, : len(source)] = source.int()
        pairs[1, tap, : len(target)] = target.int()
    if rulebook.identity is not None:
        pairs[:, rulebook.identity, : rulebook.inputs] = torch.arange(
            rulebook.inputs, dtype=torch.int32, device=device
        )
    kept = pairs, torch.tensor(sizes, dtype=torch.int32, device=device)
    rulebook.__dict__['_spconv'] = kept
    return kept
