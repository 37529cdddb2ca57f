# SPDX-License-Identifier: Apache-2.0
"""``pointata pretrain``: a 3D backbone learns from images of shapes (Pic@Point)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser
from pointata_core.cli.commands.pretrain_image import (
    add_image_options,
    image_costs,
    image_source,
    rendering_folder,
)
from pointata_core.training.pretrain.settings import PretrainingConfig

if TYPE_CHECKING:
    from pointata_core.shapes.rendering import RenderingFolder

NAME = 'pretrain'
SUMMARY = 'Pre-train a 3D backbone on shapes and their images, without labels of points.'

_EXAMPLES = """\
examples:
  pointata pretrain --output runs/tiny --config config/training/pretrain_tiny.yaml
  pointata pretrain --output runs/tiny --image-network resnet18.pth
  pointata pretrain --output runs/shapenet --meshes datasets/ShapeNetCore.v2
  pointata pretrain --output runs/tiny --images runs/images --training.masked_weight 1.0"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Pre-train a 3D backbone: its regions and shapes are to match the places in images '
        'that show them (in the manner of Pic@Point). Shapes are drawn and a image encoder is '
        'taught if they are not there. Started again on the same folder, it goes on where it was. '
        'Several GPUs: the same command with --devices, or under torchrun.',
        _EXAMPLES,
    )
    new.add_argument('--config', action='config', help='YAML file with any of these options.')
    new.add_argument('--output', type=str, required=True, metavar='DIR', help='Folder of the run.')
    new.add_argument(
        '--images', type=str | None, metavar='DIR',
        help='Folder of image shards, drawn if missing; images in the output if left out.',
    )  # fmt: skip
    add_image_options(new)
    new.add_argument(
        '--image-network', type=str | None, metavar='FILE',
        help='Weights of a ResNet-18 or -34: from pretrain-image, or of ImageNet (torchvision). '
        'Taught if left out.',
    )  # fmt: skip
    new.add_argument(
        '--teacher-steps', type=int, default=900, metavar='N', help='When it has to be taught.'
    )
    new.add_class_arguments(PretrainingConfig, 'training', help='How to train.')
    new.add_argument('--accelerator', type=str, default='auto', help='auto, cpu or gpu.')
    new.add_argument('--devices', type=str, default='1', help='Number of devices, or auto.')
    new.add_argument('--strategy', type=str, default='auto', help='auto or ddp.')
    new.add_argument('--precision', type=str, default='32-true', help='Or bf16-mixed.')
    new.add_argument(
        '--export', action='store_true',
        help='Only write the backbone of the last checkpoint of a run that goes on.',
    )  # fmt: skip
    add_json_option(new)
    return new


def run(arguments: Any) -> int:
    """Pre-train and say where the backbone is."""
    from pointata_core.cli.console import note
    from pointata_core.models.checkpoints.files import sha256_of
    from pointata_core.training.pretrain.costs import describe_cost
    from pointata_core.training.pretrain.image_bank import ImageBank
    from pointata_core.training.pretrain.running import run_pretraining

    output = Path(arguments.output)
    if arguments.export:
        from pointata_core.training.pretrain.exporting import export_checkpoint

        print(export_checkpoint(output))
        return 0
    config = PretrainingConfig(**arguments.training.as_dict())
    arguments.images = arguments.images or str(output / 'images')
    folder = rendering_folder(arguments)
    bank = ImageBank.read(folder)
    weights = _image_encoder(arguments, config, bank, output)
    provenance = _provenance(folder, weights)
    options = {
        'accelerator': arguments.accelerator,
        'devices': arguments.devices if arguments.devices == 'auto' else int(arguments.devices),
        'strategy': arguments.strategy,
        'precision': arguments.precision,
    }
    backbone = run_pretraining(
        output, config, bank, weights, provenance=provenance, trainer_options=options
    )
    if os.environ.get('LOCAL_RANK', '0') != '0' or os.environ.get('RANK', '0') != '0':
        return 0  # one process speaks for all
    manifest = json.loads(backbone.with_suffix('.json').read_text())
    if arguments.json:
        print(json.dumps({'backbone': str(backbone), **manifest}, indent=2))
    else:
        note(f'{backbone}: {sha256_of(backbone)[:12]}, {manifest["measured"]}')
        for part, facts in manifest.get('costs', {}).items():
            if facts:
                note(describe_cost(part, facts))
    return 0


def _provenance(folder: RenderingFolder, weights: Path | None) -> dict[str, Any]:
    data, licence = image_source(folder)
    facts = weights.with_suffix('.json') if weights else None
    teacher = json.loads(facts.read_text()) if facts and facts.is_file() else None
    return {
        'data': data,
        'licence': licence,
        'broken_meshes': [f'{mesh.name}: {mesh.reason}' for mesh in folder.broken],
        'teacher': teacher,
        'costs': {
            'images': image_costs(folder.folder),
            'image_encoder': (teacher or {}).get('costs'),
        },
    }


def _image_encoder(arguments: Any, config: Any, bank: Any, output: Path) -> Path | None:
    from pointata_core.cli.console import note, progress
    from pointata_core.training.pretrain.teacher import TeacherConfig, save_teacher, train_teacher

    if not config.contrasts:
        return None
    if arguments.image_encoder:
        return Path(arguments.image_encoder)
    path = output / 'teacher.safetensors'
    if not path.is_file():
        note(f'{path}: teaching a image encoder')
        with progress('teaching') as report:
            teacher = TeacherConfig(steps=arguments.teacher_steps, seed=config.seed)
            save_teacher(path, *train_teacher(bank, teacher, report))
    return path
