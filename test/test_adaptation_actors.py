# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several stages on a toy world: points, frames and actors are learned, and stages are resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import Clip
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.augmentation import StepAugmentation, augment_step
from pointata_core.training.clips.clip_batch import predict
from pointata_core.training.clips.clip_store import ClipStore, Windows
from pointata_core.training.clips.preparation import prepare_clip, voxel_labels
from pointata_core.training.skill.actors import (
    find_actor_clips,
    read_actor_clips,
    train_on_actors,
)
from pointata_core.training.skill.adapt import adjust_logits, class_weights, sample_weights
from pointata_core.training.skill.settings import (
    ActorSettings,
    OptimiserSettings,
    StageSettings,
    TrainingSettings,
)
from pointata_core.training.skill.stages import train_on_clips
from pointata_core.training.skill.tuning import MODES, apply_mode

CLASSES = {'points': ('floor', 'post'), 'frames': ('stand', 'rise')}
CPU = torch.device('cpu')
CONFIG = NetworkConfig(
    backbone=BackboneConfig(width=24, depth=2, heads=2, encoder_hidden=(8, 12), encoder_width=24),
    geometry=GeometryConfig(tokens=16, patch_size=8, tube_radius=0.3, context_neighbours=3),
    adapter_width=8,
    context_width=6,
    segmentation_classes=CLASSES['points'],
    action_classes=CLASSES['frames'],
    segmentation_width=24,
    segmentation_blocks=(1, 2),
    readout_width=16,
    readout_frames=4,
    actor_class='post',
    dropout=0.0,
)
PREPARATION = PreparationConfig(voxel_size_m=0.2, max_voxels=512)
OPTIMISER = OptimiserSettings(
    steps=60, batch=8, learning_rate=1e-2, warmup=0.05, clip=5.0, label_smoothing=0.0
)
SETTINGS = TrainingSettings(
    device='cpu',
    precision='32',
    tasks=('points', 'frames'),
    optimiser=OPTIMISER,
    step_augmentation=StepAugmentation(rotation_deg=180, scale=0.05, shift=0.02, mirror=True),
)
STAGE = StageSettings('adapt')


def scene(seed: int, frames: int = 8) -> Clip:
    """A floor and a post that stands or rises: geometry says the class, only time the action."""
    rng = np.random.default_rng(seed)
    action = int(rng.integers(2))
    floor = np.c_[rng.uniform(-5, 5, (400, 2)), np.full(400, -1.0)]
    start = rng.uniform(-1, 1)
    points = []
    for t in range(frames):
        z = start + (0.15 if action else 0.0) * t
        post = np.c_[rng.normal(3, 0.1, (60, 2)), rng.uniform(z - 1, z + 1, 60)]
        cloud = np.concatenate([floor + rng.normal(0, 0.01, floor.shape), post])
        points.append(cloud.astype(np.float32))
    labels = [np.repeat([0, 1], [400, 60])] * frames
    return Clip(points, f'{seed}', labels=labels, actions=np.full(frames, action))


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('clips')
    preparer = FramePreparer(PREPARATION)
    for seed in range(24):
        arrays = prepare_clip(
            scene(seed), preparer, CONFIG.geometry, SETTINGS.tasks, classes=len(CLASSES['points'])
        )
        np.savez(folder / f'{seed:06d}_00.npz', **arrays)
    return folder


def store_of(folder: Path, count: int) -> ClipStore:
    return ClipStore(folder, count, 1, np.arange(count), CLASSES, [''] * count)


