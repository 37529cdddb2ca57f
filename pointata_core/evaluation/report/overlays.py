# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled points drawn over the camera image that shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from pointata_core.evaluation.colours import colours_of_labels

_NARROWEST, _WIDEST = 640, 1400


def overlay(
    image: NDArray[np.uint8],
    pixels: NDArray[np.int64],
    labels: NDArray[np.uint16],
    classes: Sequence[str],
    ranges: NDArray[np.floating] | None = None,
) -> bytes:
    """Draw points in the colours of their classes over a darkened image.

    Args:
        image: (H, W, 3).
        pixels: (M, 2) row and column of each point.
        labels: (M,) class ids.
        classes: Class names.
        ranges: (M,) metres; of several points in a pixel the nearest is drawn; None keeps order.

    Returns:
        A PNG, about 640 to 1400 pixels wide.
    """
    shrink, grow = -(-image.shape[1] // _WIDEST), max(1, _NARROWEST // image.shape[1])
    canvas = (image[::shrink, ::shrink] * 0.55).astype(np.uint8)
    canvas = canvas.repeat(grow, axis=0).repeat(grow, axis=1)
    height, width = canvas.shape[:2]
    order = np.arange(len(pixels)) if ranges is None else np.argsort(-ranges, kind='stable')
    rows, columns = (pixels[order] * grow // shrink).T
    colours = colours_of_labels(labels[order], classes)
    # Points are large enough to be seen and small enough to show the image between them.
    edge = max(2, round(width / 400))
    for down in range(edge):
        for right in range(edge):
            canvas[np.minimum(rows + down, height - 1), np.minimum(columns + right, width - 1)] = (
                colours
            )
    buffer = io.BytesIO()
    # None leaves the entry out; the stubs of matplotlib lack this.
    unnamed = {'Software': None}
    imsave(buffer, canvas, format='png', metadata=unnamed)  # type: ignore[arg-type]
    return buffer.getvalue()
