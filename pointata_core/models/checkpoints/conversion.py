# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Public Point-MAE, Point-BERT and ReCon checkpoints as backbones, converted once and offline.

converted = convert_checkpoint('pretrain.pth')      # reads with weights_only
save_backbone('point_mae.safetensors', converted)   # the only format read at run time
backbone = load_backbone('point_mae.safetensors').build()
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.files import CheckpointError, read_checkpoint, sha256_of
from pointata_core.models.checkpoints.layouts import (
    FAMILIES,
    LAYOUTS,
    Family,
    SortedNames,
    detect_family,
    other_family,
    sort_names,
)
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import PRESETS, BackboneConfig, preset_config
from pointata_core.safe_files import write_atomically

FORMAT = 'pointata-backbone/1'
HEAD_WIDTH = 64
"""Width of one attention head in every public family (384 / 6); shapes alone do not tell it."""

OWN_FAMILY: Literal['pic_point'] = 'pic_point'
"""Backbones of our own pre-training; nothing had to be converted."""

_CLASS_TOKEN = ('class_token', 'class_position')


@dataclass(frozen=True)
class ConversionReport:
    """What became of a checkpoint's tensors.

    Attributes:
        source: File name of the checkpoint.
        source_sha256: Its hash.
        converted: Tensors taken over.
        parameters: Numbers in the backbone, BatchNorm statistics not counted.
        left_behind: Parts of the file that are known and not needed, with their tensor counts.
        must_train: Backbone parameters the file has no values for: the class token of a family
            without one. They are zero, and patches do not attend to them, so that the patch stream
            is the public network's; as a feature the class token is worth nothing until trained.
    """

    source: str
    source_sha256: str
    converted: int
    parameters: int
    left_behind: Mapping[str, int]
    must_train: tuple[str, ...]


@dataclass(frozen=True)
class ConvertedBackbone:
    """A backbone's weights and what is needed to build it.

    Attributes:
        state_dict: Float32 tensors by the names of `Backbone`.
        config: The shape of that backbone.
        preset: Preset of that shape, or ``''`` when it is none of them.
        family: Where the weights come from.
        report: What was taken over and what was not.
    """

    state_dict: Mapping[str, Tensor]
    config: BackboneConfig
    preset: str
    family: Family | Literal['pic_point']
    report: ConversionReport

    def build(self) -> Backbone:
        """Return a `Backbone` with these weights, evaluating."""
        backbone = Backbone(self.config)
        backbone.load_state_dict(dict(self.state_dict))
        return backbone.eval()


def convert_checkpoint(
    path: str | Path,
    family: Family | Literal['auto'] = 'auto',
    *,
    heads: int | None = None,
    ordinary_blocks: bool = False,
    force: bool = False,
) -> ConvertedBackbone:
    """Read a public checkpoint and rename its weights to those of `Backbone`.

    Files from pre-training and fine-tuned ones are recognised. Every tensor of the file must either
    be needed or belong to a part that is known to be left behind, and every parameter of the
    backbone must be found, except a class token the family does not have.

    Args:
        path: The ``.pth`` file.
        family: What the file is believed to be; ``auto`` looks at its names.
        heads: Attention heads; None for the families' head width of 64.
        ordinary_blocks: Run ReCon's weights in ordinary pre-norm blocks, as an ablation.
        force: Read even with a torch whose weights-only reader has known holes.

    Returns:
        The weights, ready to be saved.

    Raises:
        CheckpointError: The file cannot be read safely, is of another family, has a tensor too many
            or too few, or one of another shape or that is not finite. The text names it.
    """
    path = Path(path)
    weights = read_checkpoint(path, force)
    layout = LAYOUTS[_checked_family(family, weights, path)]
    names = sort_names(weights, layout)
    if names.unknown:
        raise CheckpointError(
            f'{path}: found {_listed(names.unknown)}, which is no part of a {layout.title} '
            'checkpoint',
            'Check that the file is what it claims to be',
        )
    state = {ours: _linear(weights[theirs]) for theirs, ours in names.renamed.items()}
    must_train = () if any(name in state for name in _CLASS_TOKEN) else _CLASS_TOKEN
    faithful = layout.family == 'recon' and not ordinary_blocks
    try:
        config = replace(
            _config_of(state, heads),
            block_style='replace_norm' if faithful else 'pre_norm',
            class_visible=not must_train,
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise CheckpointError(
            f'{path}: found no {layout.title} encoder of a shape that can be built ({error})'
        ) from error
    for name in must_train:
        state[name] = torch.zeros(1, 1, config.width)
    _check_state(state, config, names, path)
    return ConvertedBackbone(
        state_dict=state,
        config=config,
        preset=_preset_of(config),
        family=layout.family,
        report=ConversionReport(
            source=path.name,
            source_sha256=sha256_of(path),
            converted=len(names.renamed),
            parameters=sum(p.numel() for p in _meta_backbone(config).parameters()),
            left_behind=dict(Counter(names.left_behind.values())),
            must_train=must_train,
        ),
    )


def save_backbone(path: str | Path, converted: ConvertedBackbone) -> None:
    """Write a backbone as one safetensors file that carries its configuration; atomic."""
    header = {
        'format': FORMAT,
        'family': converted.family,
        'config': json.dumps(asdict(converted.config), sort_keys=True),
        'report': json.dumps(asdict(converted.report), sort_keys=True),
    }
    state = {name: tensor.contiguous() for name, tensor in converted.state_dict.items()}
    write_atomically(Path(path), safetensors.torch.save(state, metadata=header))


def load_backbone(path: str | Path) -> ConvertedBackbone:
    """Read what `save_backbone` wrote; every tensor is checked.

    Raises:
        CheckpointError: The file is damaged or of another format, or tensors and header differ.
    """
    path = Path(path)
    try:
        with safe_open(str(path), framework='pt') as file:
            header = file.metadata() or {}
            if header.get('format') != FORMAT:
                raise CheckpointError(
                    f'{path}: found format {header.get("format")!r}, expected {FORMAT!r}',
                    'Convert the checkpoint with pointata convert',
                )
            config = _config_from(header['config'])
            report = json.loads(header['report'])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        family = header['family']
        if family not in (*FAMILIES, OWN_FAMILY):
            raise ValueError(f'unknown family {family!r}')
        report = ConversionReport(**{**report, 'must_train': tuple(report['must_train'])})
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f'{path}: found no readable backbone ({error})', 'Convert the checkpoint again'
        ) from error
    _check_state(state, config, SortedNames({}, {}, ()), path)
    return ConvertedBackbone(state, config, _preset_of(config), family, report)


