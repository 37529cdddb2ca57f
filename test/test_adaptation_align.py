# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage 1: the distance to the shapes falls, and nothing but the embedder has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_training import write_backbone, write_config, write_radar

from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_store import open_store
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.align import (
    LabelledFrames,
    align,
    pooled_features,
)
from pointata_core.training.skill.network import build_network, load_embedder
from pointata_core.training.skill.settings import AlignSettings, TrainingSettings
from pointata_core.training.skill.shape_source import LabelledFeatures, source_features
from pointata_core.transport import OtddConfig

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def settings(tmp_path_factory) -> TrainingSettings:
    folder = tmp_path_factory.mktemp('align')
    write_radar(folder / 'data', recordings=3, frames=8)
    write_backbone(folder / 'backbone')
    config = write_config(folder / 'small.yaml', folder / 'data', folder / 'backbone')
    return read_settings(TrainingSettings, config)


@pytest.fixture(scope='module')
def frames(settings) -> LabelledFrames:
    store = open_store(settings.store_recipe('fit', True), settings.data.cache)
    return LabelledFrames(store, ('clip',))


@pytest.fixture(scope='module')
def network(settings) -> PointATA:
    return build_network(settings, {'clip': tuple('abcde')})[0]


@pytest.fixture(scope='module')
def source(settings, network) -> LabelledFeatures:
    pytest.importorskip('manifold3d')
    return source_features(
        network.backbone, settings.align, settings.network.geometry, settings.seed, CPU
    )


def test_procedural_shapes_are_a_labelled_source(source, settings) -> None:
    again = settings.align.shapes
    assert source.features.shape == (again, 24)
    assert source.features.std(0).min() > 0
    assert int(source.labels.max()) < len(source.classes)
    assert len(source.labels.unique()) == min(again, len(source.classes))


@pytest.mark.parametrize('per_class', [True, False])
@pytest.mark.parametrize('objective', ['otdd', 'mmd', 'l2'])
def test_the_distance_falls(settings, frames, source, objective: str, per_class: bool) -> None:
    network = build_network(settings, {'clip': tuple('abcde')})[0]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    chosen = AlignSettings(
        objective=objective,
        epochs=8,
        batch=12,
        per_class=per_class,
        learning_rate=3e-3,
        otdd=OtddConfig(label_distance='none'),
    )
    result = align(network, source, frames, chosen, 0, CPU)
    assert result.losses[-1] < result.losses[0]
    assert result.after.otdd < result.before.otdd
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(name.startswith('embedder.') for name in changed)
    assert not any('running_' in name for name in changed)
    assert not any(p.requires_grad for p in network.parameters())


def test_the_scale_of_patches_is_matched_first(settings, frames, source) -> None:
    network = build_network(settings, {'clip': tuple('abcde')})[0]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    result = align(network, source, frames, replace(settings.align, epochs=0), 0, CPU)
    batch, _ = frames.batch(np.arange(len(frames.labels)))
    layout = batch.geometry
    extents = network.embedder.patch_extents(
        batch.points.flatten(0, 1), layout.centres, layout.patch_index
    )
    factor = source.extent / float(extents[layout.token_mask].mean())
    assert result.losses == [] and result.offsets_scaled == pytest.approx(factor, rel=1e-5)
    assert abs(factor - 1) > 0.05, 'these clips would not tell'
    name = 'embedder.patch_encoder.point_in.weight'
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {name}
    after = network.state_dict()[name]
    torch.testing.assert_close(after[:, :3], before[name][:, :3] * result.offsets_scaled)
    assert torch.equal(after[:, 3:], before[name][:, 3:])
    # Scaled columns on the clips are plain ones on clips as wide as the shapes.
    wide = replace(
        batch,
        points=batch.points * factor,
        geometry=replace(layout, centres=layout.centres * factor),
    )
    fresh = build_network(settings, {'clip': tuple('abcde')})[0]
    torch.testing.assert_close(pooled_features(network, batch), pooled_features(fresh, wide))


