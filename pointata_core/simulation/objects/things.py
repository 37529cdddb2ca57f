# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Benches, bins, hydrants, boxes and other things that stand on pavements and in yards."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.objects.library import draw_model, drawn_as_mesh
from pointata_core.simulation.solids import EMPTY, Shapes
from pointata_core.taxonomy import class_id


def street_thing(rng: np.random.Generator, instance: int) -> Shapes:
    """One thing, its back along +y; nothing where it is not drawn as a mesh."""
    if not drawn_as_mesh(rng):
        return EMPTY
    kind = 'fence' if rng.random() < 0.1 else 'street'
    label = class_id('fence' if kind == 'fence' else 'furniture')
    scale = rng.uniform(0.9, 1.15, 3)
    return draw_model(kind, rng).shapes(label, instance, rng.uniform(0.1, 0.6), scale)
