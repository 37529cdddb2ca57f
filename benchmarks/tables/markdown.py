# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How tables write their figures: Markdown rows, means with their spread, units."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    Args:
        header: Names of the columns.
        rows: As many values in each row as there are columns.

    Raises:
        ValueError: A row is shorter or longer than the header.
    """
    lines = [_line(header), '|' + '---|' * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f'row {row!r} has {len(row)} values, the header {len(header)}')
        lines.append(_line(row))
    return '\n'.join(lines)


def _line(values: Sequence[object]) -> str:
    # An empty cell has one blank, not two, so that no editor changes it.
    return '|' + '|'.join(f' {value} ' if str(value) else ' ' for value in values) + '|'


def mean_deviation(values: Sequence[float], decimals: int = 1) -> str:
    """Mean and sample standard deviation; the value alone if there is one, empty if none."""
    if not values:
        return ''
    mean = f'{statistics.fmean(values):.{decimals}f}'
    return mean if len(values) < 2 else f'{mean} ± {statistics.stdev(values):.{decimals}f}'


def percent(values: Iterable[float]) -> list[float]:
    """Shares 0..1 as per cent."""
    return [100 * value for value in values]


def mean_percent(shares: Iterable[float]) -> str:
    """Mean and sample standard deviation of shares 0..1, as per cent."""
    return mean_deviation(percent(shares))


def summaries(methods: Mapping[str, Any], names: str = 'method', what: str = 'what it is') -> str:
    """A table of what is compared: names and the ``summary`` of each."""
    return table((names, what), [(f'`{name}`', one.summary) for name, one in methods.items()])


def milliseconds(value: float) -> str:
    """A time in ms with as many decimals as tell something, the unit included."""
    if value >= 1000:
        return f'{value / 1000:.2f} s'
    return f'{value:.0f} ms' if value >= 100 else f'{value:.{1 if value >= 10 else 2}f} ms'


def millions(count: float) -> str:
    """A number of parameters."""
    return f'{count / 1e6:.2f} M'
