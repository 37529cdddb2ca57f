# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table that compares simulated streets with recorded ones."""

from __future__ import annotations

from benchmarks.tables.markdown import table
from benchmarks.tables.results import Results

_SHOWN = (
    *(f'share of {name}, 10–20 m' for name in ('road', 'sidewalk', 'terrain', 'building')),
    *(f'share of {name}, 20–40 m' for name in ('vegetation', 'car', 'fence', 'pole')),
    'points, 20–40 m',
    'upright cells, 20–40 m',
    'ground off the plane, 10–20 m',
    'more than 0.3 m below ground',
    *(f'intensity of {name}, median' for name in ('road', 'terrain', 'building', 'car')),
    'height of building, 50 %',
    'height of vegetation, 90 %',
    'height of car, 50 %',
)


def street_statistics(results: Results) -> str:
    """Statistics of ten recorded drives and of simulated streets; shares in per cent, metres."""
    found = results('street_statistics')
    rows = {row['statistic']: row for row in found['rows']}
    shown = [
        (
            name,
            rows[name]['drives'],
            f'{rows[name]["least"]} to {rows[name]["most"]}',
            rows[name]['simulated'],
        )
        for name in _SHOWN
    ]
    outside = sum(bool(row['']) for row in found['rows'])
    shown.append((f'outside the drives: {outside} of {len(rows)}', '', '', ''))
    return table(('statistic', 'mean of the drives', 'by drive', 'simulated'), shown)


TABLES = {'street-statistics': street_statistics}
