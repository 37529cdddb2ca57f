# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws shapes by family and seed; the same arguments give the same shape, bit for bit.

That holds for equal versions of NumPy and manifold3d on one kind of machine. Every shape has
its own random stream, seeded by the family's name and the seed: the order of drawing, the number of
processes and new families do not change the other shapes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.shapes.procedural import (
    abstract,
    figures,
    furniture,
    household,
    scenery,
    tools,
    vehicles,
)
from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.deformations import random_deformations
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.shape import Shape

_MODULES = (abstract, furniture, vehicles, tools, household, figures, scenery)
FAMILIES: dict[str, Family] = {
    family.name: family for module in _MODULES for family in module.FAMILIES
}


def generate(family: str, seed: int) -> Shape:
    """Draw one shape.

    Args:
        family: A key of ``FAMILIES``.
        seed: Any non-negative integer.

    Returns:
        A watertight shape without surfaces inside.

    Raises:
        ConfigError: There is no such family, or the seed is negative.
    """
    if family not in FAMILIES:
        raise ConfigError(
            f'there is no family {family!r}', f'Choose among {", ".join(sorted(FAMILIES))}'
        )
    if seed < 0:
        raise ConfigError(f'seed {seed} is negative', 'Give a seed of 0 or more')
    description = FAMILIES[family]
    rng = np.random.default_rng([zlib.crc32(family.encode()), seed])
    parts = Assembly(description.parts)
    description.draw(rng, parts)
    mesh = parts.build(random_deformations(rng, description.rigid))
    return Shape(
        vertices=mesh.vertices.astype(np.float32),
        faces=mesh.faces,
        face_part=mesh.face_part,
        part_names=description.parts,
        family=family,
        name=f'{family}-{seed:08d}',
        group=description.group,
    )


def balanced_plan(
    count: int, seed: int, families: Sequence[str] = tuple(FAMILIES)
) -> list[tuple[str, int]]:
    """Families and seeds of ``count`` shapes, families in turn; seeds count up from ``seed``.

    Plans of two data sets share no shape if their seeds differ by at least
    ``ceil(count / len(families))``.
    """
    return [
        (families[index % len(families)], seed + index // len(families)) for index in range(count)
    ]


def generate_many(
    count: int, seed: int, families: Sequence[str] = tuple(FAMILIES)
) -> Iterator[Shape]:
    """Draw the shapes of a ``balanced_plan`` one after another."""
    return (generate(*item) for item in balanced_plan(count, seed, families))
