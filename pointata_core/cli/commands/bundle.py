# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata bundle``: what is in a skill bundle, and is it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointata_core.cli.arguments import Parser, new_parser

NAME = 'bundle'
SUMMARY = 'Verify a skill bundle and show what it contains.'

_EXAMPLES = """\
examples:
  pointata bundle
  pointata bundle skills/warehouse --json"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Check every hash, tensor and name of a bundle, as the node does before it serves it, and '
        'show its manifest. Exit status 1 if it cannot be used.',
        _EXAMPLES,
    )
    new.add_argument(
        'path',
        type=str | None,
        nargs='?',
        metavar='DIR',
        help='Folder of the bundle; the default bundle if left out.',
    )
    return new


def run(arguments: Any) -> int:
    """Verify and show."""
    from pointata_core.bundles.verify import verify_bundle
    from pointata_core.cli.console import print_json
    from pointata_core.resources import DEFAULT_BUNDLE, resource_path

    path = Path(arguments.path) if arguments.path else resource_path(DEFAULT_BUNDLE)
    report = verify_bundle(path)
    if arguments.json:
        print_json(_facts(report))
    else:
        _print(report)
    return 0 if report.ok else 1


def _facts(report: Any) -> dict[str, Any]:
    manifest = report.manifest
    facts = {
        'path': str(report.path),
        'ok': report.ok,
        'checks': list(report.checks),
        'problem': report.problem,
        'fix': report.fix,
        'parameters': report.parameters,
    }
    if manifest is not None:
        facts |= {
            'name': manifest.name,
            'hash': manifest.checksum,
            'preset': manifest.preset,
            'segmentation_classes': list(manifest.segmentation_classes),
            'action_classes': list(manifest.action_classes),
            'fields': list(manifest.fields),
            'licence': manifest.licence,
            'provenance': dict(manifest.provenance),
        }
    return facts


def _print(report: Any) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import out, print_rows

    for check in report.checks:
        out().print(f'[green]ok[/]       {escape(check)}', soft_wrap=True)
    if not report.ok:
        out().print(f'[red]problem[/]  {escape(report.problem)}', soft_wrap=True)
        if report.fix:
            out().print(f'  fix: {escape(report.fix)}', soft_wrap=True)
    manifest = report.manifest
    if manifest is None:
        return
    rows = {
        'name': manifest.name,
        'hash': manifest.checksum,
        'preset': manifest.preset or '-',
        'parameters': f'{report.parameters:,}',
        'point classes': ', '.join(manifest.segmentation_classes) or 'none',
        'actions': ', '.join(manifest.action_classes) or 'none',
        'input fields': ', '.join(manifest.fields),
        'licence': manifest.licence,
    }
    print_rows(rows, 14)
