# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong lately, for how long, and how bad that is: once is a warning, lasting an error.

A fault that happens again and again is one *episode*. It begins with its first occurrence and is
over when nothing like it happened for ``CALM_S``. The level follows from how long the episode
lasts; each change is logged once, however many clouds are affected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

CALM_S = 3.0
"""Seconds without a recurrence after which a fault is over."""


class Fault(str, Enum):
    """What can be wrong with the clouds or with what is done to them."""

    REJECTED = 'rejected'  # clouds break the rules of their message type
    DROPPED = 'dropped'  # legal clouds are dropped although no setting demands it
    SLOW = 'slow'  # results take longer than max_latency
    FAILED = 'failed'  # the network or the device fails
    NON_FINITE = 'non_finite'  # the prediction is not finite
    NO_TRANSFORM = 'no_transform'  # the sensor's motion is unknown

    __str__ = str.__str__


@dataclass(frozen=True)
class Episode:
    """A fault that lasts.

    Attributes:
        began_s: First occurrence, steady clock.
        last_s: Latest occurrence.
        count: Occurrences.
        detail: What the latest one was about.
    """

    began_s: float
    last_s: float
    count: int
    detail: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now.

    Attributes:
        name: Kind of finding; the same finding keeps its name.
        is_error: False for a warning.
        text: For people.
        lasting_s: Seconds since it began.
        over: For people, once it is over; empty = its name and that it is over.
    """

    name: str
    is_error: bool
    text: str
    lasting_s: float
    over: str = ''


class Episodes:
    """The current episode of each fault. Not thread-safe."""

    def __init__(self) -> None:
        self._episodes: dict[Fault, Episode] = {}

    def add(self, fault: Fault, detail: str, now_s: float) -> None:
        """``fault`` happened at ``now_s``."""
        last = self._episodes.get(fault)
        if last is None or now_s - last.last_s > CALM_S:
            self._episodes[fault] = Episode(now_s, now_s, 1, detail)
        else:
            self._episodes[fault] = replace(last, last_s=now_s, count=last.count + 1, detail=detail)

    def current(self, now_s: float) -> dict[Fault, Episode]:
        """Those that are not over."""
        return {fault: one for fault, one in self._episodes.items() if now_s - one.last_s <= CALM_S}


def findings(
    episodes: Mapping[Fault, Episode], now_s: float, error_after_s: float
) -> list[Finding]:
    """Judge the current episodes: one that has lasted for ``error_after_s`` is an error."""
    return [
        Finding(
            str(fault),
            one.last_s - one.began_s >= error_after_s,
            f'{one.count} x {fault} within {now_s - one.began_s:.1f} s ({one.detail})',
            now_s - one.began_s,
        )
        for fault, one in episodes.items()
    ]


class FaultLog:
    """Logs once when a finding appears, becomes an error, or is over.

    Args:
        warning: Where warnings go.
        error: Where errors go.
        info: Where the end of a fault goes.
    """

    def __init__(
        self,
        warning: Callable[[str], object],
        error: Callable[[str], object],
        info: Callable[[str], object],
    ) -> None:
        self._warning, self._error, self._info = warning, error, info
        self._known: dict[str, Finding] = {}

    def __call__(self, found: Iterable[Finding]) -> None:
        """Report what changed since the last call."""
        found = list(found)
        for one in found:
            known = self._known.get(one.name)
            if known is not None and known.is_error is one.is_error:
                continue
            if one.is_error:
                self._error(one.text)
            elif known is None:
                self._warning(one.text)
        now = {one.name: one for one in found}
        for name in self._known.keys() - now.keys():
            self._info(self._known[name].over or f'{name}: over')
        self._known = now
