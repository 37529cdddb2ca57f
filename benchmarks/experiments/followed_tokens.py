# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the tubes of tokens stay on the part of the body that they lie on.

    python -m benchmarks followed-tokens

Simulated people perform captured and parametric motions before a sensor, so the part of the body
under every point is known. The tubes of a clip's last frame are followed back in time, with token
centres that every frame samples anew and with centres that follow. Counted is the share of the
tokens whose tube reaches so many frames back and lies on the same of ten parts there, and how many
of these ancestors are different: tubes that merge carry one history twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from benchmarks.experiments.people_frames import PART_OF_BONE
from pointata_core.models.point.clip_tubes import clip_parents
from pointata_core.models.point.config import Anchors, GeometryConfig
from pointata_core.models.point.geometry import clip_geometry
from pointata_core.models.point.tubes import clip_ancestors
from pointata_core.shapes.rendering import RayCaster
from pointata_core.shapes.rendering.scans import sample_scan
from pointata_core.shapes.shape import Scan, Shape
from pointata_core.simulation.people.captured import captured_pose
from pointata_core.simulation.people.figures import draw_figure, read
from pointata_core.simulation.people.motions import NEUTRAL, draw_style, motion
from pointata_core.simulation.people.poses import BONES, pose_of
from pointata_core.simulation.sensing.sensors import get_sensor

SENSORS = ('kinect', 'os1_128', 'vlp16')
ACTIONS = ('walk', 'run', 'wave', 'sit_down', 'pick_up', 'throw', 'punch')
FRAMES, RATE_HZ, POINTS = 8, 10.0, 512
BACK = (1, 3, 7)
GEOMETRY = {'tokens': 32, 'patch_size': 16, 'tube_radius': 0.6, 'context_neighbours': 6}
_DISTANCE, _HEIGHT = 3.0, 1.1  # of the sensor, metres


def clip_of(sensor: str, action: str, seed: int) -> tuple[NDArray, NDArray]:
    """``(T, N, 3)`` metres and ``(T, N)`` part of the body of a person before a sensor."""
    rng = np.random.default_rng([seed, SENSORS.index(sensor), ACTIONS.index(action)])
    figure, style = draw_figure(rng, float(rng.uniform(1.5, 1.95)), 0), draw_style(action, rng)
    rays = get_sensor(sensor).directions().reshape(3, -1).T
    rays = rays[rays[:, 0] > 0.8]
    azimuth = rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(azimuth), -np.sin(azimuth), 0], [np.sin(azimuth), np.cos(azimuth), 0],
                     [0, 0, 1]])  # fmt: skip
    data, origin = read(), np.array([-_DISTANCE, 0, _HEIGHT])
    faces = data['faces'].astype(np.int32)
    bone = data['weights'].argmax(axis=1)[faces][:, 0].astype(np.uint8)
    points, parts = [], []
    for frame in range(FRAMES):
        moment = frame / RATE_HZ
        pose = captured_pose(action, moment, style, figure.height)
        pose = pose_of(motion(action, moment, style, NEUTRAL)) if pose is None else pose
        vertices = (figure.vertices(pose) @ turn.T).astype(np.float32)
        shape = Shape(vertices, faces, bone, BONES, action, 'person', scan=Scan(origin, rays))
        found = sample_scan(shape, RayCaster(shape), POINTS, rng)
        points.append(found.points)
        parts.append(PART_OF_BONE[found.part])
    return np.stack(points), np.stack(parts)


def tube_scores(points: NDArray, parts: NDArray, anchors: Anchors) -> list[dict[str, float]]:
    """For each of `BACK`: share of tubes on the same part, and share of different ancestors."""
    config = GeometryConfig(anchors=anchors, **GEOMETRY)  # type: ignore[arg-type]
    clip = torch.from_numpy(points).float().unsqueeze(0)
    geometry = clip_geometry(clip, None, None, config)
    parents = clip_parents(geometry, None, 1, config)
    chain = clip_ancestors(parents, max(BACK))
    own = torch.gather(torch.from_numpy(parts), 1, geometry.centre_index.clamp_min(0))
    there = geometry.token_mask[-1]
    scores = []
    for back in BACK:
        slot = chain[back - 1][-1, 1:] - 1
        reaches = there & (slot >= 0)
        same = reaches & (own[-1 - back][slot.clamp_min(0)] == own[-1])
        count = int(there.sum())
        different = len(torch.unique(slot[reaches]))
        scores.append({'same_part': float(same.sum()) / count, 'different': different / count})
    return scores


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('followed-tokens', __doc__, clips=1)
    line.add_argument('--clips', type=int, default=6, help='of each action before each sensor')
    options = line.options(arguments)

    def work() -> None:
        rows: list[dict[str, Any]] = []
        for sensor in SENSORS:
            clips = [
                clip_of(sensor, action, seed) for action in ACTIONS for seed in range(options.clips)
            ]
            for anchors in get_args(Anchors):
                found = [tube_scores(*clip, anchors) for clip in clips]
                for number, back in enumerate(BACK):
                    mean = {
                        name: float(np.mean([one[number][name] for one in found]))
                        for name in ('same_part', 'different')
                    }
                    rows.append({'sensor': sensor, 'anchors': anchors, 'back': back, **mean})
        settings = settings_of(options, 'clips')
        write_results(
            options.output, settings, rows=rows, frames=FRAMES, rate_hz=RATE_HZ, geometry=GEOMETRY
        )

    return run_main(work, options.threads)
