# SPDX-License-Identifier: Apache-2.0
"""Results of a matrix of runs in one JSON file, written after every run.

A matrix takes hours. Whatever stops it, finished runs stay, and the same command goes on with what
is missing. Runs with other settings would not compare with those of the file, so they are refused
instead of being mixed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pointata_core.errors import ConfigError, PointataError
from pointata_core.safe_files import write_atomically

FORMAT = 1


class ResultsError(PointataError):
    """A file of results is damaged or of another format."""


@dataclass(frozen=True, order=True)
class Run:
    """One cell of the matrix.

    Args:
        data: Name of the data set.
        fraction: Share of the training videos whose labels are used.
        method: Name of the method.
        seed: Of initialisation, order and augmentation.
    """

    data: str
    fraction: float
    method: str
    seed: int

    def __str__(self) -> str:
        return f'{self.data} {self.fraction:g} {self.method} seed {self.seed}'


class ResultStore:
    """Finished runs, by data set with the settings they were made with.

    Args:
        path: The file; need not exist.

    Raises:
        ResultsError: The file is there but cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._document: dict[str, Any] = {'format': FORMAT, 'settings': {}, 'runs': []}
        if path.exists():
            self._document = _read(path)

    def require_settings(self, data: str, settings: Mapping[str, Any]) -> None:
        """Say with what settings runs on a data set are made; none may differ from earlier ones.

        Raises:
            ConfigError: Runs of this file were made with others; names the first that differs.
        """
        settings = json.loads(json.dumps(dict(settings)))
        known = self._document['settings'].setdefault(data, settings)
        for name in sorted(known.keys() | settings.keys()):
            if known.get(name) != settings.get(name):
                raise ConfigError(
                    f'{self.path} holds runs on {data} with {name} = {known.get(name)!r}, '
                    f'now it is {settings.get(name)!r}',
                    'Give another --output, or the settings of the earlier runs',
                )

    def settings(self, data: str) -> dict[str, Any]:
        """What runs on a data set were made with; empty without any."""
        return self._document['settings'].get(data, {})

    def __contains__(self, run: Run) -> bool:
        return any(_run_of(entry) == run for entry in self._document['runs'])

    def __iter__(self) -> Iterator[tuple[Run, dict[str, Any]]]:
        for entry in self._document['runs']:
            yield _run_of(entry), entry

    def __len__(self) -> int:
        return len(self._document['runs'])

    def add(self, run: Run, measured: Mapping[str, Any]) -> None:
        """Keep a finished run and write the file; it appears whole or not at all.

        Raises:
            ConfigError: That run is there already.
        """
        if run in self:
            raise ConfigError(f'{self.path} holds {run} already')
        self._document['runs'].append({**asdict(run), **measured})
        text = json.dumps(self._document, indent=1, allow_nan=False) + '\n'
        write_atomically(self.path, text.encode())


def _run_of(entry: Mapping[str, Any]) -> Run:
    return Run(entry['data'], entry['fraction'], entry['method'], entry['seed'])


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
        if document['format'] != FORMAT:
            raise ValueError(f'format {document["format"]}, expected {FORMAT}')
        runs = [_run_of(entry) for entry in document['runs']]
        if len(set(runs)) != len(runs) or not isinstance(document['settings'], dict):
            raise ValueError('a run twice, or no settings')
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ResultsError(
            f'{path}: found no readable results ({error})', 'Move the file away, or mend it'
        ) from error
    return document
