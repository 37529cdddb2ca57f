# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the input cloud, chosen by class, for mapping and navigation.

The points keep all their bytes, so whatever fields the input has, these clouds have. What came back
to the sensor is in exactly one of ground and obstacles: a point without a label is an obstacle.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2

from pointata_core.errors import ConfigError
from pointata_core.io.cloud import Cloud, CloudLimits
from pointata_core.io.messages.point_cloud2 import point_records
from pointata_core.taxonomy import GROUND_NAMES, MOVING_NAMES, classes_among
from pointata_ros.parameters.table import NodeSettings

FILTERED = ('static_points', 'ground', 'obstacles')


class ClassFilter:
    """Which points belong to which cloud.

    Args:
        classes: Names of the bundle's classes.
        settings: ``ground_classes`` and ``moving_classes``.
    """

    def __init__(self, classes: Sequence[str] = (), settings: NodeSettings | None = None) -> None:
        ground = settings.ground_classes if settings else ()
        moving = settings.moving_classes if settings else ()
        self._ground = _table(classes, ground, GROUND_NAMES)
        self._moving = _table(classes, moving, MOVING_NAMES)

    def mask(self, name: str, cloud: Cloud, labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """The points of one of :data:`FILTERED`, (N,) bool; never one without a return.

        Args:
            name: Of the cloud.
            cloud: The input.
            labels: (N,) as published.
        """
        returned = cloud.finite & cloud.points.any(axis=1)
        table = self._moving if name == 'static_points' else self._ground
        chosen = table[np.minimum(labels, len(table) - 1)]
        return returned & (chosen if name == 'ground' else ~chosen)


def check_class_names(settings: NodeSettings, classes: Sequence[str]) -> None:
    """Make sure that a bundle has the classes that parameters name, and that ids fit their type.

    Raises:
        ConfigError: It has not, or they do not.
    """
    for parameter in ('ground_classes', 'moving_classes'):
        unknown = [name for name in getattr(settings, parameter) if name not in classes]
        if unknown:
            raise ConfigError(
                f'parameter {parameter} names {unknown[0]!r}, the classes of the bundle are '
                f'{", ".join(classes) or "none"}',
                'Name some of them, or leave the parameter empty',
            )
    if settings.class_id_type == 'uint8' and len(classes) > 255:
        raise ConfigError(
            f'parameter class_id_type is uint8, and the bundle has {len(classes)} classes',
            'Set it to uint16',
        )


def filtered_message(message: PointCloud2, mask: NDArray[np.bool_]) -> PointCloud2:
    """The points of ``message`` for which ``mask`` (N,) is true, all finite, as one row."""
    limits = CloudLimits(max_points=max(1, len(mask)))
    records = point_records(message, limits=limits)[mask]
    data = array('B')
    data.frombytes(records.tobytes())
    return PointCloud2(
        header=message.header,
        height=1,
        width=len(records),
        fields=message.fields,
        is_bigendian=message.is_bigendian,
        point_step=message.point_step,
        row_step=records.size,
        data=data,
        is_dense=True,
    )


def _table(
    classes: Sequence[str], chosen: Sequence[str], usual: Collection[str]
) -> NDArray[np.bool_]:
    """Whether each class is chosen; one more row, false, for points without a label."""
    table = np.zeros(len(classes) + 1, bool)
    table[[classes.index(name) for name in chosen] or classes_among(classes, usual)] = True
    return table
