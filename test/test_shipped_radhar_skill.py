# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped radar skill: what it takes and gives, and exercises it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pointata_core.bundles.bundle import load_bundle
from pointata_core.bundles.verify import verify_bundle
from pointata_core.datasets.actions.radhar import CLASSES, radhar, read_recording
from pointata_core.errors import BundleError
from pointata_core.inference.session import StreamingSession
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns

SKILL = Path(__file__).resolve().parents[1] / 'models' / 'radhar'
PERIOD_NS = 33_333_333
WINDOW = 60


@pytest.fixture(scope='module')
def bundle():
    return load_bundle(SKILL)


def test_it_is_whole_and_stands_on_the_backbone_of_the_default_skill(bundle):
    report = verify_bundle(SKILL)
    assert report.ok, report.problem
    default = load_bundle(SKILL.parent / 'default').manifest
    assert bundle.manifest.files['backbone'].sha256 == default.files['backbone'].sha256
    assert bundle.manifest.action_classes == CLASSES
    assert tuple(bundle.manifest.features) == ('velocity', 'intensity')
    assert 'BSD-3-Clause' in bundle.manifest.licence


def test_its_name_is_enough_unless_something_else_has_it(tmp_path, monkeypatch, bundle):
    monkeypatch.chdir(tmp_path)
    assert load_bundle('radhar').hash == bundle.hash
    assert verify_bundle('radhar').ok
    (tmp_path / 'radhar').mkdir()
    with pytest.raises(BundleError, match='found no file'):
        load_bundle('radhar')
    with pytest.raises(BundleError, match='or the name of a bundle of this package'):
        load_bundle('no_such_skill')


@pytest.mark.parametrize('number', range(5), ids=CLASSES)
def test_a_held_out_exercise_is_recognised_frame_by_frame(bundle, data_root, number):
    root = data_root / 'radhar_train'
    if not root.is_dir():
        pytest.skip(f'{root} is not there')
    clips = radhar(root, 'validation')
    recording = next(one for one in clips.recordings if one.action == number)
    content, names = read_recording(recording), clips.feature_names
    session = StreamingSession(bundle)
    answers = []
    for frame, (points, values) in enumerate(
        zip(content.points[: 2 * WINDOW], content.features, strict=False)
    ):
        fields = {name: values[:, names.index(name)] for name in ('velocity', 'intensity')}
        answers.append(session.step(points, frame * PERIOD_NS, fields).action)
    votes = np.log(np.stack(answers[WINDOW - 1 :: 10])).sum(axis=0)
    assert CLASSES[votes.argmax()] == CLASSES[number]


@pytest.mark.ros
def test_the_node_serves_it_by_name_and_hears_the_fields(bundle):
    pytest.importorskip('rclpy')
    from node_harness import Bench
    from sensor_msgs.msg import PointCloud2, PointField
    from std_msgs.msg import Header
    from vision_msgs.msg import Classification

    from benchmarks.robustness.ros_graph import PERIOD_NS as STEP_NS
    from benchmarks.robustness.ros_graph import START_NS

    rng = np.random.default_rng(5)
    session = StreamingSession(bundle)
    with Bench(bundle='radhar', device='cpu') as bench:
        bench.wait_for_state('active')
        actions = bench.collect('output/action', Classification)
        publisher = bench.publisher()
        for number in range(4):
            stamp = START_NS + number * STEP_NS
            points = rng.uniform((0.5, -1, 0), (3, 1, 2), (20, 3)).astype(np.float32)
            fields = {
                name: rng.uniform(0, 20, 20).astype(np.float32) for name in bundle.manifest.features
            }
            header = Header(frame_id='radar')
            header.stamp.sec, header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            columns = [*xyz_columns(points), *fields.items()]
            encoded = encode_fields(columns, width=20, height=1)
            publisher.publish(fill_message(PointCloud2(), encoded, header, PointField))
            answer = actions.wait_for(number + 1)[number]
            expected = session.step(points, stamp, fields, 'radar').action
            scores = [one.score for one in answer.results]
            np.testing.assert_allclose(scores, np.sort(expected)[::-1], atol=1e-5)
