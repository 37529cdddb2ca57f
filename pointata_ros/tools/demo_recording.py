# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: the bag of the user, or a simulated one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.cli.commands.simulate import record_bag
from pointata_core.cli.console import note
from pointata_core.evaluation.bag_plan import BagPlan, plan_bag, read_actions
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.evaluation.people_truth import TruePerson, read_people
from pointata_core.inference.placement import UNPLACED
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.transforms import TransformError

# A yard with three people that no skill was trained on.
SIMULATED_SCENE, SIMULATED_SEED, SIMULATED_RATE_HZ = 'crowd', 500_068, 10.0
SIMULATED_FIXED_FRAME = 'map'


@dataclass(frozen=True)
class Recording:
    """What is played.

    Args:
        path: The bag.
        plan: Its cloud topic, the number of clouds, and where ground truth is, if anywhere.
        period_s: Mean time between two clouds at the pace of the recording.
        extras: Other topics to play: transforms.
        actions: True action by stamp, if recorded.
        people: True people by stamp, if recorded.
        fixed_frame: Against which ego motion is removed; empty for none.
    """

    path: Path
    plan: BagPlan
    period_s: float
    extras: tuple[str, ...]
    actions: dict[int, str]
    people: dict[int, tuple[TruePerson, ...]]
    fixed_frame: str


def choose_recording(arguments: Any, output: Path) -> Recording:
    """The bag of the user, or one that is simulated now into ``output``.

    Args:
        arguments: Options of ``pointata_core.cli.commands.demo``.
        output: Folder for a simulated bag.

    Raises:
        BagError: The bag cannot be read, or has no cloud topic to choose.
    """
    path = _simulate(arguments, output) if arguments.bag is None else Path(arguments.bag)
    with BagReader(path) as reader:
        plan = plan_bag(reader, arguments.topic)
        extras = tuple(t.name for t in reader.topics if t.name in ('/tf', '/tf_static'))
        actions = read_actions(reader, plan.action_topic)
        people = read_people(reader, plan.tracks_topic)
        period_s = reader.duration_s / max(1, plan.frames - 1)
    fixed_frame = arguments.fixed_frame
    if arguments.bag is None:
        fixed_frame = fixed_frame or SIMULATED_FIXED_FRAME
    return Recording(path, plan, period_s, extras, actions, people, fixed_frame)


def recorded_poses(recording: Recording) -> Callable[[str, int], NDArray[np.float64] | None]:
    """Pose of a frame in the fixed frame at a stamp, from the recorded transforms."""
    if not recording.fixed_frame:
        return lambda frame_id, stamp_ns: None
    with BagReader(recording.path) as reader:
        transforms = BagTransforms(reader, recording.fixed_frame, '', UNPLACED)

    def pose(frame_id: str, stamp_ns: int) -> NDArray[np.float64] | None:
        try:
            return transforms.pose(frame_id, stamp_ns)
        except TransformError:
            return None

    return pose


def _simulate(arguments: Any, output: Path) -> Path:
    path = output / f'simulated_{SIMULATED_SEED}_{arguments.sensor}_{arguments.duration:g}s'
    if (path / 'metadata.yaml').is_file():
        note(f'{path} is there already: the same scene every time')
        return path
    with tempfile.TemporaryDirectory(dir=output, prefix='.simulating_') as aside:
        # Under its own name only when complete: an interrupted one must not be taken for whole.
        record_bag(
            Path(aside) / 'bag', SIMULATED_SCENE, arguments.sensor, SIMULATED_SEED,
            arguments.duration, SIMULATED_RATE_HZ,
        )  # fmt: skip
        (Path(aside) / 'bag').rename(path)
    return path
