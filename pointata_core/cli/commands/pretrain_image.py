# SPDX-License-Identifier: Apache-2.0
"""``pointata pretrain-image``: a image encoder of one's own, for where ImageNet cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser
from pointata_core.errors import ConfigError

if TYPE_CHECKING:
    from pointata_core.shapes.rendering import RenderingFolder

NAME = 'pretrain-image'
SUMMARY = 'Teach a ResNet on rendered shapes, as the image encoder of "pretrain".'

COMPLETE = 'complete'

_EXAMPLES = """\
examples:
  pointata pretrain-image teacher.safetensors --images runs/images
  pointata pretrain-image teacher.safetensors --images runs/images --steps 3000
  pointata pretrain-image teacher.safetensors --images runs/images --meshes datasets/ShapeNet"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Teach a ResNet-18 or -34 to name the family of a rendered shape. ImageNet weights are not '
        'needed, and nothing is downloaded. A folder without images is filled first, with '
        'shapes of the training families.',
        _EXAMPLES,
    )
    new.add_argument('output', type=str, metavar='OUTPUT', help='The .safetensors file to write.')
    new.add_argument(
        '--images', type=str, required=True, metavar='DIR', help='Folder of image shards.'
    )
    add_image_options(new)
    new.add_argument('--steps', type=int, default=900, metavar='N', help='Optimiser steps.')
    new.add_argument(
        '--depth', type=Literal[18, 34], default=18, metavar='N', help='Of the ResNet: 18 or 34.'
    )
    new.add_argument('--batch', type=int, default=64, metavar='N', help='Images per step.')
    new.add_argument('--seed', type=int, default=0, metavar='N', help='Of weights and order.')
    add_json_option(new)
    return new


def add_image_options(parser: ArgumentParser) -> None:
    """What is rendered when the folder of images is empty."""
    parser.add_argument(
        '--meshes', type=str | None, metavar='DIR',
        help='Image the meshes of this folder instead of drawing shapes: ShapeNet, ModelNet, or '
        'any folder with .obj, .off, .ply and .glb files. Broken ones are named and left out.',
    )  # fmt: skip
    parser.add_argument(
        '--up', type=Literal['y', 'z'] | None, metavar='AXIS',
        help='Axis of the meshes that points up; y for ShapeNet, z for others if left out.',
    )  # fmt: skip
    parser.add_argument(
        '--shapes', type=int, default=2784, metavar='N', help='Shapes to draw, families in turn.'
    )
    parser.add_argument('--size', type=int, default=64, metavar='PIXELS', help='Of the images.')
    parser.add_argument('--stored-views', type=int, default=20, metavar='N', help='Per shape.')
    parser.add_argument('--processes', type=int, default=1, metavar='N', help='That draw.')


def rendering_folder(arguments: Any) -> RenderingFolder:
    """Open the folder of images; make them if it has none, or not all yet.

    Raises:
        ConfigError: The folder of meshes holds none, or broken ones alone.
        RenderingShardError: The images there are of other meshes.
    """
    from pointata_core.cli.console import note
    from pointata_core.shapes.rendering import RenderingFolder

    folder, done = Path(arguments.images), Path(arguments.images) / COMPLETE
    unfinished = not folder.is_dir() or (folder / 'drawing').is_file()
    # Meshes that are named are compared with those in the folder, however complete it is.
    if (not done.is_file() and unfinished) or arguments.meshes:
        _image(arguments, folder, done)
    images = RenderingFolder(folder)
    for mesh in images.broken:
        note(f'left out: {mesh.name}: {mesh.reason}')
    if not len(images):
        raise ConfigError(
            f'{folder} holds no shape: all {len(images.broken)} meshes are broken',
            'Give a folder with sound meshes, and delete this one',
        )
    return images


def _image(arguments: Any, folder: Path, done: Path) -> None:
    from pointata_core.cli.console import note
    from pointata_core.shapes import find_meshes
    from pointata_core.shapes.rendering import (
        RenderSettings,
        procedural_sources,
        write_renderings,
    )
    from pointata_core.training.pretrain.costs import Stopwatch, cost_facts
    from pointata_core.training.pretrain.splits import TRAINING_FAMILIES

    if arguments.meshes:
        sources = find_meshes(arguments.meshes, up=arguments.up or '')
        what = f'picturing {len(sources):,} meshes of {arguments.meshes}'
    else:
        sources = procedural_sources(arguments.shapes, 0, TRAINING_FAMILIES)
        what = f'drawing {len(sources):,} shapes of {len(TRAINING_FAMILIES)} families'
    if not done.is_file():
        note(f'{folder}: {what}')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'drawing').touch()
    there = sum(1 for _ in folder.glob('images-*.npz'))
    settings = RenderSettings(views=arguments.stored_views, size=arguments.size, points=2048)
    watch = Stopwatch()
    written = write_renderings(folder, sources, settings, processes=arguments.processes)
    made = sum(len(shard) for shard in written.shards[there:])
    if done.is_file():
        return
    costs = cost_facts(*watch.lap(), shapes=made, images=made * settings.views)
    (folder / 'drawing').write_text(json.dumps(costs, indent=2) + '\n')
    (folder / 'drawing').rename(done)


def image_costs(folder: str | Path) -> dict[str, Any] | None:
    """What the images of a folder cost in the session that completed it, if that was noted."""
    done = Path(folder) / COMPLETE
    text = done.read_text() if done.is_file() else ''
    return json.loads(text) if text else None


def image_source(folder: RenderingFolder) -> tuple[str, str]:
    """Data and licence of a folder's shapes, for manifests."""
    kinds = {source['kind'] for shard in folder.shards for source in shard.metadata['sources']}
    if kinds == {'ProceduralSource'}:
        return 'procedural shapes and their rendered images', 'Apache-2.0'
    return 'meshes of the user and their rendered images', 'that of the meshes'


def run(arguments: Any) -> int:
    """Draw images if there are none, teach, and say how well it went."""
    output = Path(arguments.output)
    if output.suffix != '.safetensors':
        raise ConfigError(
            f"output is '{output}', expected a name that ends in .safetensors", 'Rename it'
        )
    from pointata_core.cli.console import note, progress
    from pointata_core.training.pretrain.costs import describe_cost
    from pointata_core.training.pretrain.image_bank import ImageBank
    from pointata_core.training.pretrain.teacher import TeacherConfig, save_teacher, train_teacher

    config = TeacherConfig(
        steps=arguments.steps, batch=arguments.batch, seed=arguments.seed, depth=arguments.depth
    )
    bank = ImageBank.read(rendering_folder(arguments))
    with progress('teaching') as report:
        network, facts = train_teacher(bank, config, report)
    save_teacher(output, network, facts)
    if arguments.json:
        print(json.dumps({'output': str(output), **facts}, indent=2))
    else:
        known = 'no' if facts['accuracy'] is None else f'{facts["accuracy"]:.1%}'
        note(
            f'{output}: names {known} of the images of shapes held back '
            f'(chance {facts["chance"]:.1%})'
        )
        note(describe_cost('teaching', facts['costs']))
    return 0
