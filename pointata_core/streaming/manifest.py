# SPDX-License-Identifier: Apache-2.0
"""The manifest of a bundle: what the weights are, what they expect and what they answer.

It is the only description of the tensor files that is believed, so it is read strictly, and it
seals itself: ``checksum`` is the SHA-256 of everything else in it. As it holds the hashes of the
tensor files, this one number names the whole bundle.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pointata_core.errors import BundleError
from pointata_core.streaming.manifest_fields import (
    RESTORE,
    Task,
    TensorFile,
    check_names,
    inside,
    is_number,
    is_whole,
    plain_list,
    plain_mapping,
    record,
    wrong,
)
from pointata_core.streaming.strict_json import parse_object

FORMAT_VERSION = 1
FORMAT_MINOR = 0
KIND = 'point_transformer'
CAMERA_KIND = 'camera_lidar'
TASKS = ('segmentation', 'action')

NAME_PATTERN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


class BundleWarning(UserWarning):
    """A bundle can be used, but holds something this version does not know."""


@dataclass(frozen=True)
class Manifest:
    """Everything about a bundle but the weights.

    Args:
        name: Short name for display: letters, digits, dot, dash, underscore.
        network: Plain values of ``models.config.NetworkConfig``.
        tasks: ``segmentation`` and/or ``action``; the classes must equal those of ``network``.
        preparation: Plain values for ``streaming.preparation``; the session checks their meaning.
        preset: Network preset the configuration started from, for display.
        features: Per-point fields the network wants beside x, y, z, in the order of its columns.
        statistics: What the training input looked like, ``{'range': {'p50': 12.3, ...}, ...}``, so
            that a session can tell when a sensor is nothing like it.
        licence: SPDX identifier or text for the weights.
        provenance: Free: config, seed, commit, metrics, training data.
        backbone: The backbone's file; ``None`` until ``save_bundle`` wrote it.
        skill: The skill's file; ``None`` until ``save_bundle`` wrote it.
        kind: Family of network; ``point_transformer`` is the one this version runs.
        format_version: Layout of the bundle; a newer one cannot be read.
        format_minor: Additions since that are safe to ignore.
        unknown: Keys of a newer minor version, kept for writing back.

    Raises:
        BundleError: A field is missing or wrong; the message says which, and what was expected.
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
        check_version(self.format_version, self.format_minor)
        _check_kind(self.kind)
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            raise wrong('name', self.name, 'up to 64 letters, digits, dots, dashes, underscores')
        for text in ('preset', 'licence'):
            if not isinstance(getattr(self, text), str):
                raise wrong(text, getattr(self, text), 'text')
        for plain in ('network', 'preparation', 'statistics', 'provenance', 'unknown'):
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

    @classmethod
    def from_json(cls, text: str | bytes, source: str = 'manifest.json') -> Manifest:
        """Read a sealed manifest.

        Args:
            text: Contents of ``manifest.json``.
            source: Where they come from, for messages.

        Raises:
            BundleError: Not such a manifest, made for a newer version, or changed since it was
                written.
        """
        raw = parse_object(text, source)
        with inside(source):
            # First what decides how to read the rest.
            check_version(raw.get('format_version'), raw.get('format_minor', 0))
            _check_kind(raw.get('kind'))
            checksum = raw.pop('checksum', None)
            if checksum != checksum_of(raw):
                raise BundleError(
                    'the text was changed after it was sealed (checksum does not match)', RESTORE
                )
            manifest = cls(**_fields_of(raw))
        if manifest.unknown:
            warnings.warn(
                f'{source}: ignored {sorted(manifest.unknown)}, '
                f'known only to versions after format {FORMAT_VERSION}.{FORMAT_MINOR}',
                BundleWarning,
                stacklevel=2,
            )
        return manifest

    def to_json(self) -> str:
        """The manifest as indented JSON, fields in fixed order, the checksum last.

        Keys inside a field keep the order they were given in: it means something for features.
        """
        document = {**self._document(), 'checksum': self.checksum}
        return json.dumps(document, indent=2, ensure_ascii=False) + '\n'

    @property
    def checksum(self) -> str:
        """SHA-256 over all fields, and through the files' hashes over the whole bundle."""
        return checksum_of(self._document())

    @property
    def segmentation_classes(self) -> tuple[str, ...]:
        """Names of the per-point classes; empty without a segmentation head."""
        return self._classes('segmentation')

    @property
    def action_classes(self) -> tuple[str, ...]:
        """Names of the per-frame actions; empty without an action head."""
        return self._classes('action')

    @property
    def fields(self) -> tuple[str, ...]:
        """Point fields the network looks for in its input."""
        return ('x', 'y', 'z', *self.features)

    def sealed(self, backbone: TensorFile, skill: TensorFile) -> Manifest:
        """The same manifest, bound to its tensor files."""
        return replace(self, backbone=backbone, skill=skill)

    def _classes(self, task: str) -> tuple[str, ...]:
        return self.tasks[task].classes if task in self.tasks else ()

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
            'tasks': {
                name: {'classes': list(task.classes), 'colours': [list(c) for c in task.colours]}
                for name, task in self.tasks.items()
            },
            'features': list(self.features),
            'preparation': self.preparation,
            'statistics': self.statistics,
            'files': {
                name: {'sha256': file.sha256, 'size': file.size, 'dtype': file.dtype}
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
    raw = dict(raw)
    values: dict[str, Any] = {}
    for key in _KEYS:
        if key not in raw:
            raise wrong(key, None, 'a value')
        values[key] = raw.pop(key)
    minor = values['format_minor']
    if raw and minor <= FORMAT_MINOR:
        raise wrong(sorted(raw)[0], 'an unknown key', f'none in format {FORMAT_VERSION}.{minor}')
    values['unknown'] = raw
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


def task_from(where: str, value: Any) -> Task:
    """A task as it stands in a manifest."""
    value = record(where, value, ('classes', 'colours'))
    classes = tuple(plain_list(f'{where}.classes', value['classes']))
    colours = plain_list(f'{where}.colours', value['colours'])
    triples = tuple(tuple(plain_list(f'{where}.colours', colour)) for colour in colours)
    with inside(where):
        return Task(classes, triples)


def file_from(where: str, value: Any) -> TensorFile:
    """A tensor file as it stands in a manifest."""
    with inside(where):
        return TensorFile(**record(where, value, ('sha256', 'size', 'dtype')))


def check_version(version: Any, minor: Any) -> None:
    """Refuse a bundle of a newer layout, or of none."""
    if not is_whole(version) or version < 1:
        raise wrong('format_version', version, f'a whole number, at most {FORMAT_VERSION}')
    if version > FORMAT_VERSION:
        raise BundleError(
            f"field 'format_version': found {version}, expected at most {FORMAT_VERSION}",
            'Upgrade pointata_ros: the bundle was made by a newer version',
        )
    if not is_whole(minor) or minor < 0:
        raise wrong('format_minor', minor, 'a whole number, 0 or more')


def _check_kind(kind: Any) -> None:
    if kind == CAMERA_KIND:
        raise BundleError(
            f"field 'kind': found '{kind}', expected '{KIND}'",
            'It is a camera bundle: give it to the node, to pointata evaluate, or to '
            'load_camera_bundle',
        )
    if kind != KIND:
        raise wrong('kind', kind, f"'{KIND}'")


def _names_in(network: Mapping[str, Any], key: str) -> list[str]:
    return list(plain_list(f'network.{key}', network.get(key, [])))


def checksum_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its checksum."""
    canonical = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(canonical.encode()).hexdigest()
