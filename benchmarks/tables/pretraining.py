# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of pre-training: what its parts are worth, image encoders, rendered views."""

from __future__ import annotations

import statistics

from benchmarks.experiments.pretraining_variants import VARIANTS
from benchmarks.tables.markdown import mean_percent, table
from benchmarks.tables.results import Results

_ENCODERS = tuple(name for name, one in VARIANTS.items() if one.depth)


def _probes(results: Results, group: str) -> str:
    rows = []
    for name in (name for name, one in VARIANTS.items() if one.group == group):
        runs = results.runs('pretraining', method=name)
        scores = [run['scores'] for run in runs]
        linear = [
            mean_percent(score[kind]['linear']['accuracy'] for score in scores)
            for kind in ('whole', 'scans')
        ]
        few = [
            mean_percent(score[kind]['few_shot'][-1]['mean'] for score in scores)
            for kind in ('whole', 'scans')
        ]
        seconds = statistics.median(run['processor_s'] for run in runs)
        rows.append((name, len(runs), *linear, *few, f'{seconds:.0f} s'))
    header = (
        'variant',
        'seeds',
        'SVM, whole',
        'SVM, scans',
        '1-shot, whole',
        '1-shot, scans',
        'time',
    )
    return table(header, rows)


def parts(results: Results) -> str:
    """Parts of the method: accuracy (%) of an SVM and of ten-way one-shot draws."""
    return _probes(results, 'parts')


def encoders(results: Results) -> str:
    """Backbones behind image encoders of two depths, trained for equally many steps."""
    return _probes(results, 'teacher')


def encoder_accuracy(results: Results) -> str:
    """The image encoders themselves: shares of held-back images that are named right."""
    rows = []
    for name in _ENCODERS:
        facts = results.runs('pretraining', method=name)[-1]['image_encoder']
        rows.append((
            name, f'{100 * facts["accuracy"]:.1f} % (chance {100 * facts["chance"]:.1f} %)',
            f'{facts["costs"]["processor_s"]:.0f} s',
        ))  # fmt: skip
    return table(('image encoder', 'held-back images named right', 'processor time'), rows)


def views(results: Results) -> str:
    """Numbers of rendered views of the same shapes."""
    return _probes(results, 'views')


def meshes(results: Results) -> str:
    """Pre-training on a folder of meshes, some of them broken."""
    found = results('meshes')
    rows = [
        ('sound meshes trained on', found['sound']),
        ('broken meshes, each named with its reason', len(found['broken'])),
        ('linear SVM on the backbone', f'{100 * found["probe"]["backbone"]["accuracy"]:.1f} %'),
        ('on an untrained network', f'{100 * found["probe"]["untrained"]["accuracy"]:.1f} %'),
    ]
    return table(('meshes', 'value'), rows)


TABLES = {
    'pretraining-parts': parts,
    'pretraining-encoders': encoders,
    'pretraining-encoder-accuracy': encoder_accuracy,
    'pretraining-views': views,
    'pretraining-meshes': meshes,
}
"""By the name that documents use."""
