# SPDX-License-Identifier: Apache-2.0
"""One pre-training run in one folder: checkpoints, logs, resume, and the backbone at its end.

A run writes ``resolved.json`` (all settings), ``last.ckpt`` (every ``epoch_steps``),
``csv/`` and ``tensorboard/`` (one folder per start), and when complete ``backbone.safetensors``
with ``backbone.json`` beside it. Started again on the same folder it goes on from the last
checkpoint; batches are a function of the step, so the outcome is that of a run never killed.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.training.pretrain.batches import ImageClouds, StepBatches, split_shapes
from pointata_core.training.pretrain.costs import RunRecord
from pointata_core.training.pretrain.exporting import BACKBONE, CHECKPOINT, RESOLVED, export_encoder
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import FrozenImageEncoder, read_image_encoder
from pointata_core.training.pretrain.settings import PretrainingConfig
from pointata_core.training.pretrain.training import PicPointModule


class ImageData(lightning.LightningDataModule):
    """Batches for one epoch of ``epoch_steps``; built anew for each, so it can start anywhere.

    Args:
        bank: All data.
        config: Of the run.
    """

    def __init__(self, bank: ImageBank, config: PretrainingConfig) -> None:
        super().__init__()
        self.bank = bank
        self.config = config
        self.training_shapes, self.held_back = split_shapes(len(bank), config.held_back)

    def train_dataloader(self) -> DataLoader:
        """Batches of the current epoch."""
        config, trainer = self.config, self.trainer
        first = trainer.current_epoch * config.epoch_steps
        batches = StepBatches(
            self.training_shapes,
            config.batch,
            (first, max(first, min(first + config.epoch_steps, config.steps))),
            config.seed,
            trainer.global_rank,
            trainer.world_size,
        )
        dataset = ImageClouds(self.bank, config)
        return DataLoader(dataset, batch_sampler=batches, num_workers=config.workers)

    def val_dataloader(self) -> DataLoader:
        """Whole batches of the shapes held back, unmoved; at most four."""
        config = self.config
        whole = len(self.held_back) // config.batch
        batches = [
            [(0, int(shape)) for shape in self.held_back[i * config.batch : (i + 1) * config.batch]]
            for i in range(min(whole, 4))
        ]
        return DataLoader(ImageClouds(self.bank, config, augment=False), batch_sampler=batches)


def run_pretraining(
    output: str | Path,
    config: PretrainingConfig,
    bank: ImageBank,
    image_weights: str | Path | None,
    *,
    provenance: dict[str, Any] | None = None,
    trainer_options: dict[str, Any] | None = None,
) -> Path:
    """Train, or go on training, in a folder.

    Args:
        output: The run's folder.
        config: Every choice.
        bank: Images to learn from.
        image_weights: Weights of a ResNet-18 or -34; None only without contrasts.
        provenance: Of data and image encoder, for the manifest.
        trainer_options: Passed to Lightning (devices, precision, strategy, ...).

    Returns:
        The backbone's file; for DGCNN, which no skill can use, its plain weights.

    Raises:
        ConfigError: The folder holds a run with other settings, or weights are missing.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    facts = _resolved(config, bank, image_weights, trainer_options or {})
    require_same_run(output / RESOLVED, facts)
    if (output / BACKBONE).with_suffix('.json').is_file():
        return output / BACKBONE
    lightning.seed_everything(config.seed, verbose=False)
    module = PicPointModule(config, _image_encoder(config, image_weights), _radius(bank))
    trainer = _trainer(output, config, trainer_options or {})
    _fit(trainer, module, ImageData(bank, config), output / CHECKPOINT)
    if trainer.is_global_zero:
        record = next(one for one in trainer.callbacks if isinstance(one, RunRecord))
        provenance = dict(provenance or {})
        manifest = {
            **facts, **provenance, 'measured': record.finish(trainer),
            'costs': {**provenance.get('costs', {}), 'training': record.facts()},
            'step': trainer.global_step, 'complete': True,
        }  # fmt: skip
        export_encoder(output / BACKBONE, config, module.encoder.state_dict(), manifest)
    trainer.strategy.barrier('exported')
    return output / BACKBONE


