# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata doctor``: is everything there, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pointata_core.cli.arguments import Parser, new_parser

NAME = 'doctor'
SUMMARY = 'Check the installation: Python, torch, CUDA, ROS, messages, bundle.'

_EXAMPLES = """\
examples:
  pointata doctor
  pointata doctor --bundle skills/warehouse
  pointata doctor --json"""

_STYLES = {'ok': 'green', 'warn': 'yellow', 'problem': 'bold red'}


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Check everything that the package needs. Each line shows ok, warn (some feature will not '
        'work) or problem (blocking), and a fix. Exit status 1 if there is a blocking problem.',
        _EXAMPLES,
    )
    new.option('--bundle DIR', 'Folder of the bundle to verify; the default bundle if left out.')
    return new


def run(arguments: Any) -> int:
    """Print each check as it finishes, then the number of problems."""
    from pointata_core.cli.console import out, print_json
    from pointata_core.cli.health import PROBLEM, all_checks

    checks = []
    for check in all_checks(arguments.bundle):
        checks.append(check)
        if not arguments.json:
            _print(check)
    problems = sum(check.level == PROBLEM for check in checks)
    if arguments.json:
        print_json([asdict(check) for check in checks])
    else:
        out().print(f'{problems} blocking problem(s)' if problems else 'ready')
    return 1 if problems else 0


def _print(check: Any) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import out

    style = _STYLES[check.level]
    out().print(
        f'[{style}]{check.level:8}[/] [bold]{escape(check.name)}[/]: {escape(check.detail)}',
        soft_wrap=True,
    )
    if check.fix:
        out().print(f'         {escape(check.fix)}', soft_wrap=True)
