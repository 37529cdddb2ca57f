# SPDX-License-Identifier: Apache-2.0
"""Many small pictures on one sheet, to look at: views, parts, visible points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.rendering.cameras import Cameras
from pointata_core.shapes.rendering.rendered_shape import PicturedShape
from pointata_core.shapes.rendering.rendering import render
from pointata_core.shapes.rendering.settings import PictureSettings
from pointata_core.shapes.shape import Shape

# Okabe and Ito's palette, told apart by colour-blind readers, and two greys.
PART_COLOURS = np.array(
    [
        (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233),
        (213, 94, 0), (240, 228, 66), (150, 150, 150), (90, 90, 90),
    ],
    np.uint8,
)  # fmt: skip


def contact_sheet(pictures: Sequence[NDArray[np.uint8]], columns: int = 0) -> NDArray[np.uint8]:
    """Lay pictures out row by row.

    Args:
        pictures: Of equal size, (H, W) grey or (H, W, 3) colours each.
        columns: Pictures in a row; 0 makes the sheet about square.

    Returns:
        (H * rows, W * columns, 3) uint8, white where no picture is.
    """
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = index // columns * height, index % columns * width
        grey = picture if picture.ndim == 3 else picture[..., None]
        sheet[row : row + height, column : column + width] = grey
    return sheet


def picture_of_parts(
    shape: Shape, cameras: Cameras, settings: PictureSettings
) -> NDArray[np.uint8]:
    """Render a shape with a colour per part: (V, S, S, 3) uint8."""
    pictures = render(shape, cameras, settings)
    shade = pictures.grey[..., None] / (255 * settings.albedo)
    colours = PART_COLOURS[shape.face_part % len(PART_COLOURS)]
    seen = pictures.face[..., None] >= 0
    return np.where(seen, shade * colours[pictures.face], 255).astype(np.uint8)


def picture_of_points(pictured: PicturedShape, view: int) -> NDArray[np.uint8]:
    """One view with the pixels of its visible points in their parts' colours: (S, S, 3) uint8."""
    picture = np.repeat(pictured.grey[view][..., None], 3, axis=-1)
    seen = pictured.visible[view]
    rows, columns = pictured.pixels[view, seen].T
    picture[rows, columns] = PART_COLOURS[pictured.part[seen] % len(PART_COLOURS)]
    return picture


def write_png(path: str | Path, sheet: NDArray[np.uint8]) -> Path:
    """Write a picture (H, W, 3) as PNG; the file appears when it is complete."""
    from matplotlib.image import imsave  # slow to import

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        imsave(aside, sheet, format='png')
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path
