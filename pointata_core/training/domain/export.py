# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The last network of a domain-adaptation run as a camera bundle, for node and evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.camera_manifest import CameraManifest, CameraPreparation
from pointata_core.bundles.manifest_fields import Task
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.run import NETWORK
from pointata_core.training.domain.settings import DomainAdaptationConfig

BUNDLE = 'bundle'


def export_run(
    run: Path,
    config: DomainAdaptationConfig,
    domains: Domains,
    results: Mapping[str, Any],
    licence: str,
) -> Path:
    """Write ``bundle/`` into the folder of a finished run, and return it.

    Images and clouds enter as those that the network was scored on, which are those of the
    target: whole, and resized as in training.

    Raises:
        BundleError: The bundle cannot be written.
    """
    stage = 'second' if config.second_stage else 'first'
    samples, classes = domains.samples[2], domains.source.classes
    described: dict[str, Any] = {
        'fusion': config.with_fusion,
        'depth': config.depth,
        'width': config.width,
        'planes': list(config.planes),
        'grid': samples.grid,
        'attention_scope': config.attention_scope,
    }
    network = CameraLidarNetwork(len(classes), **described)
    network.load_state_dict(load_file(run / stage / NETWORK))
    manifest = CameraManifest(
        _name(run, config.method),
        described,
        {'segmentation': Task(tuple(classes))},
        CameraPreparation(samples.voxel_m, samples.resize, domains.samples[1].bottom_crop),
        licence=licence,
        provenance={
            'command': 'pointata domain-adapt',
            'training': asdict(config),
            'stage': stage,
            **{name: domains.facts().get(name) for name in ('source', 'target', 'test')},
            'scores': results.get(stage),
            'versions': results.get('versions'),
        },
    )
    save_bundle(run / BUNDLE, network, manifest)
    return run / BUNDLE


def _name(run: Path, method: str) -> str:
    """A legal name from that of the folder."""
    name = re.sub(r'[^A-Za-z0-9._-]+', '_', f'{run.resolve().name}_{method}')
    return name.strip('._-')[:64]
