# SPDX-License-Identifier: Apache-2.0
"""Training: cached geometry is the live one, augmentation keeps it valid, learning happens."""

from __future__ import annotations

from dataclasses import replace

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.prepared_clips import (
    IGNORED,
    LabelledFrame,
    PreparedClips,
    augment,
    collate,
    prepare_clip,
    voxel_labels,
    write_clip,
)
from pointata_core.training.skill.actor_training import (
    ActorTrainingConfig,
    read_actor_clips,
    train_on_actors,
)
from pointata_core.training.skill.supervised import (
    SupervisedConfig,
    SupervisedTraining,
    class_weights,
)

CLASSES = ('floor', 'post')
CONFIG = NetworkConfig(
    backbone=BackboneConfig(width=24, depth=2, heads=2, encoder_hidden=(8, 12), encoder_width=24),
    geometry=GeometryConfig(tokens=16, patch_size=8, tube_radius=0.3, context_neighbours=3),
    adapter_width=8,
    context_width=6,
    segmentation_classes=CLASSES,
    action_classes=('stand', 'rise'),
    segmentation_width=24,
    segmentation_blocks=(1, 2),
    readout_width=16,
    readout_frames=4,
    actor_class='post',
    dropout=0.0,
)
PREPARATION = PreparationConfig(voxel_size_m=0.2, max_voxels=512)


def scene(seed: int, frames: int) -> list[LabelledFrame]:
    """A floor and a post that stands or rises: geometry says the class, only time the action."""
    rng = np.random.default_rng(seed)
    action = int(rng.integers(2))
    floor = np.c_[rng.uniform(-5, 5, (400, 2)), np.full(400, -1.0)]
    start = rng.uniform(-1, 1)
    result = []
    for t in range(frames):
        z = start + (0.15 if action else 0.0) * t
        post = np.c_[rng.normal(3, 0.1, (60, 2)), rng.uniform(z - 1, z + 1, 60)]
        points = np.concatenate([floor + rng.normal(0, 0.01, floor.shape), post])
        label = np.repeat([0, 1], [400, 60])
        result.append(LabelledFrame(points.astype(np.float32), label, action))
    return result


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    preparer = FramePreparer(PREPARATION)
    for seed in range(24):
        arrays = prepare_clip(scene(seed, 8), preparer, CONFIG.geometry, len(CLASSES))
        write_clip(folder / f'{seed:02d}.npz', arrays)
    return sorted(folder.glob('*.npz'))


def test_cached_clips_equal_preparing_live(paths):
    clips = PreparedClips(paths[:2], frames=8, stride=8)
    batch = collate([clips[0], clips[1]])
    for b in range(2):
        for t, frame in enumerate(scene(b, 8)):
            live = FramePreparer(PREPARATION).prepare(frame.points)
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
            expected = voxel_labels(frame.label, live.voxel_of_point, used, len(CLASSES))
            np.testing.assert_array_equal(batch.label[b, t, :used], expected)
            assert bool((batch.label[b, t, used:] == IGNORED).all())


def test_augmentation_keeps_geometry_valid(paths):
    batch = collate([PreparedClips(paths[:1], 4, 4)[0]])
    turned = augment(batch, torch.Generator().manual_seed(1))
    assert not torch.allclose(turned.points, batch.points)
    flat, mask = turned.points.flatten(0, 1), turned.mask.flatten(0, 1)
    fresh = frame_geometry(flat, mask, CONFIG.geometry)
    # Distances only scale, so samples and neighbours stay; pillars are cut anew and may not.
    assert torch.equal(fresh.centre_index, turned.geometry.centre_index)
    same = (fresh.patch_index == turned.geometry.patch_index).float().mean()
    assert same > 0.99
    torch.testing.assert_close(fresh.centres, turned.geometry.centres)


def test_actor_clips_hold_the_actor_and_nothing_else(paths):
    clip = read_actor_clips(paths[:1], CLASSES.index('post'))[0]
    batch = collate([PreparedClips(paths[:1], 8, 8)[0]])
    for t in range(8):
        expected = batch.points[0, t][batch.label[0, t] == 1]
        np.testing.assert_array_equal(clip.points[t], expected.numpy())
        assert len(clip.others[t]) == 32
    assert (clip.action == batch.action[0].numpy()).all()


def test_majority_label_of_a_cell():
    label = np.array([0, 1, 1, 7, 0])
    voxels = voxel_labels(label, np.array([0, 0, 0, 1, -1]), 2, classes=3)
    np.testing.assert_array_equal(voxels, [1, IGNORED])


def test_class_weights_favour_rare_classes_and_ignore_padding():
    labels = torch.tensor([0] * 90 + [1] * 10 + [IGNORED] * 50)
    weights = class_weights(labels, 3)
    assert weights[1] / weights[0] == pytest.approx(3.0, rel=1e-4)
    assert weights[2] == 0


def fit(network, config, paths, folder, frames=4, **options):
    torch.manual_seed(0)
    clips = PreparedClips(paths, frames, 2)
    loader = DataLoader(
        clips, 8, shuffle=True, collate_fn=collate, generator=torch.Generator().manual_seed(0)
    )
    trainer = lightning.Trainer(
        accelerator='cpu',
        max_steps=config.steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        **options,
    )
    module = SupervisedTraining(network, config)
    trainer.fit(module, loader)
    return trainer


@torch.no_grad()
def scores(network, paths):
    network.eval()
    batch = collate([PreparedClips([p], 8, 8)[0] for p in paths])
    output = network(batch.points, mask=batch.mask, geometry=batch.geometry)
    use = batch.label != IGNORED
    voxels = (output.segmentation.argmax(-1) == batch.label)[use].float().mean()
    action = (output.action[:, -1].argmax(-1) == batch.action[:, -1]).float().mean()
    return float(voxels), float(action)


def test_a_toy_world_is_learned_and_the_backbone_stays_untouched(paths, tmp_path):
    torch.manual_seed(0)
    network = PointATA(CONFIG)
    before = {n: t.clone() for n, t in network.state_dict().items() if n.startswith('backbone.')}
    config = SupervisedConfig(stage='adapt', steps=60, learning_rate=1e-2, action_weight=1.0)
    fit(network, config, paths[:16], tmp_path)
    for name, tensor in before.items():
        assert torch.equal(network.state_dict()[name], tensor)
    clips = read_actor_clips(paths[:16], CLASSES.index('post'))
    settings = ActorTrainingConfig(steps=200, window=8, batch=16, points=64, intruders=0, drop=0.1)
    losses = train_on_actors(network, clips, settings)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    silent = network.action_head.compress.weight[:, : 2 * CONFIG.backbone.width]
    assert not silent.any()
    voxels, action = scores(network, paths[16:])
    assert voxels > 0.97
    assert action > 0.7


def test_the_same_seed_trains_the_same_weights(paths, tmp_path):
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        network = PointATA(CONFIG)
        fit(network, SupervisedConfig(steps=4, seed=3), paths[:8], tmp_path)
        weights.append(torch.cat([p.flatten() for p in network.parameters()]))
    assert torch.equal(*weights)


def test_a_diverged_loss_stops_with_a_reason(paths, tmp_path):
    network = PointATA(replace(CONFIG, actor_class=''))
    with torch.no_grad():
        network.segmentation_head.classify.bias.fill_(float('nan'))
    with pytest.raises(FloatingPointError, match='learning rate'):
        fit(network, SupervisedConfig(steps=2), paths[:8], tmp_path)
