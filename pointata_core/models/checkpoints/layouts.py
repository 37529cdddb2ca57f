# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which names the public 3D transformers give to what, and what of theirs we leave behind.

The public loaders load non-strictly and only log what did not fit, so a wrong prefix silently gives
a random frozen network. Here every name of a file is either renamed or on its family's list of
parts that are left behind; any other name is an error.

Sources: the checkpoints and loaders of Point-MAE (Pang et al., ECCV 2022), Point-BERT (Yu et al.,
CVPR 2022) and ReCon (Qi et al., ICML 2023).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Family = Literal['point_mae', 'point_bert', 'recon']
FAMILIES: tuple[Family, ...] = ('point_mae', 'point_bert', 'recon')

_TRUNK = {
    'encoder.first_conv.0': 'patch_encoder.point_in',
    'encoder.first_conv.1': 'patch_encoder.point_norm',
    'encoder.first_conv.3': 'patch_encoder.point_out',
    'encoder.second_conv.0': 'patch_encoder.patch_in',
    'encoder.second_conv.1': 'patch_encoder.patch_norm',
    'encoder.second_conv.3': 'patch_encoder.patch_out',
    'reduce_dim': 'reduce',
    'pos_embed.0': 'position.0',
    'pos_embed.2': 'position.2',
    'norm': 'norm',
}
_BLOCK = re.compile(
    r'blocks\.blocks\.(\d{1,4})\.((?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.\w+)'
)
_CLASS = {'cls_token': 'class_token', 'cls_pos': 'class_position'}

_DECODER = ('mask_token', 'decoder_pos_embed.*', 'MAE_decoder.*', 'increase_dim.*')
_HEAD = ('cls_head_finetune.*',)


@dataclass(frozen=True)
class Layout:
    """How one family's files are laid out.

    Attributes:
        family: Its name.
        title: As people write it.
        prefix: In front of the trunk's names in a file from pre-training.
        left_outside: Patterns of names outside that prefix that are left behind.
        left_inside: Patterns of names, prefix stripped, that are left behind.
        has_class_token: Whether its class token fits our stream.
    """

    family: Family
    title: str
    prefix: str
    left_outside: tuple[str, ...]
    left_inside: tuple[str, ...]
    has_class_token: bool


LAYOUTS: dict[Family, Layout] = {
    'point_mae': Layout(
        family='point_mae',
        title='Point-MAE',
        prefix='MAE_encoder.',
        left_outside=_DECODER,
        left_inside=_HEAD,
        # Pre-training has no class token; a fine-tuned file has its own, which is kept.
        has_class_token=True,
    ),
    'point_bert': Layout(
        family='point_bert',
        title='Point-BERT',
        # Not the momentum copy (transformer_k): it is the student that its own loader takes.
        prefix='transformer_q.',
        left_outside=('transformer_k.*', 'dvae.*', 'queue', 'queue_ptr'),
        left_inside=('cls_head.*', 'lm_head.*', 'mask_token', *_HEAD),
        has_class_token=True,
    ),
    'recon': Layout(
        family='recon',
        title='ReCon',
        prefix='MAE_encoder.',
        left_outside=(
            *_DECODER,
            *('img_encoder.*', 'text_encoder.*'),
            *('img_proj', 'img_proj.*', 'text_proj', 'text_proj.*', 'cls_proj', 'cls_proj.*'),
        ),
        # Its three global tokens run a branch of their own that patches never look at.
        left_inside=(
            *('cls_token', 'cls_pos', 'img_token', 'img_pos', 'text_token', 'text_pos'),
            *('blocks.blocks.*.norm?_contrast.*', 'blocks.blocks.*.attn_contrast.*'),
            *('blocks.blocks.*.mlp_contrast.*', *_HEAD),
        ),
        has_class_token=False,
    ),
}

_OTHERS = {'ACT_encoder.': 'ACT', 'GPT_Transformer.': 'PointGPT'}
_FINE_TUNED_PREFIXES = ('base_model.', '')


@dataclass(frozen=True)
class SortedNames:
    """The names of a file, sorted by what becomes of each tensor.

    Attributes:
        renamed: Name in the file -> name in the backbone.
        left_behind: Name in the file that is known and not needed -> the part it belongs to.
        unknown: Names in the file that nothing explains.
    """

    renamed: dict[str, str]
    left_behind: dict[str, str]
    unknown: tuple[str, ...]


def detect_family(names: Iterable[str]) -> Family | None:
    """Recognise a file by its names (``module.`` stripped); None when it is none of ours."""
    names = list(names)
    if any(name.startswith('transformer_q.') for name in names):
        return 'point_bert'
    trunk = [name for name in names if 'blocks.blocks.' in name or 'reduce_dim.' in name]
    if not trunk or other_family(names):
        return None
    if any('_contrast.' in name for name in trunk):
        return 'recon'
    return 'point_bert' if any('reduce_dim.' in name for name in trunk) else 'point_mae'


def other_family(names: Iterable[str]) -> str | None:
    """Name of a known family that is not supported, if the file is of one."""
    for name in names:
        for prefix, title in _OTHERS.items():
            if name.startswith(prefix):
                return title
    return None


def sort_names(names: Iterable[str], layout: Layout) -> SortedNames:
    """Decide for every name of a file of this family what becomes of it."""
    names = list(names)
    prefix = _prefix(names, layout)
    renamed, left_behind, unknown = {}, {}, []
    for name in names:
        inside = name.removeprefix(prefix) if name.startswith(prefix) else None
        if inside is not None and (part := _part(inside, layout.left_inside)):
            left_behind[name] = prefix + part
        elif inside is not None and (ours := _our_name(inside, layout)):
            renamed[name] = ours
        elif part := _part(name, layout.left_outside):
            left_behind[name] = part
        else:
            unknown.append(name)
    return SortedNames(renamed, left_behind, tuple(unknown))


def _prefix(names: list[str], layout: Layout) -> str:
    for prefix in (layout.prefix, *_FINE_TUNED_PREFIXES):
        if any(name.startswith(f'{prefix}blocks.blocks.') for name in names):
            return prefix
    return layout.prefix


def _part(name: str, patterns: tuple[str, ...]) -> str | None:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def _our_name(name: str, layout: Layout) -> str | None:
    if name in _CLASS and layout.has_class_token:
        return _CLASS[name]
    if block := _BLOCK.fullmatch(name):
        return f'blocks.{block[1]}.{block[2]}'
    module, _, leaf = name.rpartition('.')
    return f'{_TRUNK[module]}.{leaf}' if module in _TRUNK else None
