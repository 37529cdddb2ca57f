# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the stamps of a stream allow: go on, skip a frame, or begin anew.

A temporal network that meets a looped bag, a sensor restart or a doubled message without noticing
mixes two unrelated moments without a sign of doubt. Every frame therefore passes one guard before
it may touch the state of the stream. The rules, first match wins:

1. a reset was asked for since the last frame          -> reset, with the reason given
2. ``frame_id`` differs from the previous one          -> reset, ``frame_changed``
3. stamp equal to the newest accepted one              -> skip, ``duplicate_stamp``
4. stamp older, by at most ``tolerance_ns``            -> skip, ``out_of_order``
5. stamp older by more                                 -> reset, ``backward_jump``
6. stamp newer by more than ``max_gap_ns``             -> reset, ``gap``
7. anything else, and the very first frame             -> accept

A frame that resets the stream gets a prediction: it is the first of the new history. A skipped one
leaves no trace, so one stray stamp costs two resets at most (out and back), and a stream that has
jumped recovers with its first frame, or within ``tolerance_ns`` of stream time after a small step
back. Between two resets the accepted stamps strictly increase.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass
from enum import Enum
from operator import index

from pointata_core.errors import ConfigError


class ResetReason(str, Enum):
    """Why the history of a stream was dropped."""

    BACKWARD_JUMP = 'backward_jump'
    GAP = 'gap'
    FRAME_CHANGED = 'frame_changed'
    BUNDLE_CHANGED = 'bundle_changed'
    REQUESTED = 'requested'
    CLOCK_JUMP = 'clock_jump'

    __str__ = str.__str__


class SkipReason(str, Enum):
    """Why a frame got no prediction."""

    DUPLICATE_STAMP = 'duplicate_stamp'
    OUT_OF_ORDER = 'out_of_order'

    __str__ = str.__str__


_SET_STAMP = 'Let the driver set header.stamp to the time of measurement'
_TROUBLES: dict[SkipReason | ResetReason, tuple[str, str]] = {
    SkipReason.DUPLICATE_STAMP: ('clouds have the stamp of the one before', _SET_STAMP),
    SkipReason.OUT_OF_ORDER: (
        'stamps do not increase',
        f'{_SET_STAMP}, and let one publisher alone use the topic',
    ),
    ResetReason.BACKWARD_JUMP: (
        'stamps jump back again and again',
        'Check whether two publishers use the topic, and give each sensor a topic of its own',
    ),
    ResetReason.GAP: (
        'the pause between two stamps is longer than the limit of {:g} s',
        'Raise the limit (max_gap, --max-gap) above the period of the sensor, and check that '
        'header.stamp is in seconds and nanoseconds',
    ),
    ResetReason.FRAME_CHANGED: (
        'header.frame_id changes again and again',
        'Give each sensor a topic of its own, or one frame_id to all clouds of a topic',
    ),
}
_RECENT = 30


@dataclass(frozen=True)
class Accept:
    """The frame continues the stream."""


@dataclass(frozen=True)
class Skip:
    """The frame must not touch the stream and gets no prediction."""

    reason: SkipReason


@dataclass(frozen=True)
class Reset:
    """The frame begins a new history: drop the old one, then predict."""

    reason: ResetReason


Decision = Accept | Skip | Reset


