# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a family of shapes is: a name, a group, parts, and a function that draws one member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointata_core.shapes.procedural.assembly import Assembly

Draw = Callable[[np.random.Generator, Assembly], None]


@dataclass(frozen=True)
class Family:
    """Shapes that share a name and a set of parts.

    Args:
        name: Label of the family.
        parts: Names of the parts; a member may lack some of them.
        draw: Adds one member's solids to an assembly, with all choices taken from the generator.
        group: Coarser label.
        rigid: Members are stretched at most, since bent ones would no longer be of the family.
    """

    name: str
    parts: tuple[str, ...]
    draw: Draw
    group: str
    rigid: bool = True
