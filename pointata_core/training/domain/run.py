# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One domain-adaptation run in one folder: stages, pseudo-labels, scores.

Beside the files of every run (see :mod:`pointata_core.training.engine.run_folder`) it holds
``first/`` (and ``second/``) with checkpoint, logs and, when complete, ``network.safetensors``, and
``pseudo_labels/``, predictions of the first network on the target. A run that is started again
goes on where it was, and ends as if it had never stopped.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import load_file, save

from pointata_core.datasets.camera.samples import CameraSamples
from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.camera.resnet import load_resnet_weights
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.training.domain.batches import Pairs, pair_key
from pointata_core.training.domain.cross_modal import CrossModalModule
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.pseudo_labels import INDEX, PseudoLabels
from pointata_core.training.domain.scoring import score_network, write_pseudo_labels
from pointata_core.training.domain.settings import DomainAdaptationConfig
from pointata_core.training.domain.statistics import take_statistics
from pointata_core.training.engine.run_folder import RESULTS, claim
from pointata_core.training.engine.trainer import StepData, processes, train

NETWORK = 'network.safetensors'


def run_domain_adaptation(
    output: str | Path, config: DomainAdaptationConfig, domains: Domains, *, quiet: bool = True
) -> dict[str, Any]:
    """Train, or go on training, in a folder; return what its ``results.json`` holds.

    Raises:
        ConfigError: The folder holds a run with other settings.
    """
    if not config.images:
        domains = domains.without_images()
    if domains.labelled is not None and config.schedule.batch % 2:
        raise ConfigError(
            f'training.batch is {config.schedule.batch}, and half of it is to be of the target',
            'Give an even number',
        )
    defaults = {'training': asdict(DomainAdaptationConfig())}
    output = claim(output, _facts(config, domains), defaults)
    weights = domains.weights()
    results: dict[str, Any] = {}
    network = _stage(output / 'first', config, domains, weights, None, quiet)
    _score(results, 'first', network, domains)
    if config.second_stage:
        folder = output / 'pseudo_labels'
        if not (folder / INDEX).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            write_pseudo_labels(network, domains.target, domains.samples[1], folder)
        labels = PseudoLabels(folder, domains.target.classes)
        network = _stage(output / 'second', config, domains, weights, labels, quiet)
        _score(results, 'second', network, domains)
    results |= {'machine': machine(), 'versions': versions()}
    write_json(output / RESULTS, results, sort_keys=True)
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
        # An image given all the same then changes nothing: equal scores of all classes leave the
        # mean of both sensors to the LiDAR.
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
    quiet: bool,
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
    schedule = config.schedule
    key = pair_key(pairs.frames, config.seed)
    data = StepData(pairs.batch, key, schedule.batch * processes(), config)
    trainer = train(module, data, folder, steps=schedule.steps, quiet=quiet)
    if config.target_statistics:
        take_statistics(network.cloud_net, domains.target, domains.samples[1])
    if trainer.is_global_zero:
        state = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
        write_atomically(folder / NETWORK, save(state))
    return network


def _score(
    results: dict[str, Any], stage: str, network: CameraLidarNetwork, domains: Domains
) -> None:
    if domains.test is not None:
        results[stage] = score_network(network, domains.test, domains.samples[2])


def _facts(config: DomainAdaptationConfig, domains: Domains) -> dict[str, Any]:
    return {
        'training': asdict(config),
        'schedule': asdict(config.schedule),
        'data': domains.facts(),
        'samples': [asdict(samples) for samples in domains.samples],
    }
