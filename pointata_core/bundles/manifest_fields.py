# SPDX-License-Identifier: Apache-2.0
"""The parts of a manifest, and the checks they share; all messages name field, found, expected."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pointata_core.bundles.strict_json import check_plain
from pointata_core.errors import BundleError

TENSOR_DTYPES = ('float32', 'float16', 'bfloat16')
MAX_CLASSES = 65_535
"""Class ids are uint16 and 65535 means unlabelled."""
RESTORE = 'Copy the bundle again from where it was made, or write it anew with save_bundle'

_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class TensorFile:
    """What a safetensors file must be, to the byte.

    Args:
        sha256: Hash of the file, 64 hexadecimal digits.
        size: Length in bytes.
        dtype: Storage type of its floating-point tensors: float32, float16 or bfloat16.
    """

    sha256: str
    size: int
    dtype: str

    def __post_init__(self) -> None:
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise wrong('sha256', self.sha256, '64 lower-case hexadecimal digits')
        if not is_whole(self.size) or self.size < 8:
            raise wrong('size', self.size, 'a whole number of bytes, 8 or more')
        if self.dtype not in TENSOR_DTYPES:
            raise wrong('dtype', self.dtype, f'one of {", ".join(TENSOR_DTYPES)}')


@dataclass(frozen=True)
class Task:
    """One thing the network predicts.

    Args:
        classes: Names in the order of the head's outputs.
        colours: One ``(red, green, blue)`` of 0..255 per class for display, or empty.
    """

    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        check_names('classes', self.classes)
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise wrong('classes', f'{len(self.classes)} names', f'1 to {MAX_CLASSES}')
        for name in self.classes:
            if not name.strip() or not name.isprintable() or len(name) > 64:
                raise wrong('classes', name, 'printable names of 1 to 64 characters')
        if self.colours and len(self.colours) != len(self.classes):
            raise wrong('colours', f'{len(self.colours)} colours', 'none, or one per class')
        for colour in self.colours:
            if len(colour) != 3 or not all(is_whole(c) and 0 <= c <= 255 for c in colour):
                raise wrong('colours', colour, 'three whole numbers of 0 to 255')

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {'classes': list(self.classes), 'colours': [list(c) for c in self.colours]}


@contextmanager
def inside(where: str) -> Iterator[None]:
    """Prefix messages with where in the document they arose."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f'{where}: {error.message}', error.fix) from error


def record(where: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """An object with exactly these keys, as a copy."""
    value = plain_mapping(where, value)
    if set(value) != set(keys):
        raise wrong(where, sorted(value), f'exactly {", ".join(keys)}')
    return value


def check_names(where: str, names: Any) -> None:
    """Names are a tuple of different texts."""
    if not isinstance(names, tuple) or not all(isinstance(n, str) and n for n in names):
        raise wrong(where, names, 'a list of names')
    if len(set(names)) != len(names):
        raise wrong(where, list(names), 'every name once')


def plain_mapping(where: str, value: Any) -> dict[str, Any]:
    """An object of finite JSON values, as a copy with lists for tuples."""
    if not isinstance(value, Mapping):
        raise wrong(where, value, 'an object')
    value = copy.deepcopy(dict(value))
    try:
        check_plain(value)
    except ValueError as error:
        raise BundleError(
            f"field '{where}': found {error}, expected finite JSON values", RESTORE
        ) from error
    return _listed(value)


def _listed(value: Any) -> Any:
    """Tuples as lists, so that a manifest equals itself after writing and reading."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def plain_list(where: str, value: Any) -> list[Any]:
    """A list, as a copy."""
    if not isinstance(value, list | tuple):
        raise wrong(where, value, 'a list')
    return list(value)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; in JSON, true is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number; in JSON, true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def wrong(where: str, found: Any, expected: str) -> BundleError:
    """The error for a field; ``found`` is ``None`` if it is missing."""
    text = 'nothing' if found is None else repr(found)
    text = text if len(text) <= 160 else text[:157] + '...'
    return BundleError(f"field '{where}': found {text}, expected {expected}", RESTORE)


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
