# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of a run: a backbone from disk, and around it the parts that the mode trains."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.models.point.config import BackboneConfig, NetworkConfig, preset_config
from pointata_core.models.point.pointata import PointATA
from pointata_core.resources import ResourceError, resource_path
from pointata_core.training.clips.preparation import Task
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.tuning import TuningMode, tuning_mode

_RANDOM, _EMBEDDER = 'random:', 'embedder.'
_FACTS = ('data', 'licence', 'training', 'images', 'image_encoder', 'step', 'complete')


@dataclass(frozen=True)
class BackboneSource:
    """A backbone and where it comes from.

    Args:
        config: Its sizes.
        state: Its weights; ``None`` for random ones.
        origin: A name and, where there is one, a hash.
        facts: How it was pre-trained, for provenance.
    """

    config: BackboneConfig
    state: dict[str, Tensor] | None
    origin: str
    facts: dict[str, Any] = field(default_factory=dict)


def find_backbone(spec: str) -> BackboneSource:
    """Read a backbone.

    Args:
        spec: A bundle's folder, a file of ``pointata convert``, or ``random:PRESET``; relative
            paths are looked for here, then where the package's own models are.

    Raises:
        PointataError: It cannot be found or read.
    """
    if spec.startswith(_RANDOM):
        config = preset_config(spec.removeprefix(_RANDOM)).backbone
        return BackboneSource(config, None, spec)
    path = Path(spec).expanduser()
    if not path.exists():
        path = resource_path(spec)
    if path.is_dir():
        bundle = load_bundle(path, share_backbone=False)
        manifest = bundle.manifest
        state = {k: v.clone() for k, v in bundle.network.backbone.state_dict().items()}
        known = manifest.provenance.get('backbone')
        facts = dict(known) if isinstance(known, Mapping) else {}
        sha256 = facts['sha256'] = manifest.files['backbone'].sha256
        origin = f'bundle {manifest.name} {sha256[:12]}'
        return BackboneSource(bundle.network.config.backbone, state, origin, facts)
    converted = load_backbone(path)
    beside = path.with_suffix('.json')
    known = json.loads(beside.read_text()) if beside.is_file() else {}
    facts = {name: known[name] for name in _FACTS if name in known}
    facts |= {'sha256': sha256_of(path), 'family': converted.family}
    origin = f'{converted.family} {path.name}'
    return BackboneSource(converted.config, dict(converted.state_dict), origin, facts)


def network_config(
    settings: TrainingSettings, backbone: BackboneConfig, classes: Mapping[Task, tuple[str, ...]]
) -> NetworkConfig:
    """Put the configuration of the run's network together, with a head for each task."""
    net, mode = settings.network, tuning_mode(settings.tuning.mode)
    return NetworkConfig(
        backbone=backbone,
        geometry=net.geometry,
        features=tuple(settings.preparation.features),
        embedder_frames=net.embedder_frames,
        motion_lags=net.motion_lags,
        motion_reach=net.motion_reach,
        token_fields=net.token_fields,
        adapter_width=net.adapter_width if mode.adapters else 0,
        adapter_kernel=net.adapter_kernel if mode.adapters else 1,
        adapted_blocks=net.adapted_blocks if mode.touches_blocks else 0,
        class_offset=mode.adapters and net.geometry.tokens > 0,
        context_width=net.context_width if mode.adapters else 0,
        segmentation_classes=classes.get('points', ()),
        action_classes=classes.get('clip', classes.get('frames', ())),
        scene=net.scene,
        segmentation_width=net.segmentation_width,
        segmentation_blocks=net.segmentation_blocks,
        readout_width=net.readout_width,
        readout_frames=net.readout_frames,
        readout=mode.readout or net.readout,
        position_width=net.position_width if mode.readout != 'linear' else 0,
        position_share=net.position_share,
        token_weight=net.token_weight,
        actor_class=net.actor_class,
        dropout=net.dropout,
    )