def test_the_scale_is_left_alone_where_it_was_learned_or_is_not_wanted(
    settings, frames, source
) -> None:
    network = build_network(settings, {'clip': tuple('abcde')})[0]
    chosen = replace(settings.align, epochs=0, match_extent=False)
    assert align(network, source, frames, chosen, 0, CPU).offsets_scaled == 1
    chosen = replace(settings.align, epochs=0)
    align(network, source, frames, chosen, 0, CPU)
    scaled = {k: v.clone() for k, v in network.embedder.state_dict().items()}
    assert align(network, source, frames, chosen, 0, CPU).offsets_scaled == 1
    assert all(torch.equal(v, scaled[k]) for k, v in network.embedder.state_dict().items())


def test_patches_of_single_points_are_refused_by_name(settings, source, tmp_path: Path) -> None:
    write_radar(tmp_path / 'data', recordings=3, frames=8, points=1)
    data = replace(settings.data, root=str(tmp_path / 'data'), cache=str(tmp_path / 'cache'))
    single = replace(settings, data=data)
    frames = LabelledFrames(open_store(single.store_recipe('fit', True), data.cache), ('clip',))
    network = build_network(single, {'clip': tuple('abcde')})[0]
    chosen = replace(settings.align, epochs=0)
    with pytest.raises(ConfigError, match=r'no extent.*match_extent'):
        align(network, source, frames, chosen, 0, CPU)


def test_extents_by_hand(network) -> None:
    points = torch.tensor([[[0.0, 0, 0], [3, 4, 0], [0, 0, 1]]])
    index = torch.tensor([[[0, 1, 2], [2, 0, -1]]])
    centres = points[:, [0, 2]]
    extents = network.embedder.patch_extents(points, centres, index)
    # A slot without a point repeats the patch's first one.
    torch.testing.assert_close(extents, torch.tensor([[(0 + 5 + 1) / 3, (0 + 1 + 0) / 3]]))


def test_the_same_seed_gives_the_same_embedder(settings, frames, source) -> None:
    states = []
    for _ in range(2):
        network = build_network(settings, {'clip': tuple('abcde')})[0]
        align(network, source, frames, replace(settings.align, epochs=2), 3, CPU)
        states.append(network.embedder.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_pooling_ignores_slots_without_points(network, frames) -> None:
    batch, labels = frames.batch(torch.arange(3).numpy())
    pooled = pooled_features(network, batch)
    assert pooled.shape == (3, 24) and labels.shape == (3,)
    geometry = batch.geometry
    wider = replace(
        geometry,
        centre_index=torch.cat([geometry.centre_index, geometry.centre_index * 0 - 1], 1),
        centres=torch.cat([geometry.centres, geometry.centres + 9], 1),
        patch_index=torch.cat([geometry.patch_index, geometry.patch_index], 1),
    )
    torch.testing.assert_close(pooled_features(network, replace(batch, geometry=wider)), pooled)


def test_a_stored_embedder_is_taken_over(settings, frames, source, tmp_path: Path) -> None:
    network = build_network(settings, {'clip': tuple('abcde')})[0]
    align(network, source, frames, replace(settings.align, epochs=2), 0, CPU)
    path = tmp_path / 'weights.safetensors'
    save_file({f'embedder.{k}': v for k, v in network.embedder.state_dict().items()}, path)
    other = replace(settings, network=replace(settings.network, embedder=str(path)))
    taken = build_network(other, {'clip': tuple('abcde')})[0].embedder.state_dict()
    assert all(torch.equal(taken[k], v) for k, v in network.embedder.state_dict().items())


def test_the_embedder_of_a_skill_is_taken_over(settings, tmp_path: Path) -> None:
    bundle = write_backbone(tmp_path / 'skill')
    skill = load_bundle(bundle, share_backbone=False).network.embedder.state_dict()
    network, _ = build_network(settings, {'clip': tuple('abcde')})
    with torch.no_grad():
        for parameter in network.embedder.parameters():
            parameter.add_(1.0)
    load_embedder(network, bundle)
    for name, tensor in network.embedder.state_dict().items():
        assert torch.equal(tensor, skill[name]), name


def test_another_embedder_is_refused(network, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'missing\.safetensors'):
        load_embedder(network, tmp_path / 'missing.safetensors')


def test_a_source_without_classes_is_refused(settings, network) -> None:
    chosen = replace(settings.align, source='radhar', root=settings.data.root)
    with pytest.raises(ConfigError, match='radhar'):
        source_features(network.backbone, chosen, settings.network.geometry, 0, CPU)
