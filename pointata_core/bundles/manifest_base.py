# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a bundle: what the weights are, what they expect and what they predict.

It is the only description of the tensor files that is trusted, so it is read strictly, and it
seals itself: ``checksum`` is the SHA-256 of everything else in it. As it holds the hashes of the
tensor files, this one number names the whole bundle.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pointata_core.bundles.manifest_fields import (
    RESTORE,
    FieldError,
    Rules,
    Task,
    TensorFile,
    are_names,
    check_fields,
    parts_of,
    plain_mapping,
    text,
    whole,
)
from pointata_core.bundles.strict_json import parse_object
from pointata_core.errors import BundleError

FORMAT_VERSION = 1
FORMAT_MINOR = 0
CAMERA_KIND = 'camera_lidar'
PERSON_KIND = 'person'

ManifestType = TypeVar('ManifestType', bound='ManifestBase')

# Fields of a document in the order to write them in; a kind has those that are fields of its class.
_KEYS = (
    *('format_version', 'format_minor', 'kind', 'name', 'preset', 'network', 'tasks', 'features'),
    *('preparation', 'statistics', 'files', 'licence', 'provenance'),
)
_RULES: Rules = {
    'name': (
        text('[A-Za-z0-9][A-Za-z0-9._-]{0,63}'),
        'up to 64 letters, digits, dots, dashes, underscores',
    ),
    'preset': (text(), 'text'),
    'licence': (text(), 'text'),
    'features': (are_names, 'a list of different names'),
}


class BundleWarning(UserWarning):
    """A bundle can be used, but holds fields of a newer version."""


