# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several inputs of one node: one network, and streams that know nothing of each other."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from node_harness import Bench
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from benchmarks.robustness.ros_graph import (
    LATCHED,
    PATIENCE_S,
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.inference.device import DeviceChoice
from pointata_core.inference.loading import LoadedBundle
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.threads import choose_threads
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_ros.node.recovery import PATIENCE
from pointata_ros.transforms.ego_motion import EgoMotion, TransformMissing

pytestmark = pytest.mark.ros
OK, WARN, ERROR = range(3)
INPUTS = ['front', 'rear']
RESULTS = {
    *('segmentation', 'segmentation_rgb', 'static_points', 'ground', 'obstacles'),
    *('action', 'markers'),
}


@pytest.fixture(scope='module')
def shared_bench(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle),
        device='cpu',
        policy='block',
        inputs=INPUTS,
        diagnostics_period=0.1,
    ) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.fixture
def bench(shared_bench, untrained_bundle):
    """A node with two inputs, freshly configured: no history, no counts, the first skill."""
    if shared_bench.state() == 'active':
        assert shared_bench.change('deactivate')
        assert shared_bench.change('cleanup')
    shared_bench.set(bundle=str(untrained_bundle), device_failure='stop', stuck_after=60.0)
    assert shared_bench.change('configure')
    assert shared_bench.change('activate')
    yield shared_bench
    shared_bench.settle()


@pytest.fixture(scope='module')
def other_bundle(tmp_path_factory, untrained_bundle):
    """The same backbone with other classes."""
    old = load_bundle(untrained_bundle)
    config = replace(
        NetworkConfig.from_dict(old.manifest.network),
        segmentation_classes=('floor', 'rest'),
        action_classes=(),
        actor_class='',
    )
    network = PointATA(config)
    network.backbone.load_state_dict(old.network.backbone.state_dict())
    path = tmp_path_factory.mktemp('other') / 'other'
    manifest = Manifest.for_network(
        'other', config.to_dict(), preset='tiny', preparation=old.manifest.preparation
    )
    save_bundle(path, network, manifest)
    return path


def stream_of(bench, name):
    return next(one for one in bench.node.streams if one.name == name)


class Sensor:
    """Sends clouds to one input and hears its answers."""

    def __init__(self, bench: Bench, name: str, points: int = 400) -> None:
        self.answers = bench.collect(f'{name}/output/segmentation', PointCloud2)
        self._publisher = bench.publisher(RELIABLE_ALL, f'{name}/input/points')
        self._name, self._points = name, points
        self._first_seed = 1000 * len(name)  # other clouds for each input
        self.sent: list[PointCloud2] = []

    def send(self, stamp_ns: int | None = None) -> PointCloud2:
        seed = len(self.sent)
        stamp_ns = START_NS + seed * PERIOD_NS if stamp_ns is None else stamp_ns
        points = street(self._first_seed + seed, self._points + 10 * seed)
        self.sent.append(cloud(points, stamp_ns, frame_id=f'{self._name}_lidar'))
        self._publisher.publish(self.sent[-1])
        return self.sent[-1]

    def send_malformed(self) -> None:
        message = cloud(street(0), START_NS)
        message.data = message.data[:-1]
        self._publisher.publish(message)

    def ask(self) -> np.ndarray:
        """Labels of one more cloud."""
        before = len(self.answers.messages)
        self.send()
        return decode_labels(self.answers.wait_for(before + 1)[before], 'class_id')

    def labels(self) -> list[np.ndarray]:
        return [decode_labels(one, 'class_id') for one in self.answers.messages]


def offline(bundle, messages) -> list:
    """What a session says that hears one input and nothing else."""
    choose_threads()  # as the node does: sums in the same order
    session = StreamingSession(load_bundle(bundle))
    return [
        session.step(one.points, one.stamp_ns, frame_id=one.frame_id)
        for one in map(decode, messages)
    ]


def assert_as_offline(sensor: Sensor, bundle) -> None:
    expected = offline(bundle, sensor.sent)
    for message, answer, result in zip(sensor.sent, sensor.answers.messages, expected, strict=True):
        assert answer.header == message.header
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)
        found = decode(answer, wanted_features=('probability',)).features['probability']
        np.testing.assert_array_equal(found, result.probabilities)


def wait_for(bench, status, condition, what) -> dict[str, str]:
    return wait_until(
        lambda: found if condition(found := bench.diagnostics(status)) else None, what
    )


