# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Each person has a stream of its own: exact, saved, restored, and sure before it speaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from person_skills import SMALL, write_person_skill

from pointata_core.bundles.bundle import load_any_bundle, load_person_bundle
from pointata_core.bundles.manifest_fields import Task
from pointata_core.bundles.person_manifest import PersonManifest, PersonPreparation
from pointata_core.bundles.verify import verify_bundle
from pointata_core.errors import BundleError, ConfigError
from pointata_core.inference.frames import FrameResult
from pointata_core.inference.people.crops import crop, floor_below, motion
from pointata_core.inference.people.decision import UNKNOWN, decide
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.models.person.person_network import PersonConfig, PersonNetwork
from pointata_core.simulation import simulate
from pointata_core.taxonomy import SEGMENTATION_CLASSES
from pointata_core.tracking.tracker import Person


@pytest.fixture(scope='module')
def skill(tmp_path_factory):
    folder = write_person_skill(tmp_path_factory.mktemp('people') / 'toy')
    return load_person_bundle(folder)


def frames(count: int = 14):
    return list(simulate('crowd', 'kinect', 950_004, count / 10))


def outcome(people) -> list:
    return [
        (o.person.number, o.action, o.scores.tobytes(), o.person.rows.tobytes()) for o in people
    ]


def feed(session: PeopleSession, frame):
    return session.step(frame.points, frame.label, frame.stamp_ns, frame.pose)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4))
def test_a_stream_gives_the_logits_of_the_whole_clip(seed, length, people):
    torch.manual_seed(seed)
    network = PersonNetwork(SMALL).eval()
    points, motions = torch.randn(people, length, 9, 3), torch.randn(people, length, 4)
    mask = torch.rand(people, length, 9) < 0.7
    mask[torch.rand(people, length) < 0.2] = False  # hidden
    whole = network(points, mask, motions)
    state = network.initial_state(people)
    for t in range(length):
        logits, state = network.step(points[:, t], mask[:, t], motions[:, t], state)
        torch.testing.assert_close(logits, whole[:, t], atol=1e-5, rtol=1e-5)


def test_what_lies_behind_the_padding_does_not_matter():
    network = PersonNetwork(SMALL).eval()
    points, mask = torch.randn(2, 6, 3), torch.ones(2, 6, dtype=torch.bool)
    mask[0, 3:] = False
    other = points.clone()
    other[0, 3:] = 99.0
    motions = torch.zeros(2, 4)
    assert torch.equal(network.encode(points, mask, motions), network.encode(other, mask, motions))


def test_people_are_computed_and_a_restored_session_goes_on_bit_for_bit(skill):
    whole, part = (PeopleSession(skill, SEGMENTATION_CLASSES) for _ in range(2))
    seen = 0
    for number, frame in enumerate(frames()):
        if number == 8:
            saved = part.save_state()
            part = PeopleSession(skill, SEGMENTATION_CLASSES)
            part.restore_state(saved)
        expected = feed(whole, frame)
        assert outcome(feed(part, frame)) == outcome(expected)
        seen += sum(o.action != UNKNOWN for o in expected)
        assert all(o.scores.sum() == pytest.approx(1, abs=1e-5) for o in expected)
    assert seen > 10
    assert whole.state_bytes > 6 * 16 * 4


def test_the_state_of_another_skill_is_refused(skill):
    session = PeopleSession(skill, SEGMENTATION_CLASSES)
    for frame in frames(6):
        feed(session, frame)
    before = session.save_state()
    with pytest.raises(ConfigError, match='saved people'):
        session.restore_state({**before, 'states': before['states'][:, :2]})
    after = session.save_state()
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)


