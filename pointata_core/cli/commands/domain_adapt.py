# SPDX-License-Identifier: Apache-2.0
"""``pointata domain-adapt``: a camera and LiDAR network for a domain without labels."""

from __future__ import annotations

import json
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_settings_options, new_parser

NAME = 'domain-adapt'
SUMMARY = 'Train a camera and LiDAR network for a domain without labels (FtD++, xMUDA).'

_EXAMPLES = """\
examples:
  pointata domain-adapt --config config/training/domain_day_to_night.yaml output=runs/night
  pointata domain-adapt --config night.yaml training.method=xmuda output=runs/night_xmuda
  pointata domain-adapt task=nuscenes_lidarseg source.dataset=exported source.root=day target.dataset=exported target.root=night"""  # noqa: E501


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Train on labelled frames of a source and unlabelled frames of a target, and score the '
        'last step on a test split. The outcome is a camera bundle, OUTPUT/bundle, for the node '
        'and for pointata evaluate. Baselines: training.method=source_only, xmuda, min_entropy, '
        'pseudo_labels. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/domain_adaptation.md.',
        _EXAMPLES,
    )
    add_settings_options(new)
    return new


def run(arguments: Any) -> int:
    """Train, score, store, and report."""
    from pathlib import Path

    from pointata_core.cli.console import err, note
    from pointata_core.training.domain.domains import Domains
    from pointata_core.training.domain.export import export_run
    from pointata_core.training.domain.run import run_domain_adaptation
    from pointata_core.training.domain.settings import DomainSettings
    from pointata_core.training.engine.settings import read_settings

    settings = read_settings(DomainSettings, arguments.config, arguments.overrides or ())
    domains, config = Domains.open(settings), settings.training
    output = Path(settings.output)
    results = run_domain_adaptation(output, config, domains, quiet=not err().is_terminal)
    bundle = export_run(output, config, domains, results, settings.licence)
    if arguments.json:
        print(json.dumps(results, indent=2))
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
