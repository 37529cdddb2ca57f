# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata train``: from labelled clips to a skill that the node serves."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser

if TYPE_CHECKING:
    from pointata_core.training.skill.align import AlignResult

NAME = 'train'
SUMMARY = 'Train a skill stage by stage, score it, write bundle and report.'

_EXAMPLES = """\
examples:
  pointata train --config config/training/radhar.yaml data.root=datasets/RadHAR output=runs/radhar
  pointata train --config config/training/utd_mhad.yaml 'stages=[adapt]' tuning.mode=probe
  pointata train --config config/training/utd_mhad.yaml 'stages=[align]' output=runs/aligned
  pointata train --config my.yaml network.embedder=runs/aligned/align/weights.safetensors
  pointata train --config config/training/default.yaml        # the bundle that ships, from nothing
  torchrun --nproc-per-node 4 -m pointata_core.cli.main train --config config/training/ntu60.yaml
  ros2 launch pointata_ros perception.launch.py bundle:=runs/radhar/bundle"""


def parser() -> Parser:
    """Options of the command."""
    return settings_parser(
        'Run the stages of the file (align: bring features close to those of 3D shapes; adapt: '
        'train adapters and heads), score the validation split, and leave bundle, results.json '
        'and report.html in OUTPUT. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/training.md.',
        _EXAMPLES,
    )


def run(arguments: Any) -> int:
    """Train, score, report."""
    from pointata_core.cli.console import err, note, out, print_json, progress
    from pointata_core.training.skill.settings import TrainingSettings
    from pointata_core.training.skill.training import run_train

    settings = read_arguments(TrainingSettings, arguments)
    result = run_train(settings, progress=progress, quiet=not err().is_terminal)
    if result is None:
        return 0
    if arguments.json:
        values = asdict(result)
        paths = {name: str(values[name]) for name in ('folder', 'bundle', 'report')}
        print_json({**values, **paths})
        return 0
    if result.align is not None:
        _print_align(result.align)
    for score in result.scores:
        if len(result.scores) > 1:
            out().print(f'{score.task} {score.kind}'.rstrip())
        for name, value in score.metrics.items():
            out().print(f'{name:22} {100 * value:6.2f} %')
        out().print(f'{"right / all":22} {score.right} / {score.total}')
        if score.per_subject:
            shares = ', '.join(f'{who}: {100 * s:.1f} %' for who, s in score.per_subject.items())
            out().print(f'{"by subject":22} {shares}')
    for sentence in result.training.get('data_notes', ()):
        note(f'note: {sentence}')
    if result.bundle is None:
        note(f'{result.folder}: the results of the stages')
    else:
        note(f'{result.bundle}: the skill; {result.report}: the report')
    return 0


def _print_align(result: AlignResult) -> None:
    from pointata_core.cli.console import out

    out().print(f'{"alignment":22} {"before":>10} {"after":>10}')
    for name, before in asdict(result.before).items():
        out().print(f'{name:22} {before:10.4f} {getattr(result.after, name):10.4f}')
    if result.offsets_scaled != 1:
        out().print(f'{"offsets scaled by":22} {result.offsets_scaled:10.4f}')
