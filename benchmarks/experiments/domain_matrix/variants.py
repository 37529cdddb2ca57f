# SPDX-License-Identifier: Apache-2.0
"""What is compared: methods, bounds and FtD++ with one part left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Variant:
    """One line of the table.

    Attributes:
        summary: What it is, for the report.
        training: What differs from the pair's settings under ``training``.
        on_target: Trained on the target's labels: the bound.
        after: Variant whose first stage this one goes on from.
    """

    summary: str
    training: dict[str, Any] = field(default_factory=dict)
    on_target: bool = False
    after: str | None = None


VARIANTS = {
    'source_only': Variant('labels of the source, nothing else', {'method': 'source_only'}),
    'xmuda': Variant('xMUDA, first stage', {'method': 'xmuda'}),
    'ftd++': Variant('FtD++, first stage', {'method': 'ftd++'}),
    'target': Variant(
        'bound: labels of the target', {'method': 'source_only'}, on_target=True
    ),
    'ftd++_pl': Variant(
        'FtD++ with debiased pseudo-labels (xDPL)',
        {'method': 'ftd++', 'second_stage': True},
        after='ftd++',
    ),
    'xmuda_pl': Variant(
        'xMUDA with pseudo-labels', {'method': 'xmuda', 'second_stage': True}, after='xmuda'
    ),
    'ftd++_plain_pl': Variant(
        'FtD++ with plain pseudo-labels in place of xDPL',
        {'method': 'ftd++', 'second_stage': True, 'pseudo_label_mode': 'plain'},
        after='ftd++',
    ),
    'without_mffm': Variant('FtD++ without the fusion', {'method': 'ftd++', 'fusion': False}),
    'without_mpd': Variant(
        'FtD++ without MPD', {'method': 'ftd++', 'without': ('modality',)}
    ),
    'without_dpd': Variant('FtD++ without DPD', {'method': 'ftd++', 'without': ('domain',)}),
    'without_style': Variant(
        'FtD++ whose teacher sees the source unstyled', {'method': 'ftd++', 'without': ('style',)}
    ),
}  # fmt: skip
"""Variants by name, in the order of the report."""

MAIN = ('source_only', 'xmuda', 'ftd++', 'target', 'ftd++_pl')
ABLATIONS = ('ftd++_plain_pl', 'without_mffm', 'without_mpd', 'without_dpd', 'without_style')
