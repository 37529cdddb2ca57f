# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of rendered shapes that a run learns from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pointata_core.errors import ConfigError
from pointata_core.safe_files import write_json
from pointata_core.shapes import find_meshes
from pointata_core.shapes.rendering import (
    RenderingFolder,
    RenderSettings,
    procedural_sources,
    write_renderings,
)
from pointata_core.shapes.rendering.sources import Source
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.pretrain.costs import cost_facts
from pointata_core.training.pretrain.settings import ImageSettings
from pointata_core.training.pretrain.splits import TRAINING_FAMILIES

_COSTS, _UNFINISHED = 'complete', 'drawing'


def rendered_images(
    folder: Path, settings: ImageSettings, log: Callable[[str], None]
) -> RenderingFolder:
    """Open a folder of image shards; render what is missing, and log that and what is left out.

    Raises:
        ConfigError: The folder of meshes holds none, or broken ones alone.
        RenderingShardError: The images there are of other meshes.
    """
    unfinished = not folder.is_dir() or (folder / _UNFINISHED).is_file()
    # Meshes that are named are compared with those in the folder, however complete it is.
    if (not (folder / _COSTS).is_file() and unfinished) or settings.meshes:
        _render(folder, settings, log)
    images = RenderingFolder(folder)
    for mesh in images.broken:
        log(f'left out: {mesh.name}: {mesh.reason}')
    if not len(images):
        raise ConfigError(
            f'{folder} holds no shape: all {len(images.broken)} meshes are broken',
            'Give a folder with sound meshes, and delete this one',
        )
    return images


def rendering_costs(folder: Path) -> dict[str, Any] | None:
    """Costs of the images of a folder in the process that completed it, if they are known."""
    path = folder / _COSTS
    text = path.read_text() if path.is_file() else ''
    return json.loads(text) if text else None


def data_and_licence(images: RenderingFolder) -> tuple[str, str]:
    """Data and licence of a folder's shapes, for manifests."""
    kinds = {source['kind'] for shard in images.shards for source in shard.metadata['sources']}
    if kinds == {'ProceduralSource'}:
        return 'procedural shapes and their rendered images', 'Apache-2.0'
    return 'meshes of the user and their rendered images', 'that of the meshes'


def _render(folder: Path, settings: ImageSettings, log: Callable[[str], None]) -> None:
    sources: Sequence[Source]
    if settings.meshes:
        sources = find_meshes(settings.meshes, up=settings.up or '')
        what = f'{len(sources):,} meshes of {settings.meshes}'
    else:
        sources = procedural_sources(settings.shapes, 0, TRAINING_FAMILIES)
        what = f'{len(sources):,} shapes of {len(TRAINING_FAMILIES)} families'
    complete = (folder / _COSTS).is_file()
    if not complete:
        log(f'{folder}: rendering {what}')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _UNFINISHED).touch()
    there = sum(1 for _ in folder.glob('images-*.npz'))
    render = RenderSettings(views=settings.views, size=settings.size, points=2048)
    watch = Stopwatch()
    written = write_renderings(folder, sources, render, processes=settings.processes)
    if not complete:
        made = sum(len(shard) for shard in written.shards[there:])
        costs = cost_facts(watch.lap('rendering'), shapes=made, images=made * render.views)
        write_json(folder / _COSTS, costs)
        (folder / _UNFINISHED).unlink()
