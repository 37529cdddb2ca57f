# SPDX-License-Identifier: Apache-2.0
"""The manifest of a bundle: what the weights are, what they expect and what they predict.

It is the only description of the tensor files that is trusted, so it is read strictly, and it
seals itself: ``checksum`` is the SHA-256 of everything else in it. As it holds the hashes of the
tensor files, this one number names the whole bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pointata_core.bundles.manifest_base import (
    FORMAT_MINOR,
    FORMAT_VERSION,
    ManifestBase,
    part_fields,
)
from pointata_core.bundles.manifest_fields import (
    Task,
    TensorFile,
    check_names,
    file_from,
    is_number,
    plain_list,
    plain_mapping,
    task_from,
    wrong,
)
from pointata_core.errors import BundleError

KIND = 'point_transformer'
CAMERA_KIND = 'camera_lidar'
TASKS = ('segmentation', 'action')


@dataclass(frozen=True)
class Manifest(ManifestBase):
    """Everything about a bundle but the weights.

    Args:
        name: Short name for display: letters, digits, dot, dash, underscore.
        network: Plain values of ``models.config.NetworkConfig``.
        tasks: ``segmentation`` and/or ``action``; the classes must equal those of ``network``.
        preparation: Plain values for ``streaming.preparation``; the session checks their meaning.
        preset: Network preset the configuration started from, for display.
        features: Per-point fields the network takes beside x, y, z, in the order of its columns.
        statistics: What the training input looked like, ``{'range': {'p50': 12.3, ...}, ...}``, so
            that a sensor unlike it can be recognised.
        licence: SPDX identifier or text for the weights.
        provenance: Free: config, seed, commit, metrics, training data.
        backbone: The backbone's file; ``None`` until ``save_bundle`` wrote it.
        skill: The skill's file; ``None`` until ``save_bundle`` wrote it.
        kind: Family of network; ``point_transformer`` is the one this version runs.
        format_version: Layout of the bundle; a newer one cannot be read.
        format_minor: Additions since that are safe to ignore.
        unknown: Keys of a newer minor version, kept for writing back.

    Raises:
        BundleError: A field is missing or wrong; the message names it and what was expected.
    """

    name: str
    network: Mapping[str, Any]
    tasks: Mapping[str, Task]
    preparation: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ''
    features: tuple[str, ...] = ()
    statistics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    licence: str = 'Apache-2.0'
    provenance: Mapping[str, Any] = field(default_factory=dict)
    backbone: TensorFile | None = None
    skill: TensorFile | None = None
    kind: str = KIND
    format_version: int = FORMAT_VERSION
    format_minor: int = FORMAT_MINOR
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_common()
        self._check_kind(self.kind)
        for plain in ('network', 'preparation', 'statistics'):
            object.__setattr__(self, plain, plain_mapping(plain, getattr(self, plain)))
        self._check_statistics()
        self._check_tasks()
        check_names('features', self.features)
        if list(self.features) != _names_in(self.network, 'features'):
            raise wrong('features', list(self.features), f'those of network: {self._features()}')

    @classmethod
    def for_network(cls, name: str, network: Mapping[str, Any], **fields: Any) -> Manifest:
        """Describe a network; tasks and features are taken from its configuration.

        Args:
            name: Name of the bundle.
            network: ``NetworkConfig.to_dict()``.
            fields: Any other field of the manifest. ``colours={'segmentation': [...]}`` adds
                display colours.
        """
        network = plain_mapping('network', network)
        colours = fields.pop('colours', {})
        tasks = {
            task: Task(tuple(classes), tuple(map(tuple, colours.get(task, ()))))
            for task in TASKS
            if (classes := _names_in(network, f'{task}_classes'))
        }
        features = tuple(_names_in(network, 'features'))
        return cls(name, network, tasks, features=features, **fields)

    def sealed(self, backbone: TensorFile, skill: TensorFile) -> Manifest:
        """The same manifest, bound to its tensor files."""
        return replace(self, backbone=backbone, skill=skill)

    @classmethod
    def _from_fields(cls, raw: dict[str, Any]) -> Manifest:
        return cls(**_fields_of(raw))

    @staticmethod
    def _check_kind(kind: Any) -> None:
        if kind == CAMERA_KIND:
            raise BundleError(
                f"field 'kind': found '{kind}', expected '{KIND}'",
                'It is a camera bundle: give it to the node, to pointata evaluate, or to '
                'load_camera_bundle',
            )
        if kind != KIND:
            raise wrong('kind', kind, f"'{KIND}'")

    def _features(self) -> list[str]:
        return _names_in(self.network, 'features')

    def _document(self) -> dict[str, Any]:
        return {
            'format_version': self.format_version,
            'format_minor': self.format_minor,
            'kind': self.kind,
            'name': self.name,
            'preset': self.preset,
            'network': self.network,
            'tasks': {name: task.to_dict() for name, task in self.tasks.items()},
            'features': list(self.features),
            'preparation': self.preparation,
            'statistics': self.statistics,
            'files': {
                name: asdict(file)
                for name, file in (('backbone', self.backbone), ('skill', self.skill))
                if file is not None
            },
            'licence': self.licence,
            'provenance': self.provenance,
            **self.unknown,
        }

    def _check_statistics(self) -> None:
        for name, values in self.statistics.items():
            numbers = values.values() if isinstance(values, dict) else [None]
            if not all(is_number(v) for v in numbers):
                raise wrong(f'statistics.{name}', values, 'an object of numbers')

    def _check_tasks(self) -> None:
        if not isinstance(self.tasks, Mapping) or not all(
            isinstance(task, Task) for task in self.tasks.values()
        ):
            raise wrong('tasks', self.tasks, 'an object of tasks')
        object.__setattr__(self, 'tasks', dict(self.tasks))
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown:
            raise wrong('tasks', unknown[0], f'only {" and ".join(TASKS)}')
        for task in TASKS:
            heads = _names_in(self.network, f'{task}_classes')
            if list(self._classes(task)) != heads:
                raise wrong(
                    f'tasks.{task}.classes',
                    list(self._classes(task)),
                    f'the classes of network.{task}_classes: {heads}',
                )


def _fields_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Turn a parsed document into constructor arguments; semantic checks follow there."""
    values, unknown = part_fields(raw, _KEYS)
    values['unknown'] = unknown
    values['features'] = tuple(plain_list('features', values['features']))
    values['tasks'] = {
        name: task_from(f'tasks.{name}', task)
        for name, task in plain_mapping('tasks', values['tasks']).items()
    }
    files = plain_mapping('files', values.pop('files'))
    if set(files) != {'backbone', 'skill'}:
        raise wrong('files', sorted(files), 'backbone and skill')
    for name, file in files.items():
        values[name] = file_from(f'files.{name}', file)
    return values


_KEYS = (
    'format_version',
    'format_minor',
    'kind',
    'name',
    'preset',
    'network',
    'tasks',
    'features',
    'preparation',
    'statistics',
    'files',
    'licence',
    'provenance',
)


def _names_in(network: Mapping[str, Any], key: str) -> list[str]:
    return list(plain_list(f'network.{key}', network.get(key, [])))
