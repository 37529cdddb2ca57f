# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Teacher, stylised source and pseudo-labels: properties and slow references."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch
from camera_scenes import camera_batch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from pointata_core.errors import PointataError
from pointata_core.models.camera.camera_lidar import CameraLidarOutput
from pointata_core.training.domain.cross_modal import MovingAverageTeacher
from pointata_core.training.domain.pseudo_labels import (
    Predictions,
    PseudoLabels,
    PseudoLabelWriter,
    class_thresholds,
    confident,
    predictions_of,
)
from pointata_core.training.domain.stylised import (
    StyleConfig,
    density_scale,
    density_transfer,
    fourier_transfer,
    mixed_for_student,
    mixup,
    stylise,
)

# -- teacher


def student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def test_teacher_forgets_its_start_along_the_published_ramp():
    net = student()
    teacher = MovingAverageTeacher(net)
    expected = net[0].weight.detach().double()
    for number in range(1, 6):
        with torch.no_grad():
            net[0].weight.add_(torch.randn(4, 3, generator=torch.Generator().manual_seed(number)))
        past = 1 - 1 / (number + 1)
        assert teacher.follow(net) == pytest.approx(past)
        expected = past * expected + (1 - past) * net[0].weight.detach().double()
    assert past == pytest.approx(5 / 6)
    torch.testing.assert_close(teacher.network[0].weight.double(), expected, rtol=1e-5, atol=1e-6)


def test_teacher_ramp_starts_at_a_half_and_ends_at_the_decay():
    net = student()
    teacher = MovingAverageTeacher(net, decay=0.75)
    assert [round(teacher.follow(net), 4) for _ in range(5)] == [0.5, 0.6667, 0.75, 0.75, 0.75]


def test_teacher_is_never_trained_and_passes_nothing_on():
    net = student()
    teacher = MovingAverageTeacher(net)
    x = torch.randn(5, 3, requires_grad=True)
    assert not teacher(x).requires_grad
    assert [p for p in teacher.parameters() if p.requires_grad] == []
    assert all(p.requires_grad for p in net.parameters())


def test_teacher_stays_in_training_mode_and_keeps_its_own_statistics():
    net = student()
    teacher = MovingAverageTeacher(net)
    for asked in (True, False):
        assert teacher.train(asked).network[2].training
    before = teacher.network[1].running_mean.clone()
    net(torch.full((6, 3), 5.0))
    teacher.follow(net)
    assert torch.equal(teacher.network[1].running_mean, before)


def test_teacher_resumes_where_it_was():
    net = student()
    first = MovingAverageTeacher(net)
    first.follow(net)
    second = MovingAverageTeacher(student())
    second.load_state_dict(first.state_dict())
    assert second.follow(net) == pytest.approx(2 / 3)


# -- images


def slow_fourier(source: np.ndarray, target: np.ndarray, share: float) -> np.ndarray:
    edge = int(share * min(source.shape))
    s, t = np.fft.fft2(source), np.fft.fft2(target)
    amplitude = np.abs(s)
    height, width = source.shape
    for rows in (range(edge), range(height - edge, height)):
        for columns in (range(edge), range(width - edge, width)):
            for i in rows:
                for j in columns:
                    amplitude[i, j] = abs(t[i, j])
    return np.fft.ifft2(amplitude * np.exp(1j * np.angle(s))).real


@pytest.mark.parametrize('share', [0.0, 0.1, 0.3])
@pytest.mark.parametrize('shape', [(20, 31), (21, 16)])
def test_fourier_transfer_follows_its_definition(share, shape):
    generator = torch.Generator().manual_seed(0)
    source, target = torch.rand(2, 2, 3, *shape, generator=generator, dtype=torch.float64)
    found = fourier_transfer(source, target, share)
    for sample in range(2):
        for channel in range(3):
            expected = slow_fourier(
                source[sample, channel].numpy(), target[sample, channel].numpy(), share
            )
            np.testing.assert_allclose(found[sample, channel].numpy(), expected, atol=1e-12)


def test_own_style_changes_nothing():
    image = torch.rand(2, 3, 24, 40, dtype=torch.float64)
    torch.testing.assert_close(fourier_transfer(image, image), image)
    torch.testing.assert_close(mixup(image, image, 0.3), image)


def test_fourier_transfer_brings_the_targets_brightness():
    source, target = torch.rand(1, 3, 30, 30) * 0.2, torch.rand(1, 3, 30, 30) * 0.2 + 0.7
    found = fourier_transfer(source, target).mean(dim=(2, 3))
    torch.testing.assert_close(found, target.mean(dim=(2, 3)), rtol=1e-4, atol=1e-4)


