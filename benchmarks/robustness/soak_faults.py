# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The faults of the soak: what may go wrong around a node, one function each.

A fault is given the session and may block for a moment. What it expects of the node it checks at
once, or leaves as an expectation that the session follows up. The node must go on after each.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from copy import deepcopy

from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import LabelInfo

from benchmarks.robustness.ros_graph import LATCHED
from benchmarks.robustness.soak_session import Soak

Lie = Callable[[PointCloud2], None]
_FLOOD = 40
_FREEZE_S = 0.7
_PATIENCE_S = 60.0


def _lie(name: str, value: object) -> Lie:
    return lambda cloud: setattr(cloud, name, value)


def _lie_in_field(index: int, name: str, value: object) -> Lie:
    return lambda cloud: setattr(cloud.fields[index], name, value)


def _lie_in_stamp(name: str, value: int) -> Lie:
    return lambda cloud: setattr(cloud.header.stamp, name, value)


def _cut(cloud: PointCloud2) -> None:
    cloud.data = cloud.data[: len(cloud.data) // 2]


def _widen(cloud: PointCloud2) -> None:
    cloud.width += 1


def _double_x(cloud: PointCloud2) -> None:
    cloud.fields = [*cloud.fields, deepcopy(cloud.fields[0])]


def _repeat_fields(cloud: PointCloud2) -> None:
    cloud.fields = [deepcopy(cloud.fields[0]) for _ in range(300)]


# What is done to a legal cloud (x, y, z float32, one row), and why it must be rejected.
MALFORMED: dict[str, tuple[Lie, str]] = {
    'point_step 0': (_lie('point_step', 0), 'bad_point_step'),
    'point_step 1': (_lie('point_step', 1), 'field_outside_point'),
    'point_step 2^32-1': (_lie('point_step', 2**32 - 1), 'too_many_bytes'),
    'row_step 3': (_lie('row_step', 3), 'bad_row_step'),
    'row_step 2^32-1': (_lie('row_step', 2**32 - 1), 'too_many_bytes'),
    'one column too many': (_widen, 'bad_row_step'),
    'width 0': (_lie('width', 0), 'data_without_points'),
    'width 2^32-1': (_lie('width', 2**32 - 1), 'too_many_points'),
    'height 0': (_lie('height', 0), 'data_without_points'),
    'one row too many': (_lie('height', 2), 'truncated_data'),
    'height 2^32-1': (_lie('height', 2**32 - 1), 'too_many_points'),
    'half of the data': (_cut, 'truncated_data'),
    'no data': (_lie('data', b''), 'truncated_data'),
    'no fields': (_lie('fields', []), 'missing_field'),
    'no z': (_lie_in_field(2, 'name', 'depth'), 'missing_field'),
    'two x': (_double_x, 'duplicate_field'),
    '300 fields': (_repeat_fields, 'too_many_fields'),
    'datatype 99': (_lie_in_field(0, 'datatype', 99), 'unknown_datatype'),
    'count 0': (_lie_in_field(1, 'count', 0), 'bad_count'),
    'overlapping fields': (_lie_in_field(1, 'offset', 2), 'overlapping_fields'),
    'offset beyond the point': (_lie_in_field(2, 'offset', 4096), 'field_outside_point'),
    'two billion nanoseconds': (_lie_in_stamp('nanosec', 2_000_000_000), 'bad_stamp'),
    'negative seconds': (_lie_in_stamp('sec', -1), 'bad_stamp'),
}


def malformed(soak: Soak) -> None:
    """Malformed clouds one by one, each proven to be rejected for its own reason."""
    for kind in soak.chance.sample(sorted(MALFORMED), soak.chance.randint(1, 4)):
        lie, reason = MALFORMED[kind]
        # Nothing may be waiting, or the cloud could be overtaken before anybody looks into it.
        soak.settle()
        before = soak.rejections(reason)
        soak.send_malformed(kind, lie)
        soak.settle()
        if soak.rejections(reason) != before + 1:
            soak.break_promise(f'a cloud with {kind} was not rejected as {reason}')


def malformed_flood(soak: Soak) -> None:
    """Malformed clouds among legal ones as fast as possible: overtaken or rejected, but counted."""
    for _ in range(_FLOOD // 2):
        kind = soak.chance.choice(sorted(MALFORMED))
        soak.send_malformed(kind, MALFORMED[kind][0])
        if soak.chance.random() < 0.5:
            soak.tick()


def doubled_stamp(soak: Soak) -> None:
    """Two clouds with one stamp."""
    soak.send(soak.stream.make(soak.stream.stamp_ns))


def late_stamp(soak: Soak) -> None:
    """A straggler."""
    soak.send(soak.stream.make(soak.stream.stamp_ns - 50_000_001))


def stray_stamp(soak: Soak) -> None:
    """One cloud from an hour ahead."""
    soak.send(soak.stream.make(soak.stream.stamp_ns + 3600 * 10**9))


def gap(soak: Soak) -> None:
    """The stamps leap ahead."""
    soak.stream.stamp_ns += soak.chance.choice((2, 5, 3600)) * 10**9


def jump_back(soak: Soak) -> None:
    """The stamps begin anew, as those of a looping recording do."""
    soak.stream.stamp_ns -= soak.chance.choice((2, 60, 3600)) * 10**9


def other_frame(soak: Soak) -> None:
    """The clouds come from another coordinate frame."""
    frames = {'lidar', 'lidar_rear', ''} - {soak.stream.frame_id}
    soak.stream.frame_id = soak.chance.choice(sorted(frames))


def other_rate(soak: Soak) -> None:
    """The sensor changes its rate."""
    soak.stream.rate_hz = soak.chance.choice((0.5, 1.0, 2.0)) * soak.options.rate


def flood(soak: Soak) -> None:
    """More clouds at once than can wait."""
    for _ in range(_FLOOD):
        soak.tick()


def publisher_restart(soak: Soak) -> None:
    """The driver goes and comes back."""
    soak.close_publisher()
    soak.open_publisher()


def second_publisher(soak: Soak) -> None:
    """For a moment somebody else publishes on the same topic."""
    soak.settle()
    first, mine = soak.publisher, soak.stream.frame_id
    soak.open_publisher()
    soak.stream.frame_id = 'intruder'
    for _ in range(3):
        soak.tick()
    soak.close_publisher()
    soak.publisher, soak.stream.frame_id = first, mine


def good_swap(soak: Soak) -> None:
    """Another skill, while clouds go on."""
    soak.begin_swap(soak.chance.choice(('first', 'second')), is_good=True)


def bad_swap(soak: Soak) -> None:
    """A skill that must be refused, while clouds go on."""
    soak.begin_swap(soak.chance.choice(('damaged', 'unreadable', 'absent')), is_good=False)


def listeners(soak: Soak) -> None:
    """Subscribers come, hear an answer perhaps, and go."""
    for name in ('segmentation', 'segmentation_rgb'):
        soak.visit(PointCloud2, name, 1)
    soak.tick()


def late_listener(soak: Soak) -> None:
    """Who comes late still gets the table of labels."""
    heard = soak.visit(LabelInfo, 'segmentation/label_info', LATCHED)
    deadline_s = time.monotonic() + _PATIENCE_S

    def verdict() -> str | None:
        if heard:
            return ''
        return 'no table of labels for a late listener' if time.monotonic() > deadline_s else None

    soak.expect(verdict)


def parameter(soak: Soak) -> None:
    """A parameter changes, or is refused."""
    name, value, is_legal = soak.chance.choice(
        (
            ('score_threshold', 0.0, True),
            ('score_threshold', 0.3, True),
            ('max_latency', 0.5, True),
            ('score_threshold', 7.0, False),
            ('score_threshold', 'high', False),
            ('policy', 'block', False),
        )
    )
    future = soak.set_parameter(name, value)

    def verdict() -> str | None:
        if not future.done():
            return None
        (result,) = future.result().results
        return '' if result.successful is is_legal else f'{name} = {value}: {result.reason or "ok"}'

    soak.expect(verdict)


def freeze(soak: Soak) -> None:
    """The process gets no processor for a while, and clouds pile up."""
    soak.node.process.send_signal(signal.SIGSTOP)
    for _ in range(round(_FREEZE_S * soak.stream.rate_hz)):
        soak.tick()
        time.sleep(1.0 / soak.stream.rate_hz)
    soak.node.process.send_signal(signal.SIGCONT)


def reactivation(soak: Soak) -> None:
    """Out of the active state and back, by services."""
    soak.settle()
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        if not soak.change_state(transition):
            soak.break_promise(f'transition {transition} failed')
    soak.wait_for_connection()


FAULTS = (
    malformed,
    malformed_flood,
    doubled_stamp,
    late_stamp,
    stray_stamp,
    gap,
    jump_back,
    other_frame,
    other_rate,
    flood,
    publisher_restart,
    second_publisher,
    good_swap,
    bad_swap,
    listeners,
    late_listener,
    parameter,
    freeze,
    reactivation,
)
