# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera bundles on disk, and the session that answers with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from camera_bundle_samples import (
    CLASSES,
    FROM_LIDAR,
    HEIGHT,
    MATRIX,
    NETWORK,
    WIDTH,
    camera_manifest,
    camera_network,
    drawn_image,
    surroundings,
    view,
    write_camera_bundle,
)

from pointata_core.bundles.bundle import (
    CameraBundle,
    load_any_bundle,
    load_bundle,
    load_camera_bundle,
    save_bundle,
)
from pointata_core.bundles.camera_manifest import CameraManifest, CameraPreparation
from pointata_core.bundles.manifest_base import BundleWarning, checksum_of
from pointata_core.bundles.manifest_fields import Task
from pointata_core.bundles.verify import verify_bundle
from pointata_core.datasets.camera.frames import seen
from pointata_core.datasets.camera.projection import project
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import make_sample
from pointata_core.errors import BundleError
from pointata_core.inference.camera_calibration import CalibrationError, Camera
from pointata_core.inference.camera_session import CAMERA_STAGES, CameraSession
from pointata_core.inference.frames import CameraView, Frame, Skipped
from pointata_core.inference.time_rules import ResetReason, SkipReason
from pointata_core.taxonomy import UNLABELLED
from pointata_core.training.domain.batches import collate

PERIOD_NS = 100_000_000


@pytest.fixture(scope='module')
def path(tmp_path_factory) -> Path:
    return write_camera_bundle(tmp_path_factory.mktemp('camera') / 'small')


@pytest.fixture(scope='module')
def bundle(path) -> CameraBundle:
    return load_camera_bundle(path)


@pytest.fixture
def session(bundle) -> CameraSession:
    return CameraSession(bundle)


# ---------------------------------------------------------------------- bundles


def test_what_is_loaded_is_what_was_saved(path, bundle):
    state = camera_network().state_dict()
    loaded = bundle.network.state_dict()
    assert state.keys() == loaded.keys()
    assert all(torch.equal(state[name], loaded[name]) for name in state)
    assert bundle.manifest.segmentation_classes == CLASSES
    assert not bundle.network.training
    assert bundle.hash == json.loads((path / 'manifest.json').read_text())['checksum']


def test_bundles_of_both_kinds_are_told_apart(path, untrained_bundle):
    assert load_any_bundle(path).manifest.takes_images
    assert not load_any_bundle(untrained_bundle).manifest.takes_images
    with pytest.raises(BundleError, match='camera bundle'):
        load_bundle(path)


def test_half_precision_rounds_and_loads_as_float32(tmp_path):
    network = camera_network()
    save_bundle(tmp_path / 'half', network, camera_manifest(), half=True)
    loaded = load_camera_bundle(tmp_path / 'half').network.state_dict()
    for name, tensor in network.state_dict().items():
        rounded = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded[name], rounded)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (lambda p: _flip(p / 'network.safetensors'), 'found sha256'),
        (lambda p: (p / 'network.safetensors').write_bytes(b'short'), 'bytes'),
        (lambda p: (p / 'network.safetensors').unlink(), 'network.safetensors'),
        (lambda p: (p / 'manifest.json').unlink(), 'manifest'),
        (lambda p: (p / 'manifest.json').write_text('[]'), 'object'),
        (
            lambda p: (p / 'manifest.json').write_text(
                (p / 'manifest.json').read_text().replace('"voxel_m": 0.2', '"voxel_m": 0.3')
            ),
            'changed after it was sealed',
        ),
    ],
    ids=['a bit', 'cut', 'no weights', 'no manifest', 'no object', 'edited'],
)
def test_a_damaged_bundle_is_refused(tmp_path, damage, text):
    folder = write_camera_bundle(tmp_path / 'bundle')
    damage(folder)
    with pytest.raises(BundleError, match=text):
        load_camera_bundle(folder)
    assert not verify_bundle(folder).ok


