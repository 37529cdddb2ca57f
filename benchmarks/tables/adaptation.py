# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the comparison of methods, of transfer and of time in segmentation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from functools import partial

from benchmarks.experiments.adaptation_methods import METHODS
from benchmarks.experiments.temporal_runs import STARTS, VARIANTS
from benchmarks.tables.markdown import (
    mean_deviation,
    mean_percent,
    millions,
    percent,
    summaries,
    table,
)
from benchmarks.tables.results import SCENES, Results, methods


def _seconds(runs: list[dict]) -> str:
    return f'{statistics.median(run["processor_s"] for run in runs):.0f} s'


def compared(results: Results) -> str:
    """The methods of the comparison, and what each of them trains."""
    return summaries(METHODS)


def _by_seed(runs: Iterable[dict], value: Callable[[dict], object]) -> str:
    """One value a seed; empty where no run has it, a dash where one has not."""
    found = [value(run) for run in sorted(runs, key=lambda run: run['seed'])]
    if all(one is None for one in found):
        return ''
    return ', '.join('–' if one is None else str(one) for one in found)


def _right(run: dict, share: str) -> int | None:
    value = run.get(share)
    return None if value is None else round(value * run['videos'])


def _grouped(runs: list[dict]) -> list[tuple[str, list[dict]]]:
    """Runs of each method, best mean score first."""
    groups = [(name, [run for run in runs if run['method'] == name]) for name in methods(runs)]
    return sorted(
        groups,
        key=lambda group: (
            -statistics.fmean(run.get('miou', run['accuracy']) for run in group[1]),
            group[0],
        ),
    )


def _name(method: str, runs: list[dict]) -> str:
    """A method, with a mark where its runs were made with an earlier form of it."""
    outdated = any('outdated' in run for run in runs)
    return f'`{method}`' + (' (again)' if outdated else '')


def _full_labels(results: Results, task: str, name: str = 'adaptation') -> list[dict]:
    return [run for run in results.runs(name, task) if run['fraction'] == 1]


def _actions(results: Results, task: str, windows: bool = False) -> str:
    runs = _full_labels(results, task)
    rows = []
    for name, group in _grouped(runs):
        row = [_name(name, group), millions(group[0]['trainable']), _by_seed(group, _correct)]
        if windows:
            row.append(_by_seed(group, lambda run: f'{100 * run["clip_accuracy"]:.1f}'))
        row += [
            _by_seed(group, partial(_right, share='positions_accuracy')),
            _by_seed(group, partial(_right, share='tokens_accuracy')),
            _seconds(group),
        ]
        rows.append(row)
    header = ['method', 'trained', f'right of {runs[0]["videos"]}']
    header += ['windows (%)'] if windows else []
    return table([*header, 'positions alone', 'tokens alone', 'time'], rows)


def _correct(run: dict) -> int:
    return run['correct']


def utd_mhad(results: Results) -> str:
    """UTD-MHAD: recordings of subject 7 named right, by seed, best mean first."""
    return _actions(results, 'utd_mhad')


def radhar(results: Results) -> str:
    """RadHAR: held-out recordings named right, by seed, best mean first."""
    return _actions(results, 'radhar', windows=True)


def radhar_labels(results: Results) -> str:
    """RadHAR with fewer labels: recordings right, and windows in per cent."""
    runs = results.runs('adaptation', 'radhar')
    fractions = sorted({run['fraction'] for run in runs})
    rows = []
    for name in methods(runs):
        mine = [run for run in runs if run['method'] == name]
        if len({run['fraction'] for run in mine}) < 2:
            continue
        cells = []
        for fraction in fractions:
            group = [run for run in mine if run['fraction'] == fraction]
            windows = _by_seed(group, lambda run: f'{100 * run["clip_accuracy"]:.1f}')
            cells.append(f'{_by_seed(group, _correct)}; {windows} %' if group else '')
        rows.append((_name(name, mine), *cells))
    rows.sort(key=lambda row: row[0])
    header = (f'{100 * fraction:g} % of the labels' for fraction in fractions)
    return table(('method', *header), rows)


