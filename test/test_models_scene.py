# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scene encoder: its grid, its ground, its maps of earlier frames, and exact streaming."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.models.linear import set_precision
from pointata_core.models.point.config import GeometryConfig, NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.scene.birds_eye import cell_centres, grid_position, place
from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.ground import ground_height
from pointata_core.models.scene.map_history import moved_map
from pointata_core.models.scene.range_view import beyond_a_turn, place_in_view, read_view
from pointata_core.models.scene.unet import NormedConvolution

SMALL = SceneConfig(
    cells=48,
    widths=(8, 12, 16, 16),
    point_width=8,
    lags=(1, 2, 4),
    view_rows=16,
    view_columns=64,
    view_widths=(8, 8, 12, 12),
    frame_statistics=0.3,
)
CONFIG = NetworkConfig(
    geometry=GeometryConfig(tokens=0, pillar_sizes=()),
    scene=SMALL,
    features=('intensity',),
    segmentation_classes=('ground', 'person', 'rest'),
    action_classes=('stand', 'walk'),
    actor_class='person',
    segmentation_blocks=(),
    adapter_width=0,
    context_width=0,
)


def network(config: NetworkConfig = CONFIG) -> PointATA:
    """A network whose every part matters: random statistics, no small initial weights."""
    torch.manual_seed(0)
    made = PointATA(config).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return made


def clips(batch: int = 2, frames: int = 7, points: int = 400) -> dict[str, Tensor]:
    """Random clips of a turning sensor, one frame without points, one with few."""
    generator = torch.Generator().manual_seed(1)
    extent = torch.tensor([2.0, 2.0, 0.2])
    mask = torch.ones(batch, frames, points, dtype=torch.bool)
    mask[0, 1, 150:] = False
    mask[-1, 2] = False
    angle = torch.randn(batch, frames, generator=generator) * 0.3
    motion = torch.eye(4).repeat(batch, frames, 1, 1)
    motion[..., 0, 0] = motion[..., 1, 1] = angle.cos()
    motion[..., 1, 0], motion[..., 0, 1] = angle.sin(), -angle.sin()
    motion[..., :3, 3] = torch.randn(batch, frames, 3, generator=generator) * 0.1
    motion[:, 0] = torch.eye(4)
    return {
        'points': torch.randn(batch, frames, points, 3, generator=generator) * extent,
        'features': torch.rand(batch, frames, points, 1, generator=generator),
        'mask': mask,
        'motion': motion,
    }


@torch.inference_mode()
def streamed(made: PointATA, given: dict[str, Tensor], moves: bool) -> list[Tensor]:
    """Segmentation logits of every frame of a stream."""
    state = made.initial_state(len(given['points']))
    logits = []
    for t in range(given['points'].shape[1]):
        output, state = made.step(
            given['points'][:, t],
            state,
            given['features'][:, t],
            given['mask'][:, t],
            given['motion'][:, t] if moves else None,
        )
        logits.append(output.segmentation)
    return logits


# ---------------------------------------------------------------------- streams


@pytest.mark.parametrize(('lags', 'view'), [((), 16), ((1,), 0), ((1, 2, 4), 16), ((1, 2, 4), 0)])
@pytest.mark.parametrize('moves', [True, False])
def test_a_stream_gives_what_the_whole_clip_gives(lags, view, moves):
    made = network(replace(CONFIG, scene=replace(SMALL, lags=lags, view_rows=view)))
    given = clips()
    with torch.inference_mode():
        whole = made(
            given['points'], given['features'], given['mask'], given['motion'] if moves else None
        ).segmentation
    for t, logits in enumerate(streamed(made, given, moves)):
        used = given['mask'][:, t]
        torch.testing.assert_close(logits[used], whole[:, t][used], rtol=0, atol=1e-5)


def test_a_prediction_depends_on_the_frames_at_the_lags_and_on_no_older_ones():
    made, given = network(), clips(frames=7)
    before = streamed(made, given, True)[-1]
    for back, matters in ((1, True), (2, True), (3, False), (4, True), (5, False), (6, False)):
        changed = given | {'points': given['points'].clone()}
        changed['points'][:, -1 - back] += 0.2
        after = streamed(made, changed, True)[-1]
        assert bool((after != before).any()) == matters, back


def test_padding_changes_nothing():
    made, given = network(), clips(batch=1, frames=3)
    given['mask'][:, :, 300:] = False
    cut = {name: v[:, :, :300] if name != 'motion' else v for name, v in given.items()}
    for long, short in zip(streamed(made, given, True), streamed(made, cut, True), strict=True):
        torch.testing.assert_close(long[:, :300], short, rtol=0, atol=1e-5)


