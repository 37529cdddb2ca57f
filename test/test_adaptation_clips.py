# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prepared clips are what a stream would see; batches do not depend on the number of processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene_datasets import write_kitti_sequence
from small_training import BACKBONE, write_radar

from pointata_core.bundles.preparation_config import FeatureSpec, PreparationConfig
from pointata_core.datasets.protocol import Clip
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig, NetworkConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.ops import gather
from pointata_core.training.clips.augmentation import (
    AugmentationConfig,
    augment_clip,
    draw_transform,
)
from pointata_core.training.clips.clip_batch import with_auxiliary
from pointata_core.training.clips.clip_store import Windows, open_store
from pointata_core.training.clips.frozen_features import freeze_features
from pointata_core.training.skill.adapt import clip_key
from pointata_core.training.skill.settings import DataSettings, TrainingSettings

PREPARATION = PreparationConfig(
    scale_m=2.0,
    origin='first_frame',
    voxel_size_m=0.05,
    range_knee_m=0.0,
    max_voxels=64,
    features={'velocity': FeatureSpec(scale=2.0), 'intensity': FeatureSpec(offset=1.0)},
)


@pytest.fixture(scope='module')
def settings(tmp_path_factory) -> TrainingSettings:
    folder = tmp_path_factory.mktemp('radar')
    base = TrainingSettings(
        preparation=PREPARATION,
        augmentation=AugmentationConfig(rotation_deg=30, keep=0.6),
        data=DataSettings(
            name='radhar',
            root=str(write_radar(folder / 'data', recordings=3, frames=9)),
            sampling=ClipSampling('uniform', frames=4, pick='middle'),
            variants=2,
            views=2,
            cache=str(folder / 'cache'),
        ),
    )
    geometry = GeometryConfig(tokens=5, patch_size=4, context_neighbours=2)
    return replace(base, network=replace(base.network, geometry=geometry))


def store_of(settings: TrainingSettings, split: str, training: bool):
    return open_store(settings.store_recipe(split, training), settings.data.cache)


def test_prepared_clips_are_what_a_stream_sees(settings) -> None:
    store = store_of(settings, 'validation', False)
    data = settings.data
    raw = open_dataset('radhar', data.root, 'validation', sampling=data.sampling)
    batch = store[[(1, 0)]]
    preparer, origin = FramePreparer(PREPARATION), None
    for t, cloud in enumerate(raw[1].points):
        columns = dict(zip(raw.feature_names, raw[1].features[t].T, strict=True))
        frame = preparer.prepare(cloud, columns, origin)
        origin = frame.origin
        voxels = len(frame.points)
        assert torch.equal(batch.points[0, t, :voxels], frame.points)
        assert torch.equal(batch.features[0, t, :voxels], frame.features)
        assert batch.mask[0, t].sum() == voxels
        layout = frame_geometry(frame.points[None], None, settings.network.geometry)
        for name in ('centre_index', 'patch_index', 'context_index'):
            assert torch.equal(getattr(batch.geometry, name)[t], getattr(layout, name)[0]), name
    assert batch.action.tolist() == [[raw[1].action] * 4]


def test_copies_of_a_training_clip_differ_and_the_first_is_plain(settings) -> None:
    train = store_of(settings, 'fit', True)
    plain = store_of(replace(settings, augmentation=AugmentationConfig()), 'fit', True)
    first, second = train[[(0, 0)]].points, train[[(0, 1)]].points
    assert torch.equal(first, plain[[(0, 0)]].points)
    assert first.shape[2] != second.shape[2] or not torch.allclose(first, second, atol=1e-3)


def test_views_at_validation_take_other_frames_without_augmentation(settings) -> None:
    store = store_of(settings, 'validation', False)
    assert store.variants == 2
    same = [
        np.array_equal(store.arrays(clip, 0)['points'], store.arrays(clip, 1)['points'])
        for clip in range(len(store))
    ]
    assert not all(same)


def test_clips_of_different_lengths_are_refused(settings, tmp_path) -> None:
    data = replace(settings.data, sampling=ClipSampling('whole'), cache=str(tmp_path))
    store = store_of(replace(settings, data=data), 'validation', False)
    assert store[[(0, 0), (1, 0)]].points.shape[:2] == (2, 9)
    arrays = store.arrays(1, 0)
    arrays['action'] = arrays['action'][:-1]
    with pytest.raises(ConfigError, match='8 frames'):
        store[[(0, 0), (1, 0)]]


