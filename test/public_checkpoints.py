# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the public layouts, filled with random weights, and what those networks compute.

The forward passes are written from the papers' descriptions on the files' own names, with plain
convolutions and softmax: nothing in them is shared with the backbone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Sizes:
    """Widths of a public network; the defaults are a small one."""

    width: int = 32
    depth: int = 3
    heads: int = 4
    hidden: tuple[int, int] = (8, 16)
    encoder: int = 32
    decoder_depth: int = 1


PUBLIC = Sizes(width=384, depth=12, heads=6, hidden=(128, 256), encoder=384)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.weights: Weights = {}

    def tensor(self, name: str, *shape: int) -> None:
        scale = 1 / math.sqrt(math.prod(shape[1:]) or 1)
        self.weights[name] = torch.randn(shape, generator=self.generator) * scale

    def linear(self, name: str, into: int, out: int, bias: bool = True, kernel: bool = False):
        self.tensor(f'{name}.weight', out, into, *([1] if kernel else []))
        if bias:
            self.tensor(f'{name}.bias', out)

    def norm(self, name: str, width: int) -> None:
        self.weights[f'{name}.weight'] = 1 + 0.1 * torch.randn(width, generator=self.generator)
        self.tensor(f'{name}.bias', width)

    def batch_norm(self, name: str, width: int) -> None:
        self.norm(name, width)
        self.weights[f'{name}.running_mean'] = torch.randn(width, generator=self.generator)
        self.weights[f'{name}.running_var'] = torch.rand(width, generator=self.generator) + 0.5
        self.weights[f'{name}.num_batches_tracked'] = torch.tensor(100)

    def block(self, name: str, width: int, suffix: str = '') -> None:
        self.norm(f'{name}.norm1{suffix}', width)
        self.norm(f'{name}.norm2{suffix}', width)
        if suffix:
            self.linear(f'{name}.attn{suffix}.q', width, width, bias=False)
            self.linear(f'{name}.attn{suffix}.kv', width, 2 * width, bias=False)
        else:
            self.linear(f'{name}.attn.qkv', width, 3 * width, bias=False)
        self.linear(f'{name}.attn{suffix}.proj', width, width)
        self.linear(f'{name}.mlp{suffix}.fc1', width, 4 * width)
        self.linear(f'{name}.mlp{suffix}.fc2', 4 * width, width)

    def trunk(self, prefix: str, sizes: Sizes, contrast: bool = False) -> None:
        first, second = sizes.hidden
        self.linear(f'{prefix}encoder.first_conv.0', 3, first, kernel=True)
        self.batch_norm(f'{prefix}encoder.first_conv.1', first)
        self.linear(f'{prefix}encoder.first_conv.3', first, second, kernel=True)
        self.linear(f'{prefix}encoder.second_conv.0', 2 * second, 2 * second, kernel=True)
        self.batch_norm(f'{prefix}encoder.second_conv.1', 2 * second)
        self.linear(f'{prefix}encoder.second_conv.3', 2 * second, sizes.encoder, kernel=True)
        self.linear(f'{prefix}pos_embed.0', 3, 128)
        self.linear(f'{prefix}pos_embed.2', 128, sizes.width)
        for number in range(sizes.depth):
            self.block(f'{prefix}blocks.blocks.{number}', sizes.width)
            if contrast:
                self.block(f'{prefix}blocks.blocks.{number}', sizes.width, '_contrast')
        self.norm(f'{prefix}norm', sizes.width)

    def decoder(self, sizes: Sizes) -> None:
        self.tensor('mask_token', 1, 1, sizes.width)
        self.linear('decoder_pos_embed.0', 3, 128)
        self.linear('decoder_pos_embed.2', 128, sizes.width)
        for number in range(sizes.decoder_depth):
            self.block(f'MAE_decoder.blocks.{number}', sizes.width)
        self.norm('MAE_decoder.norm', sizes.width)
        self.linear('increase_dim.0', sizes.width, 96, kernel=True)

    def token(self, prefix: str, name: str, width: int) -> None:
        self.tensor(f'{prefix}{name}_token', 1, 1, width)
        self.tensor(f'{prefix}{name}_pos', 1, 1, width)


def point_mae(sizes: Sizes = Sizes(), seed: int = 0) -> Weights:
    """What ``base_model`` holds in Point-MAE's ``pretrain.pth``."""
    maker = _Maker(seed)
    maker.trunk('MAE_encoder.', sizes)
    maker.decoder(sizes)
    return maker.weights


def point_mae_fine_tuned(sizes: Sizes = Sizes(), seed: int = 0) -> Weights:
    """A fine-tuned Point-MAE: no prefix, a class token, a classification head."""
    maker = _Maker(seed)
    maker.trunk('', sizes)
    maker.token('', 'cls', sizes.width)
    maker.linear('cls_head_finetune.0', 2 * sizes.width, 256)
    maker.batch_norm('cls_head_finetune.1', 256)
    return maker.weights


