# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a camera bundle: one network for images and clouds, and what it expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pointata_core.bundles.manifest_base import CAMERA_KIND, ManifestBase
from pointata_core.bundles.manifest_fields import (
    FieldError,
    Rules,
    check_fields,
    is_number,
    part_of,
    whole,
)


@dataclass(frozen=True)
class CameraPreparation:
    """How an image and a cloud enter the network.

    Attributes:
        voxel_m: Edge of a voxel, metres.
        resize: Width and height that every image is brought to; None leaves it as it is.
        training_crop: Width and height of the crops that were trained on; whole images are
            used all the same, so this is only the scale of the training data.

    Raises:
        BundleError: A value of the wrong type or out of range.
    """

    voxel_m: float
    resize: tuple[int, int] | None = None
    training_crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_fields(vars(self), _CAMERA_PREPARATION)


def _is_size(value: Any) -> bool:
    return value is None or (
        isinstance(value, tuple) and len(value) == 2 and all(map(whole(1, 8192), value))
    )


_CAMERA_PREPARATION: Rules = {
    'voxel_m': (lambda v: is_number(v) and 1e-3 <= v <= 10, 'metres, 0.001 to 10'),
    'resize': (_is_size, 'width and height, 1 to 8192 each'),
    'training_crop': (_is_size, 'width and height, 1 to 8192 each'),
}
_CAMERA_NETWORK: Rules = {
    'fusion': (lambda v: isinstance(v, bool), 'true or false'),
    'depth': (lambda v: whole(1)(v) and v in (18, 34), '18 or 34'),
    'width': (lambda v: whole(1, 1024)(v) and v % 8 == 0, '8, 16, ... 1024'),
    'planes': (
        lambda v: isinstance(v, list) and 1 <= len(v) <= 12 and all(map(whole(1, 4096), v)),
        '1 to 12 numbers of 1 to 4096',
    ),
    'grid': (whole(1, 1 << 20), '1 to 1048576'),
    'attention_scope': (lambda v: v in ('sample', 'batch'), 'sample or batch'),
}


@dataclass(frozen=True)
class CameraManifest(ManifestBase):
    """Everything about a camera bundle but the weights; see also :class:`ManifestBase`.

    Args:
        network: ``fusion`` (bool), ``depth`` (18 or 34), ``width``, ``planes``, ``grid`` and
            ``attention_scope``, as `models.camera.camera_lidar.CameraLidarNetwork` takes them.
        tasks: ``segmentation`` alone, with two or more classes.
        preparation: How images and clouds enter.
    """

    preparation: CameraPreparation

    kind = CAMERA_KIND
    file_names = ('network',)
    takes_images = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set('preparation', part_of(CameraPreparation, 'preparation', self.preparation))
        if set(self.tasks) != {'segmentation'}:
            raise FieldError('tasks', sorted(self.tasks), 'exactly segmentation')
        if len(self.segmentation_classes) < 2:
            found = list(self.segmentation_classes)
            raise FieldError('tasks.segmentation.classes', found, 'two or more classes')
        if set(self.network) != set(_CAMERA_NETWORK):
            expected = f'exactly {", ".join(_CAMERA_NETWORK)}'
            raise FieldError('network', sorted(self.network), expected)
        check_fields(self.network, _CAMERA_NETWORK, 'network.')
