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


def people_actions(results: Results) -> str:
    """What simulated people do who are not in the training: by sensor and labels."""
    rows = [
        (
            row['sensor'],
            row['labels'],
            *(_percent(row[name]) for name in ('accuracy', 'f1_50', 'edit')),
            *(f'{row[name]:.0f}' for name in ('changes_per_minute', 'true_changes_per_minute')),
            _percent(row['hota']),
            f'{row["frames"]:,}',
        )
        for row in results('people_actions')['rows']
    ]
    header = ('sensor', 'labels', 'right', 'F1@50', 'edit', 'changes', 'true changes', 'HOTA')
    return table((*header, 'frames'), rows)


def people_actions_real(results: Results) -> str:
    """What real people do, on data sets that the person skill never learned from: by class."""
    rows = []
    for name, found in results('people_actions')['real'].items():
        shown = {'utd_mhad': 'UTD-MHAD', 'msr_action3d': 'MSR-Action3D'}[name]
        for action, row in found['classes'].items():
            answers = sorted(row['answers'].items(), key=lambda pair: (-pair[1], pair[0]))
            text = ', '.join(f'{answer} {count}' for answer, count in answers)
            rows.append((shown, action, f'{row["right"]} of {row["recordings"]}', text))
        share = _percent(found['right'] / found['recordings'])
        rows.append((shown, '**all**', f'{found["right"]} of {found["recordings"]}', f'{share} %'))
    return table(('data set', 'action', 'right', 'answers'), rows)


def _percent(share: float | None) -> str:
    return '–' if share is None else f'{100 * share:.1f}'


TABLES = {
    'people-tracking': people_tracking,
    'people-actions': people_actions,
    'people-actions-real': people_actions_real,
}
