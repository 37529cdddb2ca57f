# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoders, heads, pose, masked reconstruction and the frozen image encoder."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.checkpoints.files import CheckpointError
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import preset_config
from pointata_core.models.point.dgcnn import DgcnnEncoder, EdgeConvolution
from pointata_core.models.point.encoders import (
    TransformerEncoder,
    cut_patches,
    overall_feature,
)
from pointata_core.training.pretrain.heads import (
    LocalPointHead,
    PoseEncoder,
    ProjectionHead,
)
from pointata_core.training.pretrain.image_encoder import (
    EFFICIENTNET,
    ResNetEncoder,
    image_encoder_file,
    normalise_images,
    read_image_encoder,
)
from pointata_core.training.pretrain.masked import MaskedReconstruction, chamfer


def cloud(batch: int = 2, points: int = 200, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(batch, points, 3, generator=generator), dim=-1)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope='module')
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(preset_config('tiny').backbone).eval()


def test_patches_are_the_nearest_points_of_spread_centres():
    points = cloud()
    patches = cut_patches(points, 12, 8)
    torch.testing.assert_close(
        patches.centres, torch.stack([p[i] for p, i in zip(points, patches.index)])
    )
    distance = torch.cdist(patches.centres, points).sort(dim=-1).values[..., :8]
    torch.testing.assert_close(patches.offsets.norm(dim=-1), distance, atol=1e-3, rtol=0)


def test_clouds_with_few_distinct_points_have_missing_patches():
    points = cloud(1, 4).repeat_interleave(10, dim=1)
    patches = cut_patches(points, 6, 8)
    assert int((patches.index >= 0).sum()) == 4
    assert float(patches.offsets[patches.index < 0].abs().sum()) == 0


def test_transformer_features_are_the_backbone_output(backbone):
    encoder = TransformerEncoder(backbone, 12, 8).eval()
    points = cloud()
    features = encoder(points)
    patches = cut_patches(points, 12, 8)
    stream = backbone(patches.offsets, patches.centres, patches.index >= 0)
    torch.testing.assert_close(features.tokens, stream[:, 1:])
    expected = torch.cat([stream[:, 0], stream[:, 1:].max(dim=1).values], dim=1)
    torch.testing.assert_close(features.overall, expected)
    assert features.overall.shape == (2, encoder.overall_width)


def test_missing_tokens_do_not_enter_the_overall_feature():
    stream = torch.full((1, 4, 2), 9.0)
    stream[:, 1:3] = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(overall_feature(stream, mask), torch.tensor([[9.0, 9, 3, 2]]))


def test_edge_convolution_equals_the_layer_on_explicit_edges():
    torch.manual_seed(0)
    layer = EdgeConvolution(3, 7, 5).eval()
    layer.norm.running_mean.normal_()
    x = cloud(2, 30)
    near = torch.cdist(x, x).topk(5, largest=False).indices
    neighbours = torch.stack([x[b][near[b]] for b in range(2)])
    own = x.unsqueeze(2).expand_as(neighbours)
    edges = layer.linear(torch.cat([neighbours - own, own], dim=-1))
    normed = layer.norm(edges.flatten(0, 2)).view_as(edges)
    torch.testing.assert_close(layer(x), F.leaky_relu(normed, 0.2).amax(dim=2))


def test_dgcnn_does_not_depend_on_the_order_of_points():
    torch.manual_seed(0)
    encoder = DgcnnEncoder(neighbours=6, positions=10).eval()
    points = cloud(1, 60)
    features = encoder(points)
    shuffled = encoder(points[:, torch.randperm(60)])
    torch.testing.assert_close(shuffled.overall, features.overall)
    torch.testing.assert_close(shuffled.tokens, features.tokens)
    assert features.tokens.shape == (1, 10, 1024) and features.overall.shape == (1, 2048)


def test_heads_have_the_parameters_of_the_published_layout():
    assert count(PoseEncoder(2.5)) == 6_272
    assert count(LocalPointHead(512, 512, 'mid')) == 821_760
    assert count(ProjectionHead(512, 512)) == 525_824
    assert count(ProjectionHead(2048, 512)) == 1_312_256


@pytest.mark.parametrize('join', ['none', 'input', 'mid'])
def test_the_pose_changes_regions_unless_it_is_left_out(join):
    torch.manual_seed(0)
    head = LocalPointHead(16, 8, join).eval()
    tokens, pose = torch.randn(2, 5, 16), torch.randn(2, 3, 64)
    regions = head(tokens, pose)
    assert regions.shape == (2, 3, 5, 8)
    torch.testing.assert_close(regions.norm(dim=-1), torch.ones(2, 3, 5))
    same = torch.allclose(regions[:, 0], regions[:, 1], atol=1e-6)
    assert same == (join == 'none')


@pytest.mark.parametrize('join', ['input', 'mid'])
def test_the_pose_moves_different_regions_to_different_cells(join):
    """Not the same shift for all: otherwise the pose could not tell one region from another."""
    torch.manual_seed(0)
    head = LocalPointHead(16, 8, join).eval()
    regions = head(torch.randn(1, 5, 16), torch.randn(1, 2, 64))
    shift = regions[0, 1] - regions[0, 0]
    assert float((shift - shift.mean(dim=0)).detach().abs().max()) > 0.01


