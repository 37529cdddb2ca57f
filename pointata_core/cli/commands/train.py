# SPDX-License-Identifier: Apache-2.0
"""``pointata train``: both stages, from labelled clips to a skill that the node serves."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_settings_options, new_parser

NAME = 'train'
SUMMARY = 'Align, then adapt: train a skill, score it, write bundle and report.'

_EXAMPLES = """\
examples:
  pointata train --config config/training/radhar.yaml data.root=datasets/RadHAR output=runs/radhar
  pointata train --config config/training/utd_mhad.yaml align.objective=none
  ros2 launch pointata_ros perception.launch.py bundle:=runs/radhar/bundle"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Run stage 1 and stage 2, score the validation split, and leave bundle, results.json and '
        'report.html in OUTPUT. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/training.md.',
        _EXAMPLES,
    )
    add_settings_options(new)
    return new


def run(arguments: Any) -> int:
    """Train, score, report."""
    from pointata_core.cli.console import err, note, out, progress
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.settings import TrainingSettings
    from pointata_core.training.skill.training import run_train

    settings = read_settings(TrainingSettings, arguments.config, arguments.overrides or ())
    result = run_train(settings, progress=progress, quiet=not err().is_terminal)
    if result is None:
        return 0
    adapted = result.adapt
    if arguments.json:
        aligned = None if result.align is None else asdict(result.align)
        facts = {'bundle': str(adapted.bundle), 'report': str(result.report), 'align': aligned}
        print(json.dumps({**facts, 'score': adapted.score.to_dict(), 'training': adapted.training}))
        return 0
    note(f'{adapted.bundle}: the skill; {result.report}: the report')
    if result.align is not None:
        before, after = result.align.before, result.align.after
        out().print(f'{"OTDD to the shapes":22} {before.otdd:.4f} -> {after.otdd:.4f}')
    for name, value in adapted.score.metrics.items():
        out().print(f'{name:22} {100 * value:6.2f} %')
    out().print(f'{"right / all":22} {adapted.score.right} / {adapted.score.total}')
    return 0
