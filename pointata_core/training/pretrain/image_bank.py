# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All images, points and point-to-pixel maps of a folder, unpacked once into memory.

Training looks at every shape many times; unpacking shards again for each look would cost more than
the image encoder. A shape of 20 views at 64 x 64 with 2,048 points takes about 270 kB.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.shapes.rendering import Cameras, RenderingFolder, pixel_cells


@dataclass(frozen=True, eq=False)
class ImageBank:
    """S shapes with V views each.

    Attributes:
        points: ``(S, M, 3)`` float32.
        images: ``(S, V, H, H)`` uint8 grey, or ``(S, V, H, H, 3)`` colours.
        pixels: ``(S, V, M, 2)`` int16 row and column, -1 where hidden.
        label: ``(S,)`` int64 index into ``families``.
        families: Names, sorted.
        cameras: Shared by all shapes.
    """

    points: NDArray[np.float32]
    images: NDArray[np.uint8]
    pixels: NDArray[np.int16]
    label: NDArray[np.int64]
    families: tuple[str, ...]
    cameras: Cameras

    @classmethod
    def read(cls, folder: RenderingFolder) -> ImageBank:
        """Unpack a whole folder."""
        shapes = list(folder)
        families = tuple(sorted({shape.family for shape in shapes}))
        return cls(
            points=np.stack([shape.points for shape in shapes]),
            images=np.stack([shape.images for shape in shapes]),
            pixels=np.stack([shape.pixels for shape in shapes]),
            label=np.array([families.index(shape.family) for shape in shapes]),
            families=families,
            cameras=folder.cameras,
        )

    def __len__(self) -> int:
        """Number of shapes S."""
        return len(self.points)

    @property
    def views(self) -> int:
        """Number of views V."""
        return self.images.shape[1]

    @property
    def checksum(self) -> int:
        """CRC-32 of all images."""
        return zlib.crc32(np.ascontiguousarray(self.images).tobytes())

    @property
    def size(self) -> int:
        """Pixels H of an image's edge."""
        return self.images.shape[2]

    def cells(self, stride: int) -> NDArray[np.int16]:
        """``(S, V, M)`` cell of every point in a feature map of this stride, -1 where hidden.

        Raises:
            ConfigError: The images do not divide into such cells.
        """
        size = self.size
        if size % stride:
            raise ConfigError(
                f'map_stride is {stride}, images are {size} pixels wide',
                'Choose a stride that divides the images',
            )
        return pixel_cells(self.pixels, stride, size)
