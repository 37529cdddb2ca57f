# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Time that loops, stands still, jumps and changes its pace, in a live node."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
import rclpy
from node_harness import Bench
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from benchmarks.robustness.ros_graph import (
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    cloud,
    recorded,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import Skipped, StreamingSession
from pointata_core.inference.time_rules import ResetReason
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_ros.tools.bag_player import BagPlayer, PlayOptions

pytestmark = pytest.mark.ros
CLOUDS = 5
LOOPS = 3


def stamp_ns(message: PointCloud2) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def resets(bench: Bench) -> Counter[str]:
    return Counter({str(one): n for one, n in bench.stream.session.resets.items()})


@pytest.fixture(scope='module')
def looping_bag(tmp_path_factory):
    """Five clouds within a second, with silence before and after them."""
    path = tmp_path_factory.mktemp('looping') / 'bag'
    first_ns, last_ns = START_NS - 5 * PERIOD_NS, START_NS + (CLOUDS + 5) * PERIOD_NS
    with BagWriter(path) as writer:
        writer.add_topic('/edge', 'std_msgs/msg/String')
        writer.add_topic('/points', 'sensor_msgs/msg/PointCloud2')
        edge = serialize_message(String(data='edge'))
        writer.write_raw('/edge', edge, first_ns)
        for seed in range(CLOUDS):
            message = serialize_message(recorded(seed))
            writer.write_raw('/points', message, START_NS + seed * PERIOD_NS)
        writer.write_raw('/edge', edge, last_ns)
    return path


def play_loops(bench: Bench, bag, clock: bool) -> tuple[int, list[PointCloud2]]:
    """Play three times at least, stop in the silence after; returns how often, and all answers."""
    answers = bench.collect('output/segmentation', PointCloud2)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('player', context=context, use_global_arguments=False)
    options = PlayOptions(clouds_to=bench.topic('input/points'), loop=True, clock=clock)
    try:
        with BagPlayer(bag, node, options) as player:
            assert player.wait_for_subscribers(1, 60.0)
            wait_until(bench.stream.input.count_publishers, 'the node to see the player')
            if clock:
                wait_until(player._clock.get_subscription_count, 'the clock to be heard')
            reports = []
            thread = threading.Thread(target=lambda: reports.append(player.play()))
            thread.start()
            last_ns = stamp_ns(recorded(CLOUDS - 1))
            wait_until(
                lambda: [stamp_ns(one) for one in answers.messages].count(last_ns) >= LOOPS,
                f'the end of loop {LOOPS}',
            )
            player.stop()
            thread.join(60.0)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    loops, rest = divmod(reports[0].published[bench.topic('input/points')], CLOUDS)
    assert rest == 0
    return loops, list(answers.messages)


@pytest.mark.parametrize(
    ('clock', 'reason'),
    [(True, ResetReason.CLOCK_JUMP), (False, ResetReason.BACKWARD_JUMP)],
    ids=['use_sim_time', 'stamps alone'],
)
def test_a_looping_recording_begins_a_new_history_once_per_loop(
    untrained_bundle, looping_bag, clock, reason
):
    # One stream of clouds, reliable, with room for a whole loop: nothing gets lost on the way.
    given = {
        'use_sim_time': clock,
        'ingest_share': 1.0,
        'queue_size': 20,
        'max_gap': 60.0,
        'qos_overrides./looped/input/points.subscription.reliability': 'reliable',
    }
    with Bench('looped', bundle=str(untrained_bundle), device='cpu', **given) as bench:
        bench.wait_for_state('active')
        loops, answers = play_loops(bench, looping_bag, clock)
        bench.settle()
        counts, history = resets(bench), bench.stream.session.frames_in_history
        gaps = bench.stream.statistics.snapshot().gaps
    # With a clock, the first jump is the one from no time at all to that of the recording. A cloud
    # that arrives behind the jump of the clock, on a slow machine, costs one reset more.
    fewest, most = (LOOPS, 2 * loops) if clock else (LOOPS - 1, loops - 1)
    assert fewest <= counts.total() <= most
    assert counts[str(reason)] >= fewest
    assert history <= CLOUDS
    if gaps:
        return  # a machine this slow leaves clouds out, and the history differs from loop to loop
    # No answer mixes two loops: each is answered as if it were alone.
    session = StreamingSession(load_bundle(untrained_bundle))
    expected = {}
    for message in map(recorded, range(CLOUDS)):
        points, stamp = decode(message).points, stamp_ns(message)
        expected[stamp] = session.step(points, stamp, frame_id='lidar').labels
    assert history == CLOUDS
    assert {stamp_ns(one) for one in answers} <= set(expected)
    for one in answers:
        np.testing.assert_array_equal(decode_labels(one, 'class_id'), expected[stamp_ns(one)])


MS = 1_000_000
STEPS_MS = {
    'faster and slower': [100, 100, 50, 50, 20, 10, 300, 300, 900, 100],
    'jittering': [100, 97, 104, 91, 112, 100, 99, 131, 60, 100],
    'pausing': [100, 100, 5_000, 100, 100, 3_600_000, 100],
    'jumping back': [100, 100, -60_000, 100, 100, -3_600_000, 100],
    'a stray stamp': [100, 100, 3_600_000, -3_599_900, 100, 100],
    'doubled': [100, 0, 100, 0, 0, 100],
    'stragglers': [100, 100, -50, 150, 100, -120, 220],
}


@pytest.fixture(scope='module')
def block_bench(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', policy='block', diagnostics_period=0.1
    ) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.mark.parametrize('steps', STEPS_MS.values(), ids=STEPS_MS)
def test_whatever_time_does_the_node_answers_as_offline_and_counts_the_rest(
    block_bench, untrained_bundle, steps
):
    bench = block_bench
    assert bench.change('deactivate')
    assert bench.change('activate')
    stamps = START_NS + MS * np.cumsum([0, *steps])
    session = StreamingSession(load_bundle(untrained_bundle))
    expected, skipped = [], Counter()
    for seed, stamp in enumerate(stamps.tolist()):
        result = session.step(street(seed), stamp, frame_id='lidar')
        if isinstance(result, Skipped):
            skipped[f'dropped.{result.reason.value}'] += 1
        else:
            expected.append(result)
    before = bench.stream.statistics.snapshot()
    resets_before = resets(bench)
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    for seed, stamp in enumerate(stamps.tolist()):
        publisher.publish(cloud(street(seed), stamp))
    answers.wait_for(len(expected))
    wait_until(
        lambda: bench.stream.statistics.snapshot().received - before.received == len(stamps),
        'every cloud to arrive',
    )
    received = list(answers.messages)
    bench.settle()
    after = bench.stream.statistics.snapshot()
    assert [stamp_ns(one) for one in received] == [one.stamp_ns for one in expected]
    for answer, result in zip(received, expected):
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)
    dropped = after.dropped - before.dropped
    assert {f'dropped.{reason}': n for reason, n in dropped.items()} == skipped
    # The activation before counts as one more, asked for.
    happened = resets(bench) - resets_before - Counter({str(ResetReason.REQUESTED): 1})
    assert happened == {str(one): n for one, n in session.resets.items()}


