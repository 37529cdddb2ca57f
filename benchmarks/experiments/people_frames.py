# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What frozen features tell of single frames of simulated people.

Bodies and poses have seeds that pre-training does not reach; every frame is a scan by one of the
simulator's sensors, centred in the unit sphere.

* Body parts: a linear classifier names the part that each token lies on, out of ten. Four fifths of
  the people train it, the others judge.
* Poses: two people of other sizes in the same pose, seen from nearly the same side by other
  sensors. The share of people whose nearest neighbour among all others, by the cosine of
  standardised features, is their partner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.encoders import TransformerEncoder
from pointata_core.shapes.rendering import RayCaster
from pointata_core.shapes.rendering.scans import sample_scan
from pointata_core.simulation.people.figures import draw_figure
from pointata_core.simulation.people.poses import BONES, Pose
from pointata_core.training.pretrain.people_shapes import ACTIONS, draw_pose, person_shape
from pointata_core.training.pretrain.sensor_views import draw_scan
from pointata_core.training.pretrain.splits import PROBE_SEED

POINTS, TOKENS, PATCH = 1024, 32, 32
_SIDEWAYS = 0.4  # radians that the two sensors of a pose stand apart at most
_TRAINS = 0.8


@dataclass(frozen=True, eq=False)
class Frame:
    """A scan of a person: ``points (N, 3)`` and ``part (N,)``, an index into `PARTS`."""

    points: np.ndarray
    part: np.ndarray


def _part_of(bone: str) -> str:
    side, _, limb = bone.rpartition('_')
    if limb in ('head', 'neck'):
        return 'head'
    groups = {'arm': 'arm', 'forearm': 'hand', 'hand': 'hand', 'thigh': 'thigh', 'shank': 'foot',
              'foot': 'foot'}  # fmt: skip
    return f'{side} {groups[limb]}' if limb in groups else 'trunk'


PARTS = tuple(dict.fromkeys(_part_of(bone) for bone in BONES))
PART_OF_BONE = np.array([PARTS.index(_part_of(bone)) for bone in BONES])


def pairs_of_people(count: int) -> list[tuple[Frame, Frame]]:
    """``count`` pairs of people in the same pose."""
    pairs = []
    for number in range(count):
        rng = np.random.default_rng([PROBE_SEED, number])
        pose = draw_pose(ACTIONS[number % len(ACTIONS)], rng)
        azimuth = rng.uniform(-np.pi, np.pi)
        sides = azimuth + _SIDEWAYS * rng.uniform(-0.5, 0.5, 2)
        first, second = (_frame(pose, float(side), rng) for side in sides)
        pairs.append((first, second))
    return pairs


def _frame(pose: Pose, azimuth: float, rng: np.random.Generator) -> Frame:
    figure = draw_figure(rng, float(rng.uniform(1.5, 1.95)), 0)
    shape = person_shape(figure, pose, '', 'person', rng)
    scan = draw_scan(shape, rng, azimuth)
    assert scan is not None, 'a person is seen by every sensor'
    shape = replace(shape, scan=scan)
    found = sample_scan(shape, RayCaster(shape), POINTS, rng)
    centred = found.points - found.points.mean(axis=0)
    points = centred / np.linalg.norm(centred, axis=1).max()
    return Frame(points.astype(np.float32), PART_OF_BONE[found.part])


@torch.inference_mode()
def _encode(backbone: Backbone, frames: list[Frame]) -> tuple[np.ndarray, ...]:
    """Features of frames ``(F, C)`` and of tokens ``(F, G, D)``, and the tokens' parts; -1 none."""
    encoder = TransformerEncoder(backbone, TOKENS, PATCH).eval()
    overall, tokens, parts = [], [], []
    for start in range(0, len(frames), 32):
        some = frames[start : start + 32]
        found = encoder(torch.from_numpy(np.stack([frame.points for frame in some])))
        present = (found.index >= 0).unsqueeze(-1)
        mean = (found.tokens * present).sum(dim=1) / present.sum(dim=1)
        overall.append(torch.cat([found.overall, mean], dim=-1).numpy())
        tokens.append(found.tokens.numpy())
        index = found.index.numpy()
        own = np.take_along_axis(np.stack([frame.part for frame in some]), index.clip(0), axis=1)
        parts.append(np.where(index >= 0, own, -1))
    return np.concatenate(overall), np.concatenate(tokens), np.concatenate(parts)


def probe_people(backbone: Backbone, count: int) -> dict[str, Any]:
    """Accuracy for body parts, and share of poses that are found, over ``count`` people."""
    pairs = pairs_of_people(count // 2)
    frames = [frame for pair in pairs for frame in pair]
    overall, tokens, parts = _encode(backbone, frames)
    trains = np.arange(len(frames)) < _TRAINS * len(frames)
    rows, labels = tokens.reshape(-1, tokens.shape[-1]), parts.reshape(-1)
    known = np.repeat(trains, tokens.shape[1])
    use = labels >= 0
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=60))
    classifier.fit(rows[use & known], labels[use & known])
    score = classifier.score(rows[use & ~known], labels[use & ~known])
    most = np.bincount(labels[use & ~known]).max() / np.count_nonzero(use & ~known)
    return {
        'people': len(frames),
        'parts': float(score),
        'parts_most_frequent': float(most),
        'poses': found_poses(overall),
    }


def found_poses(features: np.ndarray) -> float:
    """Share of rows ``(F, C)`` whose nearest other row is their partner: 0 and 1, 2 and 3, ..."""
    centred = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return float((cosine.argmax(axis=1) == (np.arange(len(features)) ^ 1)).mean())