def test_images_of_different_sizes_are_refused():
    for transfer in (fourier_transfer, lambda s, t: mixup(s, t, 0.1)):
        with pytest.raises(ValueError, match='image'):
            transfer(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))


# -- clouds


def density(points: torch.Tensor) -> float:
    extent = (points.max(0).values - points.min(0).values).double()
    return float(extent.prod()) / len(points)


def test_scaled_cloud_has_the_targets_density():
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(0, 900, (400, 3), generator=generator)
    target = torch.randint(0, 1700, (900, 3), generator=generator)
    moved = (source * density_scale(source, target)).long()
    # Truncation moves each face of the box by less than one voxel.
    assert density(moved) == pytest.approx(density(target), rel=0.01)


def test_equal_clouds_keep_their_scale():
    cloud = torch.randint(0, 50, (20, 3), generator=torch.Generator().manual_seed(0))
    assert density_scale(cloud, cloud) == 1.0


@pytest.mark.parametrize('flat', [torch.zeros(0, 3), torch.tensor([[1, 2, 3]]), torch.ones(5, 3)])
def test_a_cloud_without_volume_keeps_the_scale(flat):
    cloud = torch.randint(0, 50, (20, 3), generator=torch.Generator().manual_seed(0))
    assert density_scale(flat, cloud) == density_scale(cloud, flat) == 1.0


def test_each_sample_is_scaled_to_its_own_partner():
    source = camera_batch(40, 60, grid=100, seed=1).coordinates
    target = camera_batch(50, 30, grid=300, seed=2).coordinates
    moved, kept = density_transfer(source, target, grid=4096)
    assert kept.all()
    for sample in (0, 1):
        rows = source[:, 3] == sample
        scale = density_scale(source[rows, :3], target[target[:, 3] == sample, :3])
        assert torch.equal(moved[rows, :3], (source[rows, :3].double() * scale).long())
    assert torch.equal(moved[:, 3], source[:, 3])


def test_points_that_leave_the_grid_are_dropped_with_their_pixels():
    source, target = camera_batch(40, 60, grid=60, seed=1), camera_batch(40, 60, grid=64, seed=2)
    sparse = replace(target, coordinates=target.coordinates * torch.tensor([4, 4, 4, 1]))
    batch, kept = stylise(source, sparse, StyleConfig(image='none'), grid=100)
    assert 0 < kept.sum() < 100
    assert batch.coordinates[:, :3].max() < 100
    assert [len(rows) for rows in batch.pixels] == [int(kept[:40].sum()), int(kept[40:].sum())]
    assert torch.equal(torch.cat(batch.pixels), torch.cat(source.pixels)[kept])
    assert batch.labels is None


def test_a_stretched_cloud_is_pushed_back_into_the_grid():
    corner = torch.tensor([[90, 90, 90, 0], [99, 96, 95, 0], [92, 99, 99, 0]])
    partner = corner * torch.tensor([3, 3, 3, 1])
    moved, kept = density_transfer(corner, partner, grid=100)
    assert kept.all() and moved[:, :3].max() == 99
    assert torch.equal(moved.diff(dim=0)[:, :3], 3 * corner.diff(dim=0)[:, :3])


def test_style_is_chosen_by_a_fair_coin_of_the_given_generator():
    source, target = camera_batch(5, seed=1), camera_batch(5, seed=2)
    fourier = fourier_transfer(source.image, target.image)
    mixed = mixup(source.image, target.image, 0.05)
    generator, seen = torch.Generator().manual_seed(0), []
    for _ in range(60):
        batch, _ = stylise(source, target, StyleConfig(cloud=False), 64, generator)
        assert torch.equal(batch.image, fourier) or torch.equal(batch.image, mixed)
        seen.append(torch.equal(batch.image, fourier))
    assert 15 < sum(seen) < 45


def test_the_student_sees_a_little_of_the_target():
    source, target = camera_batch(5, seed=1), camera_batch(5, seed=2)
    found = mixed_for_student(source, target, StyleConfig(student_share=0.2))
    torch.testing.assert_close(found.image, 0.8 * source.image + 0.2 * target.image)
    assert found.labels is source.labels
    assert mixed_for_student(source, target, StyleConfig()) is source


# -- pseudo-labels

CLASSES = ('road', 'tree', 'car')