def _fit(
    trainer: lightning.Trainer, module: PicPointModule, data: ImageData, checkpoint: Path
) -> None:
    """Train to the last step, from a checkpoint if there is one.

    Raises:
        KeyboardInterrupt: The run was stopped before its end.
    """
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint if checkpoint.is_file() else None)
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        # Lightning exits with status 1 after Ctrl-C, which would look like a failure.
        raise KeyboardInterrupt from error
    if trainer.interrupted or trainer.global_step < module.config.steps:
        raise KeyboardInterrupt


def require_same_run(path: Path, facts: dict[str, Any]) -> None:
    """Write the settings of a run, or hold them to those written before.

    Raises:
        ConfigError: They differ; names the first field.
    """
    plain = json.loads(json.dumps(facts))
    if not path.is_file():
        # Every process of a distributed run comes here: none may see half a file.
        part = path.with_name(f'.{path.name}.{os.getpid()}.part')
        part.write_text(json.dumps(plain, indent=2, sort_keys=True) + '\n')
        part.replace(path)
        return
    before = json.loads(path.read_text())
    for section in ('training', 'images', 'image_encoder'):
        old, new = before.get(section, {}), plain[section]
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                raise ConfigError(
                    f'{path}: {section}.{name} is {old.get(name)!r}, now {new.get(name)!r}',
                    'Choose another output folder, or the settings the run began with',
                )


def _trainer(output: Path, config: PretrainingConfig, options: dict[str, Any]) -> lightning.Trainer:
    keep = ModelCheckpoint(
        dirpath=output,
        filename=CHECKPOINT.removesuffix('.ckpt'),
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    return lightning.Trainer(
        **{
            'max_steps': config.steps,
            'max_epochs': -1,
            'gradient_clip_val': config.gradient_clip or None,
            'callbacks': [RunRecord(), keep],
            'logger': [
                CSVLogger(output, name='csv'),
                TensorBoardLogger(output, name='tensorboard'),
            ],
            'log_every_n_steps': 10,
            'reload_dataloaders_every_n_epochs': 1,
            'use_distributed_sampler': False,
            'num_sanity_val_steps': 0,
            'enable_model_summary': False,
            'enable_progress_bar': False,
            'deterministic': 'warn',
            **options,
        }
    )


def _resolved(
    config: PretrainingConfig,
    bank: ImageBank,
    weights: str | Path | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    network: dict[str, Any] = {'sha256': '', 'name': ''}
    if weights is not None and config.contrasts:
        if not Path(weights).is_file():
            raise ConfigError(
                f'{weights}: found no weights of a image encoder',
                'Train one with pointata pretrain-image, or give ImageNet weights of ResNet-18',
            )
        network = {'sha256': sha256_of(weights), 'name': Path(weights).name}
    return {
        'training': asdict(config),
        'images': {
            'shapes': len(bank),
            'views': bank.views,
            'size': int(bank.grey.shape[-1]),
            'points': int(bank.points.shape[1]),
            'families': list(bank.families),
        },
        'image_encoder': network,
        'trainer': {k: v for k, v in options.items() if isinstance(v, str | int)},
        'machine': machine(),
        'versions': versions(),
    }


def _image_encoder(
    config: PretrainingConfig, weights: str | Path | None
) -> FrozenImageEncoder | None:
    if not config.contrasts:
        return None
    if weights is None:
        raise ConfigError(
            'a contrast with images needs a image encoder',
            'Train one with pointata pretrain-image, or give ImageNet weights of ResNet-18',
        )
    return read_image_encoder(weights, config.map_stride)


def _radius(bank: ImageBank) -> float:
    return float(torch.from_numpy(bank.cameras.eyes).norm(dim=1).mean())
