# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata convert``: a public checkpoint to safetensors, offline and once."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pointata_core.cli.arguments import Parser, new_parser
from pointata_core.errors import ConfigError

NAME = 'convert'
SUMMARY = 'Turn a public Point-MAE, Point-BERT or ReCon checkpoint into safetensors.'

_EXAMPLES = """\
examples:
  pointata convert pretrain.pth backbone.safetensors
  pointata convert recon_base.pth backbone.safetensors --family recon"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Read a backbone out of a public checkpoint and write it as safetensors, the only format '
        'that is loaded at run time. The checkpoint is read with weights_only, which runs no code '
        'from it.',
        _EXAMPLES,
    )
    new.option('checkpoint FILE', 'The .pth, .pt or .ckpt file.', kind=str)
    new.option('output OUTPUT', 'The .safetensors file to write.', kind=str)
    new.option('--family NAME', 'point_mae, point_bert or recon; auto recognises it.', 'auto')
    new.flag(
        '--force', 'Read even with a torch version whose weights-only reader is known to be unsafe.'
    )
    return new


def run(arguments: Any) -> int:
    """Convert, and list the tensors that were kept and left out."""
    from pointata_core.cli.console import print_json

    output = Path(arguments.output)
    if output.suffix != '.safetensors':
        raise ConfigError(
            f"output is '{output}', expected a name that ends in .safetensors", 'Rename it'
        )
    if not output.absolute().parent.is_dir():
        raise ConfigError(f'{output.parent}: no such folder', 'Create it first')
    from pointata_core.models.checkpoints.conversion import convert_checkpoint, save_backbone

    source, family = arguments.checkpoint, arguments.family
    converted = convert_checkpoint(source, family=family, force=arguments.force)
    save_backbone(output, converted)
    summary = {
        'output': str(output),
        'family': converted.family,
        'preset': converted.preset,
        'width': converted.config.width,
        'depth': converted.config.depth,
        **asdict(converted.report),
    }
    if arguments.json:
        print_json(summary)
    else:
        _print(summary)
    return 0


def _print(summary: dict[str, Any]) -> None:
    from pointata_core.cli.console import print_rows

    shape = f'{summary["depth"]} blocks of width {summary["width"]}'
    rows = {
        'family': summary['family'],
        'backbone': f'{shape}, {summary["parameters"]:,} parameters'
        + (f' (preset {summary["preset"]})' if summary['preset'] else ''),
        'taken over': f'{summary["converted"]} tensors of {summary["source"]}',
        'left behind': ', '.join(f'{n} ({c})' for n, c in summary['left_behind'].items()) or '-',
        'must be trained': ', '.join(summary['must_train']) or '-',
        'written to': summary['output'],
    }
    print_rows(rows, 16)