def topics_of(bench) -> set[str]:
    node = bench.node
    ends = [*node.publishers, *node.subscriptions]
    own = {one.topic_name for one in ends if one.topic_name.startswith(f'{bench.name}/')}
    return {one.removeprefix(f'{bench.name}/') for one in own} - {'transition_event'}


# ---------------------------------------------------------------------- names


def expected_topics(prefix: str) -> set[str]:
    outputs = {f'output/{one}' for one in RESULTS}
    tables = {f'output/{one}/label_info' for one in ('segmentation', 'action')}
    return {prefix + one for one in {'input/points', 'debug/timings'} | outputs | tables}


def test_each_input_has_topics_of_its_own_and_without_names_there_are_none(bench, untrained_bundle):
    assert topics_of(bench) == expected_topics('front/') | expected_topics('rear/')
    with Bench(bundle=str(untrained_bundle)) as unnamed:
        unnamed.wait_for_state('active')
        assert topics_of(unnamed) == expected_topics('')


def test_the_start_names_the_topics_of_every_input(bench):
    banner = bench.wait_for_log('ready')
    for name in INPUTS:
        assert bench.topic(f'{name}/input/points') in banner
        assert bench.topic(f'{name}/output/segmentation') in banner


def test_every_input_has_the_label_tables(bench, untrained_bundle):
    classes = load_bundle(untrained_bundle).manifest.segmentation_classes
    for name in INPUTS:
        topic = f'{name}/output/segmentation/label_info'
        table = bench.collect(topic, LabelInfo, LATCHED).wait_for(1)[0]
        assert tuple(one.class_name for one in table.class_map) == classes


def test_quality_of_service_is_overridden_input_by_input(untrained_bundle):
    key = 'qos_overrides./by_input/rear/input/points.subscription.depth'
    given = {'bundle': str(untrained_bundle), 'inputs': INPUTS, key: 3}
    with Bench('by_input', **given) as bench:
        rows = bench.wait_for_log('ready').splitlines()
    depth = {
        name: next(row for row in rows if f'{name}/input/points' in row).split('keep last ')[1]
        for name in INPUTS
    }
    assert depth['front'].startswith('10') and depth['rear'].startswith('3')


# ---------------------------------------------------------------------- answers


def test_interleaved_inputs_are_answered_exactly_as_each_alone_offline(bench, untrained_bundle):
    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear', points=700)
    actions = bench.collect('rear/output/action', Classification)
    order = np.random.default_rng(0).permutation(['front'] * 14 + ['rear'] * 9)
    for name in order:  # as fast as possible: the queues fill
        (front if name == 'front' else rear).send()
    front.answers.wait_for(14)
    rear.answers.wait_for(9)
    assert_as_offline(front, untrained_bundle)
    assert_as_offline(rear, untrained_bundle)
    for action, result in zip(actions.wait_for(9), offline(untrained_bundle, rear.sent)):
        scores = {one.class_id: one.score for one in action.results}
        names = load_bundle(untrained_bundle).manifest.action_classes
        np.testing.assert_array_equal([scores[one] for one in names], result.action)


def test_the_inputs_share_one_network_and_no_state(bench):
    front, rear = (stream_of(bench, name).session for name in INPUTS)
    assert front.network is rear.network
    Sensor(bench, 'front').ask()
    assert (front.frames_in_history, rear.frames_in_history) == (1, 0)
    model = {name: bench.diagnostics(f'{name}/model') for name in INPUTS}
    assert model['front']['bundle_hash'] == model['rear']['bundle_hash']
    assert int(model['front']['state_bytes']) > 0


def test_three_inputs_are_possible(untrained_bundle):
    names = ['a', 'b2', 'left_rear']
    with Bench(bundle=str(untrained_bundle), policy='block', inputs=names) as bench:
        bench.wait_for_state('active')
        sensors = [Sensor(bench, name) for name in names]
        for _ in range(3):
            for sensor in sensors:
                sensor.send()
        for sensor in sensors:
            sensor.answers.wait_for(3)
            assert_as_offline(sensor, untrained_bundle)


# ---------------------------------------------------------------------- one input in trouble


def test_a_flooded_input_does_not_keep_the_other_from_being_answered(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', inputs=INPUTS, diagnostics_period=0.1
    ) as bench:
        bench.wait_for_state('active')
        front, rear = Sensor(bench, 'front', points=2000), Sensor(bench, 'rear')
        over = threading.Event()

        def flood() -> None:
            while not over.wait(0.002):
                front.send(START_NS + len(front.sent) * 1_000_000)

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            wait_until(
                lambda: stream_of(bench, 'front').statistics.snapshot().dropped.total() > 20,
                'the front to be flooded',
            )
            for _ in range(12):
                rear.ask()
        finally:
            over.set()
            sender.join()
        assert_as_offline(rear, untrained_bundle)
        assert front.answers.messages
        bench.settle()
        done = {name: stream_of(bench, name).statistics.snapshot() for name in INPUTS}
    assert done['rear'].dropped.total() == 0
    assert (done['rear'].received, done['rear'].published) == (12, 12)
    assert done['front'].dropped.total() > 0


