# SPDX-License-Identifier: Apache-2.0
"""``pointata domain-adapt``: a camera and LiDAR network for a domain without labels."""

from __future__ import annotations

from typing import Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser

NAME = 'domain-adapt'
SUMMARY = 'Train a camera and LiDAR network for a domain without labels (FtD++, xMUDA).'

_EXAMPLES = """\
examples:
  pointata domain-adapt --config config/training/domain_day_to_night.yaml output=runs/night
  pointata domain-adapt --config night.yaml training.method=xmuda output=runs/night_xmuda
  pointata domain-adapt task=nuscenes_lidarseg source.dataset=exported source.root=day target.dataset=exported target.root=night"""  # noqa: E501


def parser() -> Parser:
    """Options of the command."""
    return settings_parser(
        'Train on labelled frames of a source and unlabelled frames of a target, and score the '
        'last step on a test split. The outcome is a camera bundle, OUTPUT/bundle, for the node '
        'and for pointata evaluate. Baselines: training.method=source_only, xmuda, min_entropy, '
        'pseudo_labels. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/domain_adaptation.md.',
        _EXAMPLES,
    )


def run(arguments: Any) -> int:
    """Train, score, store, and report."""
    from pathlib import Path

    from pointata_core.cli.console import err, note, print_json
    from pointata_core.training.domain.domains import Domains
    from pointata_core.training.domain.export import export_run
    from pointata_core.training.domain.run import run_domain_adaptation
    from pointata_core.training.domain.settings import DomainSettings

    settings = read_arguments(DomainSettings, arguments)
    domains, config = Domains.open(settings), settings.training
    output = Path(settings.output)
    results = run_domain_adaptation(output, config, domains, quiet=not err().is_terminal)
    bundle = export_run(output, config, domains, results, settings.licence)
    if arguments.json:
        print_json(results)
        return 0
    for stage in ('first', 'second'):
        if stage in results:
            shown = ', '.join(
                f'{name} {results[stage][name]["miou"]:.3f}'
                for name in ('image', 'cloud', 'ensemble')
                if name in results[stage]
            )
            note(f'{stage} stage, mIoU on the test split: {shown}')
    note(f'results: {output}/results.json, bundle: {bundle}')
    return 0