def _checked_family(
    family: Family | Literal['auto'], weights: Mapping[str, Tensor], path: Path
) -> Family:
    if family != 'auto' and family not in FAMILIES:
        raise CheckpointError(f'family is {family!r}, expected auto or one of {FAMILIES}')
    found = detect_family(weights)
    if found is None:
        title = other_family(weights)
        raise CheckpointError(
            f'{path}: found {f"a {title} checkpoint" if title else "unfamiliar names"} '
            f'(such as {next(iter(weights))}), expected Point-MAE, Point-BERT or ReCon',
            'Convert a checkpoint of one of these families',
        )
    if family != 'auto' and family != found:
        raise CheckpointError(
            f'{path}: found a {LAYOUTS[found].title} checkpoint, expected {LAYOUTS[family].title}',
            f'Convert it as {found}, or leave the family to be recognised',
        )
    return found


def _linear(weight: Tensor) -> Tensor:
    """A kernel-1 convolution ``(out, in, 1)`` is a linear layer ``(out, in)``; own storage."""
    if weight.is_floating_point():
        weight = weight.float()
    if weight.dim() == 3 and weight.shape[0] > 1 and weight.shape[-1] == 1:
        weight = weight.squeeze(-1)
    return weight.detach().clone()


def _config_of(state: Mapping[str, Tensor], heads: int | None) -> BackboneConfig:
    """Read the widths off the weights; `_check_state` then holds every tensor to them."""
    width = state['position.2.weight'].shape[0]
    return BackboneConfig(
        width=width,
        # Counted rather than taken from the highest number, which a damaged file may make absurd.
        depth=sum(name.endswith('.norm1.weight') for name in state),
        heads=heads or max(1, width // HEAD_WIDTH),
        mlp_ratio=state['blocks.0.mlp.fc1.weight'].shape[0] // width,
        encoder_hidden=(
            state['patch_encoder.point_in.weight'].shape[0],
            state['patch_encoder.point_out.weight'].shape[0],
        ),
        encoder_width=state['patch_encoder.patch_out.weight'].shape[0],
    )


def _check_state(
    state: Mapping[str, Tensor], config: BackboneConfig, names: SortedNames, path: Path
) -> None:
    theirs = {ours: name for name, ours in names.renamed.items()}
    if config.depth > len(state):
        raise CheckpointError(f'{path}: found {len(state)} tensors for {config.depth} blocks')
    expected = _meta_backbone(config).state_dict()
    missing = sorted(expected.keys() - state.keys())
    if missing:
        raise CheckpointError(
            f'{path}: lacks {_listed(missing)} of the backbone',
            'Check that the file is complete; the weights of a head alone are not a backbone',
        )
    unexpected = sorted(state.keys() - expected.keys())
    if unexpected:
        found = [theirs.get(name, name) for name in unexpected]
        raise CheckpointError(f'{path}: found {_listed(found)}, which the backbone does not have')
    for name, reference in expected.items():
        tensor, label = state[name], theirs.get(name, name)
        if tensor.shape != reference.shape or tensor.dtype != reference.dtype:
            raise CheckpointError(
                f'{path}: {label} is {tensor.dtype} {tuple(tensor.shape)}, '
                f'expected {reference.dtype} {tuple(reference.shape)}'
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f'{path}: {label} holds values that are not finite')


def _meta_backbone(config: BackboneConfig) -> Backbone:
    with torch.device('meta'):
        return Backbone(config)


def _preset_of(config: BackboneConfig) -> str:
    """Preset of this shape; how ReCon's blocks run does not make another shape."""
    plain = replace(config, block_style='pre_norm', class_visible=True)
    return next((name for name in PRESETS if preset_config(name).backbone == plain), '')


def _config_from(text: str) -> BackboneConfig:
    values = dict(json.loads(text))
    values['encoder_hidden'] = tuple(values['encoder_hidden'])
    return BackboneConfig(**values)


def _listed(names: tuple[str, ...] | list[str], most: int = 3) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