def test_malformed_clouds_of_one_input_are_its_own_fault(bench, untrained_bundle):
    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    for _ in range(3):
        rear.ask()
        front.send_malformed()
    rear.ask()
    seen = wait_for(bench, 'front/input', lambda one: one['rejected'] == '3', 'the counter')
    assert seen['rejected.truncated_data'] == '3'
    assert 'rejected' in seen['message']
    other = bench.diagnostics('rear/input')
    assert (other['rejected'], other['received']) == ('0', '4')
    assert 'rejected' not in other['message']
    assert bench.wait_for_log('front: cloud rejected')
    assert_as_offline(rear, untrained_bundle)


def test_a_network_that_breaks_on_one_input_goes_on_with_the_other(
    bench, untrained_bundle, monkeypatch
):
    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    rear.ask()
    front.ask()
    with monkeypatch.context() as patch:
        patch.setattr(stream_of(bench, 'front').session, 'submit', None)
        front.send()
        wait_for(
            bench, 'front/processing', lambda one: one.get('dropped.error') == '1', 'the counter'
        )
        rear.ask()
    bench.wait_for_log('a cloud of front failed')
    front.send(START_NS + 10 * PERIOD_NS)
    front.answers.wait_for(2)
    # The front began afresh, the rear did not notice.
    (fresh,) = offline(untrained_bundle, front.sent[-1:])
    np.testing.assert_array_equal(front.labels()[-1], fresh.labels)
    rear.ask()
    assert_as_offline(rear, untrained_bundle)
    assert int(bench.diagnostics('rear/processing')['dropped']) == 0
    assert 'TypeError' in bench.diagnostics('front/model')['last_error']
    assert bench.diagnostics('rear/model')['last_error'] == ''


def test_a_missing_transform_of_one_input_skips_its_clouds_only(
    bench, untrained_bundle, monkeypatch
):
    def look_up(frame_id, stamp_ns):
        raise TransformMissing(f'no transform from {frame_id!r}')

    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    monkeypatch.setattr(stream_of(bench, 'front').pipeline, '_ego_motion', EgoMotion(look_up))
    for _ in range(2):
        front.send()
        rear.ask()
    wait_for(
        bench, 'front/processing', lambda one: one.get('dropped.no_transform') == '2', 'the drops'
    )
    assert bench.diagnostics('rear/processing')['level'] == OK
    bench.wait_for_log("front: no transform from 'front_lidar'")
    assert_as_offline(rear, untrained_bundle)


