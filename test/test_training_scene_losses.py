# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What trains a scene encoder: its loss, what is left out of clips, ranks of sensor fields."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.bundles.preparation_config import FeatureSpec, PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer, ranks
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.clips.dropping import DropSettings, drop
from pointata_core.training.clips.mixing import mix_sectors
from pointata_core.training.skill.losses import lovasz_softmax

NO_TOKENS = GeometryConfig(tokens=0, pillar_sizes=())


@given(st.data())
def test_of_certain_predictions_the_loss_is_one_minus_the_mean_iou(data):
    count = data.draw(st.integers(1, 40))
    truth = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    found = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    logits = torch.full((count, 4), -1e4).scatter(1, found.unsqueeze(1), 1e4)
    iou = [
        ((truth == c) & (found == c)).sum() / ((truth == c) | (found == c)).sum()
        for c in truth.unique()
    ]
    expected = 1 - torch.stack(iou).mean()
    torch.testing.assert_close(lovasz_softmax(logits, truth), expected)


def test_the_loss_has_a_correct_gradient_and_none_without_points():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.randint(0, 3, (12,), generator=generator)
    assert torch.autograd.gradcheck(lambda x: lovasz_softmax(x, truth), (logits,))
    nothing = torch.zeros(0, 3, requires_grad=True)
    lovasz_softmax(nothing, truth[:0]).backward()
    assert nothing.grad.shape == (0, 3)


def batch(clips: int = 3, frames: int = 2, points: int = 50, config=NO_TOKENS) -> ClipBatch:
    cloud = torch.rand(clips, frames, points, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(clips, frames, points, dtype=torch.bool)
    mask[1, 1, 20:] = False
    return ClipBatch(
        points=cloud,
        mask=mask,
        label=torch.where(mask, 2, IGNORE),
        action=torch.zeros(clips, frames, dtype=torch.int64),
        geometry=frame_geometry(cloud.flatten(0, 1), mask.flatten(0, 1), config),
        features=torch.ones(clips, frames, points, 1),
        motion=torch.full((clips, frames, 4, 4), 2.0),
    )


def test_what_is_left_out_is_not_learned_and_padding_stays_padding():
    before = batch()
    after = drop(before, DropSettings(points=0.9, jitter=0.01), seed=5)
    lost = before.mask & ~after.mask
    assert lost.any() and after.mask.any()
    assert not (after.mask & ~before.mask).any()
    assert (after.label[~after.mask] == IGNORE).all()
    assert (after.label[after.mask] == 2).all()
    moved = (after.points - before.points)[before.mask]
    assert 0.005 < moved.std() < 0.02
    assert torch.equal(after.points[~before.mask], before.points[~before.mask])


def test_fields_and_motion_are_left_out_of_whole_clips():
    before = batch(clips=40)
    after = drop(before, DropSettings(features=0.5, motion=0.5), seed=1)
    without = (after.features == 0).flatten(1).all(1)
    still = (after.motion == torch.eye(4)).flatten(1).all(1)
    for share in (without, still):
        assert 8 < int(share.sum()) < 32
    assert (after.features[~without] == 1).all()
    assert (after.motion[~still] == 2).all()


def test_a_clip_is_changed_alike_in_one_process_and_in_two():
    config = DropSettings(points=0.5, jitter=0.01, features=0.5, motion=0.5)
    whole = drop(batch(clips=4), config, seed=3)
    second = drop(batch(clips=4).take(torch.tensor([2, 3])), config, seed=3, part=1)
    for name in ('points', 'mask', 'label', 'features', 'motion'):
        assert torch.equal(getattr(whole, name)[2:], getattr(second, name)), name


def test_clips_with_tokens_are_refused_and_nothing_to_do_does_nothing():
    with pytest.raises(ConfigError, match='networks without tokens'):
        drop(batch(config=GeometryConfig(tokens=4, patch_size=4)), DropSettings(points=0.1), 0)
    same = batch()
    assert drop(same, DropSettings(), 0) is same
    with pytest.raises(ConfigError, match=r'drop\.motion is 2'):
        DropSettings(motion=2)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30), st.randoms())
def test_ranks_do_not_depend_on_the_unit_nor_on_the_order(values, random):
    column = torch.tensor(values).unsqueeze(1)
    found = ranks(column)
    assert found.abs().max() <= 1 and abs(float(found.mean())) < 1e-5
    order = list(range(len(values)))
    random.shuffle(order)
    torch.testing.assert_close(ranks(column[order]), found[order])
    cubed = column.double() ** 3  # any rising function of it
    torch.testing.assert_close(ranks(cubed).float(), found.float())


def test_an_absent_or_empty_field_has_rank_zero():
    config = PreparationConfig(features={'intensity': FeatureSpec(form='rank')})
    points = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32) * 5
    preparer = FramePreparer(config)
    assert not preparer.prepare(points).features.any()
    assert not preparer.prepare(points, {'intensity': np.zeros(200)}).features.any()
    bright = np.where(points[:, 0] > 0, 1.0, 0.0)
    found = preparer.prepare(points, {'intensity': bright})
    side = found.features[:, 0].sign() == found.points[:, 0].sign()
    assert side.float().mean() > 0.95


def scans(clips: int = 4, points: int = 300) -> ClipBatch:
    """Single frames around the sensor; label and feature tell the clip."""
    made = batch(clips, 2, points)
    number = torch.arange(clips).view(-1, 1, 1)
    cloud = torch.rand(clips, 1, points, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    mask = torch.ones(clips, 1, points, dtype=torch.bool)
    mask[0, 0, 200:] = False
    return ClipBatch(
        points=cloud,
        mask=mask,
        label=torch.where(mask, number, IGNORE),
        action=made.action[:, :1],
        geometry=frame_geometry(cloud.flatten(0, 1), mask.flatten(0, 1), NO_TOKENS),
        features=number.unsqueeze(-1).expand(clips, 1, points, 1).float(),
    )


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 1))
def test_a_mixed_scan_holds_a_sector_of_the_next_one_and_nothing_else(seed, share):
    before = scans()
    after = mix_sectors(before, share, seed)
    for clip in range(4):
        used = after.mask[clip, 0]
        label = after.label[clip, 0]
        assert set(label[used].tolist()) <= {clip, (clip + 1) % 4}
        assert (label[~used] == IGNORE).all()
        torch.testing.assert_close(after.features[clip, 0, used, 0], label[used].float())
        source = {tuple(p) for n in {clip, (clip + 1) % 4} for p in before.points[n, 0].tolist()}
        assert {tuple(p) for p in after.points[clip, 0, used].tolist()} <= source
        angle = torch.atan2(*after.points[clip, 0, used, :2].flip(-1).unbind(-1))
        order = angle.argsort()
        changes = (label[used][order] != label[used][order].roll(1)).sum()
        assert changes in (0, 2), 'the new points fill one sector'
    again = mix_sectors(before, share, seed)
    assert torch.equal(again.points, after.points) and torch.equal(again.mask, after.mask)


def test_sectors_of_several_frames_stay_and_tokens_are_refused():
    several = batch()
    assert mix_sectors(several, 1.0, 0) is several
    single = batch(frames=2, config=GeometryConfig(tokens=4, patch_size=4))
    single = ClipBatch(
        single.points[:, :1], single.mask[:, :1], single.label[:, :1], single.action[:, :1],
        frame_geometry(single.points[:, 0], single.mask[:, 0], GeometryConfig(4, 4)),
    )  # fmt: skip
    with pytest.raises(ConfigError, match='sector_mix'):
        mix_sectors(single, 1.0, 0)
