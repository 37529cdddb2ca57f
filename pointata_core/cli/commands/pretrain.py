# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata pretrain``: a 3D backbone learns from images of shapes (Pic@Point)."""

from __future__ import annotations

import json
import os
from typing import Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser

NAME = 'pretrain'
SUMMARY = 'Pre-train a 3D backbone on shapes and their images, without labels of points.'

_EXAMPLES = """\
examples:
  pointata pretrain --config config/training/pretrain_tiny.yaml output=runs/tiny
  pointata pretrain output=runs/tiny image_encoder=resnet18.pth
  pointata pretrain output=runs/shapenet images.meshes=datasets/ShapeNetCore.v2
  pointata pretrain output=runs/tiny images.folder=runs/images training.masked_weight=1.0"""


def parser() -> Parser:
    """Options of the command."""
    new = settings_parser(
        'Pre-train a 3D backbone: its regions and shapes are matched with the parts of images that '
        'show them (as in Pic@Point). Images are rendered and an image encoder is trained if '
        'OUTPUT has none. Started again, an interrupted run goes on. Several GPUs: under '
        'torchrun.\n\nAll settings: docs/pretraining.md.',
        _EXAMPLES,
    )
    new.flag('--export', 'Only write the backbone of the last checkpoint of a run that goes on.')
    return new


def run(arguments: Any) -> int:
    """Pre-train and report where the backbone is."""
    from pointata_core.cli.console import err, note, print_json, progress
    from pointata_core.models.checkpoints.files import sha256_of
    from pointata_core.training.pretrain.costs import describe_cost
    from pointata_core.training.pretrain.export import export_checkpoint
    from pointata_core.training.pretrain.run import run_pretraining
    from pointata_core.training.pretrain.settings import PretrainingSettings

    settings = read_arguments(PretrainingSettings, arguments)
    if arguments.export:
        print(export_checkpoint(settings.output))
        return 0
    backbone = run_pretraining(settings, log=note, progress=progress, quiet=not err().is_terminal)
    if os.environ.get('RANK', '0') != '0':
        return 0  # the first process reports
    manifest = json.loads(backbone.with_suffix('.json').read_text())
    if arguments.json:
        print_json({'backbone': str(backbone), **manifest})
        return 0
    note(f'{backbone}: {sha256_of(backbone)[:12]}, {manifest["measured"]}')
    for part, facts in manifest.get('costs', {}).items():
        if facts:
            note(describe_cost(part, facts))
    return 0
