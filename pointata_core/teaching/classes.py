# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes of a teaching folder, and their ids in label files.

Label files hold ids of SemanticKITTI. Classes that it lacks get ids that it does not use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from pointata_core.datasets.scenes.semantickitti_writer import FIRST_OWN_ID, raw_ids
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import SEGMENTATION_CLASSES, SEMANTICKITTI_TO_OURS, UNLABELLED

_NAME = re.compile('[a-z][a-z0-9_]*')
_INSTANCE = np.uint32(0xFFFF0000)


@dataclass(frozen=True)
class ClassTable:
    """Names of classes and their ids in label files.

    Attributes:
        ids: Id, 1..65535, by name, in the order of class numbers.

    Raises:
        ConfigError: An id is out of range or occurs twice.
    """

    ids: Mapping[str, int]

    def __post_init__(self) -> None:
        for name, word in self.ids.items():
            if not 0 < word <= 0xFFFF or list(self.ids.values()).count(word) > 1:
                raise ConfigError(
                    f'class {name} has the id {word}', 'Give every class its own id, 1..65535'
                )

    @classmethod
    def default(cls) -> ClassTable:
        """The classes of the default bundle."""
        ids = raw_ids(np.arange(len(SEGMENTATION_CLASSES))).tolist()
        return cls(
            {
                name: word or FIRST_OWN_ID + number
                for number, (name, word) in enumerate(zip(SEGMENTATION_CLASSES, ids, strict=True))
            }
        )

    def extended(self, names: Sequence[str]) -> ClassTable:
        """The same classes and those that are new, with ids of their own."""
        ids = dict(self.ids)
        for name in names:
            ids.setdefault(name, FIRST_OWN_ID + len(ids))
        return ClassTable(ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of class numbers."""
        return tuple(self.ids)

    def number(self, name: str) -> int:
        """Number of a class.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self.ids:
            raise ConfigError(f"there is no class '{name}'", f'Choose among {", ".join(self.ids)}')
        return self.names.index(name)

    def labels(self, words: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Class numbers ``(N,)`` of label words; ``UNLABELLED`` for ids without a class here."""
        table = np.full(1 << 16, UNLABELLED, np.uint16)
        for word, number in SEMANTICKITTI_TO_OURS.items():
            name = SEGMENTATION_CLASSES[number]
            if name in self.ids:
                table[word] = self.names.index(name)
        table[list(self.ids.values())] = np.arange(len(self.ids))
        return table[words & np.uint32(0xFFFF)]

    def words(self, labels: NDArray[np.uint16], before: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Label words ``(N,)`` of class numbers; the object ids of the words before stay.

        Args:
            labels: ``(N,)``; ``UNLABELLED`` becomes 0.
            before: ``(N,)`` words that are replaced.
        """
        table = np.zeros(1 << 16, np.uint32)
        table[: len(self.ids)] = list(self.ids.values())
        return table[labels] | (before & _INSTANCE)


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Names of classes in a YAML file: a list, such as ``[trolley, pallet]``.

    Raises:
        ConfigError: It is something else.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f'{path} cannot be read ({error})', 'Write: [trolley, pallet]') from error
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    if not names or len(names) < len(found) or not all(_NAME.fullmatch(name) for name in names):
        raise ConfigError(
            f'{path}: expected a list of names in lower case, found {found!r}',
            'Write: [trolley, pallet]',
        )
    return tuple(names)
