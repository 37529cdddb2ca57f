# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One pre-training run in one folder: images, image encoder, backbone.

Beside the files of every run (see :mod:`pointata_core.training.engine.run_folder`) it holds
``teacher.safetensors`` where an image encoder was trained, and when complete
``backbone.safetensors`` with ``backbone.json``. Started again it goes on from the last checkpoint,
and ends with the weights of a run that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.training.engine.run_folder import claim
from pointata_core.training.engine.sampler import SampleOrder
from pointata_core.training.engine.trainer import StepData, processes, train
from pointata_core.training.pretrain.batches import ImageClouds, split_shapes
from pointata_core.training.pretrain.costs import RunRecord
from pointata_core.training.pretrain.export import BACKBONE, export_encoder
from pointata_core.training.pretrain.feature_store import kept_features
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import image_encoder_file, read_image_encoder
from pointata_core.training.pretrain.images import (
    data_and_licence,
    rendered_images,
    rendering_costs,
)
from pointata_core.training.pretrain.pic_point import PicPointModule
from pointata_core.training.pretrain.settings import PretrainingConfig, PretrainingSettings
from pointata_core.training.pretrain.teacher import save_teacher, train_teacher

TEACHER, FEATURES = 'teacher.safetensors', 'features'
_WEIGHTS_FIX = 'Train one with pointata pretrain-image, or give ImageNet weights of ResNet-18'

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def _no_progress(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    return nullcontext(lambda done, total: None)


def run_pretraining(
    settings: PretrainingSettings,
    *,
    log: Callable[[str], None],
    progress: Progress,
    quiet: bool = True,
) -> Path:
    """Render images, train an image encoder and pre-train a backbone; what is there is kept.

    ``log`` is called with sentences about what is done, ``progress`` makes a report for a phase.
    Returns and errors are those of :func:`prepare_teacher` and :func:`pretrain_backbone`.
    """
    bank, weights, facts = prepare_teacher(settings, log=log, progress=progress)
    return pretrain_backbone(
        settings.output,
        settings.training,
        bank,
        weights,
        provenance=facts,
        progress=progress,
        quiet=quiet,
    )


def prepare_teacher(
    settings: PretrainingSettings, *, log: Callable[[str], None], progress: Progress
) -> tuple[ImageBank, Path | None, dict[str, Any]]:
    """Make the images and the image encoder of a run, unless they are there.

    Returns:
        The images, the file of the image encoder (None for objectives without images), and facts
        for manifests.

    Raises:
        PointataError: Meshes or images cannot be read or do not fit.
    """
    output = Path(settings.output)
    images = rendered_images(
        Path(settings.images.folder or output / 'images'), settings.images, log
    )
    bank, weights = ImageBank.read(images), None
    if settings.training.contrasts:
        weights = output / TEACHER
        if settings.image_encoder:
            weights = image_encoder_file(settings.image_encoder)
        if not settings.image_encoder and not weights.is_file():
            log(f'{weights}: training an image encoder')
            with progress('image encoder') as report:
                save_teacher(weights, *train_teacher(bank, settings.teacher, report))
    path = weights.with_suffix('.json') if weights else None
    teacher = json.loads(path.read_text()) if path and path.is_file() else None
    data, licence = data_and_licence(images)
    facts = {
        'data': data,
        'licence': licence,
        'broken_meshes': [f'{mesh.name}: {mesh.reason}' for mesh in images.broken],
        'teacher': teacher,
        'costs': {
            'images': rendering_costs(images.folder),
            'image_encoder': (teacher or {}).get('costs'),
        },
    }
    return bank, weights, facts


def pretrain_backbone(
    output: str | Path,
    config: PretrainingConfig,
    bank: ImageBank,
    image_weights: str | Path | None,
    *,
    provenance: dict[str, Any] | None = None,
    progress: Progress = _no_progress,
    quiet: bool = True,
) -> Path:
    """Train, or go on training, in a folder.

    The image encoder has weights of a ResNet-18 or -34, None only without contrasts; the manifest
    takes the provenance of data and image encoder.

    Returns:
        The backbone's file; for DGCNN, which no skill can use, its plain weights.

    Raises:
        ConfigError: The folder holds a run with other settings, or weights are missing.
        KeyboardInterrupt: The run was stopped before its end.
    """
    facts = _facts(config, bank, image_weights)
    encoder = None
    if config.contrasts:
        if image_weights is None:
            raise ConfigError('a contrast with images needs an image encoder', _WEIGHTS_FIX)
        encoder = read_image_encoder(image_weights, config.map_stride)
    output = claim(output, facts)
    backbone = output / BACKBONE
    if backbone.with_suffix('.json').is_file():
        return backbone
    features: Sequence[NDArray[np.float16]] = ()
    if config.keep_features and encoder is not None:
        encoder_id = facts['image_encoder']['sha256']
        with progress('image features') as report:
            features = kept_features(output / FEATURES, encoder, bank, encoder_id, report)
    lightning.seed_everything(config.seed, verbose=False)
    radius = float(torch.from_numpy(bank.cameras.eyes).norm(dim=1).mean())
    module = PicPointModule(config, encoder, radius)
    record = RunRecord()
    trainer = train(
        module,
        image_data(bank, config, features),
        output,
        steps=config.steps,
        clip=1.0,
        callbacks=[record],
        quiet=quiet,
    )
    if trainer.is_global_zero:
        provenance = dict(provenance or {})
        manifest = {
            **facts, **provenance, 'measured': record.finish(trainer),
            'costs': {**provenance.get('costs', {}), 'training': record.facts()},
            'machine': machine(), 'versions': versions(),
            'step': trainer.global_step, 'complete': True,
        }  # fmt: skip
        export_encoder(backbone, config, module.encoder.state_dict(), manifest)
    trainer.strategy.barrier('exported')
    return backbone


def image_data(
    bank: ImageBank, config: PretrainingConfig, features: Sequence[NDArray[np.float16]] = ()
) -> StepData:
    """Training batches, and at most four whole batches of the shapes held back, unmoved."""
    training, held_back = split_shapes(len(bank), config.held_back)
    order = SampleOrder(len(training), config.seed)
    whole = len(held_back) // config.batch
    batches = [
        [(0, int(shape)) for shape in held_back[i * config.batch : (i + 1) * config.batch]]
        for i in range(min(whole, 4))
    ]
    unmoved = ImageClouds(bank, config, augment=False, features=features)
    return StepData(
        ImageClouds(bank, config, features=features).batch,
        lambda draw: (draw, int(training[order[draw]])),
        config.batch * processes(),
        config,
        DataLoader(unmoved, batch_sampler=batches) if batches else None,
    )


def _facts(
    config: PretrainingConfig, bank: ImageBank, weights: str | Path | None
) -> dict[str, Any]:
    network: dict[str, Any] = {'sha256': '', 'name': ''}
    if weights is not None and config.contrasts:
        if not Path(weights).is_file():
            raise ConfigError(f'{weights}: found no weights of an image encoder', _WEIGHTS_FIX)
        network = {'sha256': sha256_of(weights), 'name': Path(weights).name}
    return {
        'training': asdict(config),
        'images': {
            'shapes': len(bank),
            'views': bank.views,
            'size': bank.size,
            'points': int(bank.points.shape[1]),
            'families': list(bank.families),
        },
        'image_encoder': network,
    }
