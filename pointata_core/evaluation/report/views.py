# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People as the sensor sees them, each with what it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pointata_core.evaluation.colours import colour_of_number
from pointata_core.evaluation.people_log import PersonView
from pointata_core.evaluation.report.charts import Theme
from pointata_core.evaluation.report.images import to_png

_COLUMNS = 8
_WIDTH = 10.0  # inches, as of the other charts
_HALF_M, _BELOW_M, _ABOVE_M = 0.9, 0.15, 2.05  # of a picture, about its lowest point


def views_chart(views: Sequence[PersonView], theme: Theme) -> bytes:
    """One picture for each view, all at the same scale.

    Args:
        views: At least one.
        theme: Colours.

    Returns:
        A PNG with transparent background.
    """
    rows = -(-len(views) // _COLUMNS)
    figure = Figure(figsize=(_WIDTH, 2.0 * rows), dpi=120, layout='constrained')
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, view in zip(grid.flat, views):
        _, left, up = view.points.T
        size = float(np.clip(400 / len(left), 0.6, 8))
        axes.scatter(-left, up, s=size, color=colour_of_number(view.number), lw=0)
        axes.set_xlim(-_HALF_M, _HALF_M)
        axes.set_ylim(up.min() - _BELOW_M, up.min() + _ABOVE_M)
        axes.set_aspect('equal')
        title = f'{view.number} {view.action}\n{view.time_s:.1f} s, {100 * view.score:.0f} %'
        axes.set_title(title, color=theme.text, size=8)
    return to_png(figure, transparent=True)
