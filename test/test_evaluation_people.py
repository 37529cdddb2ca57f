# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording with people: results and report tell where each was and what it did."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from person_skills import ACTIONS, write_person_skill

from pointata_core.bundles.bundle import load_person_bundle
from pointata_core.cli.main import main
from pointata_core.evaluation.colours import colour_of_number
from pointata_core.evaluation.people_log import PeopleLog, PersonTrack
from pointata_core.evaluation.people_truth import PeopleScores, TruePerson
from pointata_core.evaluation.report.charts import LIGHT
from pointata_core.evaluation.report.trails import trail_chart
from pointata_core.evaluation.report.views import views_chart
from pointata_core.inference.people.people_session import ObservedPerson, PeopleSession
from pointata_core.simulation import simulate, write_bag
from pointata_core.taxonomy import SEGMENTATION_CLASSES
from pointata_core.tracking.tracker import Person


@pytest.fixture(scope='module')
def skill(tmp_path_factory):
    return write_person_skill(tmp_path_factory.mktemp('skill') / 'toy')


def evaluate(bag, skill, output) -> dict:
    words = [
        'evaluate',
        '--bag',
        bag,
        '--people',
        skill,
        '--fixed-frame',
        'map',
        '--output',
        output,
    ]
    assert main(list(map(str, words))) == 0
    return json.loads((output / 'results.json').read_text())


def test_results_and_report_tell_of_each_person_and_are_the_same_again(tmp_path, skill):
    write_bag(tmp_path / 'bag', simulate('crowd', 'kinect', 950_004, 0.8), sensor='kinect')
    first, again = (evaluate(tmp_path / 'bag', skill, tmp_path / name) for name in ('a', 'b'))
    assert first['people'] == again['people']
    assert first['people']['skill']['name'] == 'toy'
    tracks = first['people']['tracks']
    assert tracks and first['people']['most_at_once'] >= 1
    for track in tracks:
        assert track['frames'] >= track['hidden_frames']
        assert 0 <= track['start_s'] <= track['end_s'] <= 0.7001
        assert {segment['label'] for segment in track['actions']} <= set(ACTIONS)
        assert all(len(place) == 3 for place in track['path'])
    assert any(track['actions'] for track in tracks)
    scores = first['people']['scores']
    assert scores['tracking']['hota'] > 0.4
    assert scores['action']['frames'] > 0
    page = (tmp_path / 'a' / 'report.html').read_text()
    assert 'id="people"' in page
    for name in ('people.png', 'people_trails.png', 'people_trails_dark.png', 'people_views.png'):
        assert (tmp_path / 'a' / name).stat().st_size > 1000
    assert page.count('seen from above') == 1
    assert 'Against the true people' in page


