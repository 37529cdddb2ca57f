# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where shapes come from when shards are written: the generator or mesh files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pointata_core.shapes.colours import with_part_colours
from pointata_core.shapes.procedural.generator import FAMILIES, balanced_plan, generate
from pointata_core.shapes.shape import Shape


class Source(Protocol):
    """One shape that can be made or read; small, picklable and a dataclass.

    ``pointata_core.shapes.MeshFile`` is one, too.
    """

    @property
    def name(self) -> str:
        """Unique name of the shape."""

    def load(self) -> Shape:
        """Make or read the shape; raises ``MeshError`` for a broken mesh."""


@dataclass(frozen=True)
class ProceduralSource:
    """A shape of the generator.

    Args:
        family: Its family.
        seed: Its seed.
    """

    family: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the shape, as ``generate`` gives it."""
        return f'{self.family}-{self.seed:08d}'

    def load(self) -> Shape:
        """Draw the shape."""
        return with_part_colours(generate(self.family, self.seed))


def procedural_sources(
    count: int, seed: int, families: Sequence[str] = tuple(FAMILIES)
) -> list[ProceduralSource]:
    """Sources of ``count`` shapes, families in turn; see ``balanced_plan``."""
    return [ProceduralSource(*item) for item in balanced_plan(count, seed, families)]


def describe(source: Source) -> dict[str, Any]:
    """What identifies a source, as plain values; where a file lies does not belong to it."""
    values = asdict(source)  # type: ignore[call-overload]
    values.pop('path', None)
    return {'kind': type(source).__name__, 'name': source.name, **values}
