# SPDX-License-Identifier: Apache-2.0
"""Plots of finished runs: mean and spread over seeds, never a best of anything."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from benchmarks.run_store import RunStore
from pointata_core.evaluation.colours import colour_of
from pointata_core.evaluation.report.images import to_png


@dataclass(frozen=True)
class Row:
    """One method at one label fraction of one data set, over its seeds.

    Args:
        method: Name of the method.
        fraction: Share of the labels.
        accuracy: Mean score of the runs, 0..1: video accuracy, or mean IoU.
        spread: Its sample standard deviation; 0 of a single seed.
        trainable: Trainable parameters of the last stage.
        measure: What the score is.
    """

    method: str
    fraction: float
    accuracy: float
    spread: float
    trainable: int
    measure: str


def summarise(store: RunStore, task: str) -> list[Row]:
    """Join the seeds of each method on one data set."""
    groups: dict[tuple[str, float], list[dict]] = defaultdict(list)
    for run in store:
        if run.task == task:
            groups[run.method, run.fraction].append(store[run])
    rows = []
    for (method, fraction), found in groups.items():
        scores = [run.get('miou', run['accuracy']) for run in found]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        measure = 'mean IoU' if 'miou' in found[0] else 'video accuracy'
        trainable = max(run['trainable'] for run in found)
        rows.append(Row(method, fraction, statistics.fmean(scores), spread, trainable, measure))
    return rows


def write_plots(store: RunStore, folder: Path) -> list[Path]:
    """Write the plots of every data set into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task in dict.fromkeys(run.task for run in store):
        rows = summarise(store, task)
        plots = {f'{task}_parameters.png': parameters_plot(rows)}
        if len({row.fraction for row in rows}) > 1:
            plots[f'{task}_labels.png'] = labels_plot(rows)
        for name, png in plots.items():
            (folder / name).write_bytes(png)
            written.append(folder / name)
    return written


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
            row.trainable, 100 * row.accuracy, 100 * row.spread, fmt='o', ms=7,
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
            [100 * row.spread for row in line], marker='o', ms=5, lw=1.6, capsize=3,
            color=_colour(method), label=method,
        )  # fmt: skip
    axes.set_xscale('log')
    ticks = sorted({100 * row.fraction for row in rows})
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False, fontsize=9)
    return to_png(figure)


def _axes(x_label: str, measure: str) -> tuple[Figure, Axes]:
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