def test_a_network_without_tokens_refuses_parts_that_read_tokens():
    with pytest.raises(ConfigError, match=r'adapter_width is 48, but geometry\.tokens is 0'):
        replace(CONFIG, adapter_width=48)
    assert NetworkConfig.from_dict(CONFIG.to_dict()) == CONFIG


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('cells', 50),
        ('knee', 0.0),
        ('lags', (2, 1)),
        ('widths', (8, 8)),
        ('ground_cells', 5),
        ('view_rows', 20),
        ('view_columns', 0),
        ('view_widths', (8, 8, 8, 0)),
    ],
)
def test_a_wrong_size_is_named(name, value):
    with pytest.raises(ConfigError, match=rf'scene\.{name} is '):
        SceneConfig(**{name: value})


def test_gradients_reach_every_weight():
    made = network()
    made.set_stage('adapt')
    made.train()
    given = clips()
    logits = made(given['points'], given['features'], given['mask'], given['motion']).segmentation
    logits[given['mask']].square().mean().backward()
    local = made.segmentation_head.local
    assert {n for n, p in local.named_parameters() if p.grad is None or not p.grad.any()} == set()


# ---------------------------------------------------------------------- grid


def test_the_centres_of_the_cells_are_where_the_grid_puts_them():
    centres = cell_centres(SMALL, torch.device('cpu'), torch.float64)
    position = grid_position(centres, SMALL).view(48, 48, 2)
    expected = torch.arange(48, dtype=torch.float64) + 0.5
    torch.testing.assert_close(position[..., 0], expected.expand(48, 48))
    torch.testing.assert_close(position[..., 1], expected.unsqueeze(1).expand(48, 48))


def test_points_beyond_the_border_belong_to_its_cells():
    far = torch.tensor([[[1e4, 0.0, 0.0], [0.0, -1e4, 0.0], [0.0, 0.0, 0.0]]])
    grid = place(far, None, SMALL)
    assert grid.cell.tolist() == [24 * 48 + 47, 0 * 48 + 24, 24 * 48 + 24]


