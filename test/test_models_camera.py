# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of the camera and LiDAR: published sizes, gradient routes, independence of samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from camera_scenes import camera_batch
from torch.nn import functional as F

from pointata_core.models.camera.camera_lidar import CameraLidarBatch, CameraLidarNetwork
from pointata_core.models.camera.fusion import (
    Dropout,
    ExternalAttention,
    FusionModule,
    ImageAttention,
)
from pointata_core.models.camera.image_unet import ImageUNet, gather_pixels
from pointata_core.models.camera.sparse_unet import SparseUNet

PLANES = (4, 8, 12)


def size(*modules) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def small_network(**options) -> CameraLidarNetwork:
    torch.manual_seed(0)
    return CameraLidarNetwork(4, depth=18, width=16, planes=(16, 16, 16), grid=64, **options)


def test_networks_have_the_published_sizes():
    network = CameraLidarNetwork(6)
    assert size(network.image_net) == 23_614_144
    assert size(network.cloud_net) == 2_688_656
    assert size(network.fusion) == 104_775
    groups = {name: sum(p.numel() for p in g) for name, g in network.parameter_groups().items()}
    assert groups == {'image': 23_628_364, 'cloud': 2_688_860, 'fusion': 104_775}
    assert size(network) == sum(groups.values()) == 26_421_999


def test_parts_of_the_fusion_have_the_published_sizes():
    fusion = FusionModule()
    assert size(fusion.image_attention) == 2_067
    assert size(fusion.pixel_attention) == 34_184
    assert size(fusion.point_attention) == 2_450
    assert size(fusion.mix) == 6_480
    assert size(fusion.mixed_attention) == 52_954
    assert size(fusion.out) == 6_640


@pytest.mark.parametrize(('height', 'width'), [(32, 48), (17, 33), (16, 16)])
def test_image_network_keeps_any_size(height, width):
    network = ImageUNet(18, width=8).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, height, width)).shape == (1, 8, height, width)


def test_padding_is_zeros_to_the_right_and_below():
    network = ImageUNet(18, width=8).eval()
    image = torch.rand(1, 3, 30, 20)
    with torch.no_grad():
        by_hand = network(F.pad(image, (0, 12, 0, 2)))[..., :30, :20]
        torch.testing.assert_close(network(image), by_hand)


def test_pixels_are_read_at_row_and_column():
    maps = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    pixels = [torch.tensor([[0, 1], [3, 4]]), torch.tensor([[2, 0]])]
    found = gather_pixels(maps, pixels)
    assert torch.equal(found, torch.stack([maps[0, :, 0, 1], maps[0, :, 3, 4], maps[1, :, 2, 0]]))


@pytest.mark.parametrize('pixels', [[torch.tensor([[4, 0]])], [torch.tensor([[0, -1]])], []])
def test_pixels_outside_are_refused(pixels):
    with pytest.raises(ValueError, match='pixels'):
        gather_pixels(torch.zeros(1, 3, 4, 5), pixels)


def dense_unet(network: SparseUNet, full: torch.Tensor, occupied: torch.Tensor) -> torch.Tensor:
    """The same network in dense convolutions, masked to the occupied voxels after each."""

    def kernel(weight, edge):
        return weight.permute(2, 1, 0).reshape(*weight.shape[:0:-1], edge, edge, edge)

    def norm(module, x):
        scale = module[0].weight / (module[0].running_var + module[0].eps).sqrt()
        shift = module[0].bias - module[0].running_mean * scale
        view = (1, -1, 1, 1, 1)
        return torch.relu(x * scale.view(view) + shift.view(view))

    def level(module, x, mask):
        x = (
            F.conv3d(norm(module.before, x) * mask, kernel(module.block.weight, 3), padding=1)
            * mask
        )
        if module.below is None:
            return x
        coarse = F.max_pool3d(mask, 2)
        down = F.conv3d(norm(module.before_down, x) * mask, kernel(module.down.weight, 2), stride=2)
        deep = norm(module.before_up, level(module.below, down * coarse, coarse)) * coarse
        weight = module.up.weight.permute(1, 2, 0).reshape(*module.up.weight.shape[1:], 2, 2, 2)
        joined = torch.cat([x, F.conv_transpose3d(deep, weight, stride=2) * mask], dim=1)
        joined = norm(module.before_merge, joined) * mask
        return F.conv3d(joined, kernel(module.merge.weight, 3), padding=1) * mask

    x = F.conv3d(full, kernel(network.stem.weight, 3), padding=1) * occupied
    return norm(network.out, level(network.levels, x, occupied))


