# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a manifest, and the checks they share; all messages name field, found, expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pointata_core.bundles.strict_json import plain_copy
from pointata_core.errors import BundleError

TENSOR_DTYPES = ('float32', 'float16', 'bfloat16')
MAX_CLASSES = 65_535
"""Class ids are uint16 and 65535 means unlabelled."""
RESTORE = 'Copy the bundle again from where it was made, or write it anew with save_bundle'

Check = Callable[[Any], bool]
Rules = Mapping[str, tuple[Check, str]]
"""Per field: whether a value is allowed, and what is expected instead of others."""
Part = TypeVar('Part')


class FieldError(BundleError):
    """A field of a manifest is wrong.

    Args:
        field: The field, with dots.
        found: Its value; ``None`` if it is missing.
        expected: What the format allows.
        fix: What to do about it.
    """

    def __init__(self, field: str, found: Any, expected: str, fix: str = RESTORE) -> None:
        text = 'nothing' if found is None else repr(found)
        text = text if len(text) <= 160 else text[:157] + '...'
        super().__init__(f"field '{field}': found {text}, expected {expected}", fix)
        self.field, self.found, self.expected = field, found, expected


def check_fields(values: Mapping[str, Any], rules: Rules, where: str = '') -> None:
    """Raise :class:`FieldError` for the first value that breaks its rule."""
    for name, (allowed, expected) in rules.items():
        if not allowed(values[name]):
            raise FieldError(where + name, values[name], expected)


def whole(low: int, high: float = float('inf')) -> Check:
    """Whole numbers in a range; in JSON, true is none."""
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def text(pattern: str | None = None) -> Check:
    """Text that matches a pattern from end to end."""
    return lambda v: isinstance(v, str) and (pattern is None or bool(re.fullmatch(pattern, v)))


def is_number(value: Any) -> bool:
    """Whether it is a number; in JSON, true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_names(value: Any) -> bool:
    """Whether it is a tuple of different texts."""
    return (
        isinstance(value, tuple)
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )


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
        check_fields(vars(self), _FILE_RULES)


_FILE_RULES: Rules = {
    'sha256': (text('[0-9a-f]{64}'), '64 lower-case hexadecimal digits'),
    'size': (whole(8), 'a whole number of bytes, 8 or more'),
    'dtype': (lambda v: v in TENSOR_DTYPES, f'one of {", ".join(TENSOR_DTYPES)}'),
}


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
        check_fields(vars(self), _TASK_RULES)
        if self.colours and len(self.colours) != len(self.classes):
            raise FieldError('colours', f'{len(self.colours)} colours', 'none, or one per class')


def _are_classes(value: Any) -> bool:
    return (
        are_names(value)
        and 1 <= len(value) <= MAX_CLASSES
        and all(name.strip() and name.isprintable() and len(name) <= 64 for name in value)
    )


def _are_colours(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(colour, tuple) and len(colour) == 3 and all(map(whole(0, 255), colour))
        for colour in value
    )


_TASK_RULES: Rules = {
    'classes': (
        _are_classes,
        f'1 to {MAX_CLASSES} different printable names of 1 to 64 characters',
    ),
    'colours': (_are_colours, 'three whole numbers of 0 to 255 for each class'),
}


def plain_mapping(where: str, value: Any) -> dict[str, Any]:
    """An object of finite JSON values, as a copy with lists for tuples."""
    if not isinstance(value, Mapping):
        raise FieldError(where, value, 'an object')
    try:
        return plain_copy(value)
    except ValueError as error:
        raise BundleError(
            f"field '{where}': found {error}, expected finite JSON values", RESTORE
        ) from error


def part_of(kind: type[Part], where: str, value: Any) -> Part:
    """A part of a manifest: as such, or as the object that stands in a document."""
    if isinstance(value, kind):
        return value
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # all are dataclasses
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise FieldError(where, value, f'an object of exactly {", ".join(names)}')
    try:
        return kind(**{name: tuples(item) for name, item in value.items()})
    except FieldError as error:
        raise FieldError(f'{where}.{error.field}', error.found, error.expected) from error


def parts_of(kind: type[Part], where: str, values: Any) -> dict[str, Part]:
    """Parts of a manifest by name, see :func:`part_of`."""
    if not isinstance(values, Mapping):
        raise FieldError(where, values, 'an object')
    return {name: part_of(kind, f'{where}.{name}', value) for name, value in values.items()}


def tuples(value: Any) -> Any:
    """Lists as tuples, nested ones too."""
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value