def test_one_person_has_the_same_scores_alone_and_in_company(skill):
    def cylinder(y: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0, 2 * np.pi, 90)
        columns = [5 + 0.2 * np.cos(angle), y + 0.2 * np.sin(angle), rng.uniform(0, 1.7, 90)]
        return np.stack(columns, 1).astype(np.float32)

    alone, company = (PeopleSession(skill, ['person']) for _ in range(2))
    for t in range(1, 12):
        first, second = cylinder(0, t), cylinder(3, t + 99)
        one = alone.step(first, np.zeros(90), t * 10**8)
        two = company.step(np.concatenate([first, second]), np.zeros(180), t * 10**8)
    np.testing.assert_allclose(one[0].scores, two[0].scores, atol=1e-5)


def test_a_camera_of_thirty_hertz_is_computed_ten_times_a_second(skill):
    session = PeopleSession(skill, SEGMENTATION_CLASSES)
    (frame, *_) = frames(1)
    changes = []
    for t in range(1, 31):
        session.step(frame.points, frame.label, t * 33_333_333, frame.pose)
        changes.append(session.save_state()['numbers'][:1, 1].tolist())
    assert 8 <= len({tuple(one) for one in changes if one}) <= 10


def test_when_there_are_too_many_who_waits_longest_comes_first(skill):
    session = PeopleSession(skill, SEGMENTATION_CLASSES, most=1)
    (frame, *_) = frames(1)
    for t in range(1, 30):
        people = session.step(frame.points, frame.label, t * 10**8, frame.pose)
    assert len(people) > 1
    assert all(len(one.scores) for one in people)
    assert session.waiting == len(people) - 1


def test_people_are_followed_without_a_skill_and_saved_and_restored():
    whole, part = (PeopleSession(None, SEGMENTATION_CLASSES) for _ in range(2))
    seen = 0
    for number, frame in enumerate(frames(8)):
        if number == 5:
            saved = part.save_state()
            part = PeopleSession(None, SEGMENTATION_CLASSES)
            part.restore_state(saved)
        expected = feed(whole, frame)
        assert outcome(feed(part, frame)) == outcome(expected)
        assert all(one.action == UNKNOWN and not len(one.scores) for one in expected)
        seen += len(expected)
    assert seen > 5 and whole.classes == () and whole.waiting == 0


def test_people_start_afresh_with_the_labels_and_keep_their_numbers_apart(skill):
    session = PeopleSession(skill, SEGMENTATION_CLASSES)
    (frame, *_) = frames(1)

    def take(second: float, resets: int) -> set[int]:
        result = FrameResult(frame.label, frame.label, None, {}, round(second * 1e9))
        people = session.follow(frame.points, result, resets, frame.pose)
        return {one.person.number for one in people}

    first = [take(10 + t / 10, 3) for t in range(6)][-1]
    # The stamps jump back. A cloud that nobody labelled may have reported the reset.
    again = [take(1 + t / 10, 4) for t in range(6)]
    assert first and again[0] == set() and again[-1] and not first & again[-1]
    after = PeopleSession(skill, SEGMENTATION_CLASSES)
    after.succeed(session)
    session = after
    assert not set.union(*(take(0.1 * t, 0) for t in range(1, 7))) & (first | again[-1])


def test_labels_without_people_are_refused(skill):
    with pytest.raises(ConfigError, match='is a person'):
        PeopleSession(skill, ['road', 'car'])


def person_at(x: float, y: float, velocity=(0.0, 0.0)) -> Person:
    centre, size = np.array([x, y, 0.9]), np.array([0.5, 0.5, 1.8])
    return Person(1, centre, size, np.array(velocity), 5.0, np.zeros(0, np.int64), 0, 0)