def point_bert(sizes: Sizes = Sizes(encoder=24), seed: int = 0) -> Weights:
    """Point-BERT: student and momentum copy, tokeniser and queue; a narrower patch encoder."""
    maker = _Maker(seed)
    for prefix in ('transformer_q.', 'transformer_k.'):
        maker.trunk(prefix, sizes)
        maker.linear(f'{prefix}reduce_dim', sizes.encoder, sizes.width)
        maker.token(prefix, 'cls', sizes.width)
        maker.tensor(f'{prefix}mask_token', 1, 1, sizes.width)
        maker.linear(f'{prefix}cls_head.0', sizes.width, 16)
        maker.linear(f'{prefix}lm_head', sizes.width, 16)
    maker.linear('dvae.encoder.first_conv.0', 3, 128, kernel=True)
    maker.tensor('queue', 16, 8)
    maker.weights['queue_ptr'] = torch.zeros(1, dtype=torch.int64)
    return maker.weights


def recon(sizes: Sizes = Sizes(), seed: int = 0) -> Weights:
    """ReCon: three global tokens with a branch of their own, teachers stored beside."""
    maker = _Maker(seed)
    maker.trunk('MAE_encoder.', sizes, contrast=True)
    for name in ('cls', 'img', 'text'):
        maker.token('MAE_encoder.', name, sizes.width)
    maker.decoder(sizes)
    maker.linear('img_encoder.visual.proj', 8, 8)
    maker.linear('text_encoder.proj', 8, 8)
    for name in ('img_proj', 'text_proj', 'cls_proj'):
        maker.linear(name, sizes.width, 8)
    return maker.weights


def forward(
    weights: Weights, prefix: str, patches: Tensor, centres: Tensor, heads: int, replace: bool
) -> Tensor:
    """What the public network makes of patches ``(F, G, K, 3)``: ``(F, [1 +] G, D)``, normed.

    Args:
        weights: By the names of the file.
        prefix: Of the trunk's names.
        patches: Offsets from the centres.
        centres: ``(F, G, 3)``.
        heads: Attention heads.
        replace: ReCon's residual: the normed value takes the stream's place.
    """
    w = {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}
    x = _encode(w, patches)
    if 'reduce_dim.weight' in w:
        x = F.linear(x, w['reduce_dim.weight'], w['reduce_dim.bias'])
    hidden = F.gelu(F.linear(centres, w['pos_embed.0.weight'], w['pos_embed.0.bias']))
    position = F.linear(hidden, w['pos_embed.2.weight'], w['pos_embed.2.bias'])
    if 'cls_token' in w and 'img_token' not in w:
        frames = len(x)
        x = torch.cat([w['cls_token'].expand(frames, -1, -1), x], dim=1)
        position = torch.cat([w['cls_pos'].expand(frames, -1, -1), position], dim=1)
    number = 0
    while f'blocks.blocks.{number}.norm1.weight' in w:
        name = f'blocks.blocks.{number}'
        x = x + position
        normed = _layer_norm(w, f'{name}.norm1', x)
        x = (normed if replace else x) + _attend(w, f'{name}.attn', normed, heads)
        normed = _layer_norm(w, f'{name}.norm2', x)
        hidden = F.gelu(F.linear(normed, w[f'{name}.mlp.fc1.weight'], w[f'{name}.mlp.fc1.bias']))
        change = F.linear(hidden, w[f'{name}.mlp.fc2.weight'], w[f'{name}.mlp.fc2.bias'])
        x = (normed if replace else x) + change
        number += 1
    return _layer_norm(w, 'norm', x)


def _encode(w: Weights, patches: Tensor) -> Tensor:
    frames, tokens = patches.shape[:2]
    x = patches.flatten(0, 1).transpose(1, 2)
    x = F.relu(_batch_norm(w, 'encoder.first_conv.1', _conv(w, 'encoder.first_conv.0', x)))
    x = _conv(w, 'encoder.first_conv.3', x)
    pooled = x.max(dim=2, keepdim=True).values
    x = torch.cat([pooled.expand_as(x), x], dim=1)
    x = F.relu(_batch_norm(w, 'encoder.second_conv.1', _conv(w, 'encoder.second_conv.0', x)))
    x = _conv(w, 'encoder.second_conv.3', x).max(dim=2).values
    return x.view(frames, tokens, -1)


def _conv(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.conv1d(x, w[f'{name}.weight'], w[f'{name}.bias'])


def _batch_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, var = w[f'{name}.running_mean'], w[f'{name}.running_var']
    x = (x - mean[:, None]) / torch.sqrt(var[:, None] + 1e-5)
    return x * w[f'{name}.weight'][:, None] + w[f'{name}.bias'][:, None]


def _layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)
    return x * w[f'{name}.weight'] + w[f'{name}.bias']


def _attend(w: Weights, name: str, x: Tensor, heads: int) -> Tensor:
    width = x.shape[-1]
    each = width // heads
    q, k, v = F.linear(x, w[f'{name}.qkv.weight']).split(width, dim=-1)
    outputs = []
    for head in range(heads):
        part = slice(head * each, (head + 1) * each)
        score = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(each)
        outputs.append(score.softmax(-1) @ v[..., part])
    return F.linear(torch.cat(outputs, -1), w[f'{name}.proj.weight'], w[f'{name}.proj.bias'])
