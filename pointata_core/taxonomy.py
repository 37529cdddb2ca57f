# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The classes everyone in the project talks about: per-point classes and per-frame actions.

The order is part of every shipped bundle: append, never reorder. A bundle's manifest carries its
own names, so a model trained on other classes does not need this module.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import MappingProxyType

import numpy as np

SEGMENTATION_CLASSES: tuple[str, ...] = (
    'road',
    'sidewalk',
    'terrain',
    'building',
    'fence',
    'pole',
    'trunk',
    'vegetation',
    'car',
    'bicycle',
    'person',
    'floor',
    'wall',
    'ceiling',
    'furniture',
)
"""Per-point classes; a label is an index into this tuple. The first eleven live outdoors."""

ACTION_CLASSES: tuple[str, ...] = (
    'none',
    'stand',
    'walk',
    'run',
    'wave',
    'sit_down',
    'stand_up',
    'fall',
    'pick_up',
    'throw',
    'punch',
)
"""Per-frame actions; index 0 means that nobody is near enough to tell."""

PERSON_ACTIONS: tuple[str, ...] = (*ACTION_CLASSES[1:], 'sit', 'lie', 'jump', 'kick')
"""What a followed person does. Whoever has sat down sits, and whoever has fallen lies."""

SEGMENTATION_COLOURS: tuple[tuple[int, int, int], ...] = (
    (170, 80, 170),  # road: purple, as in SemanticKITTI and Cityscapes, a little lighter
    (105, 40, 105),  # sidewalk: dark purple
    (150, 220, 90),  # terrain: light green
    (240, 185, 40),  # building: amber
    (220, 120, 60),  # fence: burnt orange
    (250, 235, 160),  # pole: pale yellow
    (140, 80, 25),  # trunk: brown
    (30, 150, 50),  # vegetation: green
    (85, 145, 245),  # car: blue
    (90, 225, 240),  # bicycle: cyan
    (245, 45, 45),  # person: red
    (195, 175, 205),  # floor: grey lilac
    (225, 210, 180),  # wall: sand
    (130, 145, 165),  # ceiling: slate
    (240, 130, 190),  # furniture: pink
)
"""RGB, 0..255, one per segmentation class."""

ACTION_COLOURS: tuple[tuple[int, int, int], ...] = (
    (190, 190, 190),  # none
    (110, 130, 150),  # stand
    (70, 140, 230),  # walk
    (30, 70, 200),  # run
    (250, 190, 40),  # wave
    (130, 90, 200),  # sit_down
    (190, 140, 240),  # stand_up
    (225, 40, 50),  # fall
    (50, 165, 90),  # pick_up
    (20, 180, 190),  # throw
    (245, 115, 40),  # punch
)
"""RGB, 0..255, one per action."""

PERSON_ACTION_COLOURS: tuple[tuple[int, int, int], ...] = (
    *ACTION_COLOURS[1:],
    (85, 45, 160),  # sit
    (130, 10, 30),  # lie
    (160, 220, 60),  # jump
    (190, 60, 10),  # kick
)
"""RGB, 0..255, one for each of ``PERSON_ACTIONS``."""

GROUND_NAMES = frozenset(
    {
        *('road', 'sidewalk', 'terrain', 'floor'),
        *('ground', 'other_ground', 'parking', 'lane_marking', 'road_marking', 'pavement', 'curb'),
        *('grass', 'gravel', 'soil', 'path', 'street', 'drivable_surface', 'driveable_surface'),
        *('other_flat', 'flat', 'ramp'),
    }
)
"""Usual names of classes that a robot stands on, in lower case with underscores."""

MOVING_NAMES = frozenset(
    {
        *('car', 'bicycle', 'person'),
        *('people', 'human', 'pedestrian', 'rider', 'bicyclist', 'cyclist', 'motorcyclist'),
        *('vehicle', 'other_vehicle', 'truck', 'bus', 'van', 'trailer', 'train', 'on_rails'),
        *('motorcycle', 'motorbike', 'construction_vehicle', 'forklift', 'robot', 'animal'),
        *('hand', 'moving_car', 'moving_person', 'moving_truck', 'moving_bus'),
    }
)
"""Usual names of classes of people and vehicles, which may move, in the same form."""

