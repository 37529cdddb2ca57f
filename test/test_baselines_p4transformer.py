# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""P4Transformer, re-implemented: sizes, symmetries, gradients, and a slow direct convolution."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.experiments.p4transformer import (
    P4Transformer,
    P4TransformerConfig,
    Point4DConvolution,
    anchor_geometry,
    msr_config,
    small_config,
)
from pointata_core.errors import ConfigError

TINY = P4TransformerConfig(
    classes=5, radius=0.6, neighbours=4, spatial_stride=6, width=16, depth=2, heads=2, head_width=8,
    mlp_width=24,
)  # fmt: skip


def clips(batch=2, frames=6, points=30, seed=0):
    return torch.rand(batch, frames, points, 3, generator=torch.Generator().manual_seed(seed))


def network(config=TINY, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return P4Transformer(config).eval()


def test_published_network_has_the_published_size():
    with torch.device('meta'):
        size = sum(p.numel() for p in P4Transformer(msr_config()).parameters())
    # By hand: convolution 4,096; position 5,120; five layers of 8,396,800; classifier 2,142,228.
    assert size == 4_096 + 5_120 + 5 * 8_396_800 + 2_142_228
    assert round(size / 1e6, 1) == 44.1


def test_published_strides_give_768_tokens_of_24_frames_of_2048_points():
    points = clips(1, 24, 2048)
    geometry = anchor_geometry(points, None, msr_config())
    assert geometry.centres.shape == (1, 12, 64, 3)
    assert geometry.neighbours.shape == (1, 12, 3, 64, 32)
    assert geometry.frames.tolist() == list(range(0, 24, 2))
    # Padded at the beginning, as published; the end needs none.
    assert geometry.nearby_frames[0].tolist() == [0, 0, 1]
    assert geometry.nearby_frames[-1].tolist() == [21, 22, 23]


@pytest.mark.parametrize('frames', [1, 2, 5, 6])
def test_any_number_of_frames_is_answered(frames):
    logits = network()(clips(frames=frames))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()


def direct_convolution(layer, points, config, batch, frame, centre):
    """The paper's equation for one anchor, point by point."""
    reach = config.temporal_kernel // 2
    best_of_frames = []
    for step in range(-reach, reach + 1):
        cloud = points[batch, min(max(frame + step, 0), points.shape[1] - 1)]
        nearby = sorted((math.dist(p, centre), p) for p in cloud.tolist())
        nearby = [p for d, p in nearby[: config.neighbours] if d < config.radius]
        columns = [
            layer.displacement.weight @ torch.tensor([*(a - b for a, b in zip(p, centre)), step])
            for p in nearby
        ]
        if columns:
            best_of_frames.append(torch.stack(columns).amax(0))
    return torch.stack(best_of_frames).amax(0)


# Radii from "hardly anything but the anchor" to "more than can be taken".
@pytest.mark.parametrize('radius', [0.1, 0.35, 5.0])
def test_convolution_equals_going_through_all_points(radius):
    config = replace(TINY, radius=radius)
    points = clips()
    geometry = anchor_geometry(points, None, config)
    layer = network(config).convolution
    fast = layer(points, geometry)
    for batch in range(2):
        for a, frame in enumerate(geometry.frames.tolist()):
            for g, centre in enumerate(geometry.centres[batch, a].tolist()):
                slow = direct_convolution(layer, points, config, batch, frame, centre)
                torch.testing.assert_close(fast[batch, a, g], slow, atol=1e-5, rtol=1e-5)


def released_layer(x, weights, heads):
    """One layer as the authors' release computes it: GELU follows the attention's projection."""
    norm = [torch.nn.functional.layer_norm(x, x.shape[-1:], *weights['norm1']), None]
    q, k, v = (norm[0] @ weights['qkv'].t()).chunk(3, dim=-1)
    width = q.shape[-1] // heads
    seen = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        attention = (q[..., part] @ k[..., part].transpose(1, 2) * width**-0.5).softmax(-1)
        seen.append(attention @ v[..., part])
    weight, bias = weights['project']
    x = x + torch.nn.functional.gelu(torch.cat(seen, -1) @ weight.t() + bias)
    norm[1] = torch.nn.functional.layer_norm(x, x.shape[-1:], *weights['norm2'])
    (into, into_bias), (out, out_bias) = weights['mlp']
    return x + torch.nn.functional.gelu(norm[1] @ into.t() + into_bias) @ out.t() + out_bias


def weights_of(layer):
    project = [p for name, p in layer.named_parameters() if name.startswith('project')]
    mlp = [p for name, p in layer.named_parameters() if name.startswith('mlp')]
    return {
        'norm1': (layer.norm1.weight, layer.norm1.bias),
        'norm2': (layer.norm2.weight, layer.norm2.bias),
        'qkv': layer.query_key_value.weight,
        'project': project,
        'mlp': (mlp[:2], mlp[2:]),
    }


@pytest.mark.parametrize('relu', [False, True])
def test_logits_are_those_of_the_released_network_with_the_same_weights(relu):
    model = network(replace(TINY, embedding_relu=relu))
    points = clips()
    geometry = anchor_geometry(points, None, TINY)
    tokens = model.convolution(points, geometry)
    times = torch.arange(1.0, tokens.shape[1] + 1).view(1, -1, 1, 1).expand(*tokens.shape[:3], 1)
    x = (tokens + model.position(torch.cat([geometry.centres, times], -1))).flatten(1, 2)
    assert (x < 0).any()
    x = x.clamp_min(0) if relu else x
    for layer in model.layers:
        x = released_layer(x, weights_of(layer), TINY.heads)
    torch.testing.assert_close(model(points), model.classify(x.amax(1)), atol=1e-6, rtol=1e-6)


def test_one_head_as_wide_as_the_tokens_has_no_projection_as_released():
    layer = network(replace(TINY, heads=1, head_width=16)).layers[0]
    assert not list(layer.project.parameters())


def test_features_are_added_to_displacements_before_the_maximum():
    config = replace(TINY, features=2, radius=5.0, neighbours=30, temporal_kernel=1)
    points, features = clips(), clips(seed=1)[..., :2]
    geometry = anchor_geometry(points, None, config)
    layer = network(config).convolution
    found = layer(points, geometry, features)
    offset = points[:, ::2, None] - geometry.centres.unsqueeze(3)
    at_rest = torch.nn.functional.pad(offset, (0, 1))
    every = layer.displacement(at_rest) + layer.feature(features[:, ::2]).unsqueeze(2)
    torch.testing.assert_close(found, every.amax(dim=3))


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_order_of_the_points_within_frames_does_not_matter(seed):
    model, points = network(), clips()
    order = torch.rand(points.shape[:3], generator=torch.Generator().manual_seed(seed)).argsort(-1)
    shuffled = points.gather(2, order.unsqueeze(-1).expand_as(points))
    torch.testing.assert_close(model(shuffled), model(points), atol=1e-5, rtol=1e-5)


def test_order_of_the_frames_does_matter():
    model, points = network(), clips()
    assert (model(points.flip(1)) - model(points)).abs().max() > 1e-3


def test_what_is_masked_changes_nothing():
    model, points = network(replace(TINY, anchors=5)), clips()
    padded = torch.cat([points, torch.full((2, 6, 6, 3), torch.nan)], dim=2)
    mask = torch.arange(36).expand(2, 6, 36) < 30
    torch.testing.assert_close(model(padded, mask=mask), model(points), atol=1e-5, rtol=1e-5)


def test_more_anchors_than_points_are_no_anchors():
    points = clips(1, 2, 4)
    geometry = anchor_geometry(points, None, replace(TINY, anchors=7))
    assert geometry.mask.sum(-1).tolist() == [[4]]
    few = network(replace(TINY, anchors=4))(points)
    torch.testing.assert_close(network(replace(TINY, anchors=7))(points), few)


def test_empty_frames_and_clips_are_answered_without_nan():
    model, points = network(), clips()
    mask = torch.ones(2, 6, 30, dtype=torch.bool)
    mask[0, 2:4] = False
    mask[1] = False
    logits = model(points, mask=mask)
    assert torch.isfinite(logits).all()
    alone = model(points[:1], mask=mask[:1])
    torch.testing.assert_close(logits[:1], alone, atol=1e-5, rtol=1e-5)


def test_far_away_points_are_beyond_the_radius():
    points = clips(1)
    geometry = anchor_geometry(points, None, TINY)
    layer = network().convolution
    moved = points.clone()
    moved[:, 3] += 100.0  # an odd frame: it has no anchors, so it now is in no neighbourhood
    changed = anchor_geometry(moved, None, TINY)
    assert (changed.neighbours[:, 1, 2] == -1).all()
    assert torch.equal(changed.centres, geometry.centres)
    assert torch.isfinite(layer(moved, changed)).all()


def test_gradients_of_the_convolution_are_those_of_finite_differences():
    config = replace(TINY, features=2)
    points, features = clips(1, 4, 12), clips(1, 4, 12, seed=1)[..., :2]
    geometry = anchor_geometry(points, None, config)
    layer = Point4DConvolution(2, 3).double()
    inputs = [t.double().requires_grad_() for t in (points, features)]
    weights = [p.detach().requires_grad_() for p in layer.parameters()]

    def run(points, features, displacement, feature):
        named = {'displacement.weight': displacement, 'feature.weight': feature}
        return torch.func.functional_call(layer, named, (points, geometry, features))

    assert torch.autograd.gradcheck(run, (*inputs, *weights))


def test_every_parameter_learns():
    model = network(replace(TINY, features=1)).train()
    logits = model(clips(), clips(seed=1)[..., :1])
    torch.nn.functional.cross_entropy(logits, torch.tensor([1, 3])).backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_small_network_learns_which_way_things_move():
    torch.manual_seed(0)
    config = small_config(2, width=32, depth=1, heads=2, head_width=16, mlp_width=32, radius=0.5)
    model = P4Transformer(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ball = torch.randn(16, 1, 64, 3) * 0.2
    way = torch.tensor([0, 1] * 8)
    # Any single frame tells nothing: both classes pass through the same places.
    times = torch.arange(6.0) - 2.5
    signed = torch.where(way == 0, 1.0, -1.0).view(-1, 1) * times * 0.1
    clip = ball.repeat(1, 6, 1, 1)
    clip[..., 0] += signed.unsqueeze(-1)
    geometry = anchor_geometry(clip, None, config)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(clip, geometry=geometry), way)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(clip, geometry=geometry).argmax(1) == way).all()


@pytest.mark.parametrize('change', [{'temporal_kernel': 2}, {'radius': 0.0}, {'heads': 0}])
def test_impossible_sizes_are_refused_by_name(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        P4TransformerConfig(classes=3, **change)