def test_interrupted_preparation_goes_on(settings) -> None:
    store = store_of(settings, 'fit', True)
    kept, lost = store.path(0, 0), store.path(2, 1)
    before, stamp = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    again = store_of(settings, 'fit', True)
    assert kept.stat().st_mtime_ns == stamp
    assert again.path(2, 1).read_bytes() == before


def test_a_limit_takes_clips_of_all_classes(settings) -> None:
    limited = replace(settings, data=replace(settings.data, limit=5))
    store = store_of(limited, 'fit', True)
    assert len(store) == 5
    assert set(store.labels('clip')) == set(range(5))


def test_augmentation_moves_all_frames_alike() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(40, 3)).astype(np.float32)
    config = AugmentationConfig('y', rotation_deg=180, tilt_deg=10, scale=(0.8, 1.2), mirror=True)
    moved = augment_clip(Clip([cloud, cloud], 'two'), config, np.random.default_rng(1))
    np.testing.assert_array_equal(*moved.points)
    assert not np.allclose(moved.points[0], cloud, atol=0.05)


def test_rotation_keeps_heights_and_distances() -> None:
    for axis, up in (('y', 1), ('z', 2)):
        config = AugmentationConfig(axis, rotation_deg=180)
        matrix = draw_transform(config, np.random.default_rng(3))
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(matrix[up], np.eye(3)[up], atol=1e-12)
        assert abs(matrix[0, 0]) < 0.9999


def test_dropped_points_take_labels_and_features_along() -> None:
    cloud = np.arange(60, dtype=np.float32).reshape(20, 3)
    clip = Clip([cloud], 'one', features=[2 * cloud], labels=[np.arange(20)])
    found = augment_clip(clip, AugmentationConfig(keep=0.3), np.random.default_rng(0))
    kept, rows = found.points[0], found.labels[0]
    assert 6 <= len(kept) < 20
    np.testing.assert_array_equal(kept, cloud[rows])
    np.testing.assert_array_equal(found.features[0], 2 * kept)


def test_windows_are_cut_out_of_clips(settings) -> None:
    store = store_of(settings, 'fit', True)
    assert store.frames == 4
    windows = Windows(store, 2, hop=2)
    assert len(windows) == 2 * len(store)
    assert list(windows.videos[:4]) == [store.videos[0]] * 2 + [store.videos[1]] * 2
    second, whole = windows[[(1, 1)]], store[[(0, 1)]]
    assert torch.equal(second.action, whole.action[:, 2:])
    assert torch.equal(second.geometry.centre_index, whole.geometry.centre_index[2:])
    last = Windows(store, 3, first=-3)
    assert len(last) == len(store)
    assert torch.equal(
        last[[(0, 0)]].geometry.patch_index, store[[(0, 0)]].geometry.patch_index[1:]
    )
    with pytest.raises(ConfigError, match='no clip has 9 frames'):
        Windows(store, 9)


def test_several_processes_prepare_what_one_prepares(settings, tmp_path) -> None:
    recipe = settings.store_recipe('validation', False)
    store = open_store(recipe, tmp_path, processes=2)
    alone = store_of(settings, 'validation', False)
    assert len(store) > 1
    for clip in range(len(store)):
        for name, values in alone.arrays(clip, 0).items():
            np.testing.assert_array_equal(store.arrays(clip, 0)[name], values)


@pytest.mark.slow
def test_a_cluster_prepares_what_one_process_prepares(settings, tmp_path, monkeypatch) -> None:
    pytest.importorskip('ray')
    monkeypatch.setenv('RAY_worker_niceness', '0')
    monkeypatch.setenv('RAY_raylet_start_wait_time_s', '200')
    store = open_store(settings.store_recipe('validation', False), tmp_path, ray='local')
    alone = store_of(settings, 'validation', False)
    assert len(store) > 1
    for clip in range(len(store)):
        for name, values in alone.arrays(clip, 0).items():
            np.testing.assert_array_equal(store.arrays(clip, 0)[name], values)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 20))
