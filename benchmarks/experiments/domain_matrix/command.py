# SPDX-License-Identifier: Apache-2.0
"""The loop over the runs of a comparison of domains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.command_line import say
from benchmarks.experiments.domain_matrix.runs import Finished, Run
from pointata_core.evaluation.environment import machine, versions


def carry_on(
    missing: Iterable[Run],
    finished: Finished,
    summary: Callable[[Run], str],
    carry_out: Callable[[Run], dict[str, Any]],
    miou: Callable[[dict[str, Any]], Mapping[str, float]],
    write: Callable[[dict[str, Any]], object],
) -> None:
    """Carry out runs one by one; each is on disk with its table before the next one begins.

    Args:
        missing: The runs.
        finished: Where they go.
        summary: What a run is, for people.
        carry_out: Trains and scores one.
        miou: Of what it measured, by head or place.
        write: Writes the table of all that is finished.
    """
    missing = list(missing)
    for number, run in enumerate(missing, 1):
        say(f'{number}/{len(missing)} {run}: {summary(run)}')
        measured = carry_out(run)
        finished.add(run, measured, machine(), versions())
        write(finished.content)
        shown = ', '.join(f'{name} {100 * value:.1f}' for name, value in miou(measured).items())
        say(f'{run}: mIoU {shown}; {measured["processor_s"]:.0f} s of processor')
