# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a cloud in the byte order that its message does not declare, to see which one is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.cloud import CloudLimits, Rejected
from pointata_core.io.messages.point_cloud2 import decode


class _Swapped:
    """A PointCloud2 with the other ``is_bigendian``."""

    def __init__(self, message: Any) -> None:
        self._message = message

    @property
    def is_bigendian(self) -> bool:
        return not self._message.is_bigendian

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


def swapped_points(message: Any, limits: CloudLimits) -> NDArray[np.float32] | None:
    """The points (N, 3) of a PointCloud2 in the other byte order; ``None`` if it is rejected."""
    cloud = decode(_Swapped(message), wanted_features=(), limits=limits)
    return None if isinstance(cloud, Rejected) else cloud.points
