# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels count earlier frames at the same place, moved with the sensor, and only those."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from scipy.special import softmax

from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.label_memory import LabelMemory
from pointata_core.inference.session import StreamingSession

SCALE_M = 10.0
PERIOD = 100_000_000
STILL = np.eye(4)


def turned(angle: float, shift: tuple[float, float, float]) -> np.ndarray:
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    motion[:3, 3] = shift
    return motion


def places(count: int = 300, seed: int = 0) -> np.ndarray:
    """Well apart: at least a metre."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 2, [0, 1]), -1).reshape(-1, 3) * 0.11
    return (grid[rng.permutation(len(grid))[:count]] + rng.uniform(0, 0.005, (count, 3))).astype(
        np.float32
    )


def test_one_frame_among_many_does_not_change_a_label() -> None:
    points = places()
    usual = np.tile([2.0, 0.0, 0.0], (len(points), 1))
    odd = np.tile([0.0, 2.5, 0.0], (len(points), 1))
    memory = LabelMemory.empty(3)
    for _ in range(4):
        _, memory = memory.recall(points, usual, STILL, SCALE_M)
    scores, memory = memory.recall(points, odd, STILL, SCALE_M)
    assert (scores.argmax(1) == 0).all()
    for _ in range(8):  # what stays different is believed
        scores, memory = memory.recall(points, odd, STILL, SCALE_M)
    assert (scores.argmax(1) == 1).all()


@given(
    st.floats(-3.1, 3.1), st.tuples(*[st.floats(-0.5, 0.5)] * 2, st.floats(-0.05, 0.05)),
    st.integers(0, 5),
)  # fmt: skip
def test_memory_moves_with_the_sensor(angle, shift, seed) -> None:
    points = places(60, seed)
    label = np.random.default_rng(seed).integers(0, 4, len(points))
    sure = 6.0 * np.eye(4)[label]
    motion = turned(angle, shift)
    _, memory = LabelMemory.empty(4).recall(points, sure, None, SCALE_M)
    moved = points @ motion[:3, :3].T + motion[:3, 3]
    # The second frame cannot tell classes apart, so that only the first one decides.
    scores, after = memory.recall(moved, np.zeros((len(points), 4)), motion, SCALE_M)
    np.testing.assert_array_equal(scores.argmax(1), label)
    assert len(after.points) == len(points)


def test_scores_are_a_weighted_mean_of_the_frames() -> None:
    points = places(40)
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, len(points), 5))
    _, memory = LabelMemory.empty(5).recall(points, first, None, SCALE_M)
    scores, _ = memory.recall(points, second, STILL, SCALE_M, decay=0.5)
    logs = [np.log(softmax(one, axis=1) + 1e-3) for one in (first, second)]
    np.testing.assert_allclose(scores, (0.5 * logs[0] + logs[1]) / 1.5, atol=1e-4)


def test_without_motion_every_frame_is_by_itself() -> None:
    points = places(50)
    first, second = np.random.default_rng(1).normal(size=(2, len(points), 3))
    _, memory = LabelMemory.empty(3).recall(points, first, None, SCALE_M)
    scores, after = memory.recall(points, second, None, SCALE_M)
    np.testing.assert_array_equal(scores.argmax(1), second.argmax(1))
    assert len(after.points) == len(points)


def test_what_nobody_sees_is_forgotten_and_the_memory_stays_bounded() -> None:
    memory = LabelMemory.empty(2)
    sizes = []
    for t in range(30):
        there = places(50, seed=1) + np.float32(1.5 * (t % 15))
        _, memory = memory.recall(there, np.zeros((50, 2)), STILL, SCALE_M)
        sizes.append(len(memory.points))
    assert max(sizes) == sizes[-1] == 6 * 50
    assert memory.nbytes == sum(array.nbytes for array in memory)


def test_predictions_that_are_not_numbers_pass_and_are_not_kept() -> None:
    points = places(20)
    logits = np.zeros((20, 3))
    logits[4] = np.nan
    scores, memory = LabelMemory.empty(3).recall(points, logits, None, SCALE_M)
    assert np.isnan(scores[4]).all() and np.isfinite(np.delete(scores, 4, axis=0)).all()
    assert len(memory.points) == 19


def test_an_empty_frame_leaves_the_memory() -> None:
    points = places(20)
    _, memory = LabelMemory.empty(3).recall(points, np.eye(3)[np.zeros(20, int)], None, SCALE_M)
    scores, after = memory.recall(np.zeros((0, 3)), np.zeros((0, 3)), STILL, SCALE_M)
    assert scores.shape == (0, 3)
    np.testing.assert_array_equal(after.scores, memory.scores)
    np.testing.assert_array_equal(after.age, 1)


@pytest.fixture(scope='module')
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def clouds(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.uniform(-12, 12, (600, 3)) * [1, 1, 0.1]
    return [(base + 0.03 * rng.normal(size=base.shape)).astype(np.float32) for _ in range(count)]


def labels(session: StreamingSession, stream: list[np.ndarray], first: int = 0) -> np.ndarray:
    motion = turned(0.0, (-0.02, 0.0, 0.0))
    results = [
        session.step(cloud, (first + t + 1) * PERIOD, transform=motion)
        for t, cloud in enumerate(stream)
    ]
    return np.stack([one.labels for one in results])


def test_a_session_flickers_less_with_it(bundle) -> None:
    stream = clouds(8)
    changes = []
    for memory in (0.0, 0.9):
        found = labels(StreamingSession(bundle, label_memory=memory), stream)
        changes.append((found[1:] != found[:-1]).mean())
    assert changes[1] < 0.5 * changes[0]


def test_a_saved_stream_goes_on_with_its_memory(bundle) -> None:
    stream = clouds(6)
    whole = labels(StreamingSession(bundle), stream)
    first = StreamingSession(bundle)
    labels(first, stream[:3])
    state = load(save(first.save_state()))
    assert first.state_bytes > sum(v.numel() for n, v in state.items() if n.startswith('labels.'))
    second = StreamingSession(bundle)
    second.restore_state(state)
    np.testing.assert_array_equal(labels(second, stream[3:], first=3), whole[3:])


def test_a_restored_stream_without_memory_keeps_none_of_the_stream_before(bundle) -> None:
    single, session = StreamingSession(bundle, label_memory=0.0), StreamingSession(bundle)
    labels(single, clouds(2))
    labels(session, clouds(3))
    session.restore_state(session.save_state())  # its memory is that of a restored stream now
    session.restore_state(single.save_state())
    assert session.save_state()['labels.points'].shape == (0, 3)


def test_without_motion_a_session_gives_the_labels_of_the_network(bundle) -> None:
    found = []
    for memory in (0.0, 0.9):
        session = StreamingSession(bundle, label_memory=memory)
        found.append([session.step(c, (t + 1) * PERIOD).labels for t, c in enumerate(clouds(4))])
    np.testing.assert_array_equal(found[0], found[1])
