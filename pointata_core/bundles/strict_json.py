# SPDX-License-Identifier: Apache-2.0
"""JSON as the standard has it, for files that may come from anywhere.

Python's reader takes the last of two equal keys, accepts NaN and turns ``1e999`` into infinity. In
a file that decides which weights are loaded each of these is an error.
"""

from __future__ import annotations

import json
import math
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
        text = text.decode('utf-8') if isinstance(text, bytes) else text
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        check_plain(value)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f'{source}: found {_short(error)}, expected a JSON object',
            'Copy the file again from where it was made',
        ) from error
    if not isinstance(value, dict):
        raise BundleError(
            f'{source}: found a JSON {type(value).__name__}, expected an object',
            'Copy the file again from where it was made',
        )
    return value


def check_plain(value: Any, depth: int = 0) -> None:
    """Make sure that a value consists of finite JSON values only.

    Raises:
        ValueError: What is wrong with it.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f'more than {_MAX_DEPTH} levels of nesting')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError('a number that is not finite')
    if isinstance(value, str):
        value.encode('utf-8')  # a lone surrogate is legal JSON but cannot be printed or hashed
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f'a key of type {type(key).__name__}')
            check_plain(key)
            check_plain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, depth + 1)
    elif value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f'a value of type {type(value).__name__}')


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:80]}' twice")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f'the number {name}')


def _short(error: Exception) -> str:
    return str(error).split('\n', 1)[0][:200] or type(error).__name__
