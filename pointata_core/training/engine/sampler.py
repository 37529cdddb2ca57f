# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which samples make a batch: a function of seed and step alone, so that resuming needs no state.

Draws are numbered from 0 over the whole run and over all processes. A :class:`SampleOrder` maps a
draw to its sample, a key function maps it to what the data set takes (sample and augmentation), and
a :class:`StepSampler` groups keys into the batches of a range of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from pointata_core.errors import ConfigError

Key = TypeVar('Key')


class SampleOrder:
    """The sample of every draw.

    Without weights, every pass over the samples takes each of them once, in a new order. With
    weights, each draw takes a sample with a probability proportional to its weight.

    Args:
        samples: Number of samples.
        seed: One number, or several: orders of different seeds are independent.
        weights: ``(samples,)`` weights of 0 or more, or ``None``.

    Raises:
        ConfigError: There is nothing to draw.
    """

    def __init__(
        self, samples: int, seed: int | Sequence[int], weights: ArrayLike | None = None
    ) -> None:
        self.samples = samples
        self.seed = [seed] if isinstance(seed, int) else list(seed)
        self.share = None
        if weights is not None:
            weights = np.asarray(weights, np.float64)
            self.share = weights / weights.sum() if weights.sum() > 0 else None
        if samples < 1 or (weights is not None and self.share is None):
            raise ConfigError('there is nothing to train on', 'Choose another split or limit')
        self._pass = -1
        self._order = np.zeros(0, np.int64)

    def __getitem__(self, draw: int) -> int:
        """Number of the sample."""
        number, position = divmod(draw, self.samples)
        if number != self._pass:
            rng = np.random.default_rng([*self.seed, number])
            if self.share is None:
                self._order = rng.permutation(self.samples)
            else:
                self._order = rng.choice(self.samples, self.samples, p=self.share)
            self._pass = number
        return int(self._order[position])


class StepSampler(Sampler[list[Key]], Generic[Key]):
    """Batches of keys for a range of steps.

    The batches of all processes together are the same for any number of them: two processes learn
    what one learns.

    Args:
        key: Key of the data set by number of the draw.
        batch: Draws per step, over all processes together.

    Raises:
        ConfigError: The batch cannot be divided among the processes.
    """

    def __init__(
        self, key: Callable[[int], Key], batch: int, steps: range, rank: int = 0, processes: int = 1
    ) -> None:
        if batch % processes:
            raise ConfigError(
                f'a batch of {batch} cannot be divided among {processes} processes',
                'Choose a batch that is a multiple of the processes',
            )
        self.key, self.batch, self.steps = key, batch, steps
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.steps)

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of this process, batch by batch."""
        share = self.batch // self.processes
        for step in self.steps:
            first = step * self.batch + self.rank * share
            yield [self.key(draw) for draw in range(first, first + share)]