def test_kept_clips_equal_preparing_live(folder) -> None:
    batch = store_of(folder, 2)[[(0, 0), (1, 0)]]
    for b in range(2):
        clip = scene(b)
        for t, points in enumerate(clip.points):
            live = FramePreparer(PREPARATION).prepare(points)
            used = len(live.points)
            assert int(batch.mask[b, t].sum()) == used
            torch.testing.assert_close(batch.points[b, t, :used], live.points)
            geometry = frame_geometry(live.points[None], None, CONFIG.geometry)
            row = b * 8 + t
            for name in ('centre_index', 'centres', 'patch_index', 'context_index'):
                torch.testing.assert_close(
                    getattr(batch.geometry, name)[row], getattr(geometry, name)[0]
                )
            torch.testing.assert_close(batch.geometry.pillars[row, :, :used], geometry.pillars[0])
            expected = voxel_labels(clip.labels[t], live.voxel_of_point, used, 2)
            np.testing.assert_array_equal(batch.label[b, t, :used], expected)
            assert bool((batch.label[b, t, used:] == IGNORE).all())


def test_rotation_mirror_and_shift_keep_the_geometry_valid(folder) -> None:
    batch = store_of(folder, 1)[[(0, 0)]]
    change = StepAugmentation(rotation_deg=180, shift=0.02, mirror=True)
    moved = augment_step(batch, change, 'z', 0, seed=1)
    assert not torch.allclose(moved.points, batch.points)
    flat, mask = moved.points.flatten(0, 1), moved.mask.flatten(0, 1)
    fresh = frame_geometry(flat, mask, CONFIG.geometry)
    # Distances stay, so samples and neighbours do; pillars are cut anew and may not.
    assert torch.equal(fresh.centre_index, moved.geometry.centre_index)
    same = (fresh.patch_index == moved.geometry.patch_index).float().mean()
    assert same > 0.99
    torch.testing.assert_close(fresh.centres, moved.geometry.centres)


def test_half_of_the_clips_are_mirrored(folder) -> None:
    store = store_of(folder, 8)
    batch = store[[(number, 0) for number in range(8)]]
    mirrored = augment_step(batch, StepAugmentation(mirror=True), 'z', 0, seed=2)
    sideways = torch.tensor([1.0, -1.0, 1.0])
    flipped = [
        torch.equal(mirrored.points[clip], batch.points[clip] * sideways) for clip in range(8)
    ]
    kept = [torch.equal(mirrored.points[clip], batch.points[clip]) for clip in range(8)]
    assert all(one != other for one, other in zip(flipped, kept, strict=True))
    assert any(flipped) and any(kept)


def test_actor_clips_hold_the_actor_and_nothing_else(folder) -> None:
    store = store_of(folder, 1)
    clip = read_actor_clips(store, 1)[0]
    batch = store[[(0, 0)]]
    for t in range(8):
        expected = batch.points[0, t][batch.label[0, t] == 1]
        np.testing.assert_array_equal(clip.points[t], expected.numpy())
        assert len(clip.others[t]) == 32
    assert (clip.action == batch.action[0].numpy()).all()


def test_found_actors_are_what_the_segmentation_takes_for_them(folder) -> None:
    torch.manual_seed(0)
    network, store = PointATA(CONFIG), store_of(folder, 2)
    clips = find_actor_clips(network, store, 1, CPU)
    batch = store[[(1, 0)]]
    with torch.no_grad():
        share = predict(network, batch).segmentation[0].softmax(-1)[..., 1] * batch.mask[0]
    assert len(clips) == 2
    for t in range(8):
        expected = batch.points[0, t][share[t] >= 0.2]
        np.testing.assert_array_equal(clips[1].points[t], expected.numpy())
        assert not len(clips[1].others[t])


def test_majority_label_of_a_voxel() -> None:
    label = np.array([0, 1, 1, 7, 0, -100])
    voxels = voxel_labels(label, np.array([0, 0, 0, 1, -1, 0]), 2, classes=3)
    np.testing.assert_array_equal(voxels, [1, IGNORE])


def test_class_weights_favour_rare_classes_and_ignore_padding() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10 + [IGNORE] * 50)
    weights = class_weights(labels, 3)
    assert weights[1] / weights[0] == pytest.approx(3.0, rel=1e-4)
    assert weights[2] == 0


