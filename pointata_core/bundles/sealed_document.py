# SPDX-License-Identifier: Apache-2.0
"""A document that seals itself: versioned JSON whose last field is the SHA-256 of all the others.

The manifests of all kinds of bundles are such documents.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pointata_core.bundles.manifest_fields import RESTORE, inside, is_whole, wrong
from pointata_core.bundles.strict_json import parse_object
from pointata_core.errors import BundleError

Document = TypeVar('Document', bound='SealedDocument')

FORMAT_VERSION = 1
FORMAT_MINOR = 0


class BundleWarning(UserWarning):
    """A bundle can be used, but holds something this version does not know."""


class SealedDocument(ABC):
    """What reads and writes itself as sealed JSON.

    Attributes:
        unknown: Keys of a newer minor version, kept for writing back.
    """

    unknown: Mapping[str, Any]

    @classmethod
    def from_json(
        cls: type[Document], text: str | bytes, source: str = 'manifest.json'
    ) -> Document:
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

    @abstractmethod
    def _document(self) -> dict[str, Any]:
        """All fields as plain values, in the order to write them in."""

    @classmethod
    @abstractmethod
    def _from_fields(cls: type[Document], raw: dict[str, Any]) -> Document:
        """Make sense of a parsed document without its checksum."""

    @staticmethod
    @abstractmethod
    def _check_kind(kind: Any) -> None:
        """Refuse documents about anything else."""


def part_fields(
    raw: Mapping[str, Any], keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a document into the fields that this version knows, and others.

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
