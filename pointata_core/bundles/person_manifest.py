# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a person skill: a network that sees one person at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pointata_core.bundles.manifest_base import PERSON_KIND, ManifestBase
from pointata_core.bundles.manifest_fields import (
    FieldError,
    Rules,
    check_fields,
    is_number,
    part_of,
    whole,
)


@dataclass(frozen=True)
class PersonPreparation:
    """How the points of a person enter the network, and how its scores become an action.

    Attributes:
        points: Most points of a crop.
        reach_m: Metres from the middle of a person beyond which points are left out.
        period_s: Seconds between two frames of a person; clouds in between are passed over.
        temperature: Logits are divided by it, so that scores are probabilities.
        least_score: Below it the action is unknown.
        smoothing: Weight of the newest scores in the running mean, 0 to 1.
        margin: By how much another action must exceed the present one.

    Raises:
        BundleError: A value of the wrong type or out of range.
    """

    points: int = 128
    reach_m: float = 1.4
    period_s: float = 0.1
    temperature: float = 1.0
    least_score: float = 0.4
    smoothing: float = 0.35
    margin: float = 0.1

    def __post_init__(self) -> None:
        check_fields(vars(self), _PREPARATION)


def _between(low: float, high: float) -> Any:
    return lambda value: is_number(value) and low <= value <= high


_PREPARATION: Rules = {
    'points': (whole(8, 512), '8 to 512'),
    'reach_m': (_between(0.3, 5), 'metres, 0.3 to 5'),
    'period_s': (_between(0.01, 1), 'seconds, 0.01 to 1'),
    'temperature': (_between(0.01, 100), '0.01 to 100'),
    'least_score': (_between(0, 1), '0 to 1'),
    'smoothing': (_between(0.01, 1), '0.01 to 1'),
    'margin': (_between(0, 1), '0 to 1'),
}


@dataclass(frozen=True)
class PersonManifest(ManifestBase):
    """Everything about a person skill but the weights; see also :class:`ManifestBase`.

    Args:
        network: Plain values of ``models.person.person_network.PersonConfig``.
        tasks: ``action`` alone, with the classes of the network.
        preparation: How points enter, and how scores become an action.
    """

    preparation: PersonPreparation

    kind = PERSON_KIND
    file_names = ('network',)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set('preparation', part_of(PersonPreparation, 'preparation', self.preparation))
        if set(self.tasks) != {'action'}:
            raise FieldError('tasks', sorted(self.tasks), 'exactly action')
        classes = self.network.get('classes')
        if list(self.action_classes) != classes:
            raise FieldError('tasks.action.classes', list(self.action_classes), f'{classes}')
