# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output of all commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from rich.table import Table


@cache
def out() -> Console:
    """Console for results."""
    return Console(highlight=False)


@cache
def err() -> Console:
    """Console for progress, notes and errors."""
    return Console(stderr=True, highlight=False)


def print_error(message: str, fix: str = '') -> None:
    """Print what is wrong and, on a second line, what to do; unwrapped, for searching logs."""
    err().print(f'[bold red]error:[/] {escape(message)}', soft_wrap=True)
    if fix:
        err().print(f'[bold]  fix:[/] {escape(fix.rstrip("."))}.', soft_wrap=True)


def print_json(facts: Any) -> None:
    """Print results for programs."""
    print(json.dumps(facts, indent=2))


def print_rows(rows: Mapping[str, str], width: int) -> None:
    """Print named values, one a line, with names in a column of this width."""
    for name, value in rows.items():
        out().print(f'[bold]{name:{width}}[/] {escape(value)}', soft_wrap=True)


def new_table(*columns: str, title: str | None = None) -> Table:
    """An empty table; columns whose names begin with ``>`` are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_column(name.removeprefix('>'), justify='right' if name[:1] == '>' else 'left')
    return table


def note(message: str) -> None:
    """A sentence beside the results."""
    err().print(escape(message), soft_wrap=True)


def print_file_notes(notes: Mapping[str, Iterable[str]]) -> None:
    """Print what is implausible about files: each sentence once, with its first file."""
    files: dict[str, list[str]] = {}
    for file, sentences in notes.items():
        for sentence in sentences:
            files.setdefault(sentence, []).append(file)
    for sentence, names in files.items():
        others = f' (and {len(names) - 1} more files)' if len(names) > 1 else ''
        note(f'{names[0]}{others}: {sentence}')


@contextmanager
def progress(what: str, show: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields a function to call with (done, of how many).

    It appears on terminals only, not in log files.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    visible = show and err().is_terminal
    with Progress(
        *columns, Elapsed(), Remaining(), console=err(), transient=True, disable=not visible
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
