# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped bundle answers today as it did when it was released.

Weights, manifest and input are frozen; what this catches is code that changed its mind: sampling,
normalisation, tubes, heads. After releasing another default bundle, write new answers with

    python test/test_streaming_golden.py

and commit ``test/golden/``. The scene is recorded once (by the simulator) and then stays: delete
``street_frames.npz`` to record another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pointata_core.bundles.bundle import Bundle, load_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import UNLABELLED

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / 'models' / 'default'
FRAMES = ROOT / 'test' / 'golden' / 'street_frames.npz'
ANSWERS = ROOT / 'test' / 'golden' / 'default_bundle.json'
COMMAND = 'python test/test_streaming_golden.py'

# Other processors and other versions of torch add in another order. What follows from that is far
# below these limits; a real change of behaviour is far above them.
PROBABILITY_TOLERANCE = 0.02
ACTION_TOLERANCE = 0.02
CLEAR = 0.7
"""A label of at least this probability cannot flip by rounding."""
MAX_FLIPPED = 0.005
"""Share of points that may move to another class in the histogram."""
EVERY = 23
"""One point in so many is written down one by one."""


def frozen_frames() -> Iterator[tuple[np.ndarray, int]]:
    with np.load(FRAMES) as archive:
        lengths, stamps = archive['lengths'], archive['stamps_ns']
        centimetres = np.split(archive['centimetres'], np.cumsum(lengths)[:-1])
    for points, stamp in zip(centimetres, stamps, strict=True):
        yield points.astype(np.float32) / 100, int(stamp)


def answer(bundle: Bundle) -> list[dict[str, Any]]:
    """What the bundle says to the frozen scene, frame by frame."""
    session = StreamingSession(bundle)
    frames = []
    for points, stamp in frozen_frames():
        result = session.step(points, stamp)
        classes, counts = np.unique(result.labels, return_counts=True)
        action = [] if result.action is None else result.action.tolist()
        frames.append(
            {
                'points': len(points),
                'histogram': dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True)),
                'labels': result.labels[::EVERY].tolist(),
                'probabilities': [round(p, 4) for p in result.probabilities[::EVERY].tolist()],
                'action': [round(score, 5) for score in action],
            }
        )
    return frames


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """Say in words where two runs differ by more than rounding; empty if nowhere."""
    complaints = []
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        classes = ours['histogram'].keys() | theirs['histogram'].keys()
        moved = sum(
            abs(ours['histogram'].get(c, 0) - theirs['histogram'].get(c, 0)) for c in classes
        )
        if moved / 2 > MAX_FLIPPED * theirs['points']:
            complaints.append(f'frame {number}: {moved // 2} points have another class')
        labels, before = np.array(ours['labels']), np.array(theirs['labels'])
        clear = np.array(theirs['probabilities']) >= CLEAR
        if (labels != before)[clear].any():
            complaints.append(f'frame {number}: a clear label flipped')
        same = labels == before
        gap = np.abs(np.array(ours['probabilities']) - np.array(theirs['probabilities']))[same]
        if gap.size and gap.max() > PROBABILITY_TOLERANCE:
            complaints.append(f'frame {number}: a probability moved by {gap.max():.3f}')
        scores = np.abs(np.array(ours['action']) - np.array(theirs['action']))
        if scores.size and scores.max() > ACTION_TOLERANCE:
            complaints.append(f'frame {number}: an action score moved by {scores.max():.3f}')
    return complaints


@pytest.fixture(scope='module')
def bundle() -> Bundle:
    if not (BUNDLE / 'manifest.json').is_file():
        pytest.skip(f'no default bundle: {BUNDLE} is absent')
    return load_bundle(BUNDLE)


@pytest.fixture(scope='module')
def expected(bundle: Bundle) -> list[dict[str, Any]]:
    assert ANSWERS.is_file(), f'{ANSWERS} is absent; write it with: {COMMAND}'
    golden = json.loads(ANSWERS.read_text())
    assert golden['bundle'] == bundle.hash, (
        f'{BUNDLE} is no longer the bundle that {ANSWERS} was written for. '
        f'If that is intended: {COMMAND}'
    )
    return golden['frames']


def test_the_default_bundle_answers_as_when_it_was_released(bundle, expected) -> None:
    assert differences(answer(bundle), expected) == []


def test_every_point_of_the_frozen_scene_is_answered(bundle, expected) -> None:
    for frame in expected:
        assert sum(frame['histogram'].values()) == frame['points']
        unlabelled = frame['histogram'].get(str(UNLABELLED), 0)
        assert unlabelled < 0.1 * frame['points']


@pytest.mark.parametrize('part', ['segmentation_head', 'actor', 'action_head'])
def test_a_slightly_other_network_is_noticed(expected, part: str) -> None:
    """The tolerances are not so wide that they hide a change."""
    other = load_bundle(BUNDLE, share_backbone=False)
    with torch.no_grad():
        for parameter in getattr(other.network, part).parameters():
            parameter *= 1.3
    assert differences(answer(other), expected)


def record_frames(count: int = 8, seed: int = 7) -> None:
    """Freeze a simulated street with somebody walking, thinned to keep the file small."""
    from pointata_core.simulation import simulate

    frames = list(simulate('street', 'rs16', seed, count / 10, 10.0))
    centimetres = [np.rint(frame.points[::3] * 100) for frame in frames]
    assert all(np.abs(points).max() < 2**15 for points in centimetres)
    FRAMES.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        FRAMES,
        centimetres=np.concatenate(centimetres).astype(np.int16),
        lengths=np.array([len(points) for points in centimetres]),
        stamps_ns=np.array([frame.stamp_ns for frame in frames]),
    )


def write_answers() -> None:
    bundle = load_bundle(BUNDLE)
    document = {'bundle': bundle.hash, 'torch': torch.__version__, 'frames': answer(bundle)}
    text = json.dumps(document, indent=1)
    # One list per line: readable differences, no column of numbers.
    for open_list in ('labels', 'probabilities', 'action'):
        head, *rest = text.split(f'"{open_list}": [')
        joined = [''.join(part.split(']')[0].split()) + part[part.index(']') :] for part in rest]
        text = f'"{open_list}": ['.join([head, *joined])
    ANSWERS.write_text(text + '\n')
    print(f'{ANSWERS}: {len(document["frames"])} frames, bundle {bundle.short_hash}')


if __name__ == '__main__':
    if not FRAMES.is_file():
        record_frames()
    write_answers()
