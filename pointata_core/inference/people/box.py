# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a followed person is in the frame of a cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointata_core.inference.people.people_session import ObservedPerson


@dataclass(frozen=True, eq=False)
class Box:
    """An upright box around a person.

    Attributes:
        centre: (3,) metres, its middle.
        turn: (4,) quaternion x, y, z, w: its axes.
        size: (3,) metres, along its axes.
        foot: (3,) metres, the middle of its lower side.
        head: (3,) metres, the middle of its upper side.
    """

    centre: NDArray[np.float64]
    turn: NDArray[np.float64]
    size: NDArray[np.float64]
    foot: NDArray[np.float64]
    head: NDArray[np.float64]


def box_of(one: ObservedPerson, to_cloud: NDArray[np.float64]) -> Box:
    """The box of a person in the frame of a cloud.

    Args:
        one: The person.
        to_cloud: (4, 4) from the frame in which people are followed into that of the cloud.
    """
    person = one.person
    half = np.array([0.0, 0.0, person.size[2] / 2])
    middle, foot, head = (
        moved(place, to_cloud)
        for place in (person.centre, person.centre - half, person.centre + half)
    )
    turn = Rotation.from_matrix(to_cloud[:3, :3]).as_quat()
    return Box(middle, turn, person.size, foot, head)


def moved(place: NDArray[np.float64], to_cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    """A place (3,) in the frame of a cloud."""
    found: NDArray[np.float64] = to_cloud[:3, :3] @ place + to_cloud[:3, 3]
    return found
