# SPDX-License-Identifier: Apache-2.0
"""One domain-adaptation run in one folder: stages, checkpoints, resume, scores.

``first/`` (and ``second/``) hold ``last.ckpt`` (every ``epoch_steps``), logs and, when complete,
``network.safetensors``; ``pseudo_labels/`` what the first network says about the target;
``resolved.json`` all settings and ``results.json`` the scores of the last step of each stage. A run
that is started again goes on where it was, and ends as if it had never stopped.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from pointata_core.datasets.camera.frames import CameraFrames
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import CameraSamples, class_counts
from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.camera.resnet import load_resnet_weights
from pointata_core.training.domain.batches import (
    Pair,
    PairBatches,
    Pairs,
    open_frames,
    sample_config,
)
from pointata_core.training.domain.configuration import Domain, DomainAdaptationConfig
from pointata_core.training.domain.losses import balanced_class_weights
from pointata_core.training.domain.pseudo_labels import INDEX, PseudoLabels
from pointata_core.training.domain.scoring import score_network, write_pseudo_labels
from pointata_core.training.domain.statistics import take_statistics
from pointata_core.training.domain.training import CrossModalModule

CHECKPOINT, NETWORK = 'last.ckpt', 'network.safetensors'
_PARTS = ('source', 'target', 'test', 'labelled')


@dataclass(frozen=True)
class Domains:
    """Opened data of a run.

    Attributes:
        source: Labelled frames.
        target: Frames whose labels are not looked at.
        test: Labelled frames of the target domain, or None.
        samples: How frames of source, target and test become samples.
        labelled: A few frames of the target domain with labels, or None; they become samples as the
            target's do.
    """

    source: CameraFrames
    target: CameraFrames
    test: CameraFrames | None
    samples: tuple[SampleConfig, SampleConfig, SampleConfig]
    labelled: CameraFrames | None = None

    @staticmethod
    def open(
        task: str,
        source: Domain,
        target: Domain,
        test: Domain | None,
        labelled: Domain | None = None,
    ) -> Domains:
        """Open all of it.

        Raises:
            ConfigError: Something does not fit together.
            DataError: Something is missing or damaged.
        """
        frames = [open_frames(domain, task) for domain in (source, target)]
        tested = None if test is None else open_frames(test, task)
        samples = [sample_config(d, f) for d, f in zip((source, target), frames)]
        last = samples[1] if test is None else sample_config(test, tested)
        if len({(config.grid, config.voxel_m) for config in (*samples, last)}) > 1:
            raise ConfigError('source, target and test need the same voxel_m and grid')
        few = None if labelled is None else open_frames(labelled, task)
        return Domains(*frames, tested, (*samples, last), few)

    def without_images(self) -> Domains:
        """The same data as a LiDAR alone has it."""
        frames = {name: getattr(self, name) for name in _PARTS}
        blind = {name: f.without_images() for name, f in frames.items() if f is not None}
        return replace(self, **blind)

    def weights(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Class weights ``(K,)`` of the source and, where there are any, of labelled frames."""
        source, few = (
            None if f is None else balanced_class_weights(torch.from_numpy(class_counts(f)))
            for f in (self.source, self.labelled)
        )
        return source, few


