# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables about people: how well they are followed."""

from __future__ import annotations

from benchmarks.tables.markdown import table
from benchmarks.tables.results import Results


def people_tracking(results: Results) -> str:
    """HOTA, IDF1 and MOTA on simulated crowds, by sensor, number of people and labels."""
    rows = [
        (
            row['sensor'],
            row['crowd'],
            row['labels'],
            *(f'{100 * row[name]:.1f}' for name in ('hota', 'detection', 'association')),
            *(f'{100 * row[name]:.1f}' for name in ('idf1', 'mota')),
            row['switches'],
            f'{row["people"]:,}',
        )
        for row in results('people_tracking')['rows']
    ]
    header = ('sensor', 'people', 'labels', 'HOTA', 'detection', 'association', 'IDF1', 'MOTA')
    return table((*header, 'switches', 'frames'), rows)


TABLES = {'people-tracking': people_tracking}