@dataclass(frozen=True)
class ManifestBase:
    """What the manifests of all kinds of bundles have in common.

    Args:
        name: Short name for display: letters, digits, dot, dash, underscore.
        network: Plain values of the network's configuration.
        tasks: What the network predicts, by name.
        preparation: How data enters the network.
        licence: SPDX identifier or text for the weights.
        provenance: Free: config, seed, commit, metrics, training data.
        files: The tensor files by name; empty until ``save_bundle`` wrote them.
        format_version: Layout of the bundle; a newer one cannot be read.
        format_minor: Additions since that are safe to ignore.
        unknown: Keys of a newer minor version, kept for writing back.

    Raises:
        BundleError: A field is missing or wrong; the message names it and what was expected.
    """

    name: str
    network: Mapping[str, Any]
    tasks: Mapping[str, Task]
    preparation: Any
    licence: str = 'Apache-2.0'
    provenance: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, TensorFile] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    format_minor: int = FORMAT_MINOR
    unknown: Mapping[str, Any] = field(default_factory=dict)

    kind: ClassVar[str] = ''
    """Family of network."""
    file_names: ClassVar[tuple[str, ...]] = ()
    takes_images: ClassVar[bool] = False
    """Whether the network takes images beside clouds."""

    def __post_init__(self) -> None:
        _check_version(self.format_version, self.format_minor)
        check_fields({'preset': self.preset, 'features': self.features, **vars(self)}, _RULES)
        for name in ('network', 'provenance', 'unknown'):
            self._set(name, plain_mapping(name, getattr(self, name)))
        self._set('tasks', parts_of(Task, 'tasks', self.tasks))
        self._set('files', parts_of(TensorFile, 'files', self.files))
        if self.files and set(self.files) != set(self.file_names):
            raise FieldError('files', sorted(self.files), ' and '.join(self.file_names))

    @classmethod
    def from_json(
        cls: type[ManifestType], text: str | bytes, source: str = 'manifest.json'
    ) -> ManifestType:
        """Read a sealed manifest of this kind, see :func:`read_manifest`."""
        return read_manifest(text, source, (cls,))

    def to_json(self) -> str:
        """The manifest as indented JSON, fields in fixed order, the checksum last.

        Keys inside a field keep the order they were given in: it means something for features.
        """
        document = {**self._document(), 'checksum': self.checksum}
        return json.dumps(document, indent=2, ensure_ascii=False) + '\n'

    def sealed(self: ManifestType, **files: TensorFile) -> ManifestType:
        """The same manifest, bound to its tensor files."""
        return replace(self, files=files)

    @property
    def checksum(self) -> str:
        """SHA-256 over all fields, and through the files' hashes over the whole bundle."""
        return checksum_of(self._document())

    def facts(self, path: Path) -> dict[str, Any]:
        """Name, hash, path, preset, classes and provenance, as plain values for results."""
        return {
            'name': self.name,
            'hash': self.checksum,
            'path': str(path),
            'preset': self.preset,
            'licence': self.licence,
            'segmentation_classes': list(self.segmentation_classes),
            'action_classes': list(self.action_classes),
            'provenance': dict(self.provenance),
        }

    @property
    def segmentation_classes(self) -> tuple[str, ...]:
        """Names of the per-point classes; empty without a segmentation head."""
        return self._classes('segmentation')

    @property
    def action_classes(self) -> tuple[str, ...]:
        """Names of the per-frame actions; empty without an action head."""
        return self._classes('action')

    @property
    def preset(self) -> str:
        """Network preset the configuration started from, for display; empty without one."""
        return ''

    @property
    def features(self) -> tuple[str, ...]:
        """Per-point fields that the network takes beside x, y, z."""
        return ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Point fields the network looks for in its input."""
        return ('x', 'y', 'z', *self.features)

    def _classes(self, task: str) -> tuple[str, ...]:
        return self.tasks[task].classes if task in self.tasks else ()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _document(self) -> dict[str, Any]:
        values = {**asdict(self), 'kind': self.kind}
        return {**{key: values[key] for key in self._keys()}, **self.unknown}

    @classmethod
    def _keys(cls) -> list[str]:
        return [key for key in _KEYS if key == 'kind' or key in cls.__dataclass_fields__]

    @classmethod
    def _from_document(cls: type[ManifestType], raw: Mapping[str, Any]) -> ManifestType:
        keys = cls._keys()
        for key in keys:
            if key not in raw:
                raise FieldError(key, None, 'a value')
        unknown = {key: value for key, value in raw.items() if key not in keys}
        minor = raw['format_minor']
        if unknown and minor <= FORMAT_MINOR:
            none = f'none in format {FORMAT_VERSION}.{minor}'
            raise FieldError(min(unknown), 'an unknown key', none)
        if not raw['files']:
            raise FieldError('files', raw['files'], ' and '.join(cls.file_names))
        values = {key: raw[key] for key in keys if key != 'kind'}
        return cls(**values, unknown=unknown)


def read_manifest(
    text: str | bytes, source: str, kinds: Sequence[type[ManifestType]]
) -> ManifestType:
    """Read a sealed manifest of one of several kinds.

    Args:
        text: Contents of ``manifest.json``.
        source: Where they come from, for messages.
        kinds: The kinds to expect.

    Raises:
        BundleError: No such manifest, made for a newer version, or changed since it was written.
    """
    raw = parse_object(text, source)
    try:
        # First what decides how to read the rest.
        _check_version(raw.get('format_version'), raw.get('format_minor', 0))
        manifest_type = _of_kind(raw.get('kind'), kinds)
        if raw.pop('checksum', None) != checksum_of(raw):
            raise BundleError(
                'the text was changed after it was sealed (checksum does not match)', RESTORE
            )
        manifest = manifest_type._from_document(raw)
    except BundleError as error:
        raise BundleError(f'{source}: {error.message}', error.fix) from error
    if manifest.unknown:
        warnings.warn(
            f'{source}: ignored {sorted(manifest.unknown)}, '
            f'known only to versions after format {FORMAT_VERSION}.{FORMAT_MINOR}',
            BundleWarning,
            stacklevel=2,
        )
    return manifest


def _of_kind(kind: Any, kinds: Sequence[type[ManifestType]]) -> type[ManifestType]:
    for manifest_type in kinds:
        if kind == manifest_type.kind:
            return manifest_type
    fix = RESTORE
    if kind == CAMERA_KIND:
        fix = 'It is a camera bundle: give it to the node, to pointata evaluate, or to '
        fix += 'load_camera_bundle'
    if kind == PERSON_KIND:
        fix = 'It is a person skill: give it to pointata evaluate with --people, to the '
        fix += 'parameter people of the node, or to '
        fix += 'load_person_bundle'
    raise FieldError('kind', kind, ' or '.join(repr(known.kind) for known in kinds), fix)


def _check_version(version: Any, minor: Any) -> None:
    """Refuse a document of a newer layout, or of none."""
    if whole(FORMAT_VERSION + 1)(version):
        raise FieldError(
            'format_version',
            version,
            f'at most {FORMAT_VERSION}',
            'Upgrade pointata_ros: the bundle was made by a newer version',
        )
    if not whole(1)(version):
        raise FieldError('format_version', version, f'a whole number, at most {FORMAT_VERSION}')
    if not whole(0)(minor):
        raise FieldError('format_minor', minor, 'a whole number, 0 or more')


def checksum_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document without its checksum."""
    canonical = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(canonical.encode()).hexdigest()