def test_views_are_projected_as_if_each_came_alone():
    torch.manual_seed(0)
    head = LocalPointHead(16, 8, 'mid').eval()
    tokens, pose = torch.randn(2, 5, 16), torch.randn(2, 3, 64)
    alone = torch.cat([head(tokens, pose[:, w : w + 1]) for w in range(3)], dim=1)
    torch.testing.assert_close(head(tokens, pose), alone)


def test_cells_are_projected_each_by_itself():
    torch.manual_seed(0)
    head = ProjectionHead(6, 4).eval()
    cells = torch.randn(2, 9, 6)
    whole = head(cells)
    assert whole.shape == (2, 9, 4)
    torch.testing.assert_close(whole[:, 5:6], head(cells[:, 5:6]))


def test_chamfer_is_zero_for_equal_sets_in_any_order():
    points = cloud(3, 20)
    assert float(chamfer(points, points[:, torch.randperm(20)]).max()) < 1e-10
    moved = chamfer(torch.zeros(1, 4, 3), torch.full((1, 2, 3), 2.0))
    assert float(moved) == pytest.approx(24)


def test_reconstruction_sees_none_of_the_hidden_patches(backbone):
    torch.manual_seed(0)
    masked = MaskedReconstruction(backbone, 8, 0.6).eval()
    patches = cut_patches(cloud(), 10, 8)
    shown, hidden = masked.choose(patches.index, torch.Generator().manual_seed(3))
    assert shown.shape == (2, 4) and hidden.shape == (2, 6)
    torch.testing.assert_close(
        torch.cat([shown, hidden], dim=1).sort(dim=1).values, torch.arange(10).expand(2, 10)
    )
    seen = []
    handle = backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    loss = masked(backbone, patches, torch.Generator().manual_seed(3))
    handle.remove()
    expected = torch.stack([o[i] for o, i in zip(patches.offsets, shown)])
    torch.testing.assert_close(seen[0], expected)
    assert float(loss) > 0


def test_missing_patches_are_never_shown_while_there_are_others(backbone):
    index = torch.arange(10).expand(3, 10).clone()
    index[:, 5:] = -1
    masked = MaskedReconstruction(backbone, 8, 0.6)
    shown, _ = masked.choose(index, torch.Generator().manual_seed(0))
    assert int(shown.max()) < 5


def test_frozen_network_ignores_train_mode_and_keeps_its_statistics():
    torch.manual_seed(0)
    network = ResNetEncoder(ResNet(18, classes=0), 32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    images = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8)
    features = network(images)
    assert not features.overall.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    last = network.trunk.maps(normalise_images(images)).layer4
    torch.testing.assert_close(features.cells, last)
    torch.testing.assert_close(features.overall, network.trunk(normalise_images(images)))


@pytest.mark.parametrize(('stride', 'side', 'width'), [(8, 8, 896), (16, 4, 768), (32, 2, 512)])
def test_map_of_a_stride_has_that_many_cells(stride, side, width):
    network = ResNetEncoder(ResNet(18, classes=0), stride)
    cells = network(torch.zeros(1, 64, 64, dtype=torch.uint8)).cells
    assert cells.shape == (1, width, side, side) and network.width == width


@pytest.mark.parametrize(('stride', 'side', 'width'), [(4, 24, 1456), (8, 12, 1432), (32, 3, 1280)])
def test_efficientnet_trained_on_imagenet_gives_maps_of_every_stride(stride, side, width):
    pytest.importorskip('efficientnet_lite_pytorch', reason='needs the extra `pretrain`')
    network = read_image_encoder(image_encoder_file(EFFICIENTNET), stride)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 96, 96), dtype=torch.uint8)
    found = network.train()(images)
    assert found.cells.shape == (2, width, side, side) and network.width == width
    assert found.overall.shape == (2, network.overall_width) == (2, 1280)
    # The package itself: the same image on all three channels, values from -1 to 1.
    alone = ((images.float() - 127) / 128).unsqueeze(1).expand(-1, 3, -1, -1)
    with torch.no_grad():
        last = network.trunk.extract_features(alone)
    torch.testing.assert_close(found.cells[:, -1280:, :: side // 3, :: side // 3], last)


def test_weights_that_are_not_those_of_the_efficientnet_are_refused(tmp_path):
    pytest.importorskip('efficientnet_lite_pytorch', reason='needs the extra `pretrain`')
    path = tmp_path / 'other.pth'
    torch.save({'_conv_head.weight': torch.zeros(2, 2)}, path)
    with pytest.raises(CheckpointError, match=r'other\.pth: expected the weights of efficientnet'):
        read_image_encoder(path, 8)


def test_unknown_stride_is_refused():
    with pytest.raises(ConfigError, match='map_stride'):
        ResNetEncoder(ResNet(18, classes=0), 7)