def test_sparse_network_equals_the_same_network_in_dense_convolutions():
    torch.manual_seed(1)
    network = SparseUNet(2, PLANES, grid=8).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.2)
    places = torch.randint(0, 8, (60, 3)).unique(dim=0)
    features = torch.randn(len(places), 2, dtype=torch.float64)
    full, mask = torch.zeros(1, 2, 8, 8, 8).double(), torch.zeros(1, 1, 8, 8, 8).double()
    x, y, z = places.unbind(1)
    full[0, :, x, y, z], mask[0, 0, x, y, z] = features.t(), 1.0
    with torch.no_grad():
        expected = dense_unet(network, full, mask)[0, :, x, y, z].t()
        found = network(F.pad(places, (0, 1)), features)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_points_of_one_voxel_get_one_answer_from_their_mean():
    torch.manual_seed(0)
    network = SparseUNet(1, PLANES, grid=16).eval()
    apart = torch.tensor([[1, 2, 3, 0], [1, 2, 4, 0]])
    twice = torch.tensor([[1, 2, 3, 0], [1, 2, 4, 0], [1, 2, 3, 0]])
    with torch.no_grad():
        expected = network(apart, torch.tensor([[2.0], [1.0]]))
        found = network(twice, torch.tensor([[1.0], [1.0], [3.0]]))
    torch.testing.assert_close(found, expected[[0, 1, 0]])


def test_a_grid_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match='multiple of 64'):
        SparseUNet(grid=100)


def plain_attention(module: ExternalAttention, x: torch.Tensor) -> torch.Tensor:
    """One head and one slot at a time."""
    wide = module.widen(x)
    width = wide.shape[1] // 32
    heads = []
    for head in range(32):
        scores = module.keys(wide[:, head * width : (head + 1) * width])
        columns = [scores[:, slot].exp() / scores[:, slot].exp().sum() for slot in range(64)]
        weights = torch.stack(columns, 1)
        weights = weights / (1e-9 + weights.sum(1, keepdim=True))
        heads.append(module.values(weights))
    return module.narrow(torch.cat(heads, 1))


def test_attention_follows_its_definition():
    torch.manual_seed(0)
    module = ExternalAttention(16).double().eval()
    x = torch.randn(7, 16, dtype=torch.float64)
    torch.testing.assert_close(module(x, [7]), plain_attention(module, x))


def test_attention_scopes_differ_as_they_say():
    torch.manual_seed(0)
    sample, batch = ExternalAttention(16).eval(), ExternalAttention(16, scope='batch').eval()
    batch.load_state_dict(sample.state_dict())
    x = torch.randn(9, 16)
    alone = torch.cat([sample(x[:4], [4]), sample(x[4:], [5])])
    torch.testing.assert_close(sample(x, [4, 5]), alone)
    torch.testing.assert_close(batch(x, [4, 5]), sample(x, [9]))
    assert not torch.allclose(batch(x, [4, 5]), alone, atol=1e-5)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    torch.manual_seed(3)
    x = torch.ones(701, 999, requires_grad=True)
    dropped = Dropout(0.2)(x)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=2e-3)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    assert not torch.equal(Dropout(0.2)(x), dropped)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped.detach())
    assert torch.equal(Dropout(0.2).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)


