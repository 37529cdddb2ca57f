# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People are found, keep their numbers, and end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.simulation import simulate
from pointata_core.taxonomy import class_id
from pointata_core.tracking.blobs import BlobSettings, find_blobs, nearest_blob
from pointata_core.tracking.motion_filter import corrected, distances, first_state, predicted
from pointata_core.tracking.tracker import Tracker, TrackerSettings

PERIOD_NS = 100_000_000
SENSOR = np.zeros(3)


def body(x: float, y: float, points: int = 120, seed: int = 0, height: float = 1.7) -> np.ndarray:
    """An upright cylinder of points around (x, y), float32."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, points), 0.2 * np.sqrt(rng.random(points))
    columns = [x + radius * np.cos(angle), y + radius * np.sin(angle)]
    return np.stack([*columns, rng.uniform(0, height, points)], 1).astype(np.float32)


def step(tracker: Tracker, frame: int, *bodies: np.ndarray, pose: np.ndarray | None = None):
    points = np.concatenate([np.zeros((0, 3), np.float32), *bodies])
    return tracker.update(points, frame * PERIOD_NS, np.ones(len(points), bool), pose)


def test_a_person_is_reported_after_three_sightings_and_forgotten_after_a_second_and_a_fifth():
    tracker = Tracker()
    reported = [len(step(tracker, frame, body(5, 0, seed=frame))) for frame in range(4)]
    assert reported == [0, 0, 1, 1]
    hidden = [step(tracker, 4 + frame) for frame in range(13)]
    assert [len(people) for people in hidden] == [1] * 12 + [0]
    assert all(not len(people[0].rows) for people in hidden[:12])
    assert len(tracker) == 0


def test_what_is_seen_once_is_never_reported():
    tracker = Tracker()
    for frame in range(40):
        spots = [body(5, 4, seed=frame)] if frame % 4 == 0 else []
        assert step(tracker, frame, *spots) == []


def test_a_number_survives_a_second_behind_an_obstacle():
    tracker = Tracker()
    numbers = set()
    for frame in range(40):
        seen = [] if 15 <= frame < 25 else [body(5, -2 + 0.12 * frame, seed=frame)]
        numbers |= {person.number for person in step(tracker, frame, *seen)}
    assert numbers == {1}


def test_two_who_cross_keep_their_numbers():
    tracker = Tracker()
    last = []
    for frame in range(50):
        y = -2.5 + 0.1 * frame
        near, far = body(4, y, seed=frame), body(5.5, -y, seed=frame + 99)
        hidden = abs(y / 4 + y / 5.5) < 0.08  # the near one covers the far one
        last.append(step(tracker, frame, near, *([] if hidden else [far])))
    assert [person.number for person in last[5]] == [1, 2]
    ends = {person.number: person.centre[1] for person in last[-1]}
    start = {person.number: person.centre[1] for person in last[5]}
    assert ends.keys() == start.keys() == {1, 2}
    assert all(np.sign(ends[number]) == -np.sign(start[number]) for number in ends)


def test_a_group_is_divided_between_those_it_consists_of():
    tracker = Tracker()
    for frame in range(40):
        # They walk up to each other, touch, and part again.
        gap = max(0.5, abs(2.0 - 0.1 * frame))
        people = step(tracker, frame, body(5, gap / 2, seed=frame), body(5, -gap / 2, seed=frame))
    assert [person.number for person in people] == [1, 2]
    assert people[0].centre[1] * people[1].centre[1] < 0
    assert all(len(person.rows) > 60 for person in people)


def test_in_the_fixed_frame_who_stands_has_no_speed_though_the_sensor_drives():
    tracker = Tracker()
    for frame in range(30):
        pose = np.eye(4)
        pose[0, 3] = 0.2 * frame  # two metres a second towards the person
        people = step(tracker, frame, body(9 - 0.2 * frame, 1, seed=frame), pose=pose)
    (person,) = people
    assert person.number == 1
    assert np.linalg.norm(person.velocity) < 0.25
    assert np.linalg.norm(person.centre[:2] - [9, 1]) < 0.3


def test_rows_lead_to_the_points_of_the_cloud_as_it_came():
    tracker = Tracker()
    wall = np.tile(np.float32([[9, 9, 9]]), (50, 1))
    broken = np.full((3, 3), np.nan, np.float32)
    mine = body(4, 1)
    cloud = np.concatenate([wall, broken, mine])
    is_person = np.arange(len(cloud)) >= 50
    for frame in range(4):
        people = tracker.update(cloud, frame * PERIOD_NS, is_person)
    np.testing.assert_array_equal(people[0].rows, np.arange(53, len(cloud)))


def test_no_more_than_the_most_are_followed_and_the_nearest_stay():
    tracker = Tracker(TrackerSettings(most=4))
    for frame in range(5):
        people = step(tracker, frame, *(body(4 + 2 * k, 0, seed=frame) for k in range(9)))
    assert [round(float(person.centre[0])) for person in people] == [4, 6, 8, 10]
    assert len(tracker) == 4


def test_numbers_go_on_after_a_reset():
    tracker = Tracker()
    for frame in range(4):
        step(tracker, frame, body(4, 0))
    tracker.reset()
    for frame in range(4):
        people = step(tracker, frame, body(4, 0))
    assert [person.number for person in people] == [2]


def test_a_stamp_that_does_not_rise_is_refused():
    tracker = Tracker()
    step(tracker, 3, body(4, 0))
    with pytest.raises(ValueError, match='does not follow'):
        step(tracker, 3, body(4, 0))


def outcome(people) -> list:
    return [
        (p.number, p.centre.tobytes(), p.size.tobytes(), p.velocity.tobytes(), p.rows.tobytes())
        for p in people
    ]


def test_a_restored_tracker_goes_on_bit_for_bit():
    frames = list(simulate('crowd', 'kinect', 5, 1.6))
    whole, part = Tracker(), Tracker()
    for number, frame in enumerate(frames):
        if number == 7:
            saved = part.to_bytes()
            part = Tracker()
            part.restore(saved)
            assert part.to_bytes() == saved
        cloud = (frame.points, frame.stamp_ns, frame.label == class_id('person'), frame.pose)
        assert outcome(whole.update(*cloud)) == outcome(part.update(*cloud))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_anything_else_are_refused_and_change_nothing(data):
    tracker = Tracker()
    step(tracker, 0, body(4, 0))
    before = tracker.to_bytes()
    with pytest.raises(ConfigError, match='saved tracker'):
        tracker.restore(data)
    assert tracker.to_bytes() == before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_the_order_of_points_does_not_matter_and_each_has_one_owner(seed, count):
    rng = np.random.default_rng(seed)
    angle, away = rng.uniform(-np.pi, np.pi, count), rng.uniform(2, 20, count)
    spots = np.stack([away * np.cos(angle), away * np.sin(angle)], 1)
    points = np.concatenate([body(*spot, points=40, seed=k) for k, spot in enumerate(spots)])
    blobs = find_blobs(points, SENSOR)
    owned = np.concatenate([blob.rows for blob in blobs])
    assert len(owned) == len(set(owned.tolist()))
    order = rng.permutation(len(points))
    again = find_blobs(points[order], SENSOR)
    sets = [{tuple(points[row]) for row in blob.rows} for blob in blobs]
    assert sets == [{tuple(points[order][row]) for row in blob.rows} for blob in again]


def test_people_apart_are_blobs_apart_and_rings_are_joined():
    rings = body(10, 0, points=60)
    rings[:, 2] = np.repeat([0.1, 0.5, 0.9, 1.3, 1.6], 12)  # as of a LiDAR with sixteen rings
    blobs = find_blobs(np.concatenate([rings, body(10, 1.2)]), SENSOR)
    assert sorted(len(blob.rows) for blob in blobs) == [60, 120]


def test_a_wall_is_nobody():
    wall = np.stack(np.meshgrid([6.0], np.arange(-4, 4, 0.05), np.arange(0, 2, 0.1)), -1)
    assert find_blobs(wall.reshape(-1, 3), SENSOR) == []


def test_few_points_are_nobody():
    assert find_blobs(body(5, 0, points=4), SENSOR, settings=BlobSettings(least_points=5)) == []


def test_the_nearest_thing_of_a_persons_size_is_found_before_a_floor_and_a_wall():
    floor = np.stack(np.meshgrid(np.arange(1, 6, 0.05), np.arange(-2, 2, 0.05), [-1.0]), -1)
    wall = np.stack(np.meshgrid([6.0], np.arange(-2, 2, 0.05), np.arange(-1, 1.5, 0.05)), -1)
    person = body(3, 0.3, points=900) - np.float32([0, 0, 1])
    cloud = np.concatenate([floor.reshape(-1, 3), wall.reshape(-1, 3), person])
    chosen = nearest_blob(cloud, SENSOR)
    is_person = np.arange(len(cloud)) >= len(cloud) - 900
    assert chosen[is_person].mean() > 0.85
    assert not chosen[~is_person].any()


def test_the_filter_equals_the_least_squares_fit_of_all_measurements():
    """With no wandering, the recursive estimate is the batch solution (Gauss-Markov)."""
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.05, 0.2, 6))
    places = np.stack([1 + 0.8 * times, 2 - 0.3 * times], 1) + rng.normal(0, 0.05, (6, 2))
    noise = rng.uniform(0.05, 0.1, 6)
    mean, covariance = first_state(places[0], noise[0])
    now = times[0]
    for time, place, sigma in zip(times[1:], places[1:], noise[1:]):
        step_ = np.eye(4)
        step_[0, 2] = step_[1, 3] = time - now
        wandering = predicted(mean[None], covariance[None], time - now)[1][0] - (
            step_ @ covariance @ step_.T
        )
        assert np.linalg.eigvalsh(wandering).min() > -1e-12
        mean, covariance = corrected(step_ @ mean, step_ @ covariance @ step_.T, place, sigma)
        now = time
    # Rows: the prior of the velocity, then each place by place and velocity at the end.
    for axis in (0, 1):
        rows = [[0, 1 / 1.5]] + [[1 / s, (t - now) / s] for t, s in zip(times, noise)]
        values = [0, *(places[:, axis] / noise)]
        fit, *_ = np.linalg.lstsq(np.array(rows), np.array(values))
        np.testing.assert_allclose(mean[[axis, axis + 2]], fit, atol=1e-9)


def test_distances_are_those_of_the_inverse_covariance():
    rng = np.random.default_rng(0)
    mean, root = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 4))
    covariance = root @ root.transpose(0, 2, 1)
    centres, noise = rng.normal(size=(5, 2)), rng.uniform(0.1, 0.5, 5)
    squared, spread = distances(mean, covariance, centres, noise)
    for t in range(3):
        for m in range(5):
            total = covariance[t, :2, :2] + np.eye(2) * noise[m] ** 2
            offset = centres[m] - mean[t, :2]
            np.testing.assert_allclose(squared[t, m], offset @ np.linalg.solve(total, offset))
            np.testing.assert_allclose(spread[t, m], np.linalg.slogdet(total)[1])
