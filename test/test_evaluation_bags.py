# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bag evaluation: same bag, same labels; nothing lost unseen; scores that mean what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_bags import PERIOD_NS, START_NS, Frame, frames, room, write_bag

from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.camera.class_maps import tasks
from pointata_core.datasets.scenes.semantickitti_clips import classes_of
from pointata_core.errors import BagError, ConfigError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.ground_truth import StampMatcher, labels_by_name, labels_to_classes
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.evaluation.results import EvaluationResults
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import SEGMENTATION_CLASSES


@pytest.fixture(scope='module')
def evaluate(untrained_bundle):
    return lambda bag, **options: evaluate_bag(
        bag, bundle=untrained_bundle, precision='float32', **options
    )


@pytest.fixture(scope='module')
def answers(untrained_bundle) -> list[np.ndarray]:
    """What a session says about the ordinary frames."""
    session = StreamingSession(load_bundle(untrained_bundle))
    return [session.step(f.points, f.stamp_ns, frame_id=f.frame_id).labels for f in frames()]


def test_every_frame_is_answered_as_a_session_answers_it(evaluate, answers, tmp_path):
    results = evaluate(write_bag(tmp_path / 'bag', frames()))
    digest = LabelDigest()
    for frame, labels in zip(frames(), answers, strict=True):
        digest.add(frame.stamp_ns, labels)
    assert results.labels_sha256 == digest.hexdigest()
    assert (results.frames, results.frames_predicted, results.points) == (6, 6, 6 * 1500)
    assert results.duration_s == pytest.approx(0.5)
    assert sum(results.class_shares.values()) == pytest.approx(1.0)


def test_two_runs_and_both_storages_give_the_same_labels(evaluate, tmp_path):
    mcap = write_bag(tmp_path / 'mcap', frames(), 'mcap')
    sqlite = write_bag(tmp_path / 'sqlite', frames(), 'sqlite3')
    digests = {evaluate(bag).labels_sha256 for bag in (mcap, mcap, sqlite)}
    assert len(digests) == 1


def test_every_loss_is_counted_by_reason(evaluate, tmp_path):
    recorded = frames(6)
    recorded[1] = replace(recorded[1], cut_bytes=5)
    recorded[3] = replace(recorded[3], stamp_ns=recorded[2].stamp_ns)
    recorded[5] = replace(recorded[5], stamp_ns=recorded[5].stamp_ns + 60 * PERIOD_NS)
    results = evaluate(write_bag(tmp_path / 'bag', recorded))
    assert results.rejected == {'truncated_data': 1}
    assert results.skipped == {'duplicate_stamp': 1}
    assert results.resets == {'gap': 1}
    lost = sum(results.rejected.values()) + sum(results.skipped.values())
    assert results.frames == results.frames_predicted + lost == 6


def test_labels_that_agree_with_the_answers_score_one(evaluate, answers, tmp_path):
    recorded = [replace(f, labels=a) for f, a in zip(frames(), answers, strict=True)]
    bag = write_bag(tmp_path / 'bag', recorded)
    score = evaluate(bag, labels_field='label').segmentation
    assert (score.miou, score.accuracy, score.points) == (1.0, 1.0, 6 * 1500)
    assert evaluate(bag).segmentation is None


def test_labels_of_a_parallel_topic_score_as_those_in_the_cloud(evaluate, tmp_path):
    random = np.random.default_rng(3)
    recorded = [replace(f, labels=random.integers(0, 15, 1500).astype(np.uint16)) for f in frames()]
    within = evaluate(write_bag(tmp_path / 'within', recorded), labels_field='label')
    apart = evaluate(
        write_bag(tmp_path / 'apart', recorded, labels_topic='/truth'),
        topic='/points',
        labels_topic='/truth',
    )
    assert within.segmentation == apart.segmentation
    assert within.labels_sha256 == apart.labels_sha256


