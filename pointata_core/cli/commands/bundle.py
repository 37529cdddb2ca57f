# SPDX-License-Identifier: Apache-2.0
"""``pointata bundle``: what is in a skill bundle, and is it whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser

NAME = 'bundle'
SUMMARY = 'Verify a skill bundle and show what it contains.'

_EXAMPLES = """\
examples:
  pointata bundle
  pointata bundle skills/warehouse --json"""


def parser() -> ArgumentParser:
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
    add_json_option(new)
    return new


def run(arguments: Any) -> int:
    """Verify and show."""
    from pointata_core.bundles.verify import verify_bundle
    from pointata_core.cli.console import out
    from pointata_core.resources import DEFAULT_BUNDLE, resource_path

    report = verify_bundle(
        Path(arguments.path) if arguments.path else resource_path(DEFAULT_BUNDLE)
    )
    if arguments.json:
        print(json.dumps(_facts(report), indent=2))
    else:
        _print(report, out())
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


def _print(report: Any, console: Any) -> None:
    from rich.markup import escape

    for check in report.checks:
        console.print(f'[green]ok[/]       {escape(check)}', soft_wrap=True)
    if not report.ok:
        console.print(f'[red]problem[/]  {escape(report.problem)}', soft_wrap=True)
        if report.fix:
            console.print(f'  fix: {escape(report.fix)}', soft_wrap=True)
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
    for name, value in rows.items():
        console.print(f'[bold]{name:14}[/] {escape(value)}', soft_wrap=True)
