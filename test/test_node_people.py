# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running node follows people: the same as the evaluation, and published for those who ask."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import Bench
from person_skills import ACTIONS, write_person_skill
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification, Detection3DArray, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from benchmarks.robustness.ros_graph import LATCHED, PERIOD_NS, START_NS, cloud, wait_until
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.people_log import PeopleLog
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.simulation import simulate, write_bag
from pointata_ros.tools.bag_player import BagPlayer, PlayOptions

pytestmark = pytest.mark.ros
COUNT = 6


@pytest.fixture(scope='module')
def skill(tmp_path_factory):
    return write_person_skill(tmp_path_factory.mktemp('skill') / 'toy')


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    frames = simulate('crowd', 'kinect', 950_004, COUNT / 10)
    return write_bag(tmp_path_factory.mktemp('crowd') / 'bag', frames, sensor='kinect')


def play(live: Bench, recording) -> None:
    node = Node('player', context=live.context, start_parameter_services=False)
    remap = {'/points': live.topic('input/points')}
    options = PlayOptions(rate=100.0, remap=remap)
    with BagPlayer(recording, node, options) as player:
        assert player.wait_for_subscribers(1, 30.0)
        assert player.play().published[live.topic('input/points')] == COUNT
    node.destroy_node()


class Place:
    """A person as a message gives it, in the form that a log of people takes."""

    def __init__(self, detection) -> None:
        position = detection.bbox.center.position
        actions = [one.hypothesis.class_id for one in detection.results[1:]]
        self.person, self.number, self.distance = self, int(detection.id), 0.0
        self.centre = np.array([position.x, position.y, position.z])
        self.rows = self.scores = np.ones(len(ACTIONS))
        self.action = ACTIONS.index(actions[0]) if actions else -1


def test_people_and_actions_are_those_of_the_evaluation(recording, skill):
    expected = evaluate_bag(recording, device='cpu', precision='float32', people=skill).people
    with Bench(people=str(skill), device='cpu', policy='block', diagnostics_period=0.1) as live:
        live.wait_for_state('active')
        people = live.collect('output/people', Detection3DArray)
        markers = live.collect('output/people_markers', MarkerArray)
        actions = live.collect('output/action', Classification)
        table = live.collect('output/action/label_info', LabelInfo, LATCHED).wait_for(1)[0]
        assert [one.class_name for one in table.class_map] == list(ACTIONS)
        play(live, recording)
        log = PeopleLog(ACTIONS)
        for message in people.wait_for(COUNT):
            log.add(stamp_of(message), [Place(one) for one in message.detections])
            assert message.header.frame_id == 'lidar'
        assert log.results()['sha256'] == expected['sha256']
        assert expected['tracks']
        last, texts = people.messages[-1], markers.wait_for(COUNT)[-1]
        shown = {one.text.split()[0] for one in texts.markers if one.text}
        assert shown == {one.id for one in last.detections} != set()
        for one in last.detections:
            assert one.results[0].hypothesis.class_id == 'person'
            assert 0.3 < one.results[0].hypothesis.score <= 1  # nobody is hidden
            assert 0.2 <= one.bbox.size.z <= 2.5
        by_distance = sorted(
            last.detections,
            key=lambda one: np.hypot(one.bbox.center.position.x, one.bbox.center.position.y),
        )
        wanted = [one.hypothesis for one in by_distance[0].results[1:]]
        assert actions.wait_for(COUNT)[-1].results == wanted
        status = live.diagnostics('people')
        assert status['skill'] == 'toy' and int(status['followed']) == len(last.detections)
        assert int(status['state_bytes']) > 0 and status['waiting'] == '0'
        # Whoever stops the node sees nobody any more.
        assert live.change('deactivate')
        gone = markers.wait_for(COUNT + 1)[-1].markers
        assert {one.action for one in gone} == {Marker.DELETE}
        assert len(gone) == 3 * len(shown)


