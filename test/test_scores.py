# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores as the field computes them, of any bundle, without training; data are read whole first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from camera_bundle_samples import NETWORK, camera_manifest
from dataset_samples import depth_video, write_msr_mat, write_radar_text
from hypothesis import given, settings
from hypothesis import strategies as st
from small_training import write_backbone, write_config, write_radar

pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_fields import Task
from pointata_core.cli.main import main
from pointata_core.datasets.actions.radhar import CLASSES
from pointata_core.datasets.protocol import Clip
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scenes.semantickitti_clips import classes_of
from pointata_core.errors import ConfigError, PointataError
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.inference.session import StreamingSession
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.preparation import point_truth, scored_frames
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.classes import SharedClasses
from pointata_core.training.skill.score_bundle import score_bundle
from pointata_core.training.skill.scorers import Origin, PointScorer
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

ROOT = Path(__file__).resolve().parents[1]


# The mean over classes


def counted(pairs, classes):
    matrix = ConfusionMatrix(classes)
    for truth, predicted in pairs:
        matrix.add(np.array([truth]), np.array([predicted]))
    return matrix


def test_the_mean_is_over_classes_of_the_truth_or_over_all_of_them():
    matrix = counted([(0, 0), (0, 0), (1, 0), (1, 1)], ('road', 'car', 'person', 'bicycle'))
    score = matrix.score()
    assert score.iou == {'road': pytest.approx(2 / 3), 'car': pytest.approx(1 / 2)}
    assert score.miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert matrix.score(mean='all').miou == pytest.approx((2 / 3 + 1 / 2) / 4)
    three = ('road', 'car', 'person')
    assert matrix.score(three, 'all').miou == pytest.approx((2 / 3 + 1 / 2) / 3)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), st.integers(0, 5)), max_size=30))
def test_a_row_that_stands_for_many_points_counts_as_often(rows):
    whole, one_by_one = ConfusionMatrix(('a', 'b', 'c')), ConfusionMatrix(('a', 'b', 'c'))
    truth, predicted, points = np.array(rows, int).reshape(-1, 3).T
    whole.add(truth, predicted, points)
    one_by_one.add(np.repeat(truth, points), np.repeat(predicted, points))
    np.testing.assert_array_equal(whole.counts, one_by_one.counts)


# All points of all frames


def test_unscored_classes_are_taken_out_before_the_largest_score_is_chosen():
    """HOI4D: `no label` wins by its logit, and is no prediction."""
    scorer = PointScorer(('no label', 'noise', 'chair', 'table'), ('no label', 'noise'))
    logits = torch.tensor([[9.0, 0, 2, 1], [0, 9, 1, 2]]).view(1, 1, 2, 4)
    truth = np.array([[0, 0, 2, 5], [0, 1, 3, 4], [0, -1, 3, 1]])
    scorer.add(None, NetworkOutput(logits, None), Origin(np.zeros(1), [''], [truth]))
    score = scorer.score()
    assert (score.right, score.total, score.facts['unpredicted']) == (9, 10, 1)
    assert score.per_class == {'chair': 1.0, 'table': pytest.approx(4 / 5)}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 2)), max_size=40))
def test_rows_of_truth_hold_every_labelled_point(pairs):
    voxel, label = np.array(pairs, int).reshape(-1, 2).T
    rows = point_truth(np.where(label < 0, IGNORE, label), voxel, 7)
    found = [(v, c) for _, v, c, n in rows.tolist() for _ in range(n)]
    assert sorted(found) == sorted((v, c) for v, c in pairs if c >= 0)
    assert set(rows[:, 0].tolist()) <= {7}


@pytest.mark.parametrize(('frames', 'hop'), [(4, 1), (4, 4), (8, 3)])
def test_clips_that_end_at_every_so_many_frames_score_each_frame_once(frames, hop):
    sampling, seen = ClipSampling('causal', frames=frames, hop=hop), []
    for number in range(sampling.clips_in(13)):
        taken = sampling.frames_of(13, number)
        points = [np.zeros((0, 3), np.float32)] * len(taken)
        seen += taken[scored_frames(Clip(points, 'clip', frames=taken), sampling)].tolist()
    assert seen == list(range(seen[-1] + 1))
    assert seen[-1] >= 13 - hop


