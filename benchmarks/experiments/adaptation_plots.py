# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of finished runs: mean and spread over seeds, never a best of anything."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.experiments.adaptation_methods import METHODS
from benchmarks.run_store import RunStore
from benchmarks.tables.markdown import millions
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


def parameters_plot(rows: list[Row]) -> bytes:
    """Scores at the largest label fraction, a line per method, least trainable at the top; PNG."""
    largest = max(row.fraction for row in rows)
    rows = [row for row in rows if row.fraction == largest]
    rows.sort(key=lambda row: (-row.trainable, row.accuracy))
    figure, axes = _axes(f'{rows[0].measure} (%)', 'method, trainable parameters')
    for height, row in enumerate(rows):
        axes.errorbar(
            100 * row.accuracy, height, xerr=100 * row.spread, fmt='o', ms=7,
            color=_colour(row.method), elinewidth=1.4, capsize=3,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [f'{row.method}, {millions(row.trainable)}' for row in rows])
    return to_png(figure)


def labels_plot(rows: list[Row]) -> bytes:
    """Accuracy against the share of labels, one line per method seen at more than one; PNG."""
    figure, axes = _axes(
        'share of the training videos that have labels (%)', f'{rows[0].measure} (%)'
    )
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


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), dpi=120, facecolor='white')
    axes = figure.add_axes((0.25, 0.12, 0.72, 0.85))
    axes.set_xlabel(x_label, color='#5c6b7e')
    axes.set_ylabel(y_label, color='#5c6b7e')
    axes.tick_params(which='both', colors='#5c6b7e', labelsize=9)
    axes.grid(color='#d8dfe8', lw=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color('#d8dfe8')
    return figure, axes


def _colour(method: str) -> tuple[float, ...]:
    # A method keeps its colour whatever others are in the plot.
    number = list(METHODS).index(method) if method in METHODS else len(METHODS)
    return tuple(channel / 285 for channel in colour_of('', number))
