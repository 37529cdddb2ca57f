# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes of a bundle among those of a data set: they belong together by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.errors import ConfigError

# Far below every score of a network, and still finite.
_NEVER = -1e4


@dataclass(frozen=True)
class SharedClasses:
    """The classes that a score is about.

    Args:
        names: Classes of the data set in its order, then those that only the network has. A
            prediction of one of the latter is an error.
        columns: For each of them its place among the network's classes; -1 where it has none.
        extra: Those that only the network has.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    extra: tuple[str, ...] = ()

    @staticmethod
    def equal(names: Sequence[str]) -> SharedClasses:
        """The network has the classes of the data set."""
        return SharedClasses(tuple(names), tuple(range(len(names))))

    @staticmethod
    def between(dataset: Sequence[str], network: Sequence[str], what: str) -> SharedClasses:
        """Classes of a data set and of a network.

        Args:
            dataset: Names of the data set.
            network: Names of the network.
            what: What is scored, for the error.

        Raises:
            ConfigError: No name occurs in both.
        """
        extra = tuple(name for name in network if name not in dataset)
        if len(extra) == len(network):
            raise ConfigError(
                f'{what}: the bundle has the classes {", ".join(network)}; none of them is one of '
                f'the data set ({", ".join(dataset)})',
                'Choose a bundle that was trained on these classes, or other labels of the data '
                'set in data.options',
            )
        names = (*dataset, *extra)
        places = {name: place for place, name in enumerate(network)}
        return SharedClasses(names, tuple(places.get(name, -1) for name in names), extra)

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes of the data set that the network does not have; they are never right."""
        return tuple(n for n, column in zip(self.names, self.columns) if column < 0)

    def rename(self, predicted: np.ndarray) -> np.ndarray:
        """The network's class numbers ``(N,)`` as places in ``names``; -1 for none of its own."""
        table = np.full(max(self.columns) + 2, -1, np.int64)
        for place, column in enumerate(self.columns):
            if column >= 0:
                table[column] = place
        predicted = np.asarray(predicted, np.int64)
        known = (predicted >= 0) & (predicted < len(table) - 1)
        return table[np.where(known, predicted, len(table) - 1)]

    def take(self, logits: Tensor) -> Tensor:
        """Scores ``(..., network's classes)`` as ``(..., names)``."""
        if self.columns == tuple(range(logits.shape[-1])):
            return logits
        known = torch.tensor([c >= 0 for c in self.columns], device=logits.device)
        there = torch.tensor([c for c in self.columns if c >= 0], device=logits.device)
        taken = logits.new_full((*logits.shape[:-1], len(self.columns)), _NEVER)
        taken[..., known] = logits[..., there]
        return taken
