# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of figures for README and ``docs/``: each is a function of the results.

To add one, write ``name(results: Results) -> str`` in the module of its subject, with a docstring
that tells what the figures are (``python -m benchmarks figures --list`` shows it), and enter it in
the module's ``TABLES``.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.tables import (
    adaptation,
    domain,
    people,
    pretraining,
    robustness,
    scenes,
    speed,
    streets,
    summary,
)
from benchmarks.tables.results import Results

Table = Callable[[Results], str]

TABLES: dict[str, Table] = {
    name: table
    for module in (
        summary,
        speed,
        robustness,
        scenes,
        streets,
        people,
        adaptation,
        pretraining,
        domain,
    )
    for name, table in module.TABLES.items()
}
"""All tables by the name that documents use."""

__all__ = ['TABLES', 'Results', 'Table']
