# SPDX-License-Identifier: Apache-2.0
"""``pointata pretrain-image``: a picture network of one's own, for where ImageNet cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser
from pointata_core.errors import ConfigError

NAME = 'pretrain-image'
SUMMARY = 'Teach a ResNet-18 on rendered shapes, as the picture network of "pretrain".'

_EXAMPLES = """\
examples:
  pointata pretrain-image teacher.safetensors --pictures runs/pictures
  pointata pretrain-image teacher.safetensors --pictures runs/pictures --steps 3000"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Teach a ResNet-18 to name the family of a rendered shape. ImageNet weights are not '
        'needed, and nothing is downloaded. A folder without pictures is filled first, with '
        'shapes of the training families.',
        _EXAMPLES,
    )
    new.add_argument('output', type=str, metavar='OUTPUT', help='The .safetensors file to write.')
    new.add_argument(
        '--pictures', type=str, required=True, metavar='DIR', help='Folder of picture shards.'
    )
    add_picture_options(new)
    new.add_argument('--steps', type=int, default=900, metavar='N', help='Optimiser steps.')
    new.add_argument('--batch', type=int, default=64, metavar='N', help='Pictures per step.')
    new.add_argument('--seed', type=int, default=0, metavar='N', help='Of weights and order.')
    add_json_option(new)
    return new


def add_picture_options(parser: ArgumentParser) -> None:
    """What is drawn when the folder of pictures is empty."""
    parser.add_argument(
        '--shapes', type=int, default=2784, metavar='N', help='Shapes to draw, families in turn.'
    )
    parser.add_argument('--size', type=int, default=64, metavar='PIXELS', help='Of the pictures.')
    parser.add_argument('--stored-views', type=int, default=20, metavar='N', help='Per shape.')
    parser.add_argument('--processes', type=int, default=1, metavar='N', help='That draw.')


def picture_folder(arguments: Any):
    """Open the folder of pictures; draw them if it has none, or not all yet."""
    from pointata_core.cli.console import note
    from pointata_core.pretraining.pictures import (
        PictureFolder,
        PictureSettings,
        procedural_sources,
        write_pictures,
    )
    from pointata_core.pretraining.splits import TRAINING_FAMILIES

    folder, done = Path(arguments.pictures), Path(arguments.pictures) / 'complete'
    if not done.is_file() and (not folder.is_dir() or (folder / 'drawing').is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'drawing').touch()
        note(f'{folder}: drawing {arguments.shapes:,} shapes of {len(TRAINING_FAMILIES)} families')
        write_pictures(
            folder,
            procedural_sources(arguments.shapes, 0, TRAINING_FAMILIES),
            PictureSettings(views=arguments.stored_views, size=arguments.size, points=2048),
            processes=arguments.processes,
        )
        (folder / 'drawing').rename(done)
    return PictureFolder(folder)


def run(arguments: Any) -> int:
    """Draw pictures if there are none, teach, and say how well it went."""
    output = Path(arguments.output)
    if output.suffix != '.safetensors':
        raise ConfigError(
            f"output is '{output}', expected a name that ends in .safetensors", 'Rename it'
        )
    from pointata_core.cli.console import note, progress
    from pointata_core.pretraining.picture_bank import PictureBank
    from pointata_core.pretraining.teacher import TeacherConfig, save_teacher, train_teacher

    config = TeacherConfig(steps=arguments.steps, batch=arguments.batch, seed=arguments.seed)
    bank = PictureBank.read(picture_folder(arguments))
    with progress('teaching') as report:
        network, facts = train_teacher(bank, config, report)
    save_teacher(output, network, facts)
    if arguments.json:
        print(json.dumps({'output': str(output), **facts}, indent=2))
    else:
        note(
            f'{output}: names {facts["accuracy"]:.1%} of the pictures of shapes held back '
            f'(chance {facts["chance"]:.1%}), {facts["pictures_per_second"]} pictures/s'
        )
    return 0
