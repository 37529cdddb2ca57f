# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished runs of an experiment in one JSON file, written after every run.

Experiments take hours. Whatever stops one, finished runs stay, and the same command goes on with
what is missing. Runs with other settings do not compare with those of the file, so they are
refused. A run whose entry has ``outdated`` (the reason) counts as missing, and is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.command_line import log
from pointata_core.errors import ConfigError, PointataError
from pointata_core.evaluation.environment import environment
from pointata_core.safe_files import write_atomically


class ResultsError(PointataError):
    """A file of results is damaged."""


@dataclass(frozen=True, order=True)
class Run:
    """One run of an experiment.

    Args:
        task: What is learned: a data set, a pair of domains.
        method: What is compared.
        seed: Of initialisation, order and augmentation.
        fraction: Share of the training data whose labels are used.
    """

    task: str
    method: str
    seed: int
    fraction: float = 1.0

    def __str__(self) -> str:
        labels = '' if self.fraction == 1 else f' with {100 * self.fraction:g} % of the labels'
        return f'{self.task} {self.method} seed {self.seed}{labels}'

    @property
    def folder(self) -> str:
        """A name for a folder."""
        return str(self).replace('/', '-').replace(' ', '_').replace('%', 'percent')


class RunStore:
    """Finished runs, and by task the settings that they were made with.

    Args:
        path: The file; need not exist.

    Raises:
        ResultsError: The file is there but cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._settings: dict[str, Any] = {}
        self._runs: dict[Run, dict[str, Any]] = {}
        self._read()

    def require_settings(self, task: str, settings: Mapping[str, Any]) -> None:
        """Note the settings of a task.

        Raises:
            ConfigError: Runs of this file were made with others; names the first that differs.
        """
        settings = json.loads(json.dumps(dict(settings)))
        known = self._settings.get(task)
        if known is None or all(run.task != task for run in self._runs):
            self._settings[task] = settings
            return
        for name in sorted(known.keys() | settings.keys()):
            if known.get(name) != settings.get(name):
                raise ConfigError(
                    f'{self.path} holds runs on {task} with {name} = {known.get(name)!r}, '
                    f'now it is {settings.get(name)!r}',
                    'Give another --output, or the settings of the earlier runs',
                )

    def settings(self, task: str) -> dict[str, Any]:
        """What runs of a task were made with; empty without any."""
        return self._settings.get(task, {})

    def __contains__(self, run: Run) -> bool:
        return run in self._runs and 'outdated' not in self._runs[run]

    def __getitem__(self, run: Run) -> dict[str, Any]:
        """What a finished run measured."""
        return self._runs[run]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run, measured: Mapping[str, Any]) -> None:
        """Keep a finished run, beside those that other processes have written meanwhile.

        Raises:
            ConfigError: That run is there already.
        """
        settings = self._settings
        self._read()
        self._settings |= settings
        if run in self:
            raise ConfigError(f'{self.path} holds {run} already')
        self._runs[run] = {**measured, 'environment': environment()}
        write_atomically(self.path, self._text().encode())

    def _read(self) -> None:
        if not self.path.exists():
            return
        try:
            document = json.loads(self.path.read_text(encoding='utf-8'))
            self._settings = dict(document['settings'])
            self._runs = {_run_of(entry): entry for entry in document['runs']}
            if len(self._runs) != len(document['runs']):
                raise ValueError('a run stands there twice')
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ResultsError(
                f'{self.path}: found no readable results ({error})',
                'Move the file away, or mend it',
            ) from error

    def _text(self) -> str:
        """JSON with a line for each run, so that two versions can be compared."""
        runs = ',\n'.join(
            json.dumps({**asdict(run), **entry}, allow_nan=False)
            for run, entry in self._runs.items()
        )
        settings = json.dumps(self._settings, indent=1)
        return f'{{"settings": {settings},\n"runs": [\n{runs}\n]}}\n'


def _run_of(entry: dict[str, Any]) -> Run:
    names = ('task', 'method', 'seed', 'fraction')
    return Run(**{name: entry.pop(name) for name in names if name in entry})


def run_missing(
    store: RunStore,
    runs: Iterable[Run],
    work: Callable[[Run], dict[str, Any] | None],
    score: Callable[[dict[str, Any]], str],
    summary: Callable[[Run], str] = lambda run: '',
    only_list: bool = False,
) -> int:
    """Carry out the runs that the store does not hold.

    Args:
        store: Where they are kept.
        runs: All runs, in the order in which they are carried out.
        work: Carries one out and returns what it measured, ``processor_s`` among it; nothing if it
            failed or cannot be made yet.
        score: The score of a run in words.
        summary: What a run is, for people.
        only_list: Name the missing runs and stop.

    Returns:
        How many runs are missing still.
    """
    runs = list(runs)
    missing = [run for run in runs if run not in store]
    log(f'{len(runs) - len(missing)} of {len(runs)} runs are there')
    if only_list:
        print(*missing, sep='\n', end='\n' if missing else '')
        return len(missing)
    left = 0
    for number, run in enumerate(missing, 1):
        log(f'{number}/{len(missing)} {run} {summary(run)}'.rstrip())
        measured = work(run)
        if measured is None:
            left += 1
            log(f'{run}: no result, see above')
            continue
        store.add(run, measured)
        log(f'{run}: {score(measured)}, {measured["processor_s"]:.0f} s of processor')
    return left
