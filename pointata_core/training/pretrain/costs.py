# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a part of pre-training costs: wall and processor time, throughput, peak memory.

Processor time is what compares on a busy machine. A run that was interrupted counts the time up to
its last checkpoint and from there on; what it did beyond that checkpoint was lost, and is not
counted.
"""

from __future__ import annotations

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.stopwatch import Lap, Stopwatch


def cost_facts(spent: Lap, **counts: int) -> dict[str, Any]:
    """Seconds, counts, counts per second of either kind, and the peak memory of the process.

    Args:
        spent: Seconds by the clock and of the processor.
        **counts: How much was done, such as ``images=640``.
    """
    wall, processor = spent
    facts: dict[str, Any] = {'wall_s': round(wall, 1), 'processor_s': round(processor, 1)}
    for name, count in counts.items():
        facts[name] = count
        facts[f'{name}_per_s'] = round(count / wall, 1) if wall > 0 else None
        facts[f'{name}_per_processor_s'] = round(count / processor, 1) if processor > 0 else None
    return {**facts, 'peak_memory_bytes': peak_rss_bytes()}


class RunRecord(Callback):
    """Time and monitors of a whole run, over all its sessions; its state goes into checkpoints.

    Also logs shapes per second over each epoch.

    Attributes:
        measured: Value of every monitor when it was logged last.
    """

    def __init__(self) -> None:
        self.wall = self.processor = 0.0
        self.shapes = self.sessions = self.peak = 0
        self.measured: dict[str, float] = {}
        self._watch: Stopwatch | None = None
        self._trained = 0

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Start the clock."""
        self.sessions += 1
        self._watch, self._trained = Stopwatch(), 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, number: int
    ) -> None:
        """Count the shapes."""
        self._trained += len(batch['points']) * trainer.world_size

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Add what the epoch took, before it is saved."""
        if self._watch is None or not self._trained:
            return  # resumed at the end of an epoch that an earlier process trained
        wall, processor = self._watch.lap('epoch')
        self.wall, self.processor = self.wall + wall, self.processor + processor
        self.shapes += self._trained
        module.log('shapes_per_second', self._trained / wall, rank_zero_only=True)
        self._trained = 0
        self.peak = max(self.peak, peak_rss_bytes() or 0)
        self.finish(trainer)

    def finish(self, trainer: lightning.Trainer) -> dict[str, float]:
        """All monitors of the run, those of its last moment included."""
        now = {name: round(float(value), 5) for name, value in trainer.callback_metrics.items()}
        self.measured.update(now)
        return self.measured

    def facts(self) -> dict[str, Any]:
        """Costs of training; processor time is that of the first process."""
        facts = cost_facts(Lap(self.wall, self.processor), shapes=self.shapes)
        facts['peak_memory_bytes'] = self.peak or facts['peak_memory_bytes']
        return {**facts, 'sessions': self.sessions}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        names = ('wall', 'processor', 'shapes', 'sessions', 'peak', 'measured')
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where a checkpoint ended."""
        for name, value in state_dict.items():
            setattr(self, name, value)


def describe_cost(name: str, facts: dict[str, Any]) -> str:
    """One line for people: what was done, seconds, rates and memory."""
    done = [key for key in ('images', 'shapes') if facts.get(key) is not None]
    count = ''.join(f'{facts[key]:,} {key} in ' for key in done[:1])
    rates = ''.join(
        f'{facts[f"{key}_per_processor_s"]} {key} per second of processor, ' for key in done
    )
    return (
        f'{name}: {count}{facts["wall_s"]:.0f} s ({facts["processor_s"]:.0f} s of processor), '
        f'{rates}peak {(facts.get("peak_memory_bytes") or 0) / 1e9:.2f} GB'
    )