class PairData(lightning.LightningDataModule):
    """Batches for one epoch of ``epoch_steps``; built anew for each, so it can start anywhere."""

    def __init__(self, pairs: Pairs, config: DomainAdaptationConfig) -> None:
        super().__init__()
        self.pairs, self.config = pairs, config

    def train_dataloader(self) -> DataLoader:
        """Batches up to the next checkpoint."""
        config, trainer = self.config, self.trainer
        steps = config.schedule.steps
        # By steps, not epochs: a run stopped in an epoch's last step counts it as unfinished.
        first = trainer.global_step
        last = (first // config.epoch_steps + 1) * config.epoch_steps
        batches = PairBatches(
            self.pairs.frames,
            config.schedule.batch,
            (first, max(first, min(last, steps))),
            config.seed,
            trainer.global_rank,
            trainer.world_size,
        )
        return DataLoader(
            self.pairs,
            batch_sampler=batches,
            collate_fn=self.pairs.collate,
            num_workers=config.workers,
        )

    def transfer_batch_to_device(self, batch: Pair, device: torch.device, number: int) -> Pair:
        """Move both batches."""
        return Pair(batch.source.to(device), batch.target.to(device))


def run_domain_adaptation(
    output: str | Path,
    config: DomainAdaptationConfig,
    domains: Domains,
    trainer_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train, or go on training, in a folder, and score the result.

    Args:
        output: The run's folder.
        config: Every choice.
        domains: The data.
        trainer_options: Passed to Lightning (devices, precision, strategy, ...).

    Returns:
        What ``results.json`` holds.

    Raises:
        ConfigError: The folder holds a run with other settings.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    if not config.images:
        domains = domains.without_images()
    if domains.labelled is not None and config.schedule.batch % 2:
        raise ConfigError(
            f'training.batch is {config.schedule.batch}, and half of it is to be of the target',
            'Give an even number',
        )
    facts = _facts(config, domains)
    _require_same_run(output / 'resolved.json', facts)
    weights = domains.weights() if config.class_weights else (None, None)
    results: dict[str, Any] = {}
    network = _stage(output / 'first', config, domains, weights, None, trainer_options or {})
    _score(results, 'first', network, domains)
    if config.second_stage:
        folder = output / 'pseudo_labels'
        if not (folder / INDEX).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            write_pseudo_labels(network, domains.target, domains.samples[1], folder)
        labels = PseudoLabels(folder, domains.target.classes)
        network = _stage(output / 'second', config, domains, weights, labels, trainer_options or {})
        _score(results, 'second', network, domains)
    results |= {'machine': machine(), 'versions': versions()}
    _write(output / 'results.json', results)
    return results


def new_network(config: DomainAdaptationConfig, classes: int, grid: int) -> CameraLidarNetwork:
    """An untrained network, but for the image encoder where weights are given."""
    network = CameraLidarNetwork(
        classes,
        fusion=config.with_fusion,
        depth=config.depth,
        width=config.width,
        planes=config.planes,
        grid=grid,
        attention_scope=config.attention_scope,
        backend=config.backend,
    )
    for part in network.cloud_net.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.momentum = config.statistics_rate
    if not config.images:
        # Whoever shows it an image all the same gets the LiDAR's answer: all classes alike from
        # the camera change nothing in the mean of both.
        torch.nn.init.zeros_(network.image_heads.main.weight)
        torch.nn.init.zeros_(network.image_heads.main.bias)
    if config.image_weights:
        load_resnet_weights(network.image_net.encoder, config.image_weights)
    return network


def _stage(
    folder: Path,
    config: DomainAdaptationConfig,
    domains: Domains,
    class_weights: tuple[torch.Tensor | None, torch.Tensor | None],
    labels: PseudoLabels | None,
    options: dict[str, Any],
) -> CameraLidarNetwork:
    lightning.seed_everything(config.seed, verbose=False)
    network = new_network(config, len(domains.source.classes), domains.samples[0].grid)
    if (folder / NETWORK).is_file():
        network.load_state_dict(load_file(folder / NETWORK))
        return network
    module = CrossModalModule(config, network, config.weights(labels is not None), *class_weights)
    few = domains.labelled
    pairs = Pairs(
        CameraSamples(domains.source, domains.samples[0], config.seed),
        CameraSamples(domains.target, domains.samples[1], config.seed + 1, labels),
        None if few is None else CameraSamples(few, domains.samples[1], config.seed + 2),
    )
    trainer = _trainer(folder, config, options)
    checkpoint = folder / CHECKPOINT
    trainer.fit(
        module,
        datamodule=PairData(pairs, config),
        ckpt_path=checkpoint if checkpoint.is_file() else None,
    )
    if trainer.interrupted or trainer.global_step < config.schedule.steps:
        raise KeyboardInterrupt
    if config.target_statistics:
        take_statistics(network.cloud_net, domains.target, domains.samples[1])
    if trainer.is_global_zero:
        part = folder / f'{NETWORK}.part'
        save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, part)
        part.replace(folder / NETWORK)
    return network


def _trainer(
    folder: Path, config: DomainAdaptationConfig, options: dict[str, Any]
) -> lightning.Trainer:
    keep = ModelCheckpoint(
        dirpath=folder,
        filename=CHECKPOINT.removesuffix('.ckpt'),
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    return lightning.Trainer(
        **{
            'max_steps': config.schedule.steps,
            'max_epochs': -1,
            'callbacks': [keep],
            'logger': [
                CSVLogger(folder, name='csv'),
                TensorBoardLogger(folder, name='tensorboard'),
            ],
            'log_every_n_steps': 10,
            'reload_dataloaders_every_n_epochs': 1,
            'use_distributed_sampler': False,
            'enable_model_summary': False,
            'enable_progress_bar': False,
            **options,
        }
    )


def _score(
    results: dict[str, Any], stage: str, network: CameraLidarNetwork, domains: Domains
) -> None:
    if domains.test is not None:
        results[stage] = score_network(network, domains.test, domains.samples[2])


def _facts(config: DomainAdaptationConfig, domains: Domains) -> dict[str, Any]:
    frames = {name: getattr(domains, name) for name in _PARTS}
    return {
        'training': asdict(config),
        'schedule': asdict(config.schedule),
        'data': {
            name: {'name': f.name, 'split': f.split, 'frames': len(f), 'task': f.task}
            for name, f in frames.items()
            if f is not None
        },
        'samples': [asdict(samples) for samples in domains.samples],
    }


def _require_same_run(path: Path, facts: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(facts))
    if not path.is_file():
        _write(path, plain)
        return
    before = json.loads(path.read_text(encoding='utf-8'))
    # Choices that there were not yet when a run began were as they are when left out.
    defaults = json.loads(json.dumps(asdict(DomainAdaptationConfig())))
    before['training'] = defaults | before.get('training', {})
    for section, new in plain.items():
        if before.get(section) != new:
            raise ConfigError(
                f'{path}: the run in this folder has other settings under {section}',
                'Choose another output folder, or the settings the run began with',
            )


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f'{path.name}.part')
    part.write_text(json.dumps(content, indent=2, sort_keys=True) + '\n', encoding='utf-8')
    part.replace(path)
