# SPDX-License-Identifier: Apache-2.0
"""``pointata domain-adapt``: a camera and LiDAR network for a domain without labels."""

from __future__ import annotations

import json
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, new_parser
from pointata_core.training.domain.configuration import Domain, DomainAdaptationConfig

NAME = 'domain-adapt'
SUMMARY = 'Train a camera and LiDAR network for a domain without labels (FtD++, xMUDA).'

_EXAMPLES = """\
examples:
  pointata domain-adapt --output runs/night --task nuscenes_lidarseg --source.dataset nuscenes_lidarseg --source.root nuscenes --source.split train_day --target.dataset nuscenes_lidarseg --target.root nuscenes --target.split train_night --training.setting day_to_night
  pointata domain-adapt --output runs/night_xmuda --task nuscenes_lidarseg --source.dataset exported --source.root day --target.dataset exported --target.root night --training.method xmuda"""  # noqa: E501


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Train on labelled frames of a source and unlabelled frames of a target, and score the '
        'last step on a test split. What comes out is a camera bundle, OUTPUT/bundle, for the node '
        'and for pointata evaluate. Baselines: --training.method source_only, xmuda, min_entropy, '
        'pseudo_labels. Started again on the same folder, it goes on where it was.',
        _EXAMPLES,
    )
    new.add_argument('--config', action='config', help='YAML file with any of these options.')
    new.add_argument('--output', type=str, required=True, metavar='DIR', help='Folder of the run.')
    new.add_argument(
        '--task', type=str, required=True, metavar='NAME',
        help='Classes: nuscenes_lidarseg, virtual_kitti_semantickitti, a2d2_semantickitti or '
        'simulated_semantickitti.',
    )  # fmt: skip
    new.add_argument('--source', type=Domain, required=True, help='Labelled frames.')
    new.add_argument('--target', type=Domain, required=True, help='Frames without labels.')
    new.add_argument(
        '--test', type=Domain | None, help='Labelled frames of the target to score on.'
    )
    new.add_argument(
        '--labelled', type=Domain | None,
        help='A few frames of the target domain with labels: half of each labelled batch.',
    )  # fmt: skip
    new.add_class_arguments(DomainAdaptationConfig, 'training', help='How to train.')
    new.add_argument('--accelerator', type=str, default='auto', help='auto, cpu or gpu.')
    new.add_argument('--precision', type=str, default='32-true', help='Or bf16-mixed.')
    new.add_argument(
        '--licence',
        type=str,
        default='not stated; see the terms of the training data',
        metavar='TEXT',
        help='Of the weights: an SPDX identifier or a sentence, kept in the bundle.',
    )
    add_json_option(new)
    return new


def run(arguments: Any) -> int:
    """Train, score and say how it went."""
    from pathlib import Path

    from pointata_core.cli.camera_export import export_run
    from pointata_core.cli.console import note
    from pointata_core.training.domain.running import Domains, run_domain_adaptation

    made = parser().instantiate_classes(arguments)
    config = DomainAdaptationConfig(**arguments.training.as_dict())
    domains = Domains.open(arguments.task, made.source, made.target, made.test, made.labelled)
    # One device: scoring and pseudo-labels between the stages are not shared out.
    options = {
        'accelerator': arguments.accelerator,
        'devices': 1,
        'precision': arguments.precision,
    }
    results = run_domain_adaptation(arguments.output, config, domains, options)
    bundle = export_run(Path(arguments.output), config, domains, results, arguments.licence)
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
            note(f'{stage} stage, mIoU on {domains.test.split}: {shown}')
    note(f'results: {arguments.output}/results.json, bundle: {bundle}')
    return 0