PERSON_NAMES = frozenset({'person', 'people', 'human', 'pedestrian', 'moving_person'})
"""Usual names of classes of people on foot, in the same form."""

UNLABELLED = 65535
"""Label of a point without prediction or ground truth, in uint16 results, clouds and recordings."""

IGNORE = -100
"""Label that takes part in no loss and no score, in int64 truth (torch's ``ignore_index``)."""

_KITTI_NAMES_TO_OURS = {
    # The raw ids are the public ones of the SemanticKITTI development kit (Behley et al., 2019).
    # Ground. A marking is paint on the road and a parking lot is a road that stands still; neither
    # can be told from road by shape. 49 (other-ground: traffic islands, rails) fits no class here.
    40: 'road',
    44: 'road',  # parking
    60: 'road',  # lane marking
    48: 'sidewalk',
    72: 'terrain',
    # Structures. 52 (other-structure: bridges, tunnels) and 99 (other-object: bins, signs of shops)
    # are collections of leftovers: ignored.
    50: 'building',
    51: 'fence',
    70: 'vegetation',
    71: 'trunk',
    80: 'pole',
    81: 'pole',  # traffic sign: ours are part of their pole
    # Vehicles of four wheels and more, standing (10..20) or moving (252, 256..259).
    10: 'car',
    13: 'car',  # bus
    16: 'car',  # on rails
    18: 'car',  # truck
    20: 'car',  # other vehicle
    252: 'car',
    256: 'car',
    257: 'car',
    258: 'car',
    259: 'car',
    # Two wheels without a rider. A rider and the vehicle share one id there (31, 32, 253, 255), so
    # its points are partly person, partly bicycle: ignored.
    11: 'bicycle',
    15: 'bicycle',  # motorcycle
    30: 'person',
    254: 'person',
}

SEMANTICKITTI_TO_OURS = MappingProxyType(
    {raw: SEGMENTATION_CLASSES.index(name) for raw, name in _KITTI_NAMES_TO_OURS.items()}
)
"""Raw SemanticKITTI id (lower 16 bits of a ``.label`` word) -> our id; others are ignored."""


def labels_from_semantickitti(raw: np.ndarray) -> np.ndarray:
    """Translate raw SemanticKITTI labels.

    Args:
        raw: (N,) integers; the upper 16 bits (instance) are dropped.

    Returns:
        (N,) uint16 ids of ``SEGMENTATION_CLASSES``; ``UNLABELLED`` where we have no such class.
    """
    table = np.full(1 << 16, UNLABELLED, np.uint16)
    table[list(SEMANTICKITTI_TO_OURS)] = list(SEMANTICKITTI_TO_OURS.values())
    return table[np.asarray(raw).astype(np.uint32) & 0xFFFF]


def or_ignored(label: np.ndarray) -> np.ndarray:
    """Labels (N,) as int64 truth: ``IGNORE`` for what is no index of ``SEGMENTATION_CLASSES``."""
    label = np.asarray(label).astype(np.int64)
    return np.where(label < len(SEGMENTATION_CLASSES), label, IGNORE)


def classes_among(classes: Sequence[str], names: Collection[str]) -> list[int]:
    """Ids of the classes whose names are among ``names``, whatever their case and separators."""
    plain = [name.lower().replace('-', '_').replace(' ', '_') for name in classes]
    return [index for index, name in enumerate(plain) if name in names]


def class_id(name: str) -> int:
    """Index of a segmentation class; ``ValueError`` if there is none of that name."""
    return SEGMENTATION_CLASSES.index(name)


def action_id(name: str) -> int:
    """Index of an action; ``ValueError`` if there is none of that name."""
    return ACTION_CLASSES.index(name)
