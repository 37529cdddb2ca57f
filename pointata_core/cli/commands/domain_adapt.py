# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata domain-adapt``: networks for places, sensors and seasons without labels."""

from __future__ import annotations

from typing import Any

from pointata_core.cli.arguments import Parser, read_arguments, settings_parser
from pointata_core.errors import ConfigError

NAME = 'domain-adapt'
SUMMARY = 'Adapt a bundle, or train a camera and LiDAR network, for a domain without labels.'

_SELF_TRAINING = 'config/training/self_training.yaml'
_EXAMPLES = """\
examples:
  pointata domain-adapt --bundle default --bag drive.mcap --fixed-frame odom output=runs/mine
  pointata domain-adapt --bundle default --semantickitti dataset/sequences/08 output=runs/08
  pointata domain-adapt --config config/training/domain_day_to_night.yaml output=runs/night
  pointata domain-adapt --config night.yaml training.method=xmuda output=runs/night_xmuda
  pointata domain-adapt task=nuscenes_lidarseg source.dataset=exported source.root=day target.dataset=exported target.root=night"""  # noqa: E501


def parser() -> Parser:
    """Options of the command."""
    new = settings_parser(
        'With --bundle: train a bundle further on a recording without labels, in rounds of '
        'labelling and training beside simulated streets. A bundle that fails its own checks '
        'afterwards is not written. Settings are those of pointata train.\n\n'
        'Without: train on labelled frames of a source and unlabelled frames of a target, and '
        'score the last step on a test split. The outcome is a camera bundle, OUTPUT/bundle, for '
        'the node and for pointata evaluate. Baselines: training.method=source_only, xmuda, '
        'min_entropy, pseudo_labels. Started again, an interrupted run goes on.\n\n'
        'All settings: docs/domain_adaptation.md.',
        _EXAMPLES,
    )
    new.option('--bundle PATH', 'Bundle to adapt, by folder or name.')
    new.option('--bag PATH', 'Recording to adapt it to: rosbag2 folder or file.')
    new.option('--semantickitti DIR', 'Sequence to adapt it to, instead of a bag.')
    new.option('--topic NAME', 'Topic of the clouds; needed only if the bag has several.')
    new.option(
        '--fixed-frame FRAME', 'Frame at rest (map, odom), for the motion of the sensor.', ''
    )
    new.option('--scans N', 'Scans to take, spread over the recording.', 200)
    new.option('--rounds N', 'How often the bundle labels the recording anew.', 2)
    return new


def run(arguments: Any) -> int:
    """Train, score, store, and report."""
    if arguments.bundle is not None:
        return _adapt(arguments)
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


def _adapt(arguments: Any) -> int:
    """Adapt a bundle to a recording."""
    if (arguments.bag is None) == (arguments.semantickitti is None):
        raise ConfigError(
            'expected one of --bag and --semantickitti', 'Name the recording to adapt the bundle to'
        )
    from dataclasses import asdict

    from pointata_core.cli.console import err, note, out, print_json, progress
    from pointata_core.resources import resource_path
    from pointata_core.training.domain.bundle_adaptation import adapt_bundle
    from pointata_core.training.domain.recorded_scans import scans_of_bag, scans_of_sequence
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.settings import TrainingSettings

    config = arguments.config or resource_path(_SELF_TRAINING)
    settings = read_settings(TrainingSettings, config, arguments.overrides or ())
    if arguments.bag is not None:
        scans = scans_of_bag(arguments.bag, arguments.topic, arguments.fixed_frame)
    else:
        scans = scans_of_sequence(arguments.semantickitti)
    found = adapt_bundle(
        arguments.bundle, scans, settings, most_scans=arguments.scans, rounds=arguments.rounds,
        progress=progress, quiet=not err().is_terminal,
    )  # fmt: skip
    if arguments.json:
        print_json({**asdict(found), 'bundle': found.bundle and str(found.bundle)})
    else:
        for name in ('agreement', 'steadiness'):
            old, new = getattr(found.before, name), getattr(found.after, name)
            if old is not None and new is not None:
                out().print(f'{name:12} {100 * old:6.1f} % before, {100 * new:6.1f} % after')
    for sentence in found.worse:
        note(f'not written: {sentence}')
    if found.bundle is None:
        note(f'{settings.output}: the rounds; the bundle that was given is the better one')
        return 1
    note(f'{found.bundle}: the adapted bundle')
    return 0