def test_copies_of_every_clip_take_turns(clips, variants, start) -> None:
    key = clip_key(clips, variants, seed=1)
    seen = {clip: set() for clip in range(clips)}
    for draw in range(start * clips, (start + variants) * clips):
        clip, variant = key(draw)
        seen[clip].add(variant)
    assert all(found == set(range(variants)) for found in seen.values())


def test_some_clips_of_a_batch_are_those_clips(settings) -> None:
    store = store_of(settings, 'fit', True)
    batch = store[[(0, 0), (1, 0), (2, 1)]]
    taken, alone = batch.take(torch.tensor([2, 0])), store[[(2, 1), (0, 0)]]
    for name in ('centre_index', 'centres', 'patch_index', 'context_index'):
        assert torch.equal(getattr(taken.geometry, name), getattr(alone.geometry, name)), name
    assert torch.equal(taken.action, alone.action)
    voxels = alone.points.shape[2]
    assert torch.equal(taken.points[:, :, :voxels], alone.points)
    assert taken.mask.sum() == alone.mask.sum()


def test_auxiliary_features_kept_with_frozen_features_are_those_of_the_points(settings) -> None:
    store = store_of(settings, 'fit', True)
    config = NetworkConfig(
        backbone=BACKBONE,
        geometry=settings.network.geometry,
        features=tuple(PREPARATION.features),
        motion_lags=(1, 2),
        token_fields=True,
        adapter_width=4,
        adapted_blocks=1,
        segmentation_blocks=(3,),
        action_classes=store.classes['clip'],
        position_width=4,
    )
    torch.manual_seed(0)
    network = PointATA(config).eval()
    pairs = [(0, 0), (3, 1), (1, 1)]
    kept = freeze_features(network, store, torch.device('cpu'), False)[pairs]
    whole = with_auxiliary(network, store[pairs])
    # Kept as float16.
    torch.testing.assert_close(kept.auxiliary, whole.auxiliary, atol=2e-2, rtol=1e-3)
    rows = whole.geometry.centre_index
    fields = gather(whole.features.flatten(0, 1), rows)
    assert torch.equal(whole.auxiliary[..., -2:], fields)
    assert fields.any()
    with torch.no_grad():
        expected = network(whole.points, whole.features, whole.mask, geometry=whole.geometry).action
        found = network(
            kept.points, kept.features, kept.mask, geometry=kept.geometry, prefix=kept.prefix,
            auxiliary=kept.auxiliary,
        ).action  # fmt: skip
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=1e-2)


def test_trainings_share_simulated_scenes_but_neither_recorded_nor_augmented_ones(tmp_path) -> None:
    write_kitti_sequence(tmp_path / 'data' / 'sequences' / '00', 2)
    scene = {'scene': 'indoor', 'sensor': 'kinect', 'seeds': [7, 9], 'frames': 1}
    mixes = {
        'one': [scene],
        'other': [{'recorded': 'semantickitti'}, {**scene, 'seeds': [8, 10]}],
    }
    data = DataSettings(
        name='simulated_scenes', root=str(tmp_path / 'data'), variants=2,
        sampling=ClipSampling('whole', pick='middle'), options={'mixes': mixes},
    )  # fmt: skip
    small = replace(PREPARATION, features={'intensity': FeatureSpec()})
    settings = TrainingSettings(preparation=small, data=data, tasks=('points',))
    settings = replace(settings, network=replace(settings.network, geometry=GeometryConfig(4, 4)))
    one, other = (
        open_store(settings.store_recipe(split, True), tmp_path / 'cache')
        for split in ('one', 'other')
    )
    assert one.path(1, 0) == other.path(1, 0), 'seed 8'
    paths = {s.path(clip, copy) for s in (one, other) for clip in range(len(s)) for copy in (0, 1)}
    assert len(paths) == 2 * 2 + 3 * 2 - 1
    fresh = open_store(settings.store_recipe('other', True), tmp_path / 'fresh')
    for clip in range(len(other)):
        for name, values in fresh.arrays(clip, 0).items():
            np.testing.assert_array_equal(other.arrays(clip, 0)[name], values)
    coarser = replace(small, max_voxels=32)
    changed = replace(settings, preparation=coarser).store_recipe('one', True)
    assert open_store(changed, tmp_path / 'cache').path(1, 0) != one.path(1, 0)
