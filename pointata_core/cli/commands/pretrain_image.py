# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata pretrain-image``: an image encoder where ImageNet weights are missing."""

from __future__ import annotations

from typing import Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser

NAME = 'pretrain-image'
SUMMARY = 'Train a ResNet on rendered shapes: the first part of "pretrain" alone.'

_EXAMPLES = """\
examples:
  pointata pretrain-image --config config/training/pretrain_tiny.yaml output=runs/tiny
  pointata pretrain-image output=runs/deep teacher.depth=34 teacher.steps=3000
  pointata pretrain-image output=runs/shapenet images.meshes=datasets/ShapeNet"""


def parser() -> Parser:
    """Options of the command."""
    return settings_parser(
        'Train a ResNet-18 or -34 to name the family of a rendered shape, and leave it in OUTPUT. '
        'ImageNet weights are not needed, and nothing is downloaded. Images are rendered if there '
        'are none. Settings are those of pretrain, which finds images and network in the same '
        'OUTPUT.\n\nAll settings: docs/pretraining.md.',
        _EXAMPLES,
    )


def run(arguments: Any) -> int:
    """Render images if there are none, train, and report the accuracy."""
    from pointata_core.cli.console import note, print_json, progress
    from pointata_core.errors import ConfigError
    from pointata_core.training.pretrain.costs import describe_cost
    from pointata_core.training.pretrain.run import prepare_teacher
    from pointata_core.training.pretrain.settings import PretrainingSettings

    settings = read_arguments(PretrainingSettings, arguments)
    if settings.image_encoder or not settings.training.contrasts:
        raise ConfigError(
            'these settings need no image encoder',
            'Leave image_encoder empty, and a contrast with images its weight',
        )
    _, path, found = prepare_teacher(settings, log=note, progress=progress)
    facts = found['teacher']
    if arguments.json:
        print_json({'output': str(path), **facts})
        return 0
    known = 'no' if facts['accuracy'] is None else f'{facts["accuracy"]:.1%}'
    note(f'{path}: names {known} of the images of shapes held back (chance {facts["chance"]:.1%})')
    note(describe_cost('training', facts['costs']))
    return 0
