# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Followed people as detections and markers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip('rclpy', reason='rclpy is not installed: run make env')
pytestmark = pytest.mark.ros

from std_msgs.msg import Header  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from pointata_core.inference.people.decision import UNKNOWN  # noqa: E402
from pointata_core.inference.people.people_session import ObservedPerson  # noqa: E402
from pointata_core.tracking.tracker import Person  # noqa: E402
from pointata_ros.health.diagnostics import (  # noqa: E402
    OK,
    WARN,
    ModelFacts,
    Snapshot,
    diagnostics,
)
from pointata_ros.health.people import PeopleFacts  # noqa: E402
from pointata_ros.node.people_markers import PeopleMarkers  # noqa: E402
from pointata_ros.node.people_messages import (  # noqa: E402
    action_hypotheses,
    nearest,
    people_message,
)
from pointata_ros.parameters.table import NodeSettings  # noqa: E402

ACTIONS = ('stand', 'walk', 'wave')
HEADER = Header(frame_id='lidar')
HERE = np.eye(4)
SECOND = 10**9


def observed(number=1, action=1, scores=(0.5, 0.4, 0.1), rows=(0, 2), distance=5.0, x=5.0):
    centre, size = np.array([x, 1.0, 0.9]), np.array([0.5, 0.6, 1.8])
    place = np.array(rows, np.int64)
    person = Person(number, centre, size, np.zeros(2), distance, place, 0, 0)
    return ObservedPerson(person, action, np.float32(scores))


def test_the_action_that_is_decided_on_comes_first_and_an_unknown_one_is_left_out():
    found = [one.class_id for one in action_hypotheses(observed(), ACTIONS)]
    assert found == ['walk', 'stand', 'wave']
    assert action_hypotheses(observed(action=UNKNOWN), ACTIONS) == []
    assert action_hypotheses(None, ACTIONS) == []


def test_the_score_of_a_person_is_that_of_its_points_and_zero_while_it_is_hidden():
    probabilities = np.float32([0.5, 0.0, 1.0])
    people = [observed(), observed(number=7, action=UNKNOWN, rows=())]
    message = people_message(HEADER, people, ACTIONS, HERE, probabilities)
    assert [one.id for one in message.detections] == ['1', '7']
    first, hidden = (one.results for one in message.detections)
    assert [one.hypothesis.class_id for one in first] == ['person', 'walk', 'stand', 'wave']
    assert first[0].hypothesis.score == 0.75
    assert first[1].hypothesis.score == pytest.approx(0.4)
    assert [(one.hypothesis.class_id, one.hypothesis.score) for one in hidden] == [('person', 0.0)]


def test_boxes_stand_upright_though_the_sensor_is_tilted():
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('xyz', [0.1, 0.7, 2.0]).as_matrix()
    pose[:3, 3] = [3, -2, 1.5]
    one = observed(action=UNKNOWN, scores=())
    message = people_message(HEADER, [one], (), np.linalg.inv(pose), np.ones(3))
    box = message.detections[0].bbox
    place, turn = box.center.position, box.center.orientation
    back = pose @ [place.x, place.y, place.z, 1.0]
    np.testing.assert_allclose(back[:3], one.person.centre, atol=1e-9)
    axes = pose[:3, :3] @ Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    np.testing.assert_allclose(axes, np.eye(3), atol=1e-9)
    assert (box.size.x, box.size.y, box.size.z) == (0.5, 0.6, 1.8)


def test_the_nearest_person_is_the_one_with_the_least_distance():
    far, near = observed(distance=6.0), observed(number=2, distance=2.0)
    assert nearest([far, near]) is near
    assert nearest([]) is None


def shown(markers: PeopleMarkers, stamp_s: float, *people: ObservedPerson, to_cloud=HERE):
    stamp_ns = round(stamp_s * SECOND)
    array = markers.messages(HEADER, stamp_ns, people, ACTIONS, to_cloud, 0.5)
    return {(one.ns.rpartition('/')[2], one.id): one for one in array.markers}


def test_texts_change_with_actions_alone_and_hidden_people_are_fainter():
    markers = PeopleMarkers('/node')
    first = shown(markers, 1.0, observed(scores=(0.1, 0.6, 0.3)))
    again = shown(markers, 1.1, observed(scores=(0.0, 0.9, 0.1), rows=()))
    assert first['text', 1].text == again['text', 1].text == '1 walk'
    assert first['text', 1].pose.position.z > 1.8
    assert again['box', 1].color.a < first['box', 1].color.a
    assert shown(markers, 1.2, observed(action=UNKNOWN))['text', 1].text == '1'
    assert {one.ns for one in first.values()} == {
        f'/node/people/{kind}' for kind in ('box', 'text', 'trail')
    }
    assert first['box', 1].color != shown(markers, 1.3, observed(2))['box', 2].color


def test_trails_hold_five_seconds_and_stay_in_place_though_the_sensor_moves():
    markers = PeopleMarkers('/node')
    for step in range(101):
        to_cloud = np.eye(4)
        to_cloud[0, 3] = -0.2 * step  # the sensor drives
        found = shown(markers, step / 10, observed(x=5 + 0.1 * step), to_cloud=to_cloud)
    places = [place.x + 0.2 * step for place in found['trail', 1].points]
    assert len(places) == 52  # a line has two points from the first cloud on
    assert places[-1] == pytest.approx(15.0) and places[0] == pytest.approx(10.0)
    assert all(place.z == pytest.approx(0.0) for place in found['trail', 1].points)


def test_who_is_gone_is_taken_away_and_so_are_all_at_the_end():
    markers = PeopleMarkers('/node')
    shown(markers, 1.0, observed(1), observed(2))
    found = shown(markers, 1.1, observed(2))
    assert {key: one.action for key, one in found.items() if one.action == Marker.DELETE} == {
        (kind, 1): Marker.DELETE for kind in ('box', 'text', 'trail')
    }
    gone = markers.removal(HEADER).markers
    assert {(one.action, one.id) for one in gone} == {(Marker.DELETE, 2)}
    assert markers.removal(HEADER).markers == []


@pytest.mark.parametrize('waiting, level', [(0, OK), (3, WARN)])
def test_diagnostics_tell_of_people_who_have_to_wait(waiting, level):
    model = ModelFacts('toy', 'models/toy', 'ab', 'cpu', '', 10, 1, {})
    facts = PeopleFacts('toy', 'cd', 15, 2, waiting, 20, 0, 4096)
    message = diagnostics('/node', SECOND, Snapshot(), model, NodeSettings(), 0, people=facts)
    status = message.status[-1]
    assert status.name == 'node: people' and status.level == level
    values = {pair.key: pair.value for pair in status.values}
    assert values['followed'] == '15' and values['hidden'] == '2'
    assert values['waiting'] == str(waiting) and values['state_bytes'] == '4096'
    assert ('3 of 15 people wait' in status.message) == (waiting == 3)
