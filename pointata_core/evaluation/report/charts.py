# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts of a report: action timeline, latency by stage, confusions; for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pointata_core.evaluation.colours import colour_of
from pointata_core.evaluation.metrics.latency import LatencySummary
from pointata_core.evaluation.report.images import to_png
from pointata_core.evaluation.results import ActionSegment

_SHORTEST_MS = 0.01
_MOST_NUMBERED_CLASSES = 20
_PERCENTILE_LINES = {'p50': '-', 'p95': '--', 'p99': ':'}


@dataclass(frozen=True)
class Theme:
    """Colours of a chart; the background is the page's own."""

    text: str
    faint: str
    grid: str
    fill: str
    accent: str


LIGHT = Theme(text='#1b2430', faint='#5c6b7e', grid='#d8dfe8', fill='#3b7dd8', accent='#c2410c')
DARK = Theme(text='#e8eef6', faint='#93a3b8', grid='#2c3746', fill='#5b9cf5', accent='#fb923c')


def action_chart(
    rows: Mapping[str, Sequence[ActionSegment]],
    classes: Sequence[str],
    duration_s: float,
    theme: Theme,
) -> bytes:
    """One bar per row (recognised, ground truth), one colour per action.

    Args:
        rows: Segments by the name of their row, top row first.
        classes: All actions, in the order of the bundle.
        duration_s: Length of the time axis.
        theme: Colours.

    Returns:
        A PNG with transparent background.
    """
    used = [name for name in classes if any(s.label == name for r in rows.values() for s in r)]
    # As many columns as the longest name leaves room for on ten inches.
    columns = int(9.8 / (0.36 + 0.066 * max(map(len, used), default=1)))
    columns = max(1, min(columns, len(used)))
    room = 0.68 + 0.2 * max(1, -(-len(used) // columns))
    figure = Figure(figsize=(10, room + 0.22 + 0.6 * len(rows)), dpi=120)
    height = figure.get_figheight()
    axes = figure.add_axes((0.115, room / height, 0.865, 1 - (room + 0.07) / height))
    for place, (_, segments) in enumerate(rows.items()):
        for segment in segments:
            length = segment.end_s - segment.start_s
            red, green, blue = colour_of(segment.label, list(classes).index(segment.label))
            colour = (red / 255, green / 255, blue / 255)
            axes.barh(place, length, left=segment.start_s, height=0.72, color=colour)
            if length > 0.07 * duration_s:
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
                axes.text(
                    segment.start_s + length / 2, place, segment.label.replace('_', ' '),
                    color='white' if dark else '#10161f', size=9, ha='center', va='center',
                    clip_on=True,
                )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, max(duration_s, 1e-3))
    axes.set_xlabel('time since the first frame (s)', color=theme.faint)
    _dress(axes, theme)
    axes.grid(False)
    handles = [
        Patch(color='#{:02x}{:02x}{:02x}'.format(*colour_of(name, list(classes).index(name))))
        for name in used
    ]
    figure.legend(
        handles, [name.replace('_', ' ') for name in used], ncols=columns,
        loc='lower center', frameon=False, labelcolor=theme.text, fontsize=8.5,
        handlelength=1, handleheight=1, columnspacing=1.1, handletextpad=0.45,
    )  # fmt: skip
    return to_png(figure, transparent=True)


def latency_chart(
    samples_ms: Mapping[str, Sequence[float]],
    summary: Mapping[str, LatencySummary],
    theme: Theme,
) -> bytes:
    """One histogram per stage on a common logarithmic time axis, with p50, p95 and p99.

    Args:
        samples_ms: Samples by stage.
        summary: Percentiles of the same stages.
        theme: Colours.

    Returns:
        A PNG with transparent background.
    """
    # A stage that does nothing here (no transforms, say) would only stretch the axis.
    stages = [s for s in samples_ms if s in summary and summary[s].max >= _SHORTEST_MS]
    stages = stages or list(samples_ms)
    figure = Figure(figsize=(10, 1.0 + 0.74 * len(stages)), dpi=120)
    height = figure.get_figheight()
    axes = figure.add_axes((0.1, 0.6 / height, 0.88, 1 - 0.95 / height))
    everything = np.concatenate([np.asarray(samples_ms[stage], float) for stage in stages])
    low = max(float(everything.min()), _SHORTEST_MS) * 0.8
    high = max(float(everything.max()), _SHORTEST_MS) * 1.25
    bins = np.geomspace(low, high, 61)
    _dress(axes, theme)
    for place, stage in enumerate(stages):
        base = float(len(stages) - 1 - place)  # the first stage on top
        counts, _ = np.histogram(np.clip(samples_ms[stage], low, high), bins)
        heights = base + 0.8 * counts / max(1, counts.max())
        colour = theme.accent if stage == 'total' else theme.fill
        axes.stairs(heights, bins, baseline=base, fill=True, color=colour, alpha=0.85)
        axes.plot((low, high), (base, base), color=theme.grid, lw=0.8)
        for name, style in _PERCENTILE_LINES.items():
            value = getattr(summary[stage], name)
            axes.plot((value, value), (base, base + 0.9), color=theme.text, lw=1.1, ls=style)
    axes.set_xscale('log')
    axes.set_xlim(low, high)
    axes.set_ylim(-0.02, len(stages))
    axes.set_yticks([len(stages) - 0.65 - i for i in range(len(stages))], stages)
    for label in axes.get_yticklabels():
        label.set_color(theme.text)
        label.set_fontsize(10)
        label.set_fontweight('bold' if label.get_text() == 'total' else 'normal')
    axes.tick_params(axis='y', length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
    axes.xaxis.set_minor_formatter(_minor_labels(high / low))
    axes.set_xlabel('milliseconds, logarithmic', color=theme.faint)
    handles = [
        Line2D([], [], color=theme.text, ls=style, lw=1.3) for style in _PERCENTILE_LINES.values()
    ]
    figure.legend(
        handles, list(_PERCENTILE_LINES), ncols=3, loc='upper right', frameon=False,
        labelcolor=theme.text, fontsize=9, borderaxespad=0.1,
    )  # fmt: skip
    return to_png(figure, transparent=True)


def confusion_chart(counts: np.ndarray, classes: Sequence[str], theme: Theme) -> bytes:
    """Predicted classes of each true class, as shares of its row.

    Classes that neither occur nor are predicted are left out. So is an empty column of missing
    predictions.
    Shares are written out as percent unless there are too many classes to read them.

    Args:
        counts: ``(C, C)``, rows true classes and columns predictions, or ``(C, C + 1)`` with "no
            prediction" last, as in ``ConfusionMatrix``.
        classes: C names.
        theme: Colours.

    Returns:
        A PNG with transparent background.

    Raises:
        ValueError: The shape does not fit the classes.
    """
    counts, size = np.asarray(counts), len(classes)
    if counts.shape not in ((size, size), (size, size + 1)):
        raise ValueError(f'counts are {counts.shape}, expected ({size}, {size}) or one column more')
    rows = np.any(counts, axis=1)
    used = np.flatnonzero(rows | counts[:, :size].any(axis=0))
    # Without ground truth a class has no row, but it can still be what others were taken for.
    columns = [*used, *range(size, counts.shape[1] if counts[:, size:].any() else size)]
    names = [*(name.replace('_', ' ') for name in classes), 'no prediction']
    used = used[rows[used]]
    shares = counts[np.ix_(used, columns)] / counts[used].sum(axis=1, keepdims=True)
    cell = 0.42 if len(columns) <= _MOST_NUMBERED_CLASSES else 0.26
    label = 0.4 + 0.061 * max((len(names[c]) for c in columns), default=0)
    extent = (cell * max(1, len(columns)), cell * max(1, len(used)))
    figure = Figure(figsize=(label + extent[0] + 0.3, label + extent[1] + 0.4), dpi=120)
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (label / width, 0.3 / height, extent[0] / width, extent[1] / height), facecolor='none'
    )
    _draw_shares(axes, shares, theme, cell)
    axes.set_xticks(range(len(columns)), [names[c] for c in columns], rotation=90)
    axes.set_yticks(range(len(used)), [names[r] for r in used])
    axes.xaxis.tick_top()
    axes.set_xlabel('predicted', color=theme.faint, size=9)
    axes.set_ylabel('true', color=theme.faint, size=9)
    axes.tick_params(colors=theme.text, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    return to_png(figure, transparent=True)


def _draw_shares(axes: Axes, shares: np.ndarray, theme: Theme, cell: float) -> None:
    """One square per share: the more, the more opaque; numbers where there is room for them."""
    shade = np.empty((*shares.shape, 4))
    shade[..., :3] = to_rgb(theme.fill)
    shade[..., 3] = shares
    axes.imshow(shade, interpolation='nearest', aspect='auto')
    axes.set_xticks(np.arange(-0.5, shares.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, shares.shape[0]), minor=True)
    axes.grid(which='minor', color=theme.grid, lw=0.4)
    axes.tick_params(which='minor', length=0)
    if cell < 0.4:
        return
    for (row, column), share in np.ndenumerate(shares):
        # 99.6 % is not all: only a whole row shows 100.
        percent = min(round(100 * share), 99) if share < 1 else 100
        if percent:
            colour = 'white' if share > 0.5 else theme.text
            axes.text(column, row, str(percent), color=colour, size=8, ha='center', va='center')


def _minor_labels(ratio: float) -> Callable[[float, float], str]:
    """Label 2 and 5 between the powers of ten where the axis is short enough to have room."""
    wanted = (2, 3, 5, 7) if ratio < 30 else (2, 5) if ratio < 1000 else ()

    def label(value: float, _: float) -> str:
        digit = value / 10 ** np.floor(np.log10(value))
        return f'{value:g}' if any(abs(digit - w) < 1e-6 for w in wanted) else ''

    return label


def _dress(axes: Axes, theme: Theme) -> None:
    axes.tick_params(which='both', colors=theme.faint, labelsize=9)
    for label in axes.get_yticklabels():
        label.set_color(theme.text)
    for side, spine in axes.spines.items():
        spine.set_visible(side == 'bottom')
        spine.set_color(theme.grid)
    axes.set_axisbelow(True)
    axes.grid(axis='x', color=theme.grid, lw=0.6)
