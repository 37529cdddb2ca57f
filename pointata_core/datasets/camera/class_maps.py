# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes that two data sets share, and which of their own classes make each of them up.

Facts as published with xMUDA and FtD++; raw ids are those of the data sets' own tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE, SEMANTICKITTI_TO_OURS, class_id

A2D2_CLASSES = (
    'Car 1', 'Car 2', 'Car 3', 'Car 4', 'Bicycle 1', 'Bicycle 2', 'Bicycle 3', 'Bicycle 4',
    'Pedestrian 1', 'Pedestrian 2', 'Pedestrian 3', 'Truck 1', 'Truck 2', 'Truck 3',
    'Small vehicles 1', 'Small vehicles 2', 'Small vehicles 3', 'Traffic signal 1',
    'Traffic signal 2', 'Traffic signal 3', 'Traffic sign 1', 'Traffic sign 2', 'Traffic sign 3',
    'Utility vehicle 1', 'Utility vehicle 2', 'Sidebars', 'Speed bumper', 'Curbstone',
    'Solid line', 'Irrelevant signs', 'Road blocks', 'Tractor', 'Non-drivable street',
    'Zebra crossing', 'Obstacles / trash', 'Poles', 'RD restricted area', 'Animals',
    'Grid structure', 'Signal corpus', 'Drivable cobblestone', 'Electronic traffic',
    'Slow drive area', 'Nature object', 'Parking area', 'Sidewalk', 'Ego car',
    'Painted driv. instr.', 'Traffic guide obj.', 'Dashed line', 'RD normal street', 'Sky',
    'Buildings', 'Blurred area', 'Rain dirt',
)  # fmt: skip
"""In the order of the released ``class_list.json``; a colour that is none of them is 55."""

A2D2_UNKNOWN = len(A2D2_CLASSES)

# Fine names of nuScenes-lidarseg to its 16 classes; the others are noise.
NUSCENES_COARSE = {
    'movable_object.barrier': 1, 'vehicle.bicycle': 2, 'vehicle.bus.bendy': 3,
    'vehicle.bus.rigid': 3, 'vehicle.car': 4, 'vehicle.construction': 5, 'vehicle.motorcycle': 6,
    'human.pedestrian.adult': 7, 'human.pedestrian.child': 7,
    'human.pedestrian.construction_worker': 7, 'human.pedestrian.police_officer': 7,
    'movable_object.trafficcone': 8, 'vehicle.trailer': 9, 'vehicle.truck': 10,
    'flat.driveable_surface': 11, 'flat.other': 12, 'flat.sidewalk': 13, 'flat.terrain': 14,
    'static.manmade': 15, 'static.vegetation': 16,
}  # fmt: skip

VIRTUAL_KITTI_CLASSES = (
    'Terrain', 'Tree', 'Vegetation', 'Building', 'Road', 'GuardRail', 'TrafficSign',
    'TrafficLight', 'Pole', 'Misc', 'Truck', 'Car', 'Van',
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Shared classes of a pair of domains.

    Args:
        members: Label set -> class -> raw ids of it. Every label set has the same classes in the
            same order; an id in none of them is ignored.
    """

    members: dict[str, dict[str, tuple[int, ...]]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the labels."""
        return tuple(next(iter(self.members.values())))


def _ids(label_set: str, members: Sequence[int | str]) -> tuple[int, ...]:
    """Raw ids of the members of a class, which ``tasks.yaml`` gives as ids or as names."""
    named = {name for name in members if isinstance(name, str)}
    if not named:
        return tuple(int(number) for number in members)
    if label_set == 'a2d2':
        plain = [name.rstrip(' 0123456789') for name in A2D2_CLASSES]
        return tuple(n for n, name in enumerate(A2D2_CLASSES) if {name, plain[n]} & named)
    if label_set == 'virtual_kitti':
        return tuple(VIRTUAL_KITTI_CLASSES.index(str(name)) for name in members)
    ours = tuple(class_id(str(name)) for name in members)
    if label_set == 'simulated':
        return ours
    return tuple(raw for raw, number in SEMANTICKITTI_TO_OURS.items() if number in ours)


@cache
def tasks() -> dict[str, Task]:
    """All tasks by name, out of ``tasks.yaml``."""
    import yaml

    text = (files(__package__) / 'tasks.yaml').read_text(encoding='utf-8')
    return {
        name: Task(
            {
                label_set: {one: _ids(label_set, members) for one, members in classes.items()}
                for label_set, classes in label_sets.items()
            }
        )
        for name, label_sets in yaml.safe_load(text).items()
    }


def task_named(name: str) -> Task:
    """Find a task.

    Raises:
        ConfigError: There is none of that name.
    """
    known = tasks()
    if name not in known:
        raise ConfigError(f"no task is called '{name}'", f'Choose one of {", ".join(known)}')
    return known[name]


def to_classes(raw: NDArray, task: str, label_set: str) -> NDArray[np.int64]:
    """Raw ids (N,) as classes of a task; ``IGNORE`` for all others.

    Raises:
        ConfigError: Unknown task, or one that the label set is no part of.
    """
    return _table(task, label_set)[raw]


@cache
def _table(task: str, label_set: str) -> NDArray[np.int64]:
    members = task_named(task).members
    if label_set not in members:
        raise ConfigError(
            f"the task '{task}' has no classes for labels of '{label_set}'",
            f'Choose a task with {label_set}; this one takes {", ".join(members)}',
        )
    table = np.full(1 << 16, IGNORE, np.int64)
    for number, ids in enumerate(members[label_set].values()):
        table[list(ids)] = number
    return table
