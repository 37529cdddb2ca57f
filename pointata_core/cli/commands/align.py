# SPDX-License-Identifier: Apache-2.0
"""``pointata align``: stage 1, the embedder of a new sensor."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_settings_options, new_parser

NAME = 'align'
SUMMARY = 'Bring the features of labelled clips close to those of 3D shapes (stage 1).'

_EXAMPLES = """\
examples:
  pointata align --config config/training/utd_mhad.yaml data.root=datasets/UTD-MHAD
  pointata align --config config/training/utd_mhad.yaml align.objective=mmd output=runs/mmd
  pointata adapt --config my.yaml network.embedder=runs/mmd/align/embedder.safetensors"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Train the align embedder only, by optimal transport dataset distance or a control, and '
        'leave it in OUTPUT/align. pointata train does this and stage 2 in a row.\n\n'
        'All settings: docs/training.md.',
        _EXAMPLES,
    )
    add_settings_options(new)
    return new


def run(arguments: Any) -> int:
    """Train and store the embedder."""
    from pointata_core.cli.console import note, out, progress
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.settings import TrainingSettings
    from pointata_core.training.skill.training import run_align

    settings = read_settings(TrainingSettings, arguments.config, arguments.overrides or ())
    result, path = run_align(settings, progress=progress)
    if arguments.json:
        print(json.dumps({'embedder': str(path), **asdict(result)}))
        return 0
    note(f'{path}: {result.objective}, {len(result.losses)} epochs, {result.seconds:.0f} s')
    if result.offsets_scaled != 1:
        out().print(f'{"offsets scaled by":22} {result.offsets_scaled:10.4f}')
    out().print(f'{"":22} {"before":>10} {"after":>10}')
    for name, before in asdict(result.before).items():
        out().print(f'{name:22} {before:10.4f} {asdict(result.after)[name]:10.4f}')
    return 0
