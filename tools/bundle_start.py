# SPDX-License-Identifier: Apache-2.0
"""What a default bundle begins with: random weights, or a pre-trained backbone and its origin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.pointata import PointATA


@dataclass(frozen=True)
class Start:
    """What the network begins with.

    Args:
        backbone: File of ``pointata pretrain`` or ``convert``; ``None`` for random weights.
        freeze: Never train it.
        weights: State dict of a whole network, instead.
    """

    backbone: Path | None = None
    freeze: bool = False
    weights: Path | None = None

    def __post_init__(self) -> None:
        if self.freeze and self.backbone is None:
            raise ConfigError('--freeze lacks --backbone', 'Give the backbone to keep')
        if self.weights and self.backbone:
            raise ConfigError('--initial-weights and --backbone exclude each other', 'Give one')

    def network(self, config: NetworkConfig) -> PointATA:
        """Build the network.

        Raises:
            PointataError: The backbone cannot be read, or is of another shape.
        """
        network = PointATA(config)
        if self.weights:
            network.load_state_dict(torch.load(self.weights, weights_only=True))
        if self.backbone:
            converted = load_backbone(self.backbone)
            if converted.config != config.backbone:
                raise ConfigError(
                    f'{self.backbone} has the shape {converted.config}, the recipe wants '
                    f'{config.backbone}',
                    'Pre-train with the preset of the recipe',
                )
            network.load_backbone(converted.state_dict)
        return network

    def facts(self) -> dict:
        """Where the weights come from, for the bundle's manifest."""
        if self.backbone is None:
            return {'started_from': 'earlier weights of this script' if self.weights else 'scratch'}
        beside = self.backbone.with_suffix('.json')
        known = json.loads(beside.read_text()) if beside.is_file() else {}
        kept = ('data', 'licence', 'training', 'images', 'image_encoder', 'step', 'complete')
        return {
            'started_from': 'a pre-trained backbone' + (', frozen' if self.freeze else ''),
            'backbone': {
                'sha256': sha256_of(self.backbone),
                'family': load_backbone(self.backbone).family,
                'frozen': self.freeze,
                **{name: known[name] for name in kept if name in known},
            },
        }

    def data(self) -> str:
        """All that the weights have learned from."""
        scenes = 'simulated scenes only (pointata_core.simulation)'
        if self.backbone is None:
            return scenes
        source = self.facts()['backbone'].get('data', 'unknown data')
        return scenes.replace(' only', '') + f'; its backbone before: {source}'


def claim(run: Path, start: Start) -> None:
    """Make the run's folder, or make sure that its phases began with the same weights.

    Raises:
        ConfigError: They did not.
    """
    run.mkdir(parents=True, exist_ok=True)
    path, facts = run / 'start.json', json.loads(json.dumps(start.facts()))
    # Runs older than this file began from nothing.
    begun = {'started_from': 'scratch'} if (run / 'frames.pt').exists() else facts
    before = json.loads(path.read_text()) if path.is_file() else begun
    if before != facts:
        raise ConfigError(
            f'{run} began from {before["started_from"]}, now it is {facts["started_from"]}, or '
            'another file',
            'Choose another --run',
        )
    path.write_text(json.dumps(facts, indent=2) + '\n')