def test_weights_may_not_be_a_link(tmp_path):
    folder = write_camera_bundle(tmp_path / 'bundle')
    elsewhere = tmp_path / 'elsewhere.safetensors'
    (folder / 'network.safetensors').rename(elsewhere)
    (folder / 'network.safetensors').symlink_to(elsewhere)
    with pytest.raises(BundleError, match='found a link'):
        load_camera_bundle(folder)


def test_a_network_that_is_not_finite_or_not_the_described_one_is_not_written(tmp_path):
    network = camera_network()
    with torch.no_grad():
        network.cloud_main.bias[0] = torch.nan
    with pytest.raises(BundleError, match=r'cloud_main\.bias'):
        save_bundle(tmp_path / 'nan', network, camera_manifest())
    with pytest.raises(BundleError, match='another network'):
        save_bundle(tmp_path / 'other', camera_network(width=16), camera_manifest())
    assert list(tmp_path.iterdir()) == []


def _resealed(change) -> str:
    folder_text = camera_manifest().to_json()
    document = json.loads(folder_text)
    document['files'] = {'network': {'sha256': '0' * 64, 'size': 8, 'dtype': 'float32'}}
    change(document)
    document.pop('checksum')
    return json.dumps({**document, 'checksum': checksum_of(document)})


def _set(value, *keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        (_set(True, 'name'), 'name'),
        (_set('../x', 'name'), 'name'),
        (_set(None, 'licence'), 'licence'),
        (_set('point_transformer', 'kind'), 'kind'),
        (_set(['road'], 'tasks', 'segmentation', 'classes'), 'tasks.segmentation.classes'),
        (_set({}, 'tasks'), 'tasks'),
        (_set(50, 'network', 'depth'), 'network.depth'),
        (_set(12, 'network', 'width'), 'network.width'),
        (_set([0], 'network', 'planes'), 'network.planes'),
        (_set(1, 'network', 'fusion'), 'network.fusion'),
        (_set('all', 'network', 'attention_scope'), 'network.attention_scope'),
        (_set(1 << 40, 'network', 'grid'), 'network.grid'),
        (_set(1, 'network', 'colour'), 'network'),
        (_set(0, 'preparation', 'voxel_m'), 'preparation.voxel_m'),
        (_set([400], 'preparation', 'resize'), 'preparation.resize'),
        (_set([400, 1e9], 'preparation', 'resize'), 'preparation.resize'),
        (_set({}, 'files'), 'files'),
        (_set(1, 'more'), 'more'),
    ],
)
def test_a_wrong_field_of_the_manifest_is_named(change, field):
    with pytest.raises(BundleError, match=f"field '{field}': found .*, expected "):
        CameraManifest.from_json(_resealed(change))


def test_additions_of_a_newer_minor_version_are_kept_with_a_warning():
    def newer(document):
        document |= {'format_minor': 3, 'depth_scale': 2.0}

    text = _resealed(newer)
    with pytest.warns(BundleWarning, match='depth_scale'):
        manifest = CameraManifest.from_json(text)
    assert json.loads(manifest.to_json()) == json.loads(text)


def test_the_command_shows_a_camera_bundle(path, capsys):
    from pointata_core.cli.main import main

    assert main(['bundle', str(path), '--json']) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown['ok'] and shown['segmentation_classes'] == list(CLASSES)
    parameters = sum(
        p.numel() for p in camera_network().state_dict().values() if p.is_floating_point()
    )
    assert shown['parameters'] == parameters


# ---------------------------------------------------------------------- session


def test_a_cloud_that_is_all_in_the_image_gets_the_answer_that_is_scored_in_training(bundle):
    session = CameraSession(bundle)
    points = surroundings(1)
    pixels, _ = project(points, MATRIX, FROM_LIDAR)
    frame = seen('one', drawn_image(0), points, pixels)
    assert len(frame.points) > 30
    config = SampleConfig(voxel_m=0.2, grid=NETWORK['grid']).without_chance()
    sample = make_sample(frame, config, np.random.default_rng(0))
    with torch.no_grad():
        expected = bundle.network(collate([sample])).ensemble
    result = session.step(frame.points, 0, view=view(0))
    np.testing.assert_array_equal(result.seen, np.arange(len(frame.points)))
    np.testing.assert_array_equal(result.labels, expected.argmax(1))
    np.testing.assert_allclose(result.probabilities, expected.amax(1), atol=1e-5)


