# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours for shapes that have none of their own: one for each part."""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.shape import Shape


def draw_colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(3,) red, green and blue of paint or cloth; every third is a shade of grey."""
    hue, strength, value = rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.15, 0.9)
    grey = rng.random() < 1 / 3
    colour = colorsys.hsv_to_rgb(hue, 0.0 if grey else strength, value)
    return np.rint(255 * np.array(colour)).astype(np.uint8)


def with_part_colours(shape: Shape) -> Shape:
    """The shape with a colour for each part; its name decides which."""
    rng = np.random.default_rng([zlib.crc32(shape.name.encode()), 2])
    colours = np.stack([draw_colour(rng) for _ in shape.part_names])
    return replace(shape, face_colour=colours[shape.face_part])
