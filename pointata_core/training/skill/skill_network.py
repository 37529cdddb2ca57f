# SPDX-License-Identifier: Apache-2.0
"""The network of a run: a backbone from disk, and around it the parts that the mode trains."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.models.point.config import BackboneConfig, NetworkConfig, preset_config
from pointata_core.models.point.pointata import PointATA
from pointata_core.resources import ResourceError, resource_path
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.tuning import TuningMode, tuning_mode

_RANDOM = 'random:'


@dataclass(frozen=True)
class BackboneSource:
    """A backbone and where it comes from.

    Args:
        config: Its sizes.
        state: Its weights; ``None`` for random ones.
        origin: For provenance: a name and, where there is one, a hash.
    """

    config: BackboneConfig
    state: dict[str, Tensor] | None
    origin: str


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
        state = {k: v.clone() for k, v in bundle.network.backbone.state_dict().items()}
        digest = bundle.manifest.backbone.sha256[:12]
        return BackboneSource(
            bundle.network.config.backbone, state, f'bundle {bundle.manifest.name} {digest}'
        )
    converted = load_backbone(path)
    return BackboneSource(converted.config, converted.state_dict, f'{converted.family} {path.name}')


def network_config(
    settings: TrainingSettings, backbone: BackboneConfig, classes: tuple[str, ...]
) -> NetworkConfig:
    """Put the configuration of the run's network together."""
    net, mode = settings.network, tuning_mode(settings.tuning.mode)
    points = settings.task == 'points'
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
        class_offset=mode.adapters,
        context_width=net.context_width if mode.adapters else 0,
        segmentation_classes=classes if points else (),
        action_classes=() if points else classes,
        segmentation_width=net.segmentation_width,
        segmentation_blocks=net.segmentation_blocks,
        readout_width=net.readout_width,
        readout_frames=net.readout_frames,
        readout=mode.readout or net.readout,
        position_width=net.position_width if mode.readout != 'linear' else 0,
        position_share=net.position_share,
        token_weight=net.token_weight,
        dropout=net.dropout,
    )


def build_network(settings: TrainingSettings, classes: tuple[str, ...]) -> tuple[PointATA, str]:
    """Build the network of a run; random weights follow the seed.

    Returns:
        The network, nothing trained and no mode applied yet, and the origin of its backbone.

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
    return network, source.origin if mode.pretrained else 'random'


@torch.no_grad()
def open_to_features(network: PointATA, scale: float) -> None:
    """Let point features into an embedder that will not be trained, by random columns.

    Zero columns, the start of a trained embedder, would keep a frozen one blind to them. The same
    for every seed, so that runs share their frozen features.

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
    """Take over an align embedder: a file that stage 1 wrote, or that of a bundle's skill.

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
            state = safetensors.torch.load_file(path)
        network.embedder.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(
            f'{path}: no align embedder for this network ({str(error).splitlines()[0]})',
            'Run pointata align with the same backbone, features and embedder_frames',
        ) from error