@st.composite
def frames(draw):
    """Predictions of some frames; probabilities repeat often."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(0, 12))
        labels = draw(arrays.arrays(np.uint8, count, elements=st.integers(0, 2)))
        grades = st.sampled_from([0.4, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0])
        confidence = draw(arrays.arrays(np.float32, count, elements=grades.map(np.float32)))
        found.append(Predictions(labels, confidence.astype(np.float32)))
    return found


@given(frames())
def test_thresholds_and_refinement_follow_their_definition(answers):
    thresholds = class_thresholds(answers, 3)
    pairs = [pair for a in answers for pair in zip(a.labels.tolist(), a.confidence.tolist())]
    for number in range(3):
        own = [confidence for label, confidence in pairs if label == number]
        expected = min(statistics.median_low(own), np.float32(0.9)) if own else np.float32(0.9)
        assert thresholds[number] == np.float32(expected)
    for frame in answers:
        for kept, label, confidence in zip(
            confident(frame, thresholds), frame.labels, frame.confidence
        ):
            assert kept == (-100 if confidence < thresholds[label] else label)


def test_predictions_are_those_of_the_main_heads():
    torch.manual_seed(0)
    output = CameraLidarOutput(*(torch.randn(7, 3) for _ in range(4)))
    for found, scores in zip(predictions_of(output), (output.image, output.cloud), strict=True):
        assert found.labels.dtype == np.uint8
        assert found.labels.tolist() == scores.argmax(1).tolist()
        np.testing.assert_allclose(found.confidence, scores.softmax(1).max(1).values, rtol=1e-6)


@given(frames())
def test_written_labels_are_read_back_refined(tmp_path_factory, answers):
    folder = tmp_path_factory.mktemp('labels') / 'night'
    writer = PseudoLabelWriter(folder, CLASSES)
    for number, frame in enumerate(answers):
        flipped = Predictions(2 - frame.labels, frame.confidence)
        writer.add(f'scene/{number}.bin', frame, flipped)
    writer.finish()
    labels = PseudoLabels(folder, CLASSES)
    thresholds = class_thresholds(answers, 3)
    assert len(labels) == len(answers)
    for number, frame in enumerate(answers):
        image, cloud = labels.labels(f'scene/{number}.bin', len(frame.labels))
        assert image.tolist() == confident(frame, thresholds).tolist()
        assert cloud.tolist() == np.where(image == -100, -100, 2 - image).tolist()


@pytest.fixture
def written(tmp_path):
    writer = PseudoLabelWriter(tmp_path / 'labels', CLASSES)
    frame = Predictions(np.array([0, 1, 2], np.uint8), np.array([0.5, 0.6, 0.7], np.float32))
    writer.add('one', frame, frame)
    writer.finish()
    return tmp_path / 'labels'


def damage_index(folder):
    (folder / 'pseudo_labels.json').write_text('{"classes": ')


def damage_frame(folder):
    (folder / '000000.npz').write_bytes(b'PK')


def forget_frame(folder):
    (folder / '000000.npz').unlink()


def smuggle_objects(folder):
    rows = np.array([{'a': 1}] * 3, dtype=object)
    np.savez(folder / '000000.npz', image_labels=rows, image_confidence=rows,
             cloud_labels=rows, cloud_confidence=rows)  # fmt: skip


def label_beyond(folder):
    rows, sure = np.full(3, 9, np.uint8), np.ones(3, np.float32)
    np.savez(folder / '000000.npz', image_labels=rows, image_confidence=sure,
             cloud_labels=rows, cloud_confidence=sure)  # fmt: skip


@pytest.mark.parametrize(
    'harm', [damage_index, damage_frame, forget_frame, smuggle_objects, label_beyond]
)
def test_damaged_labels_are_named(written, harm):
    harm(written)
    with pytest.raises(PointataError, match=r'pseudo_labels\.json|000000\.npz'):
        PseudoLabels(written, CLASSES).labels('one', 3)


def test_labels_of_something_else_are_refused(written, tmp_path):
    with pytest.raises(PointataError, match='classes road'):
        PseudoLabels(written, ('road', 'car', 'tree'))
    labels = PseudoLabels(written, CLASSES)
    with pytest.raises(PointataError, match="'two'"):
        labels.labels('two', 3)
    with pytest.raises(PointataError, match='expected 4'):
        labels.labels('one', 4)
    with pytest.raises(PointataError, match='Write them first'):
        PseudoLabels(tmp_path, CLASSES)
    with pytest.raises(PointataError, match='another folder'):
        PseudoLabelWriter(written, CLASSES)


def test_index_cannot_point_out_of_its_folder(written):
    index = json.loads((written / 'pseudo_labels.json').read_text())
    np.savez(written.parent / 'other.npz', image_labels=np.zeros(3, np.uint8))
    index['frames']['one'] = '../other.npz'
    (written / 'pseudo_labels.json').write_text(json.dumps(index))
    with pytest.raises(PointataError, match=r'labels/other\.npz'):
        PseudoLabels(written, CLASSES).labels('one', 3)
