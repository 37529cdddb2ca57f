# SPDX-License-Identifier: Apache-2.0
"""The manifest of a camera bundle: one network for images and clouds, and what it expects.

Read as strictly as that of a skill, and sealed in the same way; the fields are its own, since
nothing here has a backbone, a history or features beside the coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from pointata_core.bundles.manifest import CAMERA_KIND
from pointata_core.bundles.manifest_base import (
    FORMAT_MINOR,
    FORMAT_VERSION,
    ManifestBase,
    part_fields,
)
from pointata_core.bundles.manifest_fields import (
    Task,
    TensorFile,
    file_from,
    is_number,
    is_whole,
    plain_list,
    plain_mapping,
    record,
    task_from,
    wrong,
)

_IMAGE = (1, 8192)
_NETWORK = ('fusion', 'depth', 'width', 'planes', 'grid', 'attention_scope')
_PREPARATION = ('voxel_m', 'resize', 'training_crop')
_MAX_LEVELS = 12


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
        if not is_number(self.voxel_m) or not 1e-3 <= self.voxel_m <= 10:
            raise wrong('preparation.voxel_m', self.voxel_m, 'metres, 0.001 to 10')
        for name in ('resize', 'training_crop'):
            value = getattr(self, name)
            if value is None:
                continue
            low, high = _IMAGE
            pair = plain_list(f'preparation.{name}', value)
            if len(pair) != 2 or not all(is_whole(v) and low <= v <= high for v in pair):
                raise wrong(f'preparation.{name}', value, f'width and height, {low} to {high} each')
            object.__setattr__(self, name, tuple(pair))


@dataclass(frozen=True)
class CameraManifest(ManifestBase):
    """Everything about a camera bundle but the weights.

    Args:
        name: Short name for display: letters, digits, dot, dash, underscore.
        network: ``fusion`` (bool), ``depth`` (18 or 34), ``width``, ``planes``, ``grid`` and
            ``attention_scope``, as `models.camera_lidar.CameraLidarNetwork` takes them.
        segmentation: Classes in the order of the heads' outputs, and colours.
        preparation: How images and clouds enter.
        licence: SPDX identifier or text for the weights.
        provenance: Free: method, data, seed, scores.
        weights: The tensor file; None until ``save_camera_bundle`` wrote it.
        format_version: Layout of the bundle; a newer one cannot be read.
        format_minor: Additions since that are safe to ignore.
        unknown: Keys of a newer minor version, kept for writing back.

    Raises:
        BundleError: A field is missing or wrong; the message names it and what was expected.
    """

    name: str
    network: Mapping[str, Any]
    segmentation: Task
    preparation: CameraPreparation
    licence: str = 'Apache-2.0'
    provenance: Mapping[str, Any] = field(default_factory=dict)
    weights: TensorFile | None = None
    format_version: int = FORMAT_VERSION
    format_minor: int = FORMAT_MINOR
    unknown: Mapping[str, Any] = field(default_factory=dict)

    takes_images: ClassVar[bool] = True
    # Fields of other kinds, which such a bundle does not have.
    preset: str = field(default='', init=False)
    features: tuple[str, ...] = field(default=(), init=False)
    tasks: Mapping[str, Task] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._check_common()
        if not isinstance(self.segmentation, Task) or len(self.segmentation.classes) < 2:
            raise wrong('tasks.segmentation.classes', self.segmentation, 'two or more classes')
        if not isinstance(self.preparation, CameraPreparation):
            raise wrong('preparation', self.preparation, 'a CameraPreparation')
        object.__setattr__(self, 'network', _checked_network(self.network))
        object.__setattr__(self, 'tasks', {'segmentation': self.segmentation})

    @property
    def kind(self) -> str:
        """Family of network."""
        return CAMERA_KIND

    def sealed(self, weights: TensorFile) -> CameraManifest:
        """The same manifest, bound to its tensor file."""
        return replace(self, weights=weights)

    @classmethod
    def _from_fields(cls, raw: dict[str, Any]) -> CameraManifest:
        return cls(**_fields_of(raw))

    @staticmethod
    def _check_kind(kind: Any) -> None:
        if kind != CAMERA_KIND:
            raise wrong('kind', kind, f"'{CAMERA_KIND}'")

    def _document(self) -> dict[str, Any]:
        file = self.weights
        return {
            'format_version': self.format_version,
            'format_minor': self.format_minor,
            'kind': CAMERA_KIND,
            'name': self.name,
            'network': self.network,
            'tasks': {'segmentation': self.segmentation.to_dict()},
            'preparation': plain_mapping('preparation', asdict(self.preparation)),
            'files': {} if file is None else {'network': asdict(file)},
            'licence': self.licence,
            'provenance': self.provenance,
            **self.unknown,
        }


_KEYS = (
    'format_version',
    'format_minor',
    'kind',
    'name',
    'network',
    'tasks',
    'preparation',
    'files',
    'licence',
    'provenance',
)


def _fields_of(raw: dict[str, Any]) -> dict[str, Any]:
    raw, unknown = part_fields(raw, _KEYS)
    tasks = record('tasks', raw['tasks'], ('segmentation',))
    files = record('files', raw['files'], ('network',))
    return {
        'name': raw['name'],
        'network': raw['network'],
        'segmentation': task_from('tasks.segmentation', tasks['segmentation']),
        'preparation': CameraPreparation(**record('preparation', raw['preparation'], _PREPARATION)),
        'licence': raw['licence'],
        'provenance': raw['provenance'],
        'weights': file_from('files.network', files['network']),
        'format_version': raw['format_version'],
        'format_minor': raw['format_minor'],
        'unknown': unknown,
    }


def _checked_network(values: Any) -> dict[str, Any]:
    """The network's configuration, every field of the right type and of a sane size."""
    values = record('network', values, _NETWORK)
    rules = (
        ('fusion', isinstance(values['fusion'], bool), 'true or false'),
        ('depth', is_whole(values['depth']) and values['depth'] in (18, 34), '18 or 34'),
        ('width', _is_count(values['width'], 1024) and values['width'] % 8 == 0, '8, 16, ... 1024'),
        ('grid', _is_count(values['grid'], 1 << 20), '1 to 1048576'),
        (
            'attention_scope',
            values['attention_scope'] in ('sample', 'batch'),
            'sample or batch',
        ),
    )
    for name, holds, expected in rules:
        if not holds:
            raise wrong(f'network.{name}', values[name], expected)
    planes = plain_list('network.planes', values['planes'])
    if not 1 <= len(planes) <= _MAX_LEVELS or not all(_is_count(p, 4096) for p in planes):
        raise wrong('network.planes', planes, f'1 to {_MAX_LEVELS} numbers of 1 to 4096')
    return values


def _is_count(value: Any, most: int) -> bool:
    return is_whole(value) and 1 <= value <= most