def simulated(results: Results, name: str = 'adaptation') -> str:
    """Segmentation of simulated streets: methods by seed, best mean first."""
    rows = [
        (
            f'`{method}`',
            millions(group[0]['trainable']),
            _by_seed(group, lambda run: f'{100 * run["miou"]:.1f}'),
            _seconds(group),
        )
        for method, group in _grouped(_full_labels(results, 'simulated', name))
    ]
    return table(('method', 'trained', 'mean IoU (%) by seed', 'processor time'), rows)


def designs(results: Results) -> str:
    """Changes of PointATA, judged on the streets of the validation split."""
    return simulated(results, 'adaptation_design')


def alignment(results: Results) -> str:
    """OTDD between patches of the target and of shapes, before and after stage 1."""
    rows = []
    for task in dict.fromkeys(run['task'] for run in results.runs('adaptation')):
        for method in ('pointata', 'align-extent', 'align-unscaled'):
            runs = [run for run in results.runs('adaptation', task, method) if run['align']]
            if not runs:
                continue
            align = min(runs, key=lambda run: (-run['fraction'], run['seed']))['align']
            rows.append((
                task, f'`{method}`',
                *(f'{align[when]["otdd"]:.3g} ({align[when]["separability"]:.2f})'
                  for when in ('before', 'after')),
            ))  # fmt: skip
    return table(('data set', 'method', 'before', 'after'), rows)


TRANSFER = {'utd_mhad': 'accuracy', 'utd_mhad_dense': 'accuracy', 'simulated': 'miou'}
"""Tasks of transfer and their measures."""


def transfer(results: Results) -> str:
    """Skills on frozen backbones: video accuracy of UTD-MHAD, mean IoU of simulated scenes."""
    rows = []
    for task, measure in TRANSFER.items():
        runs = results.runs('transfer', task)
        for method in sorted(methods(runs), key=lambda name: _transfer_order(name)):
            mine = [run for run in runs if run['method'] == method]
            backbone, tuning = method.split('/')
            rows.append((
                task, tuning, backbone, len(mine),
                mean_percent(run['metrics'][measure] for run in mine),
                f'{mine[0]["trainable"]:,}', _seconds(mine),
            ))  # fmt: skip
    header = (
        'task', 'trained', 'backbone', 'seeds', 'score (%)', 'trained parameters', 'processor time',
    )  # fmt: skip
    return table(header, rows)


def _transfer_order(method: str) -> tuple[int, int]:
    backbone, tuning = method.split('/')
    order = ('random', 'masked', 'pic-point', 'pic-point-full')
    return ('head', 'adapters').index(tuning), order.index(backbone)


def frozen_features(results: Results) -> str:
    """Frozen features of people: linear classification of actions, effective rank."""
    runs = [run for run in results.runs('frozen_features') if 'plain' in run]
    rows = []
    for task in dict.fromkeys(run['task'] for run in runs):
        for method in methods(runs):
            mine = [run for run in runs if (run['task'], run['method']) == (task, method)]
            if not mine:
                continue
            rows.append((
                task, method, len(mine), mean_deviation([run['rank'] for run in mine]),
                mean_percent(run['plain'] for run in mine),
                mean_percent(run['whitened'] for run in mine),
                mean_percent(run['frames'] for run in mine if 'frames' in run),
            ))  # fmt: skip
    header = (
        'preparation', 'backbone', 'files', 'rank', 'six frames', 'whitened', 'one frame',
    )  # fmt: skip
    return table(header, rows)


def frozen_people(results: Results) -> str:
    """Frozen features of single frames of simulated people: parts of the body, poses."""
    runs = [run for run in results.runs('frozen_features') if 'parts' in run]
    rows = [
        (
            method,
            len(mine),
            mean_percent(run['parts'] for run in mine),
            mean_percent(run['parts_most_frequent'] for run in mine),
            mean_percent(run['poses'] for run in mine),
        )
        for method in methods(runs)
        if (mine := [run for run in runs if run['method'] == method])
    ]
    header = ('backbone', 'files', 'body parts (%)', 'most frequent part (%)', 'poses found (%)')
    return table(header, rows)


