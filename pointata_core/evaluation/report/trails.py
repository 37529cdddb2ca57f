# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where people went, seen from above."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pointata_core.evaluation.colours import colour_of_number
from pointata_core.evaluation.people_log import PersonTrack
from pointata_core.evaluation.report.charts import Theme
from pointata_core.evaluation.report.images import to_png

_LEAST_SIDE_M, _MARGIN_M = 2.0, 0.5
_WIDTH = 10.0  # inches, as of the other charts


def trail_chart(tracks: Sequence[PersonTrack], theme: Theme) -> bytes:
    """One line for each person, with its number at the end.

    Args:
        tracks: People, with at least one place each.
        theme: Colours.

    Returns:
        A PNG with transparent background.
    """
    places = np.array([place[1:] for track in tracks for place in track.path])
    low, high = places.min(0) - _MARGIN_M, places.max(0) + _MARGIN_M
    middle, half = (low + high) / 2, np.maximum(high - low, _LEAST_SIDE_M) / 2
    height = float(np.clip(_WIDTH * half[1] / half[0], 2.5, 5.5))
    figure = Figure(figsize=(_WIDTH, height), dpi=120, layout='constrained')
    axes = figure.add_subplot()
    for track in tracks:
        colour = colour_of_number(track.number)
        _, x, y = np.array(track.path).T
        axes.plot(x, y, color=colour, lw=2, solid_capstyle='round')
        axes.plot(x[-1], y[-1], 'o', color=colour, ms=6)
        axes.annotate(
            str(track.number), (x[-1], y[-1]), (6, 6), textcoords='offset points',
            color=theme.text, size=10,
        )  # fmt: skip
    axes.update_datalim([middle - half, middle + half])
    axes.autoscale_view()
    axes.set_aspect('equal', adjustable='datalim')
    axes.set_xlabel('x (m)', color=theme.faint)
    axes.set_ylabel('y (m)', color=theme.faint)
    axes.tick_params(colors=theme.faint, labelsize=9)
    axes.set_facecolor('none')
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    axes.grid(color=theme.grid, lw=0.6)
    axes.set_axisbelow(True)
    return to_png(figure, transparent=True)