def test_other_clips_score_all_their_frames():
    clip = Clip([np.zeros((0, 3), np.float32)] * 3, 'clip', frames=np.array([5, 5, 6]))
    assert scored_frames(clip, None).all()
    assert scored_frames(clip, ClipSampling('sliding', frames=3)).all()


def test_segmentation_of_a_training_counts_what_a_stream_of_the_bundle_counts(tmp_path):
    """Each frame of each clip, each point; the ids 0 and 1 of HOI4D are never predicted."""
    scenes = pytest.importorskip('scene_datasets', reason='HOI4D files need h5py')
    from pointata_core.datasets.scenes.hoi4d import SEMANTIC_FILES, Hoi4dSemantics

    write_backbone(tmp_path / 'backbone')
    rows = dict.fromkeys([*SEMANTIC_FILES['train'], *SEMANTIC_FILES['test']], 1)
    scenes.write_hoi4d_semantics(tmp_path / 'data', rows, frames=6, points=60)
    config = write_config(
        tmp_path / 'small.yaml', tmp_path / 'data', tmp_path / 'backbone',
        tasks=['points'], stages=['adapt'], optimiser={'epochs': 1, 'batch': 2},
        data={
            'name': 'hoi4d_semantics', 'root': str(tmp_path / 'data'), 'sampling': None,
            'variants': 1, 'train': 'train', 'validation': 'test', 'cache': str(tmp_path / 'cache'),
        },
        preparation={'origin': 'first_frame', 'voxel_size_m': 0.4, 'max_range_m': 2000.0},
    )  # fmt: skip
    result = run_train(read_settings(TrainingSettings, config))
    clips = Hoi4dSemantics(tmp_path / 'data', 'test')
    matrix = ConfusionMatrix(clips.classes)
    bundle = load_bundle(result.bundle)
    total = 0
    for clip in clips:
        session = StreamingSession(bundle)
        for t, (cloud, labels) in enumerate(zip(clip.points, clip.labels, strict=True)):
            matrix.add(labels, session.step(cloud, t + 1).labels)
            total += int((labels >= 0).sum())
    score = result.score
    assert score.total == total > 60 * 3
    found = np.array(score.confusion)
    assert not found[:, :2].any()
    # Where the stream predicts neither of both ids, it predicts the same.
    assert (matrix.counts[:, 2:-1] <= found[:, 2:]).all()
    assert set(score.per_class) == {clips.classes[c] for c in found.sum(1).nonzero()[0]}


# Classes of bundle and data set


@settings(max_examples=30)
@given(st.permutations(['a', 'b', 'c', 'x', 'y']), st.integers(1, 5))
def test_classes_belong_together_by_name(order, count):
    network, dataset = tuple(order[:count]), ('a', 'b', 'c')
    if not set(network) & set(dataset):
        with pytest.raises(ConfigError, match='none of them'):
            SharedClasses.between(dataset, network, 'task clip')
        return
    shared = SharedClasses.between(dataset, network, 'task clip')
    assert shared.names[:3] == dataset
    assert set(shared.missing) == set(dataset) - set(network)
    for place, name in enumerate(network):
        logits = torch.zeros(len(network))
        logits[place] = 1.0
        assert shared.names[int(shared.take(logits).argmax())] == name
        assert shared.names[int(shared.rename(np.array([place]))[0])] == name
    assert shared.rename(np.array([-1, 65535, len(network)])).tolist() == [-1, -1, -1]


# pointata score


