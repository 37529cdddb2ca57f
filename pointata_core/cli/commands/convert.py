# SPDX-License-Identifier: Apache-2.0
"""``pointata convert``: a public checkpoint to safetensors, offline and once."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser
from pointata_core.errors import ConfigError

NAME = 'convert'
SUMMARY = 'Turn a public Point-MAE, Point-BERT or ReCon checkpoint into safetensors.'

_EXAMPLES = """\
examples:
  pointata convert pretrain.pth backbone.safetensors
  pointata convert recon_base.pth backbone.safetensors --family recon"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Read a backbone out of a public checkpoint and write it as safetensors, the only format '
        'that is loaded at run time. The checkpoint is read with weights_only, which runs no code '
        'from it.',
        _EXAMPLES,
    )
    new.add_argument('checkpoint', type=str, metavar='FILE', help='The .pth, .pt or .ckpt file.')
    new.add_argument('output', type=str, metavar='OUTPUT', help='The .safetensors file to write.')
    new.add_argument(
        '--family',
        type=str,
        default='auto',
        metavar='NAME',
        help='point_mae, point_bert or recon; auto recognises it.',
    )
    new.add_argument(
        '--force',
        action='store_true',
        help='Read even with a torch version whose weights-only reader is known to be unsafe.',
    )
    add_json_option(new)
    return new


def run(arguments: Any) -> int:
    """Convert, and list the tensors that were kept and left out."""
    output = Path(arguments.output)
    if output.suffix != '.safetensors':
        raise ConfigError(
            f"output is '{output}', expected a name that ends in .safetensors", 'Rename it'
        )
    if not output.absolute().parent.is_dir():
        raise ConfigError(f'{output.parent}: no such folder', 'Create it first')
    from pointata_core.models.checkpoints.conversion import convert_checkpoint, save_backbone

    converted = convert_checkpoint(
        arguments.checkpoint, family=arguments.family, force=arguments.force
    )
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
        print(json.dumps(summary, indent=2))
    else:
        _print(summary)
    return 0


def _print(summary: dict[str, Any]) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import out

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
    for name, value in rows.items():
        out().print(f'[bold]{name:16}[/] {escape(value)}', soft_wrap=True)
