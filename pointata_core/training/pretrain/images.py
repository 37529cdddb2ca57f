# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of rendered shapes that a run learns from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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
from pointata_core.training.pretrain.people_shapes import people_sources
from pointata_core.training.pretrain.settings import ImageSettings
from pointata_core.training.pretrain.splits import TRAINING_FAMILIES
from pointata_core.training.pretrain.thing_shapes import thing_sources

_COSTS, _UNFINISHED = 'complete', 'drawing'

# What a manifest says about each kind of source: data, licence.
_KINDS = {
    'ProceduralSource': ('procedural shapes', 'Apache-2.0'),
    'MeshFile': ('meshes of the user', 'that of the meshes'),
    'PersonSource': (
        'bodies of anny in poses of mocap.cs.cmu.edu, which was created with funding from NSF '
        'EIA-0196217',
        'CC0-1.0',
    ),
    'ThingSource': ("meshes of Sweet Home 3D's catalogue", 'CC0-1.0, CC-BY-3.0 (see NOTICE)'),
}


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


def image_sources(settings: ImageSettings) -> tuple[list[Source], str]:
    """Everything to render, and a description of it.

    Several kinds are shuffled, so that shapes held back, every so many-th, are of all kinds.
    """
    first: list[Source]
    if settings.meshes:
        first = list(find_meshes(settings.meshes, up=settings.up or ''))
        names = [f'{len(first):,} meshes of {settings.meshes}']
    else:
        first = list(procedural_sources(settings.shapes, 0, TRAINING_FAMILIES))
        names = [f'{len(first):,} shapes of {len(TRAINING_FAMILIES)} families']
    groups = [first]
    if settings.people:
        groups.append(list(people_sources(settings.people, settings.scanned)))
        names.append(f'{settings.people:,} people')
    if settings.things:
        groups.append(list(thing_sources(settings.things, settings.scanned)))
        names.append(f'{settings.things:,} things')
    if len(groups) == 1:
        return first, names[0]
    sources = [source for group in groups for source in group]
    order = np.random.default_rng(0).permutation(len(sources))
    return [sources[number] for number in order], ', '.join(names)


def rendering_costs(folder: Path) -> dict[str, Any] | None:
    """Costs of the images of a folder in the process that completed it, if they are known."""
    path = folder / _COSTS
    text = path.read_text() if path.is_file() else ''
    return json.loads(text) if text else None


def data_and_licence(images: RenderingFolder) -> tuple[str, str]:
    """Data and licence of a folder's shapes, for manifests."""
    kinds = {source['kind'] for shard in images.shards for source in shard.metadata['sources']}
    data = ['rendered images', *(text for kind, (text, _) in _KINDS.items() if kind in kinds)]
    licences = [licence for kind, (_, licence) in _KINDS.items() if kind in kinds]
    return ' of '.join([data[0], ', '.join(data[1:])]), '; '.join(dict.fromkeys(licences))


def _render(folder: Path, settings: ImageSettings, log: Callable[[str], None]) -> None:
    sources, what = image_sources(settings)
    complete = (folder / _COSTS).is_file()
    if not complete:
        log(f'{folder}: rendering {what}')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _UNFINISHED).touch()
    there = sum(1 for _ in folder.glob('images-*.npz'))
    render = RenderSettings(
        views=settings.views, size=settings.size, points=2048, colour=settings.colour
    )
    watch = Stopwatch()
    written = write_renderings(folder, sources, render, processes=settings.processes)
    if not complete:
        made = sum(len(shard) for shard in written.shards[there:])
        costs = cost_facts(watch.lap('rendering'), shapes=made, images=made * render.views)
        write_json(folder / _COSTS, costs)
        (folder / _UNFINISHED).unlink()
