# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages in which the clouds of each input come.

This module does not import ROS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointata_core.io.messages.message_types import INPUT_TYPES
from pointata_ros.parameters.rules import one_for_each


def refuse_input_types(text: str) -> str:
    """Why a text names no kinds of messages, empty if it does."""
    unknown = [one for one in _split(text) if one not in INPUT_TYPES]
    if unknown:
        return f'{unknown[0]!r} is unknown. Use one of {", ".join(INPUT_TYPES)}'
    return ''


def input_types_in(values: Mapping[str, Any]) -> list[str]:
    """The kind of messages of each input.

    Raises:
        ConfigError: There are as many kinds as no number of inputs fits.
    """
    inputs = len(values.get('inputs', ())) or 1
    return one_for_each('input_type', _split(values.get('input_type', 'pointcloud2')), inputs)


def _split(text: str) -> list[str]:
    return [one.strip() for one in text.split(';')]