@pytest.fixture(scope='module')
def radar(tmp_path_factory) -> Path:
    """A trained skill and its recipe."""
    folder = tmp_path_factory.mktemp('radar')
    write_radar(folder / 'data')
    write_backbone(folder / 'backbone')
    config = write_config(
        folder / 'small.yaml', folder / 'data', folder / 'backbone', stages=['adapt'],
        optimiser={'epochs': 1, 'batch': 4},
    )  # fmt: skip
    run_train(read_settings(TrainingSettings, config))
    return folder


def test_a_bundle_gets_the_score_of_its_training(radar, capsys):
    words = ['score', '--config', str(radar / 'small.yaml'), '--bundle', str(radar / 'run/bundle')]
    assert main([*words, '--output', str(radar / 'score'), '--json']) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((radar / 'score/results.json').read_text())
    (trained,) = json.loads((radar / 'run/results.json').read_text())['scores']
    assert printed['scores'] == [trained]
    assert trained['per_class'].keys() == set(CLASSES)
    assert printed['data']['split'] == 'validation'


def test_a_bundle_with_other_classes_is_scored_by_name(radar, capsys, tmp_path):
    source = load_bundle(radar / 'run/bundle')
    classes = ('crawl', 'walk', 'squats', 'jump', 'jack')
    network = PointATA(replace(source.network.config, action_classes=classes))
    network.load_state_dict(source.network.state_dict())
    manifest = Manifest.for_network(
        'other', network.config.to_dict(), preparation=source.manifest.preparation
    )
    save_bundle(tmp_path / 'other', network, manifest)
    words = ['score', '--config', str(radar / 'small.yaml'), '--bundle', str(tmp_path / 'other')]
    assert main([*words, '--output', str(tmp_path / 'score')]) == 0
    shown = capsys.readouterr()
    assert 'the bundle lacks 1 of the classes, which are never right: boxing' in shown.err
    (score,) = json.loads((tmp_path / 'score/results.json').read_text())['scores']
    assert score['classes'] == [*CLASSES, 'crawl']
    assert score['per_class']['boxing'] == 0


def test_streaming_gives_the_score_of_whole_clips(radar):
    recipe = read_settings(TrainingSettings, radar / 'small.yaml')
    streamed = read_settings(TrainingSettings, radar / 'small.yaml', ['data.stream=true'])
    bundle = str(radar / 'run/bundle')
    (whole,), (live,) = (score_bundle(s, bundle).scores for s in (recipe, streamed))
    assert live.confusion == whole.confusion
    assert live.metrics['clip_accuracy'] == whole.metrics['clip_accuracy']


def test_a_recipe_without_a_head_for_its_task_is_refused(radar):
    recipe = read_settings(TrainingSettings, radar / 'small.yaml', ['tasks=[points]'])
    with pytest.raises(ConfigError, match='no head'):
        score_bundle(recipe, str(radar / 'run/bundle'))


# Data sets as downloaded: check, train, score


def write_msr(folder: Path, subjects: range) -> Path:
    folder.mkdir()
    for subject in subjects:
        for action in (1, 2):
            video = depth_video(26, 24, 32, 100 * subject + action)
            write_msr_mat(folder, f'a{action:02d}_s{subject:02d}_e01', video)
    return folder


SMALL = (
    'optimiser.epochs=1', 'optimiser.batch=4', 'device=cpu', 'precision=32', 'align.epochs=0',
    'align.shapes=20', 'network.segmentation_blocks=[3]', 'network.geometry.tokens=6',
    'network.geometry.patch_size=4', 'network.adapted_blocks=1', 'preparation.max_range_m=100',
)  # fmt: skip