def test_in_a_fixed_frame_people_are_followed_in_it_and_shown_in_that_of_the_cloud(
    recording, monkeypatch
):
    options = {'people': 'follow', 'fixed_frame': 'map'}
    expected = evaluate_bag(recording, device='cpu', precision='float32', **options).people
    log, poses, follow = PeopleLog(()), [], PeopleSession.follow

    def remembered(self, points, result, resets, pose, placement):
        found = follow(self, points, result, resets, pose, placement)
        log.add(result.stamp_ns, found)
        poses.append((pose, [one.person.centre for one in found]))
        return found

    monkeypatch.setattr(PeopleSession, 'follow', remembered)
    with Bench(device='cpu', policy='block', transform_timeout=10.0, **options) as live:
        live.wait_for_state('active')
        people = live.collect('output/people', Detection3DArray)
        play(live, recording)
        messages = list(people.wait_for(COUNT))
        # Without its pose a cloud would show everybody at another place.
        live.set(transform_policy='uncompensated', transform_timeout=0.0)
        points = np.ones((50, 3), np.float32)
        live.publisher().publish(cloud(points, stamp_of(messages[-1]) + PERIOD_NS))
        wait_until(lambda: live.stream.people.facts().unplaced == 1, 'a cloud without its pose')
        assert len(people.messages) == COUNT
    assert log.results()['sha256'] == expected['sha256']
    for message, (pose, centres) in zip(messages, poses, strict=True):
        assert len(message.detections) == len(centres)
        for one, centre in zip(message.detections, centres, strict=True):
            wanted = np.linalg.inv(pose) @ [*centre, 1.0]
            np.testing.assert_allclose(Place(one).centre, wanted[:3], atol=1e-9)
        assert all(len(one.results) == 1 for one in message.detections)
    assert np.abs(poses[-1][0] - np.eye(4)).max() > 0.1


def test_people_are_followed_though_nobody_subscribes_and_forgotten_with_the_history(
    skill,
):
    frames = list(simulate('crowd', 'kinect', 950_004, COUNT / 10))
    with Bench(people=str(skill), device='cpu', policy='block') as live:
        live.wait_for_state('active')
        labels = live.collect('output/segmentation', PointCloud2)
        publisher = live.publisher()

        def send(numbers, start_ns: int) -> None:
            before = len(labels.messages)
            for count, number in enumerate(numbers, 1):
                stamp_ns = start_ns + number * PERIOD_NS
                publisher.publish(cloud(frames[number].points, stamp_ns, frame_id='lidar'))
                labels.wait_for(before + count)
            published = lambda: live.stream.statistics.snapshot().published  # noqa: E731
            wait_until(lambda: published() == before + len(numbers), 'the people of the last cloud')

        send(range(4), START_NS)
        first = live.stream.people.facts()
        assert first.followed and first.state_bytes
        people = live.collect('output/people', Detection3DArray)
        send([4], START_NS)
        known = {one.id for one in people.wait_for(1)[-1].detections}
        assert known
        send(range(4), START_NS - 10**12)  # the recording begins again
        later = people.wait_for(5)[1:]
        assert later[0].detections == [] and later[-1].detections
        again = {one.id for one in later[-1].detections}
        assert not known & again
        # Another skill: nobody is followed, and no number means two people.
        live.set(people='follow')
        answer = live.load_skill()
        assert answer.success
        assert 'the classes of action were stand, walk, wave and are now none' in answer.message
        live.set(people=str(skill))
        assert live.load_skill().success
        send(range(4), START_NS)
        last = people.wait_for(9)[5:]
        assert last[0].detections == [] and last[-1].detections
        assert not {one.id for one in last[-1].detections} & (known | again)
        # Topics of people would have to come and go.
        live.set(people='')
        answer = live.load_skill()
        assert not answer.success and 'parameter people' in answer.message
        assert live.change('deactivate')
        assert live.stream.people.facts().followed == 0


def test_labels_without_people_and_skills_of_another_kind_refuse_to_start():
    with Bench(bundle='radhar', people='follow', autostart=False) as live:
        assert not live.change('configure')
        live.wait_for_log('is a person')
        live.set(bundle='default', people='default')
        assert not live.change('configure')
        live.wait_for_log("field 'kind'")
        live.set(people='')
        assert live.change('configure')
        assert not [one for one in live.node.publishers if 'people' in one.topic_name]