def test_a_quarter_turn_of_the_sensor_turns_the_map():
    image = torch.rand(1, 2, 48, 48)
    turn = torch.eye(4).unsqueeze(0)
    turn[0, :2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    moved = moved_map(image, turn, SMALL)
    # x of a point becomes y: columns become rows.
    torch.testing.assert_close(moved, image.rot90(-1, (2, 3)), rtol=0, atol=1e-4)


def test_a_thing_at_rest_stays_in_its_cell_when_the_sensor_moves():
    at = torch.tensor([[[1.2, 0.4, 0.0]]])
    shift = torch.tensor([0.3, -0.2, 0.0])
    image = torch.zeros(1, 1, 48, 48)
    image.view(-1)[place(at, None, SMALL).cell] = 1.0
    motion = torch.eye(4).unsqueeze(0)
    motion[0, :3, 3] = shift
    moved = moved_map(image, motion, SMALL)
    peak = place(at + shift, None, SMALL).cell
    assert int(moved.view(-1).argmax()) == int(peak)
    assert moved.max() > 0.3


def test_what_was_out_of_sight_is_zero():
    motion = torch.eye(4).unsqueeze(0)
    motion[0, 0, 3] = 10.0  # more than the grid's reach of 8
    moved = moved_map(torch.ones(1, 1, 48, 48), motion, SMALL)
    ahead = place(torch.tensor([[[6.0, 0.0, 0.0], [-4.0, 0.0, 0.0]]]), None, SMALL).cell
    assert moved.view(-1)[ahead].tolist() == [1.0, 0.0]


# ---------------------------------------------------------------------- range view


def test_a_point_is_seen_at_its_azimuth_and_elevation_whatever_its_distance():
    ahead, left = torch.tensor([2.0, 0.0, 0.1]), torch.tensor([0.0, 1.0, 0.0])
    below = torch.tensor([1.0, 0.0, -5.0])
    grid = place_in_view(torch.stack([ahead, 3 * ahead, left, below]).unsqueeze(0), None, SMALL)
    near, far, beside, under = grid.position[0]
    torch.testing.assert_close(near, far)
    assert near[0] == 32 and beside.tolist() == [48.0, 8.0]
    assert 8 < near[1] < 10 and under[1] < 0 and int(grid.cell[3]) == 32


def test_the_view_wraps_around():
    """A scene turned by a number of cells looks as before, also to the points behind the sensor."""
    torch.manual_seed(3)
    points = torch.randn(1, 2000, 3) * torch.tensor([2.0, 2.0, 0.1])
    own = torch.rand(2000, SMALL.point_width)
    seen = []
    for columns in (0, 8, 32):
        angle = torch.tensor(2 * math.pi * columns / 64)
        turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
        turned = torch.cat([points[..., :2] @ turn.T, points[..., 2:]], dim=-1)
        grid = place_in_view(turned, None, SMALL)
        image = beyond_a_turn(grid.scatter_max(own))
        seen.append(read_view(grid, image))
    torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(seen[2], seen[0], rtol=0, atol=1e-3)


# ---------------------------------------------------------------------- ground


def ground(points: Tensor) -> Tensor:
    grid = place(points.unsqueeze(0), None, SceneConfig())
    return ground_height(points.unsqueeze(0), None, grid, 4)[0]


def road(slope: float = 0.0, count: int = 6000) -> Tensor:
    """Road around a sensor at 1.7 m, denser near it, as (count, 3) in units of ten metres."""
    generator = torch.Generator().manual_seed(0)
    angle, spread = torch.rand(2, count, generator=generator)
    reach = 0.3 * torch.exp(spread * math.log(15.0))
    plane = torch.stack([reach * (6.2832 * angle).cos(), reach * (6.2832 * angle).sin()], dim=1)
    noise = 0.002 * torch.randn(count, 1, generator=generator)
    return torch.cat([plane, -0.17 + slope * plane[:, :1] + noise], dim=1)


@pytest.mark.parametrize('slope', [0.0, 0.08])
def test_stray_returns_from_under_the_road_do_not_lower_the_ground(slope):
    clean = road(slope)
    generator = torch.Generator().manual_seed(1)
    stray = clean[torch.randperm(len(clean), generator=generator)[:200]].clone()
    stray[:, 2] -= 0.05 + 0.3 * torch.rand(200, generator=generator)
    found = ground(torch.cat([clean, stray]))[: len(clean)]
    near = torch.linalg.vector_norm(clean[:, :2], dim=1) < 2.0
    error = (clean[:, 2] - found)[near]
    assert error.abs().quantile(0.99) < 0.02  # 20 cm
    assert error.median().abs() < 0.01


def test_a_roof_over_the_road_is_not_the_ground():
    points = road()
    car = torch.rand(300, 3, generator=torch.Generator().manual_seed(2))
    car = torch.tensor([0.8, -0.1, -0.03]) + car * torch.tensor([0.4, 0.18, 0.02])
    under = (points[:, 0] > 0.8) & (points[:, 0] < 1.2) & (points[:, 1].abs() < 0.1)
    found = ground(torch.cat([points[~under], car]))[-300:]
    assert (car[:, 2] - found > 0.1).all()


def test_frames_without_points_have_a_ground():
    nothing = torch.zeros(2, 5, 3)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    grid = place(nothing, mask, SMALL)
    assert torch.equal(ground_height(nothing, mask, grid, 4), torch.zeros(2, 5))


# ---------------------------------------------------------------------- precision


def test_in_bfloat16_logits_are_nearly_the_same_and_float32_comes_back_to_the_bit():
    made, given = network(), clips()
    exact = streamed(made, given, True)[-1]
    set_precision(made, 'bfloat16')
    reduced = streamed(made, given, True)[-1]
    set_precision(made, 'float32')
    assert torch.equal(streamed(made, given, True)[-1], exact)
    assert reduced.dtype == torch.float32
    assert 0 < (reduced - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize('own', [0.0, 0.3, 1.0])
def test_each_frame_counts_in_the_statistics_of_its_own_normalisation_alone(own):
    layer = NormedConvolution(5, 7, own=own).eval()
    layer.norm.running_mean.normal_()
    layer.norm.running_var.uniform_(0.5, 2.0)
    images = torch.randn(3, 5, 16, 16) * torch.tensor([1.0, 3.0, 0.2]).view(3, 1, 1, 1)
    with torch.no_grad():
        found = layer(images)
        values = layer.convolution(images)
        one = torch.cat([layer(image.unsqueeze(0)) for image in images])
    norm = layer.norm
    expected = []
    for value in values:
        mean = own * value.mean((1, 2)) + (1 - own) * norm.running_mean
        variance = own * value.var((1, 2), correction=0) + (1 - own) * norm.running_var
        scaled = (value.transpose(0, 2) - mean) / (variance + norm.eps).sqrt()
        expected.append((scaled * norm.weight + norm.bias).transpose(0, 2))
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found, one, atol=1e-5, rtol=1e-5)


def test_training_ignores_the_share_of_the_frame():
    torch.manual_seed(0)
    layer, plain = NormedConvolution(3, 4, own=0.5), NormedConvolution(3, 4)
    plain.load_state_dict(layer.state_dict())
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(layer(images), plain(images))