def test_msr_mat_is_checked_trained_and_scored_by_the_published_protocol(tmp_path, capsys):
    root = write_msr(tmp_path / 'msr', range(4, 8))
    recipe = ROOT / 'config/training/msr_action3d.yaml'
    places = [f'data.root={root}', f'data.cache={tmp_path}/cache', f'output={tmp_path}/run']
    words = [*SMALL, *places, f'network.backbone={write_backbone(tmp_path / "backbone")}']
    assert main(['data', 'check', 'msr_action3d', '--root', str(root), '--deep', '--json']) == 1
    checked = json.loads(capsys.readouterr().out)
    assert [split['damaged'] for split in checked['splits']] == [[], []]
    assert main(['train', '--config', str(recipe), *words, '--json']) == 0
    (score,) = json.loads(capsys.readouterr().out)['scores']
    # Subjects 4 and 5 train; of 6 and 7 every window of 24 frames of 26 is scored.
    assert score['per_subject'].keys() == {'6', '7'}
    assert score['facts'] == {'recordings': 4, 'clips': 12}
    bundle = ['--bundle', f'{tmp_path}/run/bundle', '--output', f'{tmp_path}/score']
    bundle += ['--precision', 'float32']  # as training scores
    assert main(['score', '--config', str(recipe), *bundle, *words]) == 0
    shown = capsys.readouterr()
    assert 'split test: 4 of 297 published videos are there' in shown.err
    (again,) = json.loads((tmp_path / 'score/results.json').read_text())['scores']
    assert again == score


def test_absent_test_subjects_end_a_run_at_once_with_the_way_out(tmp_path):
    root = write_msr(tmp_path / 'msr', range(1, 6))
    recipe = ROOT / 'config/training/msr_action3d.yaml'
    words = [f'data.root={root}', f'data.cache={tmp_path}/cache', f'output={tmp_path}/run']
    with pytest.raises(PointataError, match="nothing of the split 'test'") as error:
        run_train(read_settings(TrainingSettings, recipe, words))
    assert 'data.train=fit data.validation=validation' in error.value.fix


def test_radhar_text_is_checked_trained_and_scored(tmp_path, capsys):
    root = tmp_path / 'RadHAR'
    for label, name in enumerate(CLASSES):
        for number, section in enumerate(('Train', 'Train', 'Test')):
            rng = np.random.default_rng([label, number])
            rows = rng.normal((2, 0, 1, 2, 0, 8, 0, 26), 0.3, (62 * 3, 8)).round(6)
            times = 1561686032.02 + np.arange(62) / 30
            write_radar_text(
                root / f'Data/{section}/{name}/{name}_12{number}s.txt', [3] * 62, rows, times
            )
    recipe = str(ROOT / 'config/training/radhar.yaml')
    places = [f'data.root={root}', f'data.cache={tmp_path}/cache', f'output={tmp_path}/run']
    words = [
        *SMALL[:-2], *places, 'data.train=train', 'data.validation=test',
        f'network.backbone={write_backbone(tmp_path / "backbone")}', 'network.adapted_blocks=1',
        'network.geometry.context_neighbours=3',
    ]  # fmt: skip
    assert main(['data', 'check', 'radhar', '--root', str(root), '--deep', '--json']) == 1
    checked = json.loads(capsys.readouterr().out)['splits']
    assert [split['found']['videos'] for split in checked] == [10, 5]
    assert [split['damaged'] for split in checked] == [[], []]
    assert main(['train', '--config', recipe, *words, '--json']) == 0
    (score,) = json.loads(capsys.readouterr().out)['scores']
    assert score['facts'] == {'recordings': 5, 'clips': 5}
    bundle = ['--bundle', f'{tmp_path}/run/bundle', '--output', f'{tmp_path}/score']
    bundle += ['--precision', 'float32']  # as training scores
    assert main(['score', '--config', recipe, *bundle, *words]) == 0
    (again,) = json.loads((tmp_path / 'score/results.json').read_text())['scores']
    assert again['confusion'] == score['confusion']


def write_colour_archive(root: Path, raw=(40, 10, 252, 70, 80)) -> Path:
    """Two sequences whose ``calib.txt`` is that of KITTI's colour images: no ``Tr``."""
    scenes = pytest.importorskip('scene_datasets', reason='its other files need h5py')
    for name, scans in (('00', 4), ('08', 5)):
        folder = scenes.write_kitti_sequence(root / 'dataset/sequences' / name, scans, raw)
        rows = '7.188560e+02 0 6.071928e+02 0 0 7.188560e+02 1.852157e+02 0 0 0 1 0'
        (folder / 'calib.txt').write_text(''.join(f'P{n}: {rows}\n' for n in range(4)))
    return root


