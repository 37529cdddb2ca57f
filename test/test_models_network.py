# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network: streaming is exact, adapters start silent, gradients go where they may."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.models.point.clip_tubes import clip_parents
from pointata_core.models.point.config import (
    BackboneConfig,
    GeometryConfig,
    NetworkConfig,
    preset_config,
)
from pointata_core.models.point.frame_passes import patches_before, run_blocks
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.ops import gather

TOLERANCE = 1e-4
CLASSES = ('ground', 'wall', 'person')
ACTIONS = ('none', 'walk', 'wave')
SMALL = NetworkConfig(
    backbone=BackboneConfig(width=24, depth=3, heads=2, encoder_hidden=(8, 12), encoder_width=24),
    geometry=GeometryConfig(
        tokens=12, patch_size=6, range_knee=0.5, tube_radius=0.6, context_neighbours=3
    ),
    adapter_width=8,
    context_width=6,
    segmentation_classes=CLASSES,
    action_classes=ACTIONS,
    segmentation_width=12,
    segmentation_blocks=(1, 3),
    readout_width=10,
    readout_frames=4,
    actor_class='person',
)


def trained(config: NetworkConfig, seed: int = 0) -> PointATA:
    """A network whose zero-initialised branches speak, in evaluation mode."""
    torch.manual_seed(seed)
    network = PointATA(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return network.eval()


def moving_clip(batch: int, frames: int, points: int, seed: int) -> torch.Tensor:
    """Clouds that drift, so that tubes exist but are not trivial."""
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randn(batch, 1, points, 3, generator=generator)
    drift = 0.1 * torch.randn(batch, frames, points, 3, generator=generator).cumsum(1)
    return cloud + drift


def stream(network, clip, mask=None, features=None, motion=None, state=None):
    """Step through a clip; return stacked logits and the last state."""
    state = state or network.initial_state(clip.shape[0])
    segmentation, action = [], []
    for t in range(clip.shape[1]):
        output, state = network.step(
            clip[:, t],
            state,
            None if features is None else features[:, t],
            None if mask is None else mask[:, t],
            None if motion is None else motion[:, t],
        )
        segmentation.append(output.segmentation)
        action.append(output.action)
    return torch.stack(segmentation, 1), torch.stack(action, 1), state


@torch.no_grad()
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 9),
    points=st.integers(1, 60),
    kernel=st.integers(1, 4),
    embedder_frames=st.integers(1, 2),
    lags=st.sets(st.integers(1, 4), max_size=3),
    fields=st.booleans(),
    empty=st.sets(st.integers(0, 8), max_size=3),
    moving=st.booleans(),
    anchors=st.sampled_from(['sampled', 'followed']),
)
def test_stepping_equals_the_whole_clip(
    seed, frames, points, kernel, embedder_frames, lags, fields, empty, moving, anchors
):
    config = replace(
        SMALL,
        geometry=replace(SMALL.geometry, anchors=anchors),
        adapter_kernel=kernel,
        embedder_frames=embedder_frames,
        motion_lags=tuple(sorted(lags)),
        token_fields=fields,
        features=('intensity',),
        position_width=5,
    )
    network = trained(config, seed)
    clip = moving_clip(2, frames, points, seed)
    features = torch.rand(2, frames, points, 1)
    mask = torch.rand(2, frames, points) < 0.8
    for t in empty:
        mask[0, t : t + 1] = False
    motion = None
    if moving:
        motion = torch.eye(4).repeat(2, frames, 1, 1)
        motion[..., :3, 3] = 0.3 * torch.randn(2, frames, 3)
    whole = network(clip, features, mask, motion)
    segmentation, action, _ = stream(network, clip, mask, features, motion)
    torch.testing.assert_close(action, whole.action, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(segmentation[mask], whole.segmentation[mask], atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_tiny_preset_streams_exactly_over_a_hundred_frames():
    config = preset_config(
        'tiny',
        geometry=GeometryConfig(tokens=24, patch_size=8, tube_radius=0.5),
        segmentation_classes=CLASSES,
        action_classes=ACTIONS,
        actor_class='person',
    )
    network = trained(config)
    clip = moving_clip(1, 100, 150, seed=3)
    whole = network(clip)
    segmentation, action, _ = stream(network, clip)
    torch.testing.assert_close(segmentation, whole.segmentation, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(action, whole.action, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_a_window_of_the_receptive_field_gives_the_streams_last_answer():
    network = trained(SMALL)
    field = network.receptive_field
    clip = moving_clip(1, field + 7, 40, seed=5)
    segmentation, action, _ = stream(network, clip)
    window = network(clip[:, -field:])
    torch.testing.assert_close(window.action[:, -1], action[:, -1], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(
        window.segmentation[:, -1], segmentation[:, -1], atol=TOLERANCE, rtol=0
    )


@torch.no_grad()
def test_a_frame_just_inside_the_receptive_field_matters_and_one_outside_does_not():
    """The stated field is neither too small (previous test) nor padded out."""
    # Influence from the far end is tiny: float64 shows it.
    network = trained(replace(SMALL, actor_class='')).double()
    field = network.receptive_field
    # A static scene keeps every tube alive, so influence travels as far as it can.
    clip = moving_clip(1, 1, 40, seed=6).repeat(1, field + 1, 1, 1).double()
    last = network(clip).action[:, -1]
    outside, inside = clip.clone(), clip.clone()
    outside[:, 0] += 0.05 * torch.randn_like(outside[:, 0])
    inside[:, 1] += 0.05 * torch.randn_like(inside[:, 1])
    assert torch.equal(network(outside).action[:, -1], last)
    assert not torch.equal(network(inside).action[:, -1], last)


@torch.no_grad()
def test_the_future_never_changes_the_past():
    network = trained(SMALL)
    clip = moving_clip(1, 8, 40, seed=7)
    changed = clip.clone()
    changed[:, 5:] = torch.randn_like(changed[:, 5:])
    before, after = network(clip), network(changed)
    torch.testing.assert_close(before.segmentation[:, :5], after.segmentation[:, :5])
    torch.testing.assert_close(before.action[:, :5], after.action[:, :5])
    assert not torch.allclose(before.action[:, 5:], after.action[:, 5:])


@torch.no_grad()
def test_at_initialisation_the_stream_is_the_frozen_backbone():
    torch.manual_seed(1)
    network = PointATA(SMALL).eval()
    clip = moving_clip(1, 4, 40, seed=8)
    for t in range(4):
        geometry = frame_geometry(clip[:, t], None, SMALL.geometry)
        patches = gather(clip[:, t], geometry.patch_index) - geometry.centres.unsqueeze(2)
        expected = network.backbone(patches, geometry.centres, geometry.token_mask)
        tokens = network.embed(clip[:, t], None, geometry, None)
        state = network.initial_state()
        taps = run_blocks(network, tokens, geometry, lambda block, z: [torch.randn_like(z)] * 2)
        torch.testing.assert_close(taps[-1], expected)
        assert state.nbytes > 0


@torch.no_grad()
def test_align_embedder_starts_as_the_3d_embedder_whatever_the_features():
    torch.manual_seed(2)
    clip = moving_clip(1, 1, 40, seed=9)
    plain = PointATA(SMALL).eval()
    wide = PointATA(replace(SMALL, features=('intensity', 'velocity'))).eval()
    wide.load_backbone(plain.backbone.state_dict())
    geometry = frame_geometry(clip[:, 0], None, SMALL.geometry)
    a = plain.embed(clip[:, 0], None, geometry, None)
    b = wide.embed(clip[:, 0], torch.randn(1, 40, 2), geometry, None)
    torch.testing.assert_close(a, b)


@torch.no_grad()
def test_two_frame_embedder_on_a_static_scene_is_the_single_frame_one():
    network = trained(replace(SMALL, embedder_frames=2))
    # Zero the time column as at step 0, keep everything else.
    network.embedder.patch_encoder.point_in.weight[:, 3:] = 0
    clip = moving_clip(1, 1, 40, seed=10).repeat(1, 3, 1, 1)
    geometry = frame_geometry(clip[:, 0], None, SMALL.geometry)
    alone = network.embed(clip[:, 0], None, geometry, None)
    mask = torch.ones(1, 40, dtype=torch.bool)
    merged = network.embed(
        clip[:, 1], None, geometry, patches_before(network, geometry, clip[:, 0], None, mask)
    )
    torch.testing.assert_close(alone, merged)


@torch.no_grad()
def test_point_order_does_not_matter_and_frame_order_does():
    network = trained(SMALL)
    clip = moving_clip(1, 4, 40, seed=11)
    order = torch.randperm(40)
    shuffled = network(clip[:, :, order])
    whole = network(clip)
    torch.testing.assert_close(whole.action, shuffled.action, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(
        whole.segmentation[:, :, order], shuffled.segmentation, atol=TOLERANCE, rtol=0
    )
    assert not torch.allclose(network(clip.flip(1)).action[:, -1], whole.action[:, -1])


@torch.no_grad()
def test_ego_motion_keeps_tubes_of_a_static_world():
    """A sensor that drives past a static scene must get the tubes of one that stands still."""
    config = replace(SMALL.geometry, range_knee=0.0, tube_radius=0.05)
    world = moving_clip(1, 1, 40, seed=12)[:, 0]
    step = torch.tensor([0.4, -0.2, 0.0])
    clip = torch.stack([world - t * step for t in range(3)], dim=1)
    motion = torch.eye(4).repeat(1, 3, 1, 1)
    motion[..., :3, 3] = -step
    geometry = frame_geometry(clip.flatten(0, 1), None, config)
    with_motion = clip_parents(geometry, motion, 1, config)
    without = clip_parents(geometry, None, 1, config)
    assert (with_motion[:, 1:] >= 0).float().mean() > (without[:, 1:] >= 0).float().mean()
    assert bool((with_motion[:, 1:] >= 0).all())


@pytest.mark.parametrize(
    ('stage', 'reached'),
    [
        ('align', {'embedder'}),
        ('adapt', {'adapters', 'context', 'segmentation_head', 'actor', 'action_head'}),
        ('probe', {'segmentation_head', 'actor', 'action_head'}),
        (
            'full',
            {'backbone', 'embedder', 'adapters', 'context', 'segmentation_head', 'actor'}
            | {'action_head'},
        ),
    ],
)
def test_gradients_reach_only_what_the_stage_trains(stage, reached):
    torch.manual_seed(3)
    network = trained(SMALL)
    network.set_stage(stage)
    network.train()
    frozen = {
        n: t.clone() for n, t in network.state_dict().items() if n.split('.')[0] not in reached
    }
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    output = network(moving_clip(2, 3, 40, seed=13))
    (output.segmentation.square().mean() + output.action.square().mean()).backward()
    touched = {
        name.split('.')[0]
        for name, p in network.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0
    }
    assert touched == reached
    optimizer.step()
    for name, before in frozen.items():
        assert torch.equal(network.state_dict()[name], before), f'{name} moved in stage {stage}'


def test_small_preset_stays_under_its_budget():
    network = PointATA(preset_config('small', segmentation_classes=CLASSES, action_classes=ACTIONS))
    summary = network.parameter_summary()
    assert summary['trainable_without_heads'] < 1_500_000
    assert summary['trainable'] + summary['frozen'] == summary['total']
    # Point-MAE's trunk with class token and its position (reference count 21,825,792).
    assert summary['backbone'] == 21_825_792


@torch.no_grad()
def test_state_size_does_not_grow_with_time_and_serves_from_the_start():
    network = trained(SMALL)
    clip = moving_clip(1, 6, 40, seed=14)
    first = network.initial_state().nbytes
    _, _, state = stream(network, clip)
    assert state.nbytes == first
    _, _, half = stream(network, clip[:, :3])
    segmentation, action, _ = stream(network, clip[:, 3:], state=half)
    whole = network(clip)
    torch.testing.assert_close(action, whole.action[:, 3:], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(segmentation, whole.segmentation[:, 3:], atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_recon_style_patches_do_not_see_the_class_token():
    backbone = replace(SMALL.backbone, block_style='replace_norm', class_visible=False)
    network = trained(replace(SMALL, backbone=backbone))
    clip = moving_clip(1, 1, 40, seed=15)
    geometry = frame_geometry(clip[:, 0], None, SMALL.geometry)
    patches = gather(clip[:, 0], geometry.patch_index) - geometry.centres.unsqueeze(2)
    before = network.backbone(patches, geometry.centres, geometry.token_mask)
    # Not the same shift everywhere: LayerNorm would take that out again.
    network.backbone.class_token += torch.linspace(-1, 1, SMALL.backbone.width)
    after = network.backbone(patches, geometry.centres, geometry.token_mask)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.allclose(before[:, 0], after[:, 0])


def test_config_survives_json_and_rejects_what_it_does_not_know():
    import json

    values = json.loads(json.dumps(SMALL.to_dict()))
    assert NetworkConfig.from_dict(values) == SMALL
    with pytest.raises(ConfigError, match='adapter_widht'):
        NetworkConfig.from_dict({**values, 'adapter_widht': 3})
    with pytest.raises(ConfigError, match='actor_class'):
        replace(SMALL, actor_class='ghost')
    with pytest.raises(ConfigError, match='large'):
        preset_config('large')
