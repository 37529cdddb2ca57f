# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A colour for each class of a bundle, in the field ``rgb`` that viewers read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointata_core.evaluation.colours import UNLABELLED_COLOUR, palette
from pointata_core.io.messages.cloud_encoding import pack_rgb, rgb_as_float

Colour = tuple[int, int, int]


class ColourTable:
    """Packed colours of one list of classes.

    Args:
        classes: Names in order of class id.
        colours: RGB, 0..255, per class, as the bundle's author chose them; empty to choose here.
    """

    def __init__(self, classes: Sequence[str], colours: Sequence[Colour] = ()) -> None:
        table = np.array([*colours, UNLABELLED_COLOUR], np.uint8) if colours else palette(classes)
        self._packed = rgb_as_float(pack_rgb(table))

    def packed(self, labels: np.ndarray) -> np.ndarray:
        """Colours of labels.

        Args:
            labels: (N,) uint16 class ids; anything beyond the classes is shown as unlabelled.

        Returns:
            (N,) float32 whose bits are 0x00RRGGBB, the convention of PCL, RViz and Foxglove.
        """
        return self._packed[np.minimum(labels, len(self._packed) - 1)]