def test_who_listens_late_gets_the_answers_of_a_warm_history(block_bench, untrained_bundle):
    bench = block_bench
    assert bench.change('deactivate')
    assert bench.change('activate')
    session = StreamingSession(load_bundle(untrained_bundle))
    expected = [
        session.step(street(seed), START_NS + seed * PERIOD_NS, frame_id='lidar')
        for seed in range(8)
    ]
    publisher = bench.publisher()
    before = bench.stream.statistics.snapshot().published
    for seed in range(7):
        publisher.publish(cloud(street(seed), START_NS + seed * PERIOD_NS))
    # Not by the history: the seventh cloud is in it a moment before its answer is out.
    wait_until(
        lambda: bench.stream.statistics.snapshot().published == before + 7, 'seven clouds unheard'
    )
    assert bench.stream.session.frames_in_history == 7
    late = bench.collect('output/segmentation', PointCloud2, RELIABLE_ALL)
    publisher.publish(cloud(street(7), START_NS + 7 * PERIOD_NS))
    (answer,) = late.wait_for(1)
    np.testing.assert_array_equal(decode_labels(answer, 'class_id'), expected[7].labels)
    # Or the test could not tell a warm history from a cold one.
    cold = StreamingSession(load_bundle(untrained_bundle)).step(street(7), START_NS)
    assert (cold.labels != expected[7].labels).any()
    bench.settle()
