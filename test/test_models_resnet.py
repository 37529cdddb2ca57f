# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shared image encoder: torchvision's names and counts, maps, and safe loading."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from pointata_core.errors import PointataError
from pointata_core.models.camera.resnet import ResNet, load_resnet_weights


@pytest.fixture(scope='module')
def published() -> dict[str, torch.Tensor]:
    """Weights as an old public file has them: a classifier, no batch counters."""
    torch.manual_seed(1)
    state = ResNet(18).state_dict()
    return {name: value for name, value in state.items() if 'num_batches' not in name}


@pytest.mark.parametrize(('depth', 'count'), [(18, 11_689_512), (34, 21_797_672)])
def test_parameter_count_is_the_published_one(depth: int, count: int) -> None:
    assert sum(p.numel() for p in ResNet(depth).parameters()) == count


def test_encoder_for_the_unet_has_the_reference_count() -> None:
    assert sum(p.numel() for p in ResNet(34, classes=0).parameters()) == 21_284_672


def test_names_are_those_of_the_public_files() -> None:
    names = set(ResNet(18).state_dict())
    expected = {
        'conv1.weight', 'bn1.running_mean', 'layer1.0.conv1.weight', 'layer1.1.bn2.bias',
        'layer2.0.downsample.0.weight', 'layer2.0.downsample.1.running_var', 'fc.weight', 'fc.bias',
    }  # fmt: skip
    assert expected <= names
    assert 'layer1.0.downsample.0.weight' not in names
    assert len(names) == 122


@pytest.mark.parametrize(('stride', 'sides'), [(2, (32, 16, 8, 4, 2)), (1, (64, 32, 16, 8, 4))])
def test_maps_halve_at_every_stage(stride: int, sides: tuple[int, ...]) -> None:
    network = ResNet(18, classes=0, stem_stride=stride).eval()
    with torch.no_grad():
        maps = network.maps(torch.rand(1, 3, 64, 64))
    assert tuple(m.shape[-1] for m in maps) == sides
    assert tuple(m.shape[1] for m in maps) == (64, 64, 128, 256, 512)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('classes', [0, 1000])
def test_published_weights_fill_the_network(tmp_path, published, suffix, classes) -> None:
    path = tmp_path / f'weights{suffix}'
    save_file(published, path) if suffix == '.safetensors' else torch.save(published, path)
    network = ResNet(18, classes=classes)
    load_resnet_weights(network, path)
    state = network.state_dict()
    loaded = [name for name in published if name in state]
    assert len(loaded) == (102 if classes else 100)
    assert all(torch.equal(state[name], published[name]) for name in loaded)


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (lambda w: w.pop('layer3.0.conv1.weight'), "lacks 'layer3.0.conv1.weight'"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown tensor 'extra'"),
        (lambda w: w.update({'bn1.bias': torch.zeros(3)}), r"'bn1.bias' has shape \(3,\)"),
        (lambda w: w.update({'bn1.bias': torch.full((64,), torch.nan)}), 'not finite'),
    ],
)
def test_unfit_weights_are_named_and_change_nothing(tmp_path, published, damage, reason) -> None:
    weights = dict(published)
    damage(weights)
    torch.save(weights, tmp_path / 'weights.pth')
    network = ResNet(18)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(PointataError, match=reason):
        load_resnet_weights(network, tmp_path / 'weights.pth')
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_of_the_other_depth_are_refused(tmp_path, published) -> None:
    torch.save(published, tmp_path / 'weights.pth')
    with pytest.raises(PointataError, match='ResNet-34'):
        load_resnet_weights(ResNet(34), tmp_path / 'weights.pth')


@pytest.mark.parametrize('name', ['absent.pth', 'absent.safetensors', 'broken.safetensors'])
def test_unreadable_file_is_named(tmp_path, name) -> None:
    (tmp_path / 'broken.safetensors').write_bytes(b'no tensors here')
    with pytest.raises(PointataError, match=name):
        load_resnet_weights(ResNet(18), tmp_path / name)


def test_unknown_depth_is_refused() -> None:
    with pytest.raises(ValueError, match='depth'):
        ResNet(50)
