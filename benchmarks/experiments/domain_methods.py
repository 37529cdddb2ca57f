# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is compared: methods, bounds and FtD++ with one part left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """One line of the table.

    Attributes:
        summary: What it is, for people.
        training: What differs from the settings of the setup under ``training``.
        on_target: Trained on the target's labels: the bound.
        source: Folder of labelled frames in place of the setup's.
        labelled: Folder of labelled frames of the target beside them.
        after: Method whose first network this one goes on from.
        train: False only takes the target's statistics into that network.
    """

    summary: str
    training: dict[str, Any] = field(default_factory=dict)
    on_target: bool = False
    source: str | None = None
    labelled: str | None = None
    after: str | None = None
    train: bool = True


SIMULATED: dict[str, Method] = {
    'source_only': Method('labels of the source, nothing else', {'method': 'source_only'}),
    'xmuda': Method('xMUDA, first stage', {'method': 'xmuda'}),
    'ftd++': Method('FtD++, first stage', {'method': 'ftd++'}),
    'target': Method(
        'bound: labels of the target', {'method': 'source_only'}, on_target=True
    ),
    'ftd++_pl': Method(
        'FtD++ with debiased pseudo-labels (xDPL)',
        {'method': 'ftd++', 'second_stage': True},
        after='ftd++',
    ),
    'xmuda_pl': Method(
        'xMUDA with pseudo-labels', {'method': 'xmuda', 'second_stage': True}, after='xmuda'
    ),
    'ftd++_plain_pl': Method(
        'FtD++ with plain pseudo-labels in place of xDPL',
        {'method': 'ftd++', 'second_stage': True, 'pseudo_label_mode': 'plain'},
        after='ftd++',
    ),
    'without_mffm': Method('FtD++ without the fusion', {'method': 'ftd++', 'fusion': False}),
    'without_mpd': Method(
        'FtD++ without MPD', {'method': 'ftd++', 'without': ('modality',)}
    ),
    'without_dpd': Method('FtD++ without DPD', {'method': 'ftd++', 'without': ('domain',)}),
    'without_style': Method(
        'FtD++ whose teacher sees the source unstyled', {'method': 'ftd++', 'without': ('style',)}
    ),
}  # fmt: skip
"""Methods on pairs of simulated domains by name, in the order of the tables."""

MAIN = ('source_only', 'xmuda', 'ftd++', 'target', 'ftd++_pl')
ABLATIONS = ('ftd++_plain_pl', 'without_mffm', 'without_mpd', 'without_dpd', 'without_style')


_PLAIN = {'method': 'source_only', 'target_statistics': False}
_LABELS = {'method': 'pseudo_labels', 'second_stage': True, 'target_statistics': False}
_STATISTICS = {'target_statistics': True}
_JOINT = {'batch': 8}  # half of it is simulated, so as much of that is seen as in other methods

METHODS: dict[str, dict[str, Method]] = {
    'night': SIMULATED,
    'city': SIMULATED,
    'lidar': {
        'source_only': Method('simulation alone', _PLAIN),
        'statistics': Method(
            "simulation, then the target's statistics (AdaBN)",
            _PLAIN | _STATISTICS, after='source_only', train=False,
        ),
        'min_entropy': Method('minimal entropy', _PLAIN | {'method': 'min_entropy'}),
        'pseudo_labels': Method(
            'pseudo-labels of "simulation alone"', _LABELS, after='source_only'
        ),
        'statistics_pl': Method(
            "pseudo-labels of AdaBN, and the target's statistics again",
            _LABELS | _STATISTICS, after='statistics',
        ),
        'few_only': Method('two labelled frames alone', _PLAIN, source='street_few'),
        'source_few': Method(
            'simulation and two labelled frames', _PLAIN | _JOINT, labelled='street_few'
        ),
        'source_few_pl': Method(
            'the same, then its pseudo-labels and the target\'s statistics',
            _LABELS | _STATISTICS | _JOINT, labelled='street_few', after='source_few',
        ),
        'target': Method(
            'bound: all fourteen frames with labels', _PLAIN, source='street_quarters'
        ),
    },
    'camera': {
        'source_only': Method('simulation alone', {'method': 'source_only'}),
        'statistics': Method(
            "simulation, then the target's statistics (AdaBN)",
            _PLAIN | _STATISTICS, after='source_only', train=False,
        ),
        'xmuda': Method('xMUDA', {'method': 'xmuda'}),
        'ftd++': Method('FtD++, first stage', {'method': 'ftd++'}),
        'ftd++_pl': Method(
            'FtD++ with pseudo-labels', {'method': 'ftd++', 'second_stage': True}, after='ftd++'
        ),
    },
}  # fmt: skip
"""Methods by name, by setup, in the order of the tables."""

TESTS = {'street': 'street_test', 'view': 'street_test_view', 'simulated': 'simulated_test'}
"""Folders of what the LiDAR's head is scored on, by name."""
