# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Many small images on one sheet, to look at: views, parts, visible points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.safe_files import write_atomically
from pointata_core.shapes.rendering.cameras import Cameras
from pointata_core.shapes.rendering.rendered_shape import RenderedShape
from pointata_core.shapes.rendering.rendering import render
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.shape import Shape

# Okabe and Ito's palette, safe for colour-blind readers, and two greys.
PART_COLOURS = np.array(
    [
        (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233),
        (213, 94, 0), (240, 228, 66), (150, 150, 150), (90, 90, 90),
    ],
    np.uint8,
)  # fmt: skip


def contact_sheet(images: Sequence[NDArray[np.uint8]], columns: int = 0) -> NDArray[np.uint8]:
    """Lay images out row by row.

    Args:
        images: Of equal size, (H, W) grey or (H, W, 3) colours each.
        columns: Images in a row; 0 makes the sheet about square.

    Returns:
        (H * rows, W * columns, 3) uint8, white where no image is.
    """
    columns = columns or int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    height, width = images[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        row, column = index // columns * height, index % columns * width
        sheet[row : row + height, column : column + width] = _coloured(image)
    return sheet


def image_of_parts(shape: Shape, cameras: Cameras, settings: RenderSettings) -> NDArray[np.uint8]:
    """Render a shape with a colour per part: (V, S, S, 3) uint8."""
    images = render(shape, cameras, replace(settings, colour=False))
    shade = images.images[..., None] / (255 * settings.albedo)
    colours = PART_COLOURS[shape.face_part % len(PART_COLOURS)]
    seen = images.face[..., None] >= 0
    return np.where(seen, shade * colours[images.face], 255).astype(np.uint8)


def image_of_points(rendered: RenderedShape, view: int) -> NDArray[np.uint8]:
    """One view with the pixels of its visible points in their parts' colours: (S, S, 3) uint8."""
    image = np.array(_coloured(rendered.images[view]))
    seen = rendered.visible[view]
    rows, columns = rendered.pixels[view, seen].T
    image[rows, columns] = PART_COLOURS[rendered.part[seen] % len(PART_COLOURS)]
    return image


def _coloured(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) of an image (H, W) or (H, W, 3)."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def write_png(path: str | Path, sheet: NDArray[np.uint8]) -> Path:
    """Write an image (H, W, 3) as PNG; the file appears when it is complete."""
    from matplotlib.image import imsave  # slow to import

    path = Path(path)
    write_atomically(path, lambda stream: imsave(stream, sheet, format='png'))
    return path