def test_a_shortage_of_memory_costs_the_input_that_has_it_voxels_and_the_node_stays(
    bench, untrained_bundle, monkeypatch
):
    def fail(*_):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 1 GiB')

    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    streams = {name: stream_of(bench, name) for name in INPUTS}
    with monkeypatch.context() as patch:
        patch.setattr(streams['front'].session, 'submit', fail)
        for count in range(1, 2 * PATIENCE + 2):  # the rear shows that the device works
            front.send()
            wait_until(
                lambda count=count: (
                    streams['front'].statistics.snapshot().dropped['out_of_memory'] == count
                ),
                'the drop',
            )
            rear.ask()
    assert bench.state() == 'active'
    whole = streams['rear'].session.bundle_voxel_limit
    assert bench.diagnostics('front/model')['voxel_limit'] == str(whole // 2)
    assert bench.diagnostics('rear/model')['voxel_limit'] == str(whole)
    assert_as_offline(rear, untrained_bundle)
    front.ask()


def test_a_gap_in_one_input_resets_that_input(bench):
    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    for sensor in (front, rear):
        sensor.ask()
    front.send(START_NS + 100 * PERIOD_NS)
    front.answers.wait_for(2)
    rear.ask()
    front_model, rear_model = (bench.diagnostics(f'{name}/model') for name in INPUTS)
    assert (front_model['resets.gap'], front_model['frames_in_history']) == ('1', '1')
    assert (rear_model['resets'], rear_model['frames_in_history']) == ('0', '2')


# ---------------------------------------------------------------------- all inputs together


def test_a_device_that_is_lost_ends_all_inputs_and_the_node_can_be_tried_again(bench, monkeypatch):
    def fail(*_):
        raise RuntimeError('CUDA error: device-side assert triggered')

    front = Sensor(bench, 'front')
    monkeypatch.setattr(stream_of(bench, 'front').session, 'submit', fail)
    front.send()
    bench.wait_for_state('unconfigured')
    assert bench.node.streams == ()
    assert topics_of(bench) == set()
    assert bench.change('configure')
    assert bench.change('activate')
    for name in INPUTS:
        assert len(Sensor(bench, name).ask()) == 400


def test_the_cpu_takes_over_for_all_inputs(bench, monkeypatch):
    def fail(*_):
        raise RuntimeError('CUDA error: device-side assert triggered')

    skills = bench.node.skills
    # No GPU is at hand: the skill only believes to be on one.
    gpu = DeviceChoice(torch.device('cuda'), 'believed')
    monkeypatch.setattr(
        skills,
        'current',
        replace(skills.current, loaded=replace(skills.current.loaded, device=gpu)),
    )
    bench.set(device_failure='cpu')
    front, rear = Sensor(bench, 'front'), Sensor(bench, 'rear')
    before = stream_of(bench, 'rear').session
    monkeypatch.setattr(stream_of(bench, 'front').session, 'submit', fail)
    front.send()
    bench.wait_for_log('running on the CPU instead of cuda')
    assert len(rear.ask()) == 400
    front.ask()
    front_now, rear_now = (stream_of(bench, name).session for name in INPUTS)
    assert rear_now is not before
    assert front_now.network is rear_now.network
    for name in INPUTS:
        assert 'CPU instead of cuda' in bench.diagnostics(f'{name}/model')['message']


def test_a_skill_is_swapped_for_all_inputs_at_once_and_no_cloud_is_lost(
    bench, untrained_bundle, other_bundle
):
    sensors = {name: Sensor(bench, name) for name in INPUTS}
    serving = []
    for stream in bench.node.streams:
        # Which bundles serve at the moment of each cloud, as its worker sees it.
        def handle(received, newer, original=stream.pipeline.handle):
            serving.append(tuple(one.pipeline.session.bundle for one in bench.node.streams))
            original(received, newer)

        stream.pipeline.handle = handle
    over = threading.Event()

    def play() -> None:
        while not over.wait(0.05):
            for sensor in sensors.values():
                if len(sensor.sent) < len(sensor.answers.messages) + 3:
                    sensor.send()

    player = threading.Thread(target=play)
    player.start()
    try:
        for sensor in sensors.values():
            sensor.answers.wait_for(3)
        bench.set(bundle=str(other_bundle))
        response = bench.load_skill()
        assert response.success, response.message
        count = len(serving)
        wait_until(lambda: len(serving) > count + 6, 'answers of the new skill')
    finally:
        over.set()
        player.join()
    for sensor in sensors.values():
        sensor.answers.wait_for(len(sensor.sent))
    assert all(front is rear for front, rear in serving)
    assert len({front.hash for front, _ in serving}) == 2
    for name, sensor in sensors.items():
        before = offline(untrained_bundle, sensor.sent)
        labels = sensor.labels()
        swap = next(
            index
            for index, (one, result) in enumerate(zip(labels, before))
            if not np.array_equal(one, result.labels)
        )
        after = offline(other_bundle, sensor.sent[swap:])
        for one, result in zip(labels[swap:], after, strict=True):
            np.testing.assert_array_equal(one, result.labels)
        table = bench.collect(f'{name}/output/segmentation/label_info', LabelInfo, LATCHED)
        assert len(table.wait_for(1)[-1].class_map) == 2
        assert bench.diagnostics(f'{name}/model')['resets.bundle_changed'] == '1'


def test_a_swap_that_fails_for_one_input_happens_for_none(
    bench, untrained_bundle, other_bundle, monkeypatch
):
    made = []

    def session(*arguments):
        made.append(arguments)
        if len(made) == 3:  # one for the warm-up
            raise MemoryError('no room for the second')
        return original(*arguments)

    original = LoadedBundle.session
    sensors = [Sensor(bench, name) for name in INPUTS]
    for sensor in sensors:
        sensor.ask()
    bench.set(bundle=str(other_bundle))
    with monkeypatch.context() as patch:
        patch.setattr(LoadedBundle, 'session', session)
        response = bench.load_skill()
    assert not response.success
    assert 'no room for the second' in response.message
    for sensor in sensors:
        sensor.ask()
        assert_as_offline(sensor, untrained_bundle)


def test_a_stuck_worker_is_said_with_the_input_that_it_is_stuck_on(bench, monkeypatch):
    held, release = threading.Event(), threading.Event()
    session = stream_of(bench, 'rear').session
    submit = session.submit

    def hold(frame):
        held.set()
        release.wait(PATIENCE_S)
        return submit(frame)

    monkeypatch.setattr(session, 'submit', hold)
    bench.set(stuck_after=0.2)
    rear = Sensor(bench, 'rear')
    rear.send()
    try:
        assert held.wait(PATIENCE_S)
        for name in INPUTS:
            status = wait_for(
                bench, f'{name}/processing', lambda one: 'fault_s.stuck' in one, 'the watchdog'
            )
            assert status['level'] == ERROR
            assert 'on one cloud of rear' in status['message']
        log = bench.wait_for_log('the worker is stuck')
        assert 'front: the worker' not in log and 'rear: the worker' not in log
    finally:
        release.set()
    rear.answers.wait_for(1)


def test_deactivation_takes_every_input_away_and_what_it_remembers(bench, untrained_bundle):
    sensors = {name: Sensor(bench, name) for name in INPUTS}
    markers = {name: bench.collect(f'{name}/output/markers', MarkerArray) for name in INPUTS}
    for name, sensor in sensors.items():
        sensor.ask()
        assert markers[name].wait_for(1)[0].markers[0].ns == f'{bench.name}/{name}/action'
    assert bench.change('deactivate')
    for name in INPUTS:
        removed = markers[name].wait_for(2)[1].markers[0]
        assert (removed.action, removed.header.frame_id) == (Marker.DELETE, f'{name}_lidar')
    assert topics_of(bench) == {
        one for name in INPUTS for one in expected_topics(f'{name}/') if 'input/points' not in one
    }
    bench.settle()
    assert bench.change('activate')
    for name in INPUTS:
        sensor = Sensor(bench, name)
        sensor.ask()
        assert_as_offline(sensor, untrained_bundle)


def test_an_activation_that_fails_at_the_second_input_leaves_nothing_of_the_first(
    untrained_bundle,
):
    key = 'qos_overrides./half/rear/input/points.subscription.depth'
    given = {'bundle': str(untrained_bundle), 'inputs': INPUTS, key: 0}
    with Bench('half', autostart=False, **given) as bench:
        assert bench.change('configure')
        assert not bench.change('activate')
        assert bench.state() == 'inactive'
        assert not {one for one in topics_of(bench) if one.endswith('input/points')}
        bench.wait_for_log('depth is 0')


def test_a_clock_that_jumps_back_begins_a_new_history_for_all_inputs(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), use_sim_time=True, diagnostics_period=0.1, inputs=INPUTS
    ) as bench:
        bench.wait_for_state('active')
        clock = bench._client.node.create_publisher(Clock, '/clock', 10)
        wait_until(clock.get_subscription_count, 'the node to hear the clock')
        for jumps, seconds in enumerate((100, 50), start=1):
            clock.publish(Clock(clock=Time(sec=seconds)))
            for name in INPUTS:
                told = wait_for(
                    bench,
                    f'{name}/model',
                    lambda one, jumps=jumps: int(one.get('resets.clock_jump', 0)) >= jumps,
                    'the reset',
                )
                resets = {key: value for key, value in told.items() if key.startswith('resets.')}
                assert resets == {'resets.clock_jump': str(jumps)}


def test_each_silent_input_is_named_in_the_hints(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), inputs=INPUTS, hint_after=0.2) as bench:
        for name in INPUTS:
            hint = bench.wait_for_log(f"no cloud received on '{bench.topic(name)}/input/points'")
            assert f'{name}: no cloud received' in hint


def test_every_cloud_of_every_input_ends_in_a_counter_of_that_input(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu', inputs=INPUTS, queue_size=4) as bench:
        bench.wait_for_state('active')
        sensors = {'front': Sensor(bench, 'front'), 'rear': Sensor(bench, 'rear')}
        for count in range(40):
            sensors['front'].send()
            if count % 4 == 0:
                sensors['rear'].send()
        for sensor in sensors.values():
            wait_until(
                lambda sensor=sensor: (
                    sensor.answers.messages
                    and sensor.answers.messages[-1].header == sensor.sent[-1].header
                ),
                'an answer to the newest',
            )
        bench.settle()
        for name, sensor in sensors.items():
            done = stream_of(bench, name).statistics.snapshot()
            assert done.published == len(sensor.answers.messages)
            assert set(done.dropped) <= {'superseded', 'overflow'}
            assert done.ingested + done.gaps == done.dropped.total()
