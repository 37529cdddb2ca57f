# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bicycles and motorcycles under way, with somebody on them."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.objects.library import draw_model
from pointata_core.simulation.people.figures import draw_figure
from pointata_core.simulation.people.motions import posture
from pointata_core.simulation.people.poses import pose_of
from pointata_core.simulation.solids import Shapes, concatenate, rigid
from pointata_core.taxonomy import class_id

# Height of the saddle as a share of that of the vehicle, and how far back it is, of its length.
_SADDLE = {'bicycle': (0.85, 0.14), 'motorcycle': (0.66, 0.12)}
_SEAT = 0.12  # metres around the pelvis that rest on the saddle


def rider(rng: np.random.Generator, instance: int, of_rider: int) -> Shapes:
    """A vehicle of two wheels and its rider, x forward.

    Args:
        rng: Source of randomness.
        instance: Instance id of the vehicle.
        of_rider: Instance id of the rider.
    """
    kind = 'motorcycle' if rng.random() < 0.45 else 'bicycle'
    model = draw_model(kind, rng)
    scale = np.full(3, rng.uniform(0.94, 1.06))
    vehicle = model.shapes(class_id('bicycle'), instance, rng.uniform(0.1, 0.6), scale)
    length, _, height = np.ptp(model.box, axis=0) * scale
    figure = draw_figure(rng, float(rng.normal(1.73, 0.08)), of_rider)
    lean = rng.uniform(8, 35)
    pedal = rng.uniform(-1, 1) * (25 if kind == 'bicycle' else 4)
    pose = pose_of(
        posture(
            spine_flexion=lean,
            head_flexion=-0.6 * lean,
            shoulder_flexion=26 + 0.5 * lean,
            shoulder_abduction=12,
            elbow=14,
            left_hip_flexion=62 + pedal,
            right_hip_flexion=62 - pedal,
            left_knee=62 + pedal,
            right_knee=62 - pedal,
            hip_abduction=8,
        )
    )
    points = figure.vertices(pose)
    seat = points[np.linalg.norm(points[:, :2], axis=1) < _SEAT, 2].min()
    share, back = _SADDLE[kind]
    place = rigid((-back * length, 0.0, share * height - seat))
    return concatenate([vehicle, figure.shapes(pose, np.zeros(3), 0.0).moved(place)])
