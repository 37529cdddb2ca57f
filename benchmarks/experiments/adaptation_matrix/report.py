# SPDX-License-Identifier: Apache-2.0
"""Table and plots of the runs so far: mean and spread over seeds, never a best of anything."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run
from pointata_core.evaluation.colours import colour_of
from pointata_core.evaluation.report.images import to_png


@dataclass(frozen=True)
class Row:
    """One method at one label fraction of one data set, over its seeds.

    Args:
        data: Data set.
        fraction: Share of the labels.
        method: Name of the method.
        seeds: Runs behind the figures.
        accuracy: Mean of the runs' score, 0..1: video accuracy, or mean IoU.
        spread: Sample standard deviation of it; ``None`` of a single seed.
        correct: Right videos (or cells), added up over the seeds.
        videos: Videos (or cells) judged, added up over the seeds.
        trainable: Trainable parameters of the last stage.
        trainable_without_head: Those outside the classifying head.
        memory_bytes: Highest peak memory of a run's process.
        seconds: Median processor time of a run.
        measure: What the score is.
        clips: Mean accuracy of single clips, of which a video's answer is the sum.
        clips_spread: Sample standard deviation of it.
    """

    data: str
    fraction: float
    method: str
    seeds: int
    accuracy: float
    spread: float | None
    correct: int
    videos: int
    trainable: int
    trainable_without_head: int
    memory_bytes: int | None
    seconds: float
    measure: str
    clips: float | None
    clips_spread: float | None


def summarise(runs: Iterable[tuple[Run, Mapping[str, Any]]]) -> list[Row]:
    """Join the seeds of each method; best mean first within a data set and label fraction."""
    groups: dict[tuple[str, float, str], list[Mapping[str, Any]]] = defaultdict(list)
    for run, measured in runs:
        groups[run.data, run.fraction, run.method].append(measured)
    rows = [_row(*key, found) for key, found in groups.items()]
    return sorted(rows, key=lambda row: (row.data, -row.fraction, -row.accuracy, row.method))


def _row(data: str, fraction: float, method: str, found: list[Mapping[str, Any]]) -> Row:
    shares = [run.get('miou', run['accuracy']) for run in found]
    clips = [run['clip_accuracy'] for run in found if 'clip_accuracy' in run]
    peaks = [run['peak_rss_bytes'] for run in found if run['peak_rss_bytes']]
    return Row(
        data=data,
        fraction=fraction,
        method=method,
        seeds=len(found),
        accuracy=statistics.fmean(shares),
        spread=_spread(shares),
        correct=sum(run['correct'] for run in found),
        videos=sum(run['judged' if 'miou' in run else 'videos'] for run in found),
        trainable=max(run['trainable'] for run in found),
        trainable_without_head=max(run['trainable_without_head'] for run in found),
        memory_bytes=max(peaks, default=None),
        seconds=statistics.median(run['processor_s'] for run in found),
        measure='mean IoU' if 'miou' in found[0] else 'video accuracy',
        clips=statistics.fmean(clips) if clips else None,
        clips_spread=_spread(clips),
    )


def _spread(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def write_report(store: ResultStore, folder: Path) -> list[Path]:
    """Write a page and the plots of every data set into a folder; return the files.

    They are named after the file of results.
    """
    rows, stem = summarise(store), store.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    written, images = [], {}
    for data in dict.fromkeys(row.data for row in rows):
        mine = [row for row in rows if row.data == data]
        plots = {f'{stem}_{data}_parameters.png': parameters_plot(mine)}
        if len({row.fraction for row in mine}) > 1:
            plots[f'{stem}_{data}_labels.png'] = labels_plot(mine)
        for name, png in plots.items():
            (folder / name).write_bytes(png)
            written.append(folder / name)
        images[data] = list(plots)
    page = folder / f'{stem}.md'
    page.write_text(_markdown(store, rows, images), encoding='utf-8')
    return [page, *written]


_ABOUT = """\
# Adaptation: the same clips, the same budget, different methods

