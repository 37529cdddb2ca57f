# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A colour for every class of any bundle, for images and coloured files."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from pointata_core.taxonomy import (
    ACTION_CLASSES,
    ACTION_COLOURS,
    PERSON_ACTION_COLOURS,
    PERSON_ACTIONS,
    SEGMENTATION_CLASSES,
    SEGMENTATION_COLOURS,
)

UNLABELLED_COLOUR = (90, 90, 90)
_KNOWN = {
    **dict(zip(PERSON_ACTIONS, PERSON_ACTION_COLOURS, strict=True)),
    **dict(zip(ACTION_CLASSES, ACTION_COLOURS, strict=True)),
    **dict(zip(SEGMENTATION_CLASSES, SEGMENTATION_COLOURS, strict=True)),
}
# Multiples of the golden ratio spread any number of hues evenly.
_GOLDEN_RATIO = 0.618033988749895


def colour_of(name: str, index: int) -> tuple[int, int, int]:
    """RGB, 0..255, of a class; one outside our taxonomy gets a colour from its index."""
    if name in _KNOWN:
        return _KNOWN[name]
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN_RATIO % 1.0, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def colour_of_number(number: int) -> tuple[float, float, float]:
    """RGB, 0..1, of a followed person; those of successive numbers are far apart."""
    return colorsys.hsv_to_rgb(number * _GOLDEN_RATIO % 1.0, 0.7, 0.9)


def palette(classes: Sequence[str]) -> np.ndarray:
    """``(C + 1, 3)`` uint8 RGB by label; the last row is for unlabelled points."""
    colours = [colour_of(name, index) for index, name in enumerate(classes)]
    return np.array([*colours, UNLABELLED_COLOUR], np.uint8)


def colours_of_labels(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """``(N, 3)`` uint8 RGB of ``(N,)`` labels; anything beyond the classes is unlabelled."""
    table = palette(classes)
    return table[np.minimum(labels, len(classes))]