def test_labels_without_a_partner_are_reported_not_guessed(evaluate, tmp_path):
    recorded = [replace(f, labels=np.zeros(1500, np.uint16)) for f in frames(3)]
    bag = write_bag(tmp_path / 'bag', recorded, labels_topic='/truth', truth_delay_ns=7)
    results = evaluate(bag, topic='/points', labels_topic='/truth')
    assert results.segmentation is None
    assert '3 answered clouds' in results.notes[0]


def test_actions_recorded_in_the_bag_are_scored(evaluate, tmp_path):
    recorded = [replace(f, action='walk' if i < 3 else 'wave') for i, f in enumerate(frames())]
    results = evaluate(write_bag(tmp_path / 'bag', recorded))
    assert [(s.label, s.start_s, s.end_s) for s in results.action_truth] == [
        ('walk', 0.0, 0.3),
        ('wave', 0.3, 0.6),
    ]
    assert results.action.frames == 6
    said = [s for s in results.action_timeline for _ in range(round((s.end_s - s.start_s) / 0.1))]
    right = sum(s.label == ('walk' if i < 3 else 'wave') for i, s in enumerate(said))
    assert results.action.accuracy == pytest.approx(right / 6)


def test_ego_motion_of_the_bag_reaches_the_network(evaluate, tmp_path):
    poses = [(START_NS + i * PERIOD_NS, 1.5 * i) for i in range(6)]
    bag = write_bag(tmp_path / 'bag', frames(), poses=poses)
    plain, compensated = evaluate(bag), evaluate(bag, fixed_frame='map')
    assert compensated.frames_predicted == 6
    assert plain.labels_sha256 != compensated.labels_sha256


def test_clouds_outside_the_recorded_transforms_are_skipped_and_counted(evaluate, tmp_path):
    poses = [(START_NS + i * PERIOD_NS, 0.0) for i in range(4)]
    results = evaluate(write_bag(tmp_path / 'bag', frames(), poses=poses), fixed_frame='map')
    assert results.skipped == {'no_transform': 2}
    assert results.frames_predicted == 4


def test_results_are_json_with_every_figure(evaluate, tmp_path):
    results = evaluate(write_bag(tmp_path / 'bag', frames(3)))
    plain = json.loads(results.to_json())
    assert plain['latency']['total']['count'] == 3
    assert plain['bundle']['hash'] == results.bundle['hash']
    assert set(plain) == {'format', *EvaluationResults.__dataclass_fields__} - {'trace'}


@pytest.mark.parametrize(
    ('options', 'error', 'named'),
    [
        ({'topic': '/nothing'}, BagError, '/nothing'),
        ({'labels_field': 'colour'}, BagError, 'colour'),
        ({'label_mapping': 'cityscapes', 'labels_field': 'label'}, ConfigError, 'cityscapes'),
        ({'fixed_frame': 'moon'}, BagError, 'moon'),
        ({'device': 'abacus'}, ConfigError, 'abacus'),
    ],
)
def test_wrong_options_name_what_is_wrong_and_what_to_do(evaluate, tmp_path, options, error, named):
    bag = write_bag(tmp_path / 'bag', frames(2))
    with pytest.raises(error) as caught:
        evaluate(bag, **options)
    assert named in caught.value.message
    assert caught.value.fix


def test_a_bag_without_a_usable_cloud_gives_empty_results(evaluate, tmp_path):
    recorded = [replace(f, cut_bytes=9) for f in frames(2)]
    results = evaluate(write_bag(tmp_path / 'bag', recorded))
    assert (results.frames, results.frames_predicted) == (2, 0)
    assert results.labels_sha256 == LabelDigest().hexdigest()
    assert json.loads(results.to_json())['points_per_second'] == 0


def test_clouds_may_be_empty_or_without_a_finite_point(evaluate, tmp_path):
    nothing = Frame(np.empty((0, 3), np.float32), START_NS)
    nowhere = Frame(np.full((10, 3), np.nan, np.float32), START_NS + PERIOD_NS)
    something = Frame(room(0), START_NS + 2 * PERIOD_NS)
    results = evaluate(write_bag(tmp_path / 'bag', [nothing, nowhere, something]))
    assert results.labels_per_cloud == {'fewest': 0, 'median': 10, 'most': 1500}
    assert results.points_labelled <= 1500 < results.points