Written by `python -m benchmarks.experiments.adaptation`; do not edit. Video accuracy on held-out training
subjects, or mean IoU over the cells of held-out scenes, after the last epoch (nothing is selected
on them), mean ± sample standard deviation over seeds. Trainable parameters are those of the last
stage, in brackets without the classifying head. Memory is the highest peak of the process,
libraries included; time is processor time of a run.
"""


def _markdown(store: ResultStore, rows: list[Row], images: Mapping[str, list[str]]) -> str:
    parts = [_ABOUT]
    for data, names in images.items():
        settings = store.settings(data)
        parts.append(f'\n## {data}\n\n')
        if settings:
            told = ', '.join(f'{name} {_shown(value)}' for name, value in settings.items())
            parts.append(f'Settings: {told}.\n\n')
        parts.append(
            f'| labels | method | {_measure(rows, data)} | seeds | right / judged | single clips '
            '| trainable | memory | time |\n'
            '|---|---|---|---|---|---|---|---|---|\n'
        )
        parts += [_line(row) for row in rows if row.data == data]
        parts += [f'\n![{data}]({name})\n' for name in names]
    return ''.join(parts)


def _measure(rows: list[Row], data: str) -> str:
    return next(row.measure for row in rows if row.data == data)


def _shown(value: Any) -> str:
    return f'`{value}`' if isinstance(value, str) else str(value)


def _line(row: Row) -> str:
    clips = '–' if row.clips is None else _percent(row.clips, row.clips_spread)
    memory = '–' if row.memory_bytes is None else f'{row.memory_bytes / 2**20:.0f} MiB'
    return (
        f'| {100 * row.fraction:g} % | {row.method} | {_percent(row.accuracy, row.spread)} '
        f'| {row.seeds} | {row.correct} / {row.videos} | {clips} '
        f'| {_millions(row.trainable)} ({_millions(row.trainable_without_head)}) '
        f'| {memory} | {row.seconds:.0f} s |\n'
    )


def _percent(mean: float, spread: float | None) -> str:
    return f'{100 * mean:.1f} %' if spread is None else f'{100 * mean:.1f} ± {100 * spread:.1f} %'


def _millions(count: int) -> str:
    return f'{count / 1e6:.3f} M' if count < 10**7 else f'{count / 1e6:.1f} M'


# From points to their names, on the logarithmic axis.
_GAP = 1.35


def parameters_plot(rows: list[Row]) -> bytes:
    """Accuracy against trainable parameters (logarithmic), at the largest label fraction; PNG."""
    largest = max(row.fraction for row in rows)
    rows = sorted((row for row in rows if row.fraction == largest), key=lambda row: row.trainable)
    figure, axes = _axes('trainable parameters, head included', rows[0].measure)
    axes.set_xscale('log')
    for row in rows:
        axes.errorbar(
            row.trainable, 100 * row.accuracy, 100 * (row.spread or 0.0), fmt='o', ms=7,
            color=_colour(row.method), elinewidth=1.4, capsize=3,
        )  # fmt: skip
    low, high = axes.get_ylim()
    line = 0.04 * (high - low)
    for column, left, x in _columns(rows):
        heights = spread_names([100 * row.accuracy for row in column], line)
        for row, height in zip(column, heights, strict=True):
            axes.annotate(
                row.method, (row.trainable, 100 * row.accuracy), (x, height), size=9,
                color='#1b2430', va='center', ha='right' if left else 'left',
                arrowprops={
                    'arrowstyle': '-', 'color': _colour(row.method), 'lw': 0.8, 'shrinkA': 2,
                    'relpos': (1.0 if left else 0.0, 0.5),
                },
            )  # fmt: skip
            low, high = min(low, height - line), max(high, height + line)
    axes.set_ylim(low, high)
    axes.margins(x=0.2)
    return to_png(figure)


def _columns(rows: list[Row]) -> Iterator[tuple[list[Row], bool, float]]:
    """Rows whose names share a column, best first; whether it lies left of them; where it begins.

    Rows come in order of their parameters. A new column begins where there are more than twice as
    many; names go to the side on which the next ones are farther away.
    """
    cuts = [n for n, (a, b) in enumerate(pairwise(rows), 1) if b.trainable > 2 * a.trainable]
    for begin, end in pairwise([0, *cuts, len(rows)]):
        column = rows[begin:end]
        first, last = column[0].trainable, column[-1].trainable
        before = first / rows[begin - 1].trainable if begin else 1.0
        behind = rows[end].trainable / last if end < len(rows) else math.inf
        left = before > behind
        yield (
            sorted(column, key=lambda row: -row.accuracy),
            left,
            first / _GAP if left else last * _GAP,
        )


def spread_names(heights: Sequence[float], line: float) -> list[float]:
    """Heights of names, each as near as can be to its own, with a line between them.

    Args:
        heights: Where they would stand, falling.
        line: Least distance between two of them.
    """
    steps = line * np.arange(len(heights))
    return list(isotonic_regression(np.asarray(heights) + steps, increasing=False).x - steps)


def labels_plot(rows: list[Row]) -> bytes:
    """Accuracy against the share of labels, one line per method seen at more than one; PNG."""
    figure, axes = _axes('share of the training videos that have labels (%)', rows[0].measure)
    for method in dict.fromkeys(row.method for row in rows):
        line = sorted((row for row in rows if row.method == method), key=lambda row: row.fraction)
        if len(line) < 2:
            continue
        axes.errorbar(
            [100 * row.fraction for row in line], [100 * row.accuracy for row in line],
            [100 * (row.spread or 0.0) for row in line], marker='o', ms=5, lw=1.6, capsize=3,
            color=_colour(method), label=method,
        )  # fmt: skip
    axes.set_xscale('log')
    ticks = sorted({100 * row.fraction for row in rows})
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False, fontsize=9)
    return to_png(figure)


def _axes(x_label: str, measure: str):
    figure = Figure(figsize=(8, 5), dpi=120, facecolor='white')
    axes = figure.add_axes((0.09, 0.12, 0.885, 0.85))
    axes.set_xlabel(x_label, color='#5c6b7e')
    axes.set_ylabel(f'{measure} (%)', color='#5c6b7e')
    axes.tick_params(which='both', colors='#5c6b7e', labelsize=9)
    axes.grid(color='#d8dfe8', lw=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color('#d8dfe8')
    return figure, axes


# A method keeps its colour whatever others are in the plot.
_ORDER = (
    'pointata', 'full', 'probe', 'no-align', 'random-backbone', 'scratch', 'p4transformer', 'lora',
    'bitfit', 'head', 'align-mmd', 'align-l2', 'full-plain', 'pointata-tokens', 'head-tokens',
    'own-embedder', 'pointata-longer', 'no-align-longer', 'random-backbone-longer', 'head-longer',
    'align-extent', 'align-unscaled', 'full-longer',
)  # fmt: skip


def _colour(method: str) -> tuple[float, ...]:
    number = _ORDER.index(method) if method in _ORDER else len(_ORDER)
    return tuple(channel / 285 for channel in colour_of('', number))