def test_kinds_get_their_share_of_the_samples() -> None:
    kinds = ['street/hdl64', 'yard/vlp16', 'street/vlp16', 'indoor/rs16', 'indoor/rs16']
    weights = sample_weights(kinds, {'street': 0.4, 'yard': 0.3})
    np.testing.assert_allclose(weights, [0.2, 0.3, 0.2, 0.15, 0.15])


def test_class_weights_are_taken_back_out_of_the_logits() -> None:
    torch.manual_seed(0)
    network = PointATA(CONFIG)
    bias = network.segmentation_head.classify.bias
    before = bias.detach().clone()
    adjust_logits(network, torch.tensor([0.5, 0.0]), 0.5)
    expected = before - 0.5 * torch.tensor([0.5, 1.0]).log()
    torch.testing.assert_close(bias.detach(), expected)


def fit(network: PointATA, folder: Path, output: Path, settings=SETTINGS, stage=STAGE) -> None:
    apply_mode(network, MODES['pointata'])
    windows = Windows(store_of(folder, 16), 4, hop=2)
    train_on_clips(settings, stage, network, windows, {}, output)


@torch.no_grad()
def scores(network: PointATA, store: ClipStore) -> tuple[float, float]:
    network.eval()
    batch = store[[(number, 0) for number in range(16, 24)]]
    output = predict(network, batch)
    use = batch.label != IGNORE
    voxels = (output.segmentation.argmax(-1) == batch.label)[use].float().mean()
    action = (output.action[:, -1].argmax(-1) == batch.action[:, -1]).float().mean()
    return float(voxels), float(action)


def test_a_toy_world_is_learned_and_the_backbone_stays_untouched(folder, tmp_path) -> None:
    torch.manual_seed(0)
    network = PointATA(CONFIG)
    before = {n: t.clone() for n, t in network.state_dict().items() if n.startswith('backbone.')}
    fit(network, folder, tmp_path)
    for name, tensor in before.items():
        assert torch.equal(network.state_dict()[name], tensor)
    clips = read_actor_clips(store_of(folder, 16), 1)
    optimiser = replace(
        OPTIMISER, steps=200, batch=16, learning_rate=3e-3, clip=1.0, class_weight_power=0.5
    )
    points = ActorSettings(points=64, intruders=0, drop=0.1)
    losses = train_on_actors(network, clips, points, optimiser, window=8, seed=0)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert not network.action_head.compress.weight[:, : 2 * CONFIG.backbone.width].any()
    voxels, action = scores(network, store_of(folder, 24))
    assert voxels > 0.97
    assert action > 0.7


def test_the_same_seed_trains_the_same_weights(folder, tmp_path) -> None:
    weights = []
    settings = replace(SETTINGS, seed=3, optimiser=replace(OPTIMISER, steps=4))
    stage = replace(STAGE, loss_weights={'frames': 0.3}, sample_shares={'street': 0.5})
    for number in range(2):
        torch.manual_seed(5)
        network = PointATA(CONFIG)
        fit(network, folder, tmp_path / f'{number}', settings, stage)
        weights.append(torch.cat([p.flatten() for p in network.parameters()]))
    assert torch.equal(*weights)


def test_a_diverged_loss_stops_with_a_reason(folder, tmp_path) -> None:
    network = PointATA(CONFIG)
    with torch.no_grad():
        network.segmentation_head.classify.bias.fill_(float('nan'))
    with pytest.raises(FloatingPointError, match='learning rate'):
        fit(network, folder, tmp_path)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'sample_shares': {'street': 0.7, 'yard': 0.6}}, 'sample_shares'),
        ({'optimiser': {'pace': 3}}, 'pace'),
        ({'optimiser': {'batch': 'many'}}, 'batch'),
        ({'tuning': {'train_embedder': 1}}, 'train_embedder'),
        ({'hop': 0}, 'hop'),
    ],
)
def test_wrong_stages_are_named(changes, named) -> None:
    with pytest.raises(ConfigError, match=named):
        replace(SETTINGS, stages=(replace(STAGE, **changes),))
