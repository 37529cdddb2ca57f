# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Binds the parameter table to a ROS node, in two phases.

The first phase (on-set) only judges: another callback may still refuse the batch, so nothing
changes there. The second (post-set) applies what was accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from pointata_core.errors import ConfigError
from pointata_ros.compat import (
    after_parameters_change,
    declare_strings,
    value_given_at_start,
    values_given_at_start,
)
from pointata_ros.parameters.rules import Parameter, allowed
from pointata_ros.parameters.table import PARAMETERS, NodeSettings, refusal

_FIX = 'docs/parameters.md lists what is allowed'


class ParameterServer:
    """Declares every parameter on ``node`` and keeps :attr:`settings` up to date.

    Args:
        node: The node that owns the parameters.
        on_change: Called with the new settings after an accepted change, on the executor thread.

    Raises:
        ConfigError: A value given at start has the wrong type or is out of range.
    """

    def __init__(self, node: Node, on_change: Callable[[NodeSettings], None]) -> None:
        self._node = node
        self._on_change = on_change
        for parameter in PARAMETERS:
            _declare(node, parameter)
        self.settings = self._read()
        node.add_on_set_parameters_callback(self._judge)
        after_parameters_change(node, self._apply)

    def not_given(self) -> list[str]:
        """Names of the parameters that kept their default because nobody gave a value."""
        given = values_given_at_start(self._node)
        return [parameter.name for parameter in PARAMETERS if parameter.name not in given]

    def unknown(self) -> list[str]:
        """A sentence about each parameter that was given and that the node does not have."""
        names = [parameter.name for parameter in PARAMETERS]
        sentences = []
        for given in sorted(values_given_at_start(self._node)):
            # Those of quality of service are declared with their topics.
            if self._node.has_parameter(given) or given.startswith('qos_overrides.'):
                continue
            (nearest, *_) = get_close_matches(given, names, n=1, cutoff=0.6) or ['']
            advice = f'did you mean {nearest}?' if nearest else 'docs/parameters.md lists all'
            sentences.append(f'there is no parameter {given}, so its value has no effect: {advice}')
        return sentences

    def _read(self) -> NodeSettings:
        names = [parameter.name for parameter in PARAMETERS]
        found = self._node.get_parameters(names)
        return NodeSettings(**{one.name: _plain(one.value) for one in found})

    def _judge(self, changes: list) -> SetParametersResult:
        current = {name: getattr(self.settings, name) for name in ('warn_rate', 'error_rate')}
        reason = refusal(current | {one.name: one.value for one in changes})
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply(self) -> None:
        settings = self._read()
        if settings != self.settings:
            self.settings = settings
            self._on_change(settings)


def _plain(value: Any) -> Any:
    """A value of rclpy as the table holds it."""
    return tuple(value) if isinstance(value, list) else value


def _declare(node: Node, parameter: Parameter) -> None:
    if parameter.kind is tuple:
        _declare_strings(node, parameter)
        return
    try:
        value = node.declare_parameter(
            parameter.name, parameter.default, descriptor(parameter)
        ).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        given = value_given_at_start(node, parameter.name)
        whole_number = parameter.kind is float and type(given) is int
        fix = f'Write {given}.0: a double needs its point' if whole_number else _FIX
        raise ConfigError(refusal({parameter.name: given}) or str(error), fix) from error
    reason = refusal({parameter.name: value})
    if reason:
        raise ConfigError(reason, _FIX)


def _declare_strings(node: Node, parameter: Parameter) -> None:
    value: Any = parameter.default
    if parameter.name in values_given_at_start(node):
        # An empty list of a parameter file comes without type and value.
        given = value_given_at_start(node, parameter.name)
        value = () if given is None else _plain(given)
    reason = refusal({parameter.name: value})
    if reason:
        raise ConfigError(reason, _FIX)
    declare_strings(node, parameter.name, value, descriptor(parameter))


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What ``ros2 param describe`` shows for one row of the table."""
    specification = parameter.specification
    low, high = specification.minimum, specification.maximum
    limits = [] if low is None or high is None else [(low, high)]
    return ParameterDescriptor(
        name=parameter.name,
        description=specification.description,
        additional_constraints=allowed(parameter),
        read_only=not specification.live,
        integer_range=[
            IntegerRange(from_value=int(low), to_value=int(high), step=0)
            for low, high in limits
            if parameter.kind is int
        ],
        floating_point_range=[
            FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
            for low, high in limits
            if parameter.kind is float
        ],
    )