@settings(max_examples=50, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(2, 15), st.integers(0, 1000))
def test_a_crop_is_the_same_from_wherever_it_is_seen(angle, distance, seed):
    """Sensor, person and points turned and moved together give the same crop."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.3, (40, 3)) + [distance, 0, 0.9]
    walking = np.array([1.0, 0.5])
    straight = person_at(distance, 0, walking)
    sensor = np.array([0.0, 0.0, 1.2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([3.0, -7.0])
    turned = np.column_stack([points[:, :2] @ turn.T + shift, points[:, 2] + 2])
    elsewhere = person_at(*(turn @ [distance, 0] + shift), turn @ walking)
    moved_sensor = np.array([*shift, 3.2])
    expected = crop(points, straight, sensor, 0.0, 512, 1.4)
    found = crop(turned, elsewhere, moved_sensor, 2.0, 512, 1.4)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        motion(elsewhere, moved_sensor, 2.0), motion(straight, sensor, 0.0), atol=1e-5
    )


def test_a_crop_has_a_limit_and_leaves_out_what_is_far():
    points = np.column_stack([np.linspace(4, 8, 900), np.zeros(900), np.ones(900)])
    found = crop(points, person_at(5, 0), np.zeros(3), 0.0, 64, 0.5)
    assert len(found) == 64
    assert np.abs(found[:, :2]).max() <= 0.5


def test_the_floor_is_the_ground_around_or_else_the_lowest_point_lately():
    person = person_at(5, 0)
    ground = np.column_stack([np.full(20, 6.0), np.zeros(20), np.full(20, -0.3)])
    assert floor_below(person, ground, None, 0.0) == pytest.approx(-0.3)
    nothing = np.zeros((0, 3))
    assert floor_below(person, nothing, None, 0.0) == pytest.approx(0.0)
    assert floor_below(person, nothing, -0.5, 1.0) == pytest.approx(-0.2)  # jumped


def test_an_action_changes_only_by_a_margin_and_is_unknown_below_the_least_score():
    rules = PersonPreparation(smoothing=1.0, margin=0.2, least_score=0.45)
    first, close, clear, unsure = (
        np.float32(scores) for scores in ([0.6, 0.4], [0.45, 0.55], [0.2, 0.8], [0.4, 0.4])
    )
    mean, action = decide(first, None, UNKNOWN, rules)
    assert action == 0
    mean, action = decide(close, mean, action, rules)
    assert action == 0
    mean, action = decide(clear, mean, action, rules)
    assert action == 1
    assert decide(unsure, mean, action, rules)[1] == UNKNOWN


def test_a_person_skill_is_verified_and_is_no_scene_skill(skill):
    report = verify_bundle(skill.path)
    assert report.ok and report.parameters > 1000
    with pytest.raises(BundleError) as caught:
        load_any_bundle(skill.path)
    assert '--people' in caught.value.fix
    with pytest.raises(BundleError, match='kind'):
        load_person_bundle('models/default')


def test_a_manifest_with_other_classes_or_settings_is_refused():
    with pytest.raises(BundleError, match='classes'):
        PersonManifest('toy', SMALL.to_dict(), {'action': Task(('a', 'b'))}, PersonPreparation())
    with pytest.raises(BundleError, match='smoothing'):
        PersonPreparation(smoothing=0.0)
    with pytest.raises(ConfigError, match='person network'):
        PersonConfig.from_dict({'classes': ['a'], 'depth': 3})


def test_people_who_come_and_go_leave_nothing_behind(skill):
    session, rng = PeopleSession(skill, ('floor', 'person')), np.random.default_rng(0)
    visits = [(int(start), rng.uniform([3, -6], [9, 6])) for start in rng.integers(0, 500, 60)]
    numbers: set[int] = set()
    most = peak = 0
    for frame in range(560):
        here = [place for start, place in visits if start <= frame < start + 40]
        bodies = [
            np.column_stack([rng.normal(place, 0.1, (40, 2)), rng.uniform(-1, 0.7, 40)])
            for place in here
        ]
        points = np.concatenate([*bodies, np.zeros((0, 3))]).astype(np.float32)
        people = session.step(points, np.ones(len(points), np.int64), (frame + 1) * 10**8)
        new = {one.person.number for one in people} - numbers
        assert min(new, default=10**9) > max(numbers, default=0), 'a number was given twice'
        numbers |= new
        most, peak = max(most, len(people)), max(peak, session.state_bytes)
    assert len(numbers) >= 50 and most > 3
    assert not people and not len(session.tracker) and session.state_bytes == 0
    one = session.network.initial_state(1)
    assert peak <= 20 * (one.numel() * one.element_size() + 400)