def test_digest_notices_a_label_that_moves_to_the_next_frame():
    one, other = LabelDigest(), LabelDigest()
    for digest, cut in ((one, 3), (other, 4)):
        labels = np.arange(8, dtype=np.uint16)
        digest.add(0, labels[:cut])
        digest.add(0, labels[cut:])
    assert one.hexdigest() != other.hexdigest()


def test_semantickitti_ids_become_classes_of_any_bundle():
    raw = np.array([40, 10, 252, 0, (7 << 16) | 30])  # road, car, moving car, unlabelled, person
    ours = labels_to_classes('semantickitti', SEGMENTATION_CLASSES)(raw)
    names = [SEGMENTATION_CLASSES[i] if i < 15 else None for i in ours]
    assert names == ['road', 'car', 'car', None, 'person']
    few = labels_to_classes('semantickitti', ('person', 'road'))(raw)
    assert few[[0, 4]].tolist() == [1, 0]
    assert (few[1:4] >= 2).all()


@pytest.mark.parametrize('task', ['simulated_semantickitti', 'a2d2_semantickitti'])
def test_a_bundle_of_two_domains_is_scored_in_its_own_classes(task):
    """`nature` and `object` are no names of our taxonomy; their points count all the same."""
    classes = tasks()[task].classes
    translate = labels_to_classes('semantickitti', classes)
    raw = np.array([70, 71, 80, 252, 0, (7 << 16) | 72])
    found = [classes[i] if i < len(classes) else None for i in translate(raw)]
    things = 'object' if 'object' in classes else 'other-objects'
    assert found == ['nature', 'nature', things, 'car', None, 'nature']


def test_a_bundle_of_a_label_scheme_is_scored_in_its_own_classes():
    classes = classes_of('multi')
    raw = np.array([10, 252, 253])
    found = [classes[i] for i in labels_to_classes('semantickitti', classes)(raw)]
    assert found == ['car', 'moving-car', 'moving-bicyclist']


def test_names_of_a_recording_are_merged_as_the_task_of_the_bundle_merges_them():
    classes = tasks()['simulated_semantickitti'].classes
    translated = labels_by_name({1: 'trunk', 2: 'pole', 3: 'car', 4: 'person'}, classes)
    found = translated(np.array([1, 2, 3, 4]))
    assert [classes[i] if i < len(classes) else None for i in found] == [
        'nature', 'object', 'car', None,
    ]  # fmt: skip


def test_classes_without_a_raw_id_are_refused():
    with pytest.raises(ConfigError, match='unicorn'):
        labels_to_classes('semantickitti', ('unicorn', 'dragon'))


def test_labels_with_names_of_their_own_become_classes_of_the_bundle():
    names = {3: 'car', 70_000: 'road', 5: 'unicorn'}
    translated = labels_by_name(names, ('road', 'car'))(np.array([3, 5, 70_000, 8, 3]))
    assert translated[[0, 2, 4]].tolist() == [1, 0, 1]
    assert (translated[[1, 3]] >= 2).all()


def test_matcher_brings_stamps_together_in_any_order_and_stays_bounded():
    matcher = StampMatcher()
    assert matcher.truth(1, 'truth 1') is None
    assert matcher.prediction(2, 'answer 2') is None
    assert matcher.prediction(1, 'answer 1') == ('answer 1', 'truth 1')
    assert matcher.truth(2, 'truth 2') == ('answer 2', 'truth 2')
    for stamp in range(10, 1000):
        matcher.prediction(stamp, 'answer')
    assert matcher.unmatched == 990
    assert matcher.truth(10, 'late') is None


@pytest.mark.data
def test_real_indoor_bag_is_answered_whole(evaluate, data_root):
    results = evaluate(data_root / 'rs16_indoor_40f_db3')
    assert (results.frames, results.frames_predicted) == (40, 40)
    assert results.labels_per_cloud['fewest'] > 20_000
