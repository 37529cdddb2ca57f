# SPDX-License-Identifier: Apache-2.0
"""What the manifests of all kinds of bundles have in common.

A manifest is versioned JSON whose last field is the SHA-256 of all the others.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pointata_core.bundles.manifest_fields import (
    RESTORE,
    Task,
    inside,
    is_whole,
    plain_mapping,
    wrong,
)
from pointata_core.bundles.strict_json import parse_object
from pointata_core.errors import BundleError

FORMAT_VERSION = 1
FORMAT_MINOR = 0
NAME_PATTERN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')

ManifestType = TypeVar('ManifestType', bound='ManifestBase')


class BundleWarning(UserWarning):
    """A bundle can be used, but holds fields of a newer version."""


class ManifestBase(ABC):
    """Everything about a bundle but the weights; reads and writes itself as sealed JSON.

    Attributes:
        name: Short name for display: letters, digits, dot, dash, underscore.
        network: Plain values of the network's configuration.
        tasks: What the network predicts, by name.
        preset: Network preset the configuration started from, for display.
        features: Per-point fields that the network takes beside x, y, z.
        licence: SPDX identifier or text for the weights.
        provenance: Free: config, seed, commit, metrics, training data.
        format_version: Layout of the bundle; a newer one cannot be read.
        format_minor: Additions since that are safe to ignore.
        unknown: Keys of a newer minor version, kept for writing back.
        takes_images: Whether the network takes images beside clouds.
    """

    name: str
    network: Mapping[str, Any]
    tasks: Mapping[str, Task]
    preset: str
    features: tuple[str, ...]
    licence: str
    provenance: Mapping[str, Any]
    format_version: int
    format_minor: int
    unknown: Mapping[str, Any]
    takes_images: ClassVar[bool] = False

    @classmethod
    def from_json(
        cls: type[ManifestType], text: str | bytes, source: str = 'manifest.json'
    ) -> ManifestType:
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
            cls._check_kind(raw.get('kind'))
            checksum = raw.pop('checksum', None)
            if checksum != checksum_of(raw):
                raise BundleError(
                    'the text was changed after it was sealed (checksum does not match)', RESTORE
                )
            document = cls._from_fields(raw)
        if document.unknown:
            warnings.warn(
                f'{source}: ignored {sorted(document.unknown)}, '
                f'known only to versions after format {FORMAT_VERSION}.{FORMAT_MINOR}',
                BundleWarning,
                stacklevel=2,
            )
        return document

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
    def fields(self) -> tuple[str, ...]:
        """Point fields the network looks for in its input."""
        return ('x', 'y', 'z', *self.features)

    def _classes(self, task: str) -> tuple[str, ...]:
        return self.tasks[task].classes if task in self.tasks else ()

    def _check_common(self) -> None:
        """Check, and copy, the fields that all kinds have."""
        check_version(self.format_version, self.format_minor)
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            raise wrong('name', self.name, 'up to 64 letters, digits, dots, dashes, underscores')
        for text in ('preset', 'licence'):
            if not isinstance(getattr(self, text), str):
                raise wrong(text, getattr(self, text), 'text')
        for plain in ('provenance', 'unknown'):
            object.__setattr__(self, plain, plain_mapping(plain, getattr(self, plain)))

    @abstractmethod
    def _document(self) -> dict[str, Any]:
        """All fields as plain values, in the order to write them in."""

    @classmethod
    @abstractmethod
    def _from_fields(cls: type[ManifestType], raw: dict[str, Any]) -> ManifestType:
        """Make sense of a parsed document without its checksum."""

    @staticmethod
    @abstractmethod
    def _check_kind(kind: Any) -> None:
        """Refuse documents about anything else."""


def part_fields(
    raw: Mapping[str, Any], keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a document into the fields of this version, and others.

    Raises:
        BundleError: A known one is missing, or there are others in a version that has none.
    """
    for key in keys:
        if key not in raw:
            raise wrong(key, None, 'a value')
    known = {key: raw[key] for key in keys}
    unknown = {key: value for key, value in raw.items() if key not in known}
    minor = known['format_minor']
    if unknown and minor <= FORMAT_MINOR:
        raise wrong(min(unknown), 'an unknown key', f'none in format {FORMAT_VERSION}.{minor}')
    return known, unknown


def check_version(version: Any, minor: Any) -> None:
    """Refuse a document of a newer layout, or of none."""
    if not is_whole(version) or version < 1:
        raise wrong('format_version', version, f'a whole number, at most {FORMAT_VERSION}')
    if version > FORMAT_VERSION:
        raise BundleError(
            f"field 'format_version': found {version}, expected at most {FORMAT_VERSION}",
            'Upgrade pointata_ros: the bundle was made by a newer version',
        )
    if not is_whole(minor) or minor < 0:
        raise wrong('format_minor', minor, 'a whole number, 0 or more')


def checksum_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document without its checksum."""
    canonical = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(canonical.encode()).hexdigest()