def test_the_size_that_the_network_wants_is_made_as_in_training(tmp_path):
    small = CameraPreparation(0.2, resize=(WIDTH // 2, HEIGHT // 2))
    bundle = load_camera_bundle(write_camera_bundle(tmp_path / 'small', preparation=small))
    points = surroundings(1)
    pixels, _ = project(points, MATRIX, FROM_LIDAR)
    frame = seen('one', drawn_image(0), points, pixels)
    config = SampleConfig(
        voxel_m=0.2, grid=NETWORK['grid'], resize=(WIDTH // 2, HEIGHT // 2)
    ).without_chance()
    sample = make_sample(frame, config, np.random.default_rng(0))
    with torch.no_grad():
        expected = bundle.network(collate([sample])).ensemble
    result = CameraSession(bundle).step(frame.points, 0, view=view(0))
    # Training rounds the smaller image to whole colours, this does not.
    np.testing.assert_allclose(result.probabilities, expected.amax(1), atol=0.02)


def test_points_outside_the_image_and_clouds_without_one_get_the_lidars_answer(session):
    points = surroundings(2)
    alone = session.step(points, 0)
    both = session.step(points, PERIOD_NS, view=view(3))
    assert alone.points_with_camera == 0
    assert 20 < both.points_with_camera < 200
    unseen = np.setdiff1d(np.arange(len(points)), both.seen)
    np.testing.assert_array_equal(both.labels[unseen], alone.labels[unseen])
    np.testing.assert_allclose(both.probabilities[unseen], alone.probabilities[unseen], atol=1e-6)
    assert (both.probabilities[both.seen] != alone.probabilities[both.seen]).mean() > 0.9
    other = session.step(points, 2 * PERIOD_NS, view=view(4))
    assert (other.probabilities[other.seen] != both.probabilities[both.seen]).mean() > 0.9


def test_answers_come_in_the_order_of_the_points(session):
    points = surroundings(5)
    turn = np.random.default_rng(0).permutation(len(points))
    first = session.step(points, 0, view=view(0))
    second = session.step(points[turn], PERIOD_NS, view=view(0))
    np.testing.assert_allclose(second.probabilities, first.probabilities[turn], atol=1e-5)
    assert (second.labels == first.labels[turn]).mean() > 0.99


@pytest.mark.parametrize('count', [0, 1, 2])
def test_clouds_with_next_to_nothing_in_them_are_answered(session, count):
    points = np.array([[5.0, 0, 0], [6, 1, 0]], np.float32)[:count]
    result = session.step(points, 0, view=view(0))
    assert result.points_with_camera == count
    assert (result.labels < len(CLASSES)).all() and len(result.labels) == count


def test_points_that_are_no_numbers_come_back_unlabelled(session):
    points = surroundings(6)
    points[3], points[7, 1] = np.nan, np.inf
    result = session.step(points, 0, view=view(0))
    assert np.flatnonzero(result.labels == UNLABELLED).tolist() == [3, 7]
    assert result.probabilities[3] == result.probabilities[7] == 0
    clean = np.delete(np.arange(len(points)), [3, 7])
    alone = CameraSession(session.bundle).step(points[clean], 0, view=view(0))
    np.testing.assert_array_equal(result.labels[clean], alone.labels)


def test_one_point_far_away_does_not_cost_the_others_their_answer(session):
    points = surroundings(7)
    points[0, 0] = 1e7
    result = session.step(points, 0)
    assert np.flatnonzero(result.labels == UNLABELLED).tolist() == [0]


def test_an_answer_that_is_no_number_is_unlabelled_and_counted(bundle):
    session = CameraSession(replace(bundle, network=camera_network()))
    session.network.image_heads.main.bias.data[:] = torch.nan
    result = session.step(surroundings(2), 0, view=view(0))
    assert result.non_finite == result.points_with_camera > 0
    assert (np.flatnonzero(result.labels == UNLABELLED) == result.seen).all()


def test_the_rules_of_time_are_those_of_other_streams(session):
    points = surroundings(1)
    assert session.step(points, 10 * PERIOD_NS, frame_id='lidar').reset is None
    again = session.step(points, 10 * PERIOD_NS, frame_id='lidar')
    assert again == Skipped(SkipReason.DUPLICATE_STAMP, 10 * PERIOD_NS)
    late = session.ingest(Frame(points, 9 * PERIOD_NS, frame_id='lidar'))
    assert late.reason is SkipReason.OUT_OF_ORDER
    assert session.step(points, 11 * PERIOD_NS, frame_id='top').reset is ResetReason.FRAME_CHANGED
    assert session.step(points, 90 * PERIOD_NS, frame_id='top').reset is ResetReason.GAP
    session.reset()
    assert session.frames_in_history == 0
    assert session.step(points, 0, frame_id='top').reset is ResetReason.REQUESTED


def test_the_time_of_each_stage_is_told(session):
    with_image = session.step(surroundings(1), 0, view=view(0)).timings_ms
    assert tuple(with_image) == CAMERA_STAGES
    assert with_image['total'] == pytest.approx(sum(list(with_image.values())[:-1]), abs=1.0)
    assert 'image' not in session.step(surroundings(1), PERIOD_NS).timings_ms


def test_a_second_thread_gives_the_same_answers(bundle):
    alone, both = CameraSession(bundle), CameraSession(bundle, overlap=True)
    for number in range(4):
        points, seen = surroundings(number), view(number) if number else None
        first, second = (one.step(points, number + 1, view=seen) for one in (alone, both))
        np.testing.assert_array_equal(first.labels, second.labels)
        np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_what_breaks_on_the_second_thread_is_raised_and_leaves_nothing_behind(bundle):
    session = CameraSession(bundle, overlap=True)
    broken = view(0)
    session.network.image_net.forward, original = None, session.network.image_net.forward
    try:
        with pytest.raises(TypeError):
            session.step(surroundings(0), 1, view=broken)
    finally:
        session.network.image_net.forward = original
    assert session.step(surroundings(0), 2, view=broken).points_with_camera > 0


def test_networks_without_fusion_answer_too(tmp_path):
    network = camera_network(fusion=False)
    manifest = camera_manifest(network={**NETWORK, 'fusion': False})
    save_bundle(tmp_path / 'xmuda', network, manifest)
    session = CameraSession(load_camera_bundle(tmp_path / 'xmuda'))
    assert session.step(surroundings(1), 0, view=view(0)).points_with_camera > 20


@pytest.mark.parametrize('scope', ['sample', 'batch'])
def test_attention_head_by_head_is_the_same_attention(scope):
    from pointata_core.models.camera.fusion import ExternalAttention

    module = ExternalAttention(16, scope=scope).eval()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 16))).float()
    whole = module(x, [300]).detach()
    with torch.no_grad():
        torch.testing.assert_close(module(x, [300]), whole)


def test_a_view_says_what_does_not_fit():
    with pytest.raises(CalibrationError, match='pixels'):
        CameraView(drawn_image(0, 12, 24), Camera(MATRIX, WIDTH, HEIGHT), FROM_LIDAR)
    with pytest.raises(ValueError, match='image'):
        CameraView(drawn_image(0)[..., 0], Camera(MATRIX), FROM_LIDAR)


def test_two_classes_at_least():
    with pytest.raises(BundleError, match='two or more'):
        camera_manifest(tasks={'segmentation': Task(('road',))})
