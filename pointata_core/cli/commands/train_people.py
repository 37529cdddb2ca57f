# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata train-people``: a person skill from simulated people."""

from __future__ import annotations

from typing import Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser

NAME = 'train-people'
SUMMARY = 'Train a person skill: what each followed person does.'

_EXAMPLES = """\
examples:
  pointata train-people --config config/training/people.yaml
  pointata train-people --config config/training/people.yaml steps=500 output=runs/short"""


def parser() -> Parser:
    """Options of the command."""
    return settings_parser(
        'Simulate people before the sensors of the recipe, cut them out as a session does, train, '
        'and score on bodies and motions that were left out. The outcome is OUTPUT/bundle, for '
        'pointata evaluate --people. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/training.md.',
        _EXAMPLES,
    )


def run(arguments: Any) -> int:
    """Train, score, store, and report."""
    from pointata_core.cli.console import err, note, print_json, progress
    from pointata_core.training.people.run import run_people
    from pointata_core.training.people.settings import PeopleSettings

    settings = read_arguments(PeopleSettings, arguments)
    with progress('simulating people', show=not arguments.json) as report_progress:
        results = run_people(settings, quiet=not err().is_terminal, progress=report_progress)
    if arguments.json:
        print_json(results)
        return 0
    for kind, score in results['scores'].items():
        note(
            f'{kind}: {100 * score["accuracy"]:.1f} % of {score["frames"]} person-frames right, '
            f'F1@50 {100 * score["f1"]["50"]:.1f}'
        )
    note(f'results: {settings.output}/results.json, bundle: {results["bundle"]}')
    return 0
