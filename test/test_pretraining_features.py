# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image features that are computed once, clouds of one scale, and Muon in pre-training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('embreex', reason='images need the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.shapes.rendering import RenderSettings, write_renderings
from pointata_core.training.pretrain.batches import ImageClouds
from pointata_core.training.pretrain.feature_store import kept_features
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import ResNetEncoder
from pointata_core.training.pretrain.images import image_sources
from pointata_core.training.pretrain.pic_point import PicPointModule
from pointata_core.training.pretrain.run import FEATURES, pretrain_backbone
from pointata_core.training.pretrain.settings import (
    ImageSettings,
    PretrainingConfig,
    TeacherConfig,
)
from pointata_core.training.pretrain.teacher import save_teacher, train_teacher

SMALL = PretrainingConfig(
    points=96, tokens=12, patch_size=8, views=2, latent=16, map_stride=8, batch=4, steps=4,
    checkpoint_steps=2, device='cpu', held_back=5, keep_features=True, normalised=True,
)  # fmt: skip


@pytest.fixture(scope='module')
def bank(tmp_path_factory) -> ImageBank:
    settings = RenderSettings(views=6, size=32, points=200, colour=True)
    sources, _ = image_sources(ImageSettings(shapes=6, people=8, things=6, scanned=0.5))
    folder = tmp_path_factory.mktemp('images')
    return ImageBank.read(write_renderings(folder, sources, settings, progress=False))


class Counting(ResNetEncoder):
    """Counts the shapes that it looks at, and may stop at one."""

    def __init__(self, seed: int = 0, stop: int = -1) -> None:
        torch.manual_seed(seed)
        super().__init__(ResNet(18, classes=0), 8)
        self.shapes, self.stop = 0, stop

    def stages(self, images):
        if len(images) > 1:
            if self.shapes == self.stop:
                raise KeyboardInterrupt
            self.shapes += 1
        return super().stages(images)


def test_kept_features_are_those_of_the_encoder(bank, tmp_path):
    encoder = Counting()
    maps = kept_features(tmp_path, encoder, bank, 'a')
    assert [m.shape for m in maps] == [
        (20, 6, 128, 4, 4), (20, 6, 256, 2, 2), (20, 6, 512, 1, 1),
    ]  # fmt: skip
    expected = encoder.used_stages(torch.from_numpy(bank.images[7]))
    for found, stage in zip(maps, expected, strict=True):
        np.testing.assert_allclose(found[7], stage.numpy(), rtol=2e-3, atol=1e-4)


def test_a_stopped_computation_goes_on_where_it_was(bank, tmp_path):
    whole = kept_features(tmp_path / 'whole', Counting(), bank, 'a')
    with pytest.raises(KeyboardInterrupt):
        kept_features(tmp_path / 'stopped', Counting(stop=11), bank, 'a')
    second, seen = Counting(), []
    found = kept_features(
        tmp_path / 'stopped', second, bank, 'a', lambda done, total: seen.append((done, total))
    )
    assert second.shapes == 12 and seen == [(16, 20), (20, 20)]  # eight were done
    for expected, again in zip(whole, found, strict=True):
        np.testing.assert_array_equal(expected, again)
    third = Counting()
    kept_features(tmp_path / 'stopped', third, bank, 'a')
    assert third.shapes == 0


def test_features_of_another_encoder_or_of_other_images_are_computed_again(bank, tmp_path):
    first = [np.array(m) for m in kept_features(tmp_path, Counting(), bank, 'a')]
    other = Counting(seed=1)
    second = kept_features(tmp_path, other, bank, 'b')
    assert other.shapes == 20 and not np.array_equal(first[0], second[0])
    darker = dataclasses.replace(bank, images=bank.images // 2)
    again = Counting(seed=1)
    kept_features(tmp_path, again, darker, 'b')
    assert again.shapes == 20


def batch_of(bank: ImageBank, config: PretrainingConfig, features=()) -> dict:
    return ImageClouds(bank, config, features=features).batch([(0, n) for n in range(4)])


def test_kept_features_give_the_loss_of_images(bank, tmp_path):
    encoder = Counting()
    features = kept_features(tmp_path, encoder, bank, 'a')
    losses = []
    for batch in (batch_of(bank, SMALL), batch_of(bank, SMALL, features)):
        torch.manual_seed(0)
        module = PicPointModule(SMALL, encoder, 2.5)
        losses.append(module.objectives(batch)[0].detach())
    assert 'images' not in batch_of(bank, SMALL, features)
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-2, atol=1e-2)


def test_clouds_are_centred_in_the_unit_sphere_and_keep_their_pixels(bank):
    config = dataclasses.replace(SMALL, jitter=0.0)
    scans = [n for n in range(20) if np.abs(bank.points[n].mean(axis=0)).max() > 0.1]
    assert scans
    for augment in (False, True):
        item = ImageClouds(bank, config, augment=augment)[3, scans[0]]
        if not augment:
            np.testing.assert_allclose(item['points'].mean(dim=0), 0, atol=1e-5)
            assert float(item['points'].norm(dim=1).max()) == pytest.approx(1, abs=1e-5)
        homogeneous = torch.cat([item['points'], torch.ones(96, 1)], dim=1).double()
        clip = torch.einsum(
            'wij,nj->wni', item['projection'].double() @ item['view'].double(), homogeneous
        )
        place = clip[..., :2] / clip[..., 3:]
        column = ((place[..., 0] + 1) / 2 * 4).floor().long()
        row = ((1 - place[..., 1]) / 2 * 4).floor().long()
        seen = item['cell'] >= 0
        assert float((row * 4 + column == item['cell'])[seen].float().mean()) > 0.98
    plain = ImageClouds(bank, dataclasses.replace(config, normalised=False), augment=False)
    assert float(plain[3, scans[0]]['points'].mean(dim=0).abs().max()) > 0.05


def test_muon_takes_the_matrices(bank):
    module = PicPointModule(dataclasses.replace(SMALL, muon_rate=0.02), Counting(), 2.5)
    groups = module.configure_optimizers()['optimizer'].param_groups
    large = {id(p) for group in groups if group.get('use_muon') for p in group['params']}
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    assert {id(p) for group in groups for p in group['params']} == set(map(id, trained.values()))
    assert id(trained['encoder.backbone.blocks.0.attn.qkv.weight']) in large
    assert id(trained['encoder.backbone.class_token']) not in large
    assert {group['lr'] for group in groups if group.get('use_muon')} == {0.02}
    plain = PicPointModule(SMALL, Counting(), 2.5).configure_optimizers()['optimizer']
    assert type(plain) is torch.optim.Adam


def test_a_run_with_kept_features_ends_with_a_backbone(bank, tmp_path):
    """Colours, scans, kept features and Muon together; the teacher names coloured images."""
    teacher = tmp_path / 'teacher.safetensors'
    save_teacher(teacher, *train_teacher(bank, TeacherConfig(steps=2, batch=8, held_back=5)))
    config = dataclasses.replace(SMALL, muon_rate=0.02, steps=1)
    backbone = pretrain_backbone(tmp_path / 'run', config, bank, teacher)
    assert sorted(path.name for path in Path(tmp_path / 'run' / FEATURES).iterdir()) == [
        'features.json', 'stage_0.npy', 'stage_1.npy', 'stage_2.npy',
    ]  # fmt: skip
    assert load_backbone(backbone).preset == 'tiny'
    images = json.loads(backbone.with_suffix('.json').read_text())['images']
    assert {'walk', 'car'} & set(images['families'])