def build_network(
    settings: TrainingSettings, classes: Mapping[Task, tuple[str, ...]]
) -> tuple[PointATA, BackboneSource]:
    """Build the network of a run; random weights follow the seed.

    Args:
        settings: Of the run.
        classes: Class names of each task.

    Returns:
        The network, nothing trained and no mode applied yet, and where its backbone comes from.

    Raises:
        ConfigError: Settings do not fit each other.
        PointataError: Backbone or embedder cannot be read.
    """
    mode: TuningMode = tuning_mode(settings.tuning.mode)
    source = find_backbone(settings.network.backbone)
    torch.manual_seed(settings.seed)
    network = PointATA(network_config(settings, source.config, classes))
    if source.state is not None and mode.pretrained:
        network.load_backbone(source.state)
    if settings.network.feature_scale:
        open_to_features(network, settings.network.feature_scale)
    if settings.network.embedder and mode.pretrained:
        load_embedder(network, Path(settings.network.embedder))
    if settings.network.start:
        load_start(network, Path(settings.network.start))
    return network, source if mode.pretrained else BackboneSource(source.config, None, 'random')


def load_start(network: PointATA, path: Path) -> None:
    """Take over the weights of a bundle's skill; heads that this network lacks are left out.

    Classes of points that the skill lacks are appended: it never finds them at first, and does else
    what it did.

    Raises:
        ConfigError: The skill lacks weights of this network, or they have another shape.
        PointataError: The bundle cannot be read.
    """
    path = _start_path(path)
    start = load_bundle(path, share_backbone=False).network
    theirs = start.state_dict()
    _append_classes(theirs, start.config.segmentation_classes, network)
    ours = network.state_dict()
    wrong = [n for n, v in ours.items() if n not in theirs or theirs[n].shape != v.shape]
    heads = {name.partition('.')[0] for name in ours}
    wrong += [n for n in theirs if n not in ours and n.partition('.')[0] in heads]
    if wrong:
        raise ConfigError(
            f"{path}: the skill has another network: '{wrong[0]}' is missing or differs",
            'Give network.start a bundle of the same settings, or leave it empty',
        )
    network.load_state_dict({name: theirs[name] for name in ours})


def load_teacher(settings: TrainingSettings) -> PointATA:
    """The network of ``network.start``, as it is before the run.

    Raises:
        ConfigError: There is none.
        PointataError: The bundle cannot be read.
    """
    if not settings.network.start:
        raise ConfigError('stages.keep needs network.start', 'Set it to a bundle, or keep to 0')
    return load_bundle(_start_path(Path(settings.network.start)), share_backbone=False).network


def _start_path(path: Path) -> Path:
    if not path.exists():
        with contextlib.suppress(ResourceError):
            return resource_path(str(path))
    return path


def _append_classes(state: dict[str, Tensor], classes: tuple[str, ...], network: PointATA) -> None:
    """Rows of the segmentation head for classes behind those of a skill."""
    ours = network.config.segmentation_classes
    if len(ours) <= len(classes) or ours[: len(classes)] != classes:
        return
    head = 'segmentation_head.classify.'
    weight, bias = state[f'{head}weight'], state[f'{head}bias']
    own = network.state_dict()[f'{head}weight'][len(classes) :]
    state[f'{head}weight'] = torch.cat([weight, own * (weight.std() / own.std())])
    state[f'{head}bias'] = torch.cat([bias, torch.full_like(own[:, 0], float(bias.min()) - 2.0)])


@torch.no_grad()
def open_to_features(network: PointATA, scale: float) -> None:
    """Give an embedder that will not be trained random columns for the point features.

    Zero columns, the start of a trained embedder, would make a frozen one ignore them. The columns
    are the same for every seed, so that runs share their frozen features.

    Args:
        network: Its embedder is changed.
        scale: Standard deviation relative to that of the coordinates' columns.
    """
    weight = network.embedder.patch_encoder.point_in.weight
    columns = weight[:, 3 : 3 + len(network.config.features)]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(columns.shape, generator=generator)
    columns.copy_(noise * scale * weight[:, :3].std())


def load_embedder(network: PointATA, path: Path) -> None:
    """Take over an align embedder: the file of an ``align`` stage, or that of a bundle's skill.

    Raises:
        ConfigError: There is none, or another one than this network needs.
        PointataError: A bundle cannot be read.
    """
    if not path.exists():
        with contextlib.suppress(ResourceError):
            path = resource_path(str(path))
    try:
        if path.is_dir():
            state = load_bundle(path, share_backbone=False).network.embedder.state_dict()
        else:
            stored = safetensors.torch.load_file(path)
            state = {
                name.removeprefix(_EMBEDDER): tensor
                for name, tensor in stored.items()
                if name.startswith(_EMBEDDER)
            }
        network.embedder.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(
            f'{path}: no align embedder for this network ({str(error).splitlines()[0]})',
            'Run an align stage with the same backbone, features and embedder_frames',
        ) from error