def followed_tokens(results: Results) -> str:
    """Tubes of tokens on people: on the same part of the body (%), different ancestors (%)."""
    rows = results('followed_tokens')['rows']
    found = []
    for sensor in dict.fromkeys(row['sensor'] for row in rows):
        for anchors in dict.fromkeys(row['anchors'] for row in rows):
            mine = [r for r in rows if (r['sensor'], r['anchors']) == (sensor, anchors)]
            cells = [f'{100 * row["same_part"]:.0f} ({100 * row["different"]:.0f})' for row in mine]
            found.append((sensor, anchors, *cells))
    first = [row for row in rows if (row['sensor'], row['anchors']) == found[0][:2]]
    header = ('sensor', 'centres', *(f'frames back: {row["back"]}' for row in first))
    return table(header, found)


def default_start(results: Results) -> str:
    """What a short training of the default bundle begins with: mean IoU (%) on held-out scenes."""
    starts = {
        name: results.runs('default_start', method=name)
        for name in sorted(methods(results.runs('default_start')), reverse=True)
    }
    rows = []
    for kind, what in SCENES.items():
        scores = [percent(r['scores'][kind]['miou'] for r in runs) for runs in starts.values()]
        rows.append((what, *(mean_deviation(one) for one in scores)))
    means = [
        [100 * statistics.fmean(s['miou'] for s in run['scores'].values()) for run in runs]
        for runs in starts.values()
    ]
    rows += [
        ('mean', *(mean_deviation(one) for one in means)),
        ('trained', *(millions(runs[0]['trained_parameters']) for runs in starts.values())),
        ('processor time', *(_seconds(runs) for runs in starts.values())),
    ]
    return table(('scenes', *starts), rows)


_GROUPS = {'all': 'all classes', 'movable': 'things that can move', 'static': 'other classes'}
_APART = {
    'moving-car': 'moving cars',
    'car': 'standing cars',
    'moving-person': 'moving persons',
    'person': 'standing persons',
}


def temporal_variants(results: Results) -> str:
    """What is compared in the question whether time pays."""
    return summaries(VARIANTS, 'variant', 'takes as input')


def temporal_simulated(results: Results) -> str:
    """Whether time pays in segmentation of simulated streets: IoU (%)."""
    variants = {name: results.runs('temporal_context', 'simulated', name) for name in VARIANTS}
    variants = {name: runs for name, runs in variants.items() if runs}
    rows = [('seeds', *map(len, variants.values()))]
    for part, names in (('miou', _GROUPS), ('iou_apart', _APART)):
        for name, what in names.items():
            scores = [percent(run[part][name] for run in runs) for runs in variants.values()]
            rows.append((what, *(mean_deviation(one) for one in scores)))
    rows.append(('processor time', *(_seconds(runs) for runs in variants.values())))
    return table(('IoU (%)', *(f'`{name}`' for name in variants)), rows)


def temporal_recorded(results: Results) -> str:
    """The same on a recorded street: SemanticKITTI, sequence 00, frames 16 to 20."""
    rows = []
    for name in VARIANTS:
        for start, summary in STARTS.items():
            runs = results.runs('temporal_context', 'recorded', f'{name}/{start}')
            if not runs:
                continue
            means = [mean_percent(run['miou'][g] for run in runs) for g in _GROUPS]
            rows.append((f'`{name}`', summary, len(runs), *means, _seconds(runs)))
    header = ('variant', 'begins with', 'seeds', *_GROUPS, 'time')
    return table(header, rows)


TABLES = {
    'adaptation-methods': compared,
    'adaptation-utd-mhad': utd_mhad,
    'adaptation-radhar': radhar,
    'adaptation-radhar-labels': radhar_labels,
    'adaptation-simulated': simulated,
    'adaptation-designs': designs,
    'alignment': alignment,
    'transfer': transfer,
    'frozen-features': frozen_features,
    'frozen-people': frozen_people,
    'followed-tokens': followed_tokens,
    'default-start': default_start,
    'temporal-context-variants': temporal_variants,
    'temporal-context-simulated': temporal_simulated,
    'temporal-context-recorded': temporal_recorded,
}
"""By the name that documents use."""
