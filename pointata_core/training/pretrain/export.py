# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Export of a run: the 3D backbone alone, and a manifest of its origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.conversion import (
    OWN_FAMILY,
    ConversionReport,
    ConvertedBackbone,
    save_backbone,
)
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.models.point.config import preset_config
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.training.engine.run_folder import CHECKPOINT, read_claim
from pointata_core.training.pretrain.settings import PretrainingConfig

BACKBONE = 'backbone.safetensors'
_TRANSFORMER = 'backbone.'


def export_encoder(
    path: Path, config: PretrainingConfig, state: Mapping[str, Tensor], manifest: dict[str, Any]
) -> None:
    """Write an encoder's weights, and where they come from beside them.

    A transformer becomes a backbone file that skills can use; DGCNN, which none can, plain weights.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    if config.encoder == 'dgcnn':
        write_atomically(path, save(state, metadata={'format': 'pointata-dgcnn/1'}))
    else:
        state = {name.removeprefix(_TRANSFORMER): value for name, value in state.items()}
        shape = preset_config(config.preset).backbone
        statistics = ('running_mean', 'running_var', 'num_batches_tracked')
        report = ConversionReport(
            source='pointata pretrain',
            source_sha256='',
            converted=len(state),
            parameters=sum(v.numel() for k, v in state.items() if not k.endswith(statistics)),
            left_behind={},
            must_train=(),
        )
        save_backbone(path, ConvertedBackbone(state, shape, config.preset, OWN_FAMILY, report))
    manifest = {'kind': 'backbone', 'sha256': sha256_of(path), **manifest}
    write_json(path.with_suffix('.json'), manifest, sort_keys=True)


def export_checkpoint(folder: str | Path) -> Path:
    """Write the backbone of a run that is still going on, from its last checkpoint.

    Returns:
        ``step-N.safetensors`` in the run's folder, with its manifest beside it.

    Raises:
        ConfigError: The folder holds no checkpoint yet.
    """
    folder = Path(folder)
    if not (folder / CHECKPOINT).is_file():
        raise ConfigError(
            f'{folder}: found no {CHECKPOINT} of a run', 'Wait for the first checkpoint'
        )
    facts = read_claim(folder)
    checkpoint = torch.load(folder / CHECKPOINT, map_location='cpu', weights_only=True)
    encoder = {
        name.removeprefix('encoder.'): value
        for name, value in checkpoint['state_dict'].items()
        if name.startswith('encoder.')
    }
    step = int(checkpoint['global_step'])
    path = folder / f'step-{step:06d}.safetensors'
    config = PretrainingConfig(**facts['training'])
    export_encoder(path, config, encoder, {**facts, 'step': step, 'complete': False})
    return path
