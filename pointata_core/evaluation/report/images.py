# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bird's-eye images of labelled clouds.

Points are rasterised here instead of being handed to a scatter plot one by one: of several points
in a pixel the highest is seen, as from above, and 124k points take milliseconds.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from pointata_core.evaluation.colours import colours_of_labels

BACKGROUND = '#0b1017'
_OVERLAY = '#c9d4e3'
_PIXELS = 720
# Seen from above, a ceiling hides the room.
HIDDEN_CLASSES = ('ceiling',)


def common_extent(clouds: Sequence[np.ndarray]) -> float:
    """Half the width, in metres, of a view that suits all ``(N, 3)`` clouds; 2 m to 60 m."""
    with np.errstate(invalid='ignore', over='ignore'):
        ranges = [np.hypot(c[:, 0], c[:, 1]) for c in clouds if len(c)]
    together = np.concatenate(ranges) if ranges else np.empty(0)
    together = together[np.isfinite(together)]
    if not together.size:
        return 10.0
    return float(np.clip(np.percentile(together, 95) * 1.05, 2.0, 60.0))


def rasterise(
    points: np.ndarray, colours: np.ndarray, extent_m: float, pixels: int = _PIXELS
) -> np.ndarray:
    """Look at a cloud from above.

    Args:
        points: ``(N, 3)`` metres; non-finite ones are left out.
        colours: ``(N, 3)`` uint8.
        extent_m: Half the width of the view around the origin.
        pixels: Width and height of the image.

    Returns:
        ``(pixels, pixels, 4)`` uint8 RGBA, x up and y to the left, transparent where nothing is.
    """
    image = np.zeros((pixels, pixels, 4), np.uint8)
    scale = pixels / (2 * extent_m)
    seen = np.isfinite(points).all(axis=1)
    seen &= (np.abs(points[:, 0]) < extent_m) & (np.abs(points[:, 1]) < extent_m)
    points, colours = points[seen], colours[seen]
    order = np.argsort(points[:, 2], kind='stable')
    points, colours = points[order], colours[order]
    row = ((extent_m - points[:, 0]) * scale).astype(np.intp)
    column = ((extent_m - points[:, 1]) * scale).astype(np.intp)
    # A single pixel is too fine to see; the splat grows where points are few.
    splat = 2 if len(points) > 40_000 else 3
    for down in range(splat):
        for right in range(splat):
            r, c = np.minimum(row + down, pixels - 1), np.minimum(column + right, pixels - 1)
            image[r, c, :3] = colours
            image[r, c, 3] = 255
    return image


def bird_eye_view(
    points: np.ndarray, labels: np.ndarray, classes: Sequence[str], extent_m: float, title: str
) -> bytes:
    """Draw a labelled cloud with scale bar, range rings and the sensor's heading.

    Args:
        points: ``(N, 3)`` metres in the sensor's frame.
        labels: ``(N,)`` class ids.
        classes: Class names.
        extent_m: Half the width of the view.
        title: Written into the corner.

    Returns:
        A PNG.
    """
    hidden = [index for index, name in enumerate(classes) if name in HIDDEN_CLASSES]
    shown = ~np.isin(labels, hidden)
    image = rasterise(points[shown], colours_of_labels(labels[shown], classes), extent_m)
    figure = Figure(figsize=(_PIXELS / 100, _PIXELS / 100), dpi=100, facecolor=BACKGROUND)
    axes = figure.add_axes((0, 0, 1, 1), facecolor=BACKGROUND)
    axes.set_axis_off()
    bounds = (extent_m, -extent_m, -extent_m, extent_m)  # y grows to the left, x upwards
    for radius in _ring_radii(extent_m):
        axes.add_patch(_circle(radius))
        axes.text(
            0, -radius, f'{radius:g} m', color=_OVERLAY, alpha=0.55, size=8, ha='center', va='top'
        )
    axes.imshow(image, extent=bounds, interpolation='nearest', zorder=2)
    _draw_heading(axes, extent_m)
    _draw_scale_bar(axes, extent_m)
    axes.text(
        0.03, 0.965, title, color='white', size=13, weight='bold', va='top',
        transform=axes.transAxes, zorder=5,
    )  # fmt: skip
    axes.set_xlim(extent_m, -extent_m)
    axes.set_ylim(-extent_m, extent_m)
    return to_png(figure)


def to_png(figure: Figure, transparent: bool = False) -> bytes:
    """Render a figure without touching matplotlib's global state or any display."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # No software name and date inside: equal results give equal files.
    figure.savefig(buffer, format='png', transparent=transparent, metadata={'Software': None})
    return buffer.getvalue()


def nice_length(limit: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... (and their tenths) that is not above ``limit`` > 0."""
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step * power for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9)))


def _ring_radii(extent_m: float) -> list[float]:
    step = nice_length(extent_m / 2)
    return [step * i for i in range(1, int(extent_m / step) + 1)]


def _circle(radius: float) -> Circle:
    return Circle((0, 0), radius, fill=False, edgecolor=_OVERLAY, alpha=0.16, lw=0.8, zorder=1)


def _draw_heading(axes: Axes, extent_m: float) -> None:
    """A triangle at the sensor, pointing along +x."""
    size = extent_m * 0.028
    corners = ((0, 1.6 * size), (size, -size), (0, -0.4 * size), (-size, -size))
    axes.fill(*zip(*corners), color='white', ec=BACKGROUND, lw=0.8, zorder=4)
    axes.annotate(
        '', xy=(0.955, 0.965), xytext=(0.955, 0.895), xycoords='axes fraction', zorder=5,
        arrowprops={'arrowstyle': '-|>', 'color': _OVERLAY, 'lw': 1.4},
    )  # fmt: skip
    axes.text(
        0.93, 0.93, 'x', color=_OVERLAY, size=10, ha='right', va='center', style='italic',
        transform=axes.transAxes, zorder=5,
    )  # fmt: skip


def _draw_scale_bar(axes: Axes, extent_m: float) -> None:
    length = nice_length(extent_m * 0.5)
    share = length / (2 * extent_m)
    axes.plot(
        (0.03, 0.03 + share), (0.035, 0.035), color='white', lw=3, solid_capstyle='butt',
        transform=axes.transAxes, zorder=5,
    )  # fmt: skip
    axes.text(
        0.03 + share / 2, 0.045, f'{length:g} m', color='white', size=10, ha='center', va='bottom',
        transform=axes.transAxes, zorder=5,
    )  # fmt: skip
