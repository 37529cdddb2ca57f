# SPDX-License-Identifier: Apache-2.0
"""Which clips make a batch: decided by seed and epoch alone, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from pointata_core.errors import ConfigError


class EpochBatches(Sampler):
    """Batches of (clip, variant), shuffled anew in every epoch.

    The order over all processes together is the same for any number of them, and each takes its
    share of every batch: two processes learn what one learns from the same batches.

    Args:
        clips: Number of clips.
        variants: Copies of each; every epoch takes the next one, each clip from another start.
        batch: Clips per batch, over all processes.
        seed: Of the order.
        rank: Number of this process.
        processes: How many there are.

    Raises:
        ConfigError: The batch cannot be divided among the processes.
    """

    def __init__(
        self,
        clips: int,
        variants: int,
        batch: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.clips, self.variants, self.seed = clips, variants, seed
        self.batch = min(batch, clips)
        if self.batch % processes:
            raise ConfigError(
                f'a batch of {self.batch} clips cannot be divided among {processes} processes',
                'Choose optimiser.batch as a multiple of the processes',
            )
        self.rank, self.processes = rank, processes
        self.epoch = 0

    def __len__(self) -> int:
        """Batches per epoch; a rest that does not fill one waits for another epoch's order."""
        return self.clips // self.batch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(self.clips)
        # A different start for every clip, and then every copy in turn.
        start = np.random.default_rng(self.seed).integers(0, self.variants, self.clips)
        variant = (start + self.epoch) % self.variants
        share = self.batch // self.processes
        for first in range(0, len(self) * self.batch, self.batch):
            begin = first + self.rank * share
            chosen = order[begin : begin + share]
            yield [(int(clip), int(variant[clip])) for clip in chosen]
