# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""JSON as the standard has it, for files that may come from anywhere.

Python's reader takes the last of two equal keys, accepts NaN and turns ``1e999`` into infinity. In
a file that decides which weights are loaded each of these is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pointata_core.errors import BundleError

_MAX_DEPTH = 16


def parse_object(text: str | bytes, source: str) -> dict[str, Any]:
    """Read one JSON object.

    Args:
        text: The document; bytes are UTF-8.
        source: The file it comes from, for messages.

    Raises:
        BundleError: Not UTF-8, not JSON, not an object, a key twice, a number that is not finite,
            or nested too deeply.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = plain_copy(json.loads(text, object_pairs_hook=_unique_keys))
        if not isinstance(value, dict):
            raise ValueError(f'a JSON {type(value).__name__}')
    except (ValueError, RecursionError) as error:
        found = str(error).split('\n', 1)[0][:200]
        raise BundleError(
            f'{source}: found {found}, expected a JSON object',
            'Copy the file again from where it was made',
        ) from error
    return value


def plain_copy(value: Any, depth: int = 0) -> Any:
    """A deep copy of a value that JSON can hold, with lists for tuples.

    Raises:
        ValueError: It holds anything else; the message describes that.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f'more than {_MAX_DEPTH} levels of nesting')
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f'a key of type {type(key).__name__}')
        return {plain_copy(key): plain_copy(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_copy(item, depth + 1) for item in value]
    if isinstance(value, str):
        value.encode()  # a lone surrogate is legal JSON but cannot be printed or hashed
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError('a number that is not finite')
    elif value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f'a value of type {type(value).__name__}')
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:80]}' twice")
    return result
