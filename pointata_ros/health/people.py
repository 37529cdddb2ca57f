# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics show of the people of an input.

This module does not import ROS.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PeopleFacts:
    """The people of the last cloud, and what following them takes.

    Attributes:
        skill: Name of the person skill; empty without one.
        skill_hash: Names its exact weights.
        followed: People.
        hidden: Those of them that are not seen at the moment.
        waiting: Those whose turn it was to be computed, and for whom there was no room.
        seen_in_all: People followed so far.
        unplaced: Clouds passed over because their pose in the fixed frame is unknown.
        state_bytes: Bytes that are kept of them.
    """

    skill: str = ''
    skill_hash: str = ''
    followed: int = 0
    hidden: int = 0
    waiting: int = 0
    seen_in_all: int = 0
    unplaced: int = 0
    state_bytes: int = 0

    def values(self) -> dict[str, object]:
        """By key; without what there is not."""
        return {name: value for name, value in vars(self).items() if value != ''}

    @property
    def trouble(self) -> str:
        """What a reader should know about the last cloud; empty if nothing."""
        if not self.waiting:
            return ''
        return (
            f'{self.waiting} of {self.followed} people wait for a later cloud: the actions of all '
            'are computed less often'
        )