@dataclass(frozen=True)
class TimeState:
    """What the guard remembers of a stream; everything that its next decision depends on.

    Args:
        stamp_ns: Newest accepted stamp in nanoseconds; ``None`` before the first frame.
        frame_id: Coordinate frame of that frame.
        pending: Reset asked for, not yet reported with a frame.
    """

    stamp_ns: int | None = None
    frame_id: str = ''
    pending: ResetReason | None = None

    def to_bytes(self) -> bytes:
        """The state as UTF-8 JSON, to lie beside tensors in a saved stream."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> TimeState:
        """Read what ``to_bytes`` wrote.

        Raises:
            ConfigError: The bytes are not such a state.
        """
        try:
            raw = json.loads(data)
            stamp, frame_id, pending = raw['stamp_ns'], raw['frame_id'], raw['pending']
            return cls(
                stamp_ns=None if stamp is None else index(stamp),
                frame_id=frame_id + '',
                pending=None if pending is None else ResetReason(pending),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(
                f'saved stream: its time state cannot be read ({error!r})',
                'Restore only what save_state of the same version returned.',
            ) from error


class TimeGuard:
    """Decides for each frame of one stream by its stamp and coordinate frame alone.

    Args:
        max_gap_ns: Longest step forward that still continues the stream, > 0.
        tolerance_ns: Longest step back taken for disorder on the wire rather than a jump, >= 0.

    Raises:
        ConfigError: A limit is out of range.

    Attributes:
        seen: Frames checked.
        accepted: Frames with a prediction, those that reset the stream included.
        skipped: Frames without a prediction, by ``SkipReason``; the rest of ``seen``.
        resets: Histories dropped, by ``ResetReason``.
    """

    def __init__(self, max_gap_ns: int, tolerance_ns: int = 0) -> None:
        if index(max_gap_ns) <= 0:
            raise ConfigError(
                f'max_gap is {max_gap_ns} ns, expected more than 0',
                'Set it to a few frame periods, for example 1 s for a 10 Hz sensor.',
            )
        if index(tolerance_ns) < 0:
            raise ConfigError(
                f'out-of-order tolerance is {tolerance_ns} ns, expected 0 or more',
                'Set it to 0 to treat every step back as a jump.',
            )
        self.max_gap_ns = index(max_gap_ns)
        self.tolerance_ns = index(tolerance_ns)
        self.seen = 0
        self.accepted = 0
        self.skipped: Counter[SkipReason] = Counter()
        self.resets: Counter[ResetReason] = Counter()
        # None for a cloud that continued the one before.
        self._recent: deque[SkipReason | ResetReason | None] = deque(maxlen=_RECENT)
        self._state = TimeState()

    def check(self, stamp_ns: int, frame_id: str = '') -> Decision:
        """Judge the next frame and remember it unless it is skipped.

        Args:
            stamp_ns: Stamp of the frame in nanoseconds.
            frame_id: Coordinate frame of its points.
        """
        stamp_ns = index(stamp_ns)
        decision = self._judge(stamp_ns, frame_id)
        self.seen += 1
        if isinstance(decision, Skip):
            self.skipped[decision.reason] += 1
            self._recent.append(decision.reason)
            return decision
        if isinstance(decision, Reset) and self._state.pending is None:
            self.resets[decision.reason] += 1
        if isinstance(decision, Accept) and self._state.stamp_ns is not None:
            self._recent.append(None)
        elif isinstance(decision, Reset) and decision.reason in _TROUBLES:
            self._recent.append(decision.reason)
        self.accepted += 1
        self._state = TimeState(stamp_ns, frame_id)
        return decision

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Forget the stream now; the next frame, whatever its stamp, reports ``reason``."""
        reason = ResetReason(reason)
        self.resets[reason] += 1
        self._state = TimeState(pending=reason)

    def trouble(self, fewest: int = 2) -> str:
        """Why the history of this stream does not grow, and the remedy; '' where it does.

        Args:
            fewest: Clouds after the first one that must have been seen.
        """
        recent = list(self._recent)
        if len(recent) < fewest or 10 * recent.count(None) >= len(recent):
            return ''
        reason, count = Counter(one for one in recent if one is not None).most_common(1)[0]
        what, remedy = _TROUBLES[reason]
        if reason == SkipReason.DUPLICATE_STAMP and not self._state.stamp_ns:
            what = 'all stamps in the headers are zero'
        return (
            f'the history does not grow: {count} of the last {len(recent)} clouds did not continue '
            f'the stream ({reason}), because {what.format(self.max_gap_ns * 1e-9)}. {remedy}'
        )

    def save(self) -> TimeState:
        """What the next decision depends on; counters are not part of it."""
        return self._state

    def restore(self, state: TimeState) -> None:
        """Continue the stream that ``save`` described; counters go on as they are."""
        self._state = state

    def _judge(self, stamp_ns: int, frame_id: str) -> Decision:
        last = self._state
        if last.pending is not None:
            return Reset(last.pending)
        if last.stamp_ns is None:
            return Accept()
        if frame_id != last.frame_id:
            return Reset(ResetReason.FRAME_CHANGED)
        step_ns = stamp_ns - last.stamp_ns
        if step_ns == 0:
            return Skip(SkipReason.DUPLICATE_STAMP)
        if step_ns < -self.tolerance_ns:
            return Reset(ResetReason.BACKWARD_JUMP)
        if step_ns < 0:
            return Skip(SkipReason.OUT_OF_ORDER)
        if step_ns > self.max_gap_ns:
            return Reset(ResetReason.GAP)
        return Accept()
