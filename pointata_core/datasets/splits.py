# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The four splits that every data set of actions has.

``train`` and ``test`` are the published ones. Choosing a model by its score on ``test``, as public
training scripts do, flatters it: so ``train`` is itself divided, into ``fit`` and ``validation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

SPLITS = ('train', 'test', 'fit', 'validation')

_Key = TypeVar('_Key', int, str)


def held_out(training: Iterable[_Key]) -> frozenset[_Key]:
    """The last fifth, at least one, of what is trained on (subjects, mostly), in sorted order."""
    ordered = sorted(set(training))
    return frozenset(ordered[len(ordered) - max(1, len(ordered) // 5) :])


def belongs(split: str, *, training: bool, validation: bool) -> bool:
    """Whether something is in a split.

    Args:
        split: One of ``SPLITS``.
        training: Whether it is in the published training split.
        validation: Whether it is among what ``held_out`` chose.
    """
    if split == 'test':
        return not training
    if split == 'train':
        return training
    return training and validation == (split == 'validation')