KITTI = (
    'data.options.sequences=["00"]', 'data.train=train', 'data.validation=all',
    'data.sampling.hop=1',
)  # fmt: skip


def test_semantickitti_with_the_colour_archive_is_checked_trained_and_scored(tmp_path, capsys):
    root = write_colour_archive(tmp_path / 'kitti')
    recipe = str(ROOT / 'config/training/semantickitti.yaml')
    places = [f'data.root={root}', f'data.cache={tmp_path}/cache', f'output={tmp_path}/run']
    words = [
        *SMALL[:-1], *places, *KITTI, f'network.backbone={write_backbone(tmp_path / "backbone")}',
    ]  # fmt: skip
    check = ['data', 'check', 'semantickitti', '--root', str(root), '--split', 'validation']
    main([*check, '--deep', '--json'])
    (split,) = json.loads(capsys.readouterr().out)['splits']
    assert split['damaged'] == [] and split['error'] == ''
    assert any(
        'no line Tr' in note and 'data_odometry_calib.zip' in note for note in split['notes']
    )
    assert main(['train', '--config', recipe, *words, '--json']) == 0
    (score,) = json.loads(capsys.readouterr().out)['scores']
    # Four scans of 20 points, each scored once; the mean is over all 19 classes.
    assert score['total'] == 80
    assert score['metrics']['miou'] == pytest.approx(sum(score['per_class'].values()) / 19)
    bundle = ['--bundle', f'{tmp_path}/run/bundle', '--output', f'{tmp_path}/score']
    bundle += ['--precision', 'float32']  # as training scores
    assert main(['score', '--config', recipe, *bundle, *words]) == 0
    (again,) = json.loads((tmp_path / 'score/results.json').read_text())['scores']
    assert again == score


def test_a_bundle_of_domain_adaptation_is_scored_in_its_own_classes(tmp_path, capsys):
    """`nature` and `object` are merged classes, and count as the others do."""
    root, classes = write_colour_archive(tmp_path / 'kitti'), classes_of('simulated_semantickitti')
    network = CameraLidarNetwork(len(classes), **NETWORK).eval()
    save_bundle(
        tmp_path / 'bundle', network, camera_manifest(tasks={'segmentation': Task(classes)})
    )
    words = [
        'score', '--config', str(ROOT / 'config/training/semantickitti.yaml'),
        '--bundle', str(tmp_path / 'bundle'), '--output', str(tmp_path / 'score'),
        f'data.root={root}', f'data.cache={tmp_path}/cache', *KITTI,
    ]  # fmt: skip
    assert main(words) == 0
    assert 'data.options.labels=simulated_semantickitti' in capsys.readouterr().err
    (score,) = json.loads((tmp_path / 'score/results.json').read_text())['scores']
    assert score['classes'] == list(classes)
    assert score['per_class'].keys() == {'road', 'car', 'nature', 'object'}
    assert score['total'] == 80


def test_a_damaged_file_ends_a_training_before_anything_is_computed(radar, tmp_path):
    root = write_radar(tmp_path / 'data', recordings=2)
    path = root / 'Train__walk__run_1.npz'
    whole = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, 'points': arrays['points'][:, :7]})
    words = [f'data.root={root}', f'data.cache={tmp_path}/cache', f'output={tmp_path}/run']
    settings = read_settings(TrainingSettings, radar / 'small.yaml', words)
    with pytest.raises(PointataError, match='1 files are damaged') as error:
        run_train(settings)
    assert path.name in error.value.message and 'data check radhar' in error.value.fix
    assert not list((tmp_path / 'cache').glob('clips/*/*.npz'))
    path.write_bytes(whole)
    assert run_train(settings).training['data_notes'] == []
    # What was read once is read again when a file changes.
    path.write_bytes(whole[:-300])
    with pytest.raises(PointataError, match='damaged'):
        run_train(settings)
