# SPDX-License-Identifier: Apache-2.0
"""``pointata adapt``: stage 2, a skill trained on a frozen backbone."""

from __future__ import annotations

import json
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_settings_options, new_parser

NAME = 'adapt'
SUMMARY = 'Train adapters and heads on labelled clips (stage 2), or a baseline.'

_EXAMPLES = """\
examples:
  pointata adapt --config config/training/utd_mhad.yaml data.root=datasets/UTD-MHAD
  pointata adapt --config config/training/utd_mhad.yaml tuning.mode=probe output=runs/probe
  torchrun --nproc-per-node 4 -m pointata_core.cli.main adapt --config config/training/ntu60.yaml"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Train a skill on labelled clips and leave its bundle in OUTPUT/bundle. Started again, '
        'an interrupted run goes on from its last checkpoint.\n\nAll settings: docs/training.md.',
        _EXAMPLES,
    )
    add_settings_options(new)
    return new


def run(arguments: Any) -> int:
    """Train, score, store."""
    from pointata_core.cli.console import err, note, out, progress
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.runs import run_adapt
    from pointata_core.training.skill.settings import TrainingSettings

    settings = read_settings(TrainingSettings, arguments.config, arguments.overrides or ())
    quiet = not err().is_terminal
    result = run_adapt(settings, progress=progress, quiet=quiet)
    if result is None:
        return 0
    note(f'{result.bundle}: {result.training["clips_per_second"]} clips a second while training')
    if arguments.json:
        facts = {'bundle': str(result.bundle), **result.score.to_dict(), **result.training}
        print(json.dumps(facts))
    else:
        for name, value in result.score.metrics.items():
            out().print(f'{name:22} {100 * value:6.2f} %')
        out().print(f'{"right / all":22} {result.score.right} / {result.score.total}')
    return 0
