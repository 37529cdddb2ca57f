# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which names inputs may have, as parts of topic names, and which fields outputs may repeat.

This module does not import ROS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

RESERVED = ('input', 'output', 'debug')
"""Where the topics of a node without named inputs are; there they would be taken for each other."""
LEGAL_NAMES = (
    'names of letters, digits and single underscores, a letter first, each once; not '
    + ', '.join(RESERVED[:-1])
    + f' or {RESERVED[-1]}'
)
# The rules of ROS 2 for parts of topic names: no digit first, no two underscores in a row. One at
# the beginning would hide the topics.
_LEGAL = re.compile(r'[A-Za-z](_?[A-Za-z0-9])*_?')
_LONGEST = 64


def refuse_names(names: Sequence[str]) -> str:
    """Why these cannot be the names of inputs and what to do about it; empty if they can be.

    Args:
        names: In the order in which they were given.
    """
    for index, name in enumerate(names):
        if not _LEGAL.fullmatch(name):
            return (
                f'{name!r} cannot be part of a topic name. Use letters, digits and single '
                'underscores, and begin with a letter, as in rear_left'
            )
        if len(name) > _LONGEST:
            return f'{name!r} is too long. Use at most {_LONGEST} letters'
        if name in RESERVED:
            return (
                f'{name!r} would be taken for the topics ~/{name}/... of a node without named '
                f'inputs. Choose another name, such as {name}_lidar'
            )
        if name in names[:index]:
            return f'{name!r} stands there twice. Give each input a name of its own'
    return ''


def refuse_fields(names: Sequence[str]) -> str:
    """Why these cannot be fields to repeat and what to do about it; empty if they can be.

    Args:
        names: In the order in which they were given.
    """
    own = {'x', 'y', 'z', 'class_id', 'probability'}
    for index, name in enumerate(names):
        if not name or name in own:
            return f'{name!r} is a field that the output has anyway. Leave it out'
        if name in names[:index]:
            return f'{name!r} stands there twice. Give each field once'
    return ''