def test_image_attention_follows_its_definition():
    torch.manual_seed(0)
    module = ImageAttention(8, 4).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    mlp = module.channel_gate
    gate = torch.sigmoid(mlp(F.adaptive_max_pool2d(x, 1)) + mlp(F.adaptive_avg_pool2d(x, 1)))
    chosen = gate * x
    where = torch.stack([chosen.max(1).values, chosen.mean(1)], dim=1)
    torch.testing.assert_close(module(x), x + torch.sigmoid(module.spatial_gate(where)) * chosen)


def test_attention_is_differentiable():
    torch.manual_seed(0)
    module = ExternalAttention(8).double().eval()
    x = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: module(x, [2, 3]), x)


def test_a_loss_on_the_fusion_alone_leaves_the_backbones_alone():
    network = small_network()
    batch = camera_batch(30, 20)
    maps = network.image_net(batch.image)
    cloud = network.cloud_net(batch.coordinates, batch.features)
    network.fusion(maps, cloud, batch.pixels).square().sum().backward()
    assert all(p.grad is None for p in network.image_net.parameters())
    assert all(p.grad is None for p in network.cloud_net.parameters())
    assert all(p.grad is not None for p in network.fusion.parameters())


ROUTES = {
    'image': {'image_net', 'image_heads.main', 'image_heads.project', 'image_heads.join', 'fusion'},
    'image_mimic': {'image_net', 'image_heads.mimic'},
    'cloud': {'cloud_net', 'cloud_main'},
    'cloud_mimic': {'cloud_net', 'cloud_mimic'},
}


@pytest.mark.parametrize('head', ROUTES)
def test_each_head_teaches_only_its_own_parts(head):
    network = small_network()
    getattr(network(camera_batch(30, 20)), head).square().sum().backward()
    reached = {
        '.'.join(name.split('.')[: 2 if name.startswith('image_heads') else 1])
        for name, p in network.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0
    }
    assert reached == ROUTES[head]


def test_samples_do_not_change_each_others_answers():
    network = small_network().eval()
    batch = camera_batch(30, 20)
    alone = CameraLidarBatch(
        batch.image[:1], batch.pixels[:1], batch.coordinates[:30], batch.features[:30]
    )
    with torch.no_grad():
        both, single = network(batch), network(alone)
    for name, expected in vars(single).items():
        torch.testing.assert_close(getattr(both, name)[:30], expected, rtol=1e-4, atol=1e-4)


def test_the_cloud_answers_without_the_image():
    network = small_network().eval()
    batch = camera_batch(30, 20)
    with torch.no_grad():
        seen, dark = network(batch), network(replace(batch, image=torch.zeros_like(batch.image)))
    assert torch.equal(seen.cloud, dark.cloud)
    assert not torch.equal(seen.image, dark.image)


def test_without_fusion_the_camera_answers_alone():
    network = small_network(fusion=False).eval()
    assert set(network.parameter_groups()) == {'image', 'cloud'}
    batch = camera_batch(30, 20)
    shifted = batch.coordinates.clone()
    shifted[:, :3] = shifted[:, :3].flip(0)
    moved = replace(batch, coordinates=shifted)
    with torch.no_grad():
        assert torch.equal(network(batch).image, network(moved).image)
        assert not torch.equal(network(batch).cloud, network(moved).cloud)


def test_ensemble_is_the_mean_of_the_main_heads():
    network = small_network().eval()
    with torch.no_grad():
        output = network(camera_batch(12))
    expected = (output.image.softmax(1) + output.cloud.softmax(1)) / 2
    torch.testing.assert_close(output.ensemble, expected)
    torch.testing.assert_close(output.ensemble.sum(1), torch.ones(12))


def test_rows_that_do_not_match_are_refused():
    batch = camera_batch(5, 4)
    with pytest.raises(ValueError, match='features has 8 rows for 9'):
        replace(batch, features=batch.features[:8])
    with pytest.raises(ValueError, match='1 images'):
        replace(batch, image=batch.image[:1])


def test_a_single_point_can_be_trained_on_by_the_sparse_network():
    network = SparseUNet(1, PLANES, grid=16)
    network(torch.tensor([[0, 0, 0, 0]]), torch.ones(1, 1)).sum().backward()
    assert torch.isfinite(network.stem.weight.grad).all()
