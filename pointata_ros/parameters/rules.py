# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The specification of a node parameter, and whether a value is legal.

This module does not import ROS.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pointata_core.errors import ConfigError

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Specification:
    """All about one parameter besides its name, type and default.

    Attributes:
        group: Heading under which the parameter stands in the generated files.
        description: One sentence or two; shown by ``ros2 param describe``.
        minimum: Smallest legal value of a number, in the parameter's unit.
        maximum: Largest legal value of a number.
        choices: The closed set of legal strings; empty where the set is open.
        pattern: Regular expression that an open string must match; empty = anything.
        live: True if the value may change while the node runs.
        rule: What is legal, in words, where none of the above can express it.
        refuse: Returns why a value breaks that rule and what to do, empty if it does not.
    """

    group: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ''
    live: bool = False
    rule: str = ''
    refuse: Callable[[Any], str] = lambda value: ''


def parameter(default: Value, group: str, description: str, **details: Any) -> Any:
    """A dataclass field that carries its :class:`Specification`."""
    specification = Specification(group, description, **details)
    return dataclasses.field(default=default, metadata={'specification': specification})


def one_for_each(name: str, given: list[str], inputs: int) -> list[str]:
    """The values of all inputs, of a parameter that holds one for all or one for each.

    Raises:
        ConfigError: It holds another number.
    """
    if len(given) not in (1, inputs):
        raise ConfigError(
            f'parameter {name} holds {len(given)} values for {inputs} inputs',
            'Give one for all, or one for each in the order of inputs, with semicolons between',
        )
    return given * (inputs // len(given))


@dataclass(frozen=True)
class Parameter:
    """One row of the table."""

    name: str
    default: Value
    specification: Specification

    @property
    def kind(self) -> type:
        """``bool``, ``int``, ``float``, ``str`` or ``tuple`` (of strings)."""
        return type(self.default)


TYPE_NAMES = {
    bool: 'bool',
    int: 'integer',
    float: 'double',
    str: 'string',
    tuple: 'string array',
}


def allowed(parameter: Parameter) -> str:
    """The legal values in words, empty where everything of the right type is legal."""
    specification = parameter.specification
    if specification.choices:
        return ' | '.join(specification.choices)
    if specification.pattern:
        return f'matches {specification.pattern}'
    if specification.minimum is not None:
        return f'{specification.minimum:g} to {specification.maximum:g}'
    return specification.rule


def refuse(parameter: Parameter, value: Value) -> str:
    """Why a parameter cannot have a value, empty if it can."""
    name = parameter.name
    if not _is_legal(parameter, value):
        expected = ' '.join(filter(None, (TYPE_NAMES[parameter.kind], allowed(parameter))))
        return f'parameter {name} is {_shown(value)}, expected {expected}'
    reason = parameter.specification.refuse(value)
    return reason and f'parameter {name}: {reason}'


def _is_legal(parameter: Parameter, value: Value) -> bool:
    specification = parameter.specification
    if type(value) is not parameter.kind:
        return False
    if isinstance(value, tuple):
        return all(isinstance(one, str) for one in value)
    if isinstance(value, str):
        if specification.choices:
            return value in specification.choices
        return re.fullmatch(specification.pattern or '(?s).*', value) is not None
    low, high = specification.minimum, specification.maximum
    return low is None or high is None or low <= value <= high


def _shown(value: Value) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)