def test_people_are_scored_by_a_topic_of_any_name_and_type_is_checked(tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', simulate('crowd', 'kinect', 950_004, 0.2), sensor='kinect')
    words = ['evaluate', '--bag', bag, '--people', 'follow', '--output', tmp_path / 'o']
    assert main([*map(str, words), '--tracks-topic', '/ground_truth/action']) == 2
    message = capsys.readouterr().err
    assert '/ground_truth/action' in message and 'Detection3DArray' in message
    assert main([*map(str, words), '--tracks-topic', '/nowhere']) == 2


def test_scores_of_people_who_are_all_found_and_right():
    one = TruePerson('a', np.array([4.0, 1.0, 0.0]), np.array([0.9, 0.9, 1.8]), ('walk',))
    hidden = TruePerson('b', np.array([9.0, 1.0, 0.0]), np.array([0.9, 0.9, 1.8]), ('wave',))
    points = np.tile([4.0, 1.0, 0.3], (8, 1)).astype(np.float32)
    to_fixed = np.eye(4)
    to_fixed[:3, 3] = 100, 0, 0
    scores = PeopleScores(('stand', 'walk'))
    for frame in range(10):
        people = [followed(7, [104.0, 1.1, 0.0], int(frame < 8))]
        scores.add(frame * 10**8, (one, hidden), people, points, to_fixed)
    found = scores.results()
    assert found['tracking']['mota'] == found['tracking']['idf1'] == 1.0
    assert found['action']['frames'] == 10 and found['action']['accuracy'] == 0.8
    assert found['action']['changes_per_minute'] == pytest.approx(60 / 0.9)
    assert found['action']['true_changes_per_minute'] == 0
    assert PeopleScores(()).results() is None


def followed(number: int, centre: list[float], action: int) -> ObservedPerson:
    size, nothing = np.ones(3), np.zeros(0, np.int64)
    person = Person(number, np.array(centre), size, np.zeros(2), 4.0, nothing, 0, 0)
    return ObservedPerson(person, action, np.array([0.1, 0.9], np.float32))


def test_people_are_shown_where_they_are_seen_best():
    log = PeopleLog(('stand', 'walk'))
    rng = np.random.default_rng(0)
    points = rng.normal([0.0, 5.0, 0.0], [0.2, 0.1, 0.5], (300, 3)).astype(np.float32)
    for frame, score in enumerate((0.5, 0.9, 0.6)):
        one = followed(3, [0.0, 5.0, 0.0], 1)
        person = replace(one.person, rows=np.arange(10 * (frame + 1)))
        log.add(frame * 10**8, [replace(one, person=person, scores=np.array([0.1, score]))], points)
    (view,) = log.views()
    assert (view.number, view.action, view.time_s) == (3, 'walk', 0.1)
    turned = view.points - [0, 0, 0]
    assert abs(turned[:, :2].mean()) < 0.01
    assert turned[:, 0].std() < turned[:, 1].std()  # away from the sensor it is thin
    assert len(views_chart([view] * 9, LIGHT)) > 1000


def test_people_are_followed_without_a_skill(tmp_path):
    write_bag(tmp_path / 'bag', simulate('crowd', 'kinect', 950_004, 0.8), sensor='kinect')
    people = evaluate(tmp_path / 'bag', 'follow', tmp_path / 'out')['people']
    assert people['skill'] is None and people['tracks'] and people['classes'] == []
    assert not any(track['actions'] for track in people['tracks'])
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'Without a person skill' in page and 'Where people went' in page
    assert not (tmp_path / 'out' / 'people.png').exists()


def test_people_who_hardly_move_have_a_trail_too():
    one = PersonTrack(3, 0.0, 0.0, 1, 0, 4.0, ((0.0, 4.0, 1.0),), ())
    two = PersonTrack(12, 0.0, 9.0, 90, 0, 4.0, ((0.0, 4.0, 1.0), (9.0, 44.0, 1.5)), ())
    for tracks in ([one], [one, two]):
        picture = matplotlib.image.imread(io.BytesIO(trail_chart(tracks, LIGHT)))
        red, green, blue = colour_of_number(tracks[-1].number)
        near = np.abs(picture[..., :3] - np.array([red, green, blue])).max(-1) < 0.02
        assert near.sum() > 20 and 200 < picture.shape[0] < 1300


def test_a_log_holds_stretches_of_actions_and_sparse_paths(skill):
    session = PeopleSession(load_person_bundle(skill), SEGMENTATION_CLASSES)
    log, seen = PeopleLog(session.classes), 0
    for frame in simulate('crowd', 'kinect', 950_004, 1.6):
        people = session.step(frame.points, frame.label, frame.stamp_ns, frame.pose)
        log.add(frame.stamp_ns, people)
        seen += len(people)
    found = log.results()
    assert sum(track.frames for track in found['tracks']) == seen
    for track in found['tracks']:
        times = np.array([place[0] for place in track.path])
        assert np.diff(times).min(initial=1.0) > 0.49
        assert sum(s.end_s - s.start_s for s in track.actions) <= track.end_s - track.start_s + 0.2


def test_without_a_person_skill_there_are_no_people_in_results(tmp_path):
    write_bag(tmp_path / 'bag', simulate('crowd', 'kinect', 950_004, 0.1), sensor='kinect')
    words = ['evaluate', '--bag', tmp_path / 'bag', '--output', tmp_path / 'out']
    assert main(list(map(str, words))) == 0
    assert json.loads((tmp_path / 'out' / 'results.json').read_text())['people'] is None


def test_a_scene_skill_is_refused_as_person_skill(tmp_path, capsys):
    write_bag(tmp_path / 'bag', simulate('crowd', 'kinect', 950_004, 0.1), sensor='kinect')
    words = [
        'evaluate',
        '--bag',
        tmp_path / 'bag',
        '--people',
        'default',
        '--output',
        tmp_path / 'o',
    ]
    assert main(list(map(str, words))) == 2
    assert 'person' in capsys.readouterr().err
