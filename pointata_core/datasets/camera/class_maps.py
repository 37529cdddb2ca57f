# SPDX-License-Identifier: Apache-2.0
"""Classes that two data sets share, and which of their own classes make each of them up.

Facts as published with xMUDA and FtD++; raw ids are those of the data sets' own tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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


def _a2d2(*names: str) -> tuple[int, ...]:
    """Ids of classes by name, where a name without a number stands for all numbered ones."""
    return tuple(
        number
        for number, name in enumerate(A2D2_CLASSES)
        if name in names or name.rstrip(' 0123456789') in names
    )


def _virtual(*names: str) -> tuple[int, ...]:
    return tuple(VIRTUAL_KITTI_CLASSES.index(name) for name in names)


def _simulated(*names: str) -> tuple[int, ...]:
    return tuple(class_id(name) for name in names)


_STREET = {
    'car': ('car',),
    'road': ('road',),
    'sidewalk': ('sidewalk',),
    'building': ('building',),
    'nature': ('terrain', 'trunk', 'vegetation'),
    'object': ('fence', 'pole'),
}
"""What simulated streets share with SemanticKITTI, merged as the published tasks merge it."""


def _kitti(*names: str) -> tuple[int, ...]:
    """Ids of SemanticKITTI that our taxonomy gives one of these names."""
    ours = _simulated(*names)
    return tuple(raw for raw, number in SEMANTICKITTI_TO_OURS.items() if number in ours)


TASKS: dict[str, Task] = {
    'nuscenes_lidarseg': Task(
        {
            'nuscenes': {
                'vehicle': (2, 3, 4, 5, 6, 9, 10),
                'driveable_surface': (11,),
                'sidewalk': (13,),
                'terrain': (14,),
                'manmade': (15,),
                'vegetation': (16,),
            },
            'simulated': {
                'vehicle': _simulated('car', 'bicycle'),
                'driveable_surface': _simulated('road'),
                'sidewalk': _simulated('sidewalk'),
                'terrain': _simulated('terrain'),
                'manmade': _simulated('building', 'fence', 'pole'),
                'vegetation': _simulated('vegetation', 'trunk'),
            },
        }
    ),
    'virtual_kitti_semantickitti': Task(
        {
            'virtual_kitti': {
                'vegetation_terrain': _virtual('Terrain', 'Tree', 'Vegetation'),
                'building': _virtual('Building'),
                'road': _virtual('Road'),
                'object': _virtual('TrafficSign', 'TrafficLight', 'Pole', 'Misc'),
                'truck': _virtual('Truck'),
                'car': _virtual('Car'),
            },
            'semantickitti': {
                'vegetation_terrain': (70, 71, 72),
                'building': (50,),
                'road': (40, 60),
                'object': (51, 80, 81, 99),
                'truck': (18, 258),
                'car': (10, 252),
            },
        }
    ),
    'simulated_semantickitti': Task(
        {
            'simulated': {name: _simulated(*ours) for name, ours in _STREET.items()},
            'semantickitti': {name: _kitti(*ours) for name, ours in _STREET.items()},
        }
    ),
    'a2d2_semantickitti': Task(
        {
            'a2d2': {
                'car': _a2d2('Car', 'Ego car'),
                'truck': _a2d2('Truck'),
                'bike': _a2d2('Bicycle', 'Small vehicles'),
                'person': _a2d2('Pedestrian'),
                'road': _a2d2(
                    'RD normal street', 'Zebra crossing', 'Solid line', 'RD restricted area',
                    'Slow drive area', 'Drivable cobblestone', 'Dashed line',
                    'Painted driv. instr.',
                ),
                'parking': _a2d2('Parking area'),
                'sidewalk': _a2d2('Sidewalk', 'Curbstone'),
                'building': _a2d2('Buildings'),
                'nature': _a2d2('Nature object'),
                'other-objects': _a2d2(
                    'Poles', 'Traffic signal', 'Traffic sign', 'Sidebars', 'Speed bumper',
                    'Irrelevant signs', 'Road blocks', 'Obstacles / trash', 'Animals',
                    'Signal corpus', 'Electronic traffic', 'Traffic guide obj.', 'Grid structure',
                ),
            },
            'semantickitti': {
                'car': (10, 252),
                'truck': (18, 258),
                'bike': (11, 15, 31, 32, 253, 255),
                'person': (30, 254),
                'road': (40, 60),
                'parking': (44,),
                'sidewalk': (48,),
                'building': (50,),
                'nature': (70, 71, 72),
                'other-objects': (51, 80, 81, 99),
            },
        }
    ),
}  # fmt: skip


def task_named(name: str) -> Task:
    """Find a task.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in TASKS:
        raise ConfigError(f"no task is called '{name}'", f'Choose one of {", ".join(TASKS)}')
    return TASKS[name]


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
