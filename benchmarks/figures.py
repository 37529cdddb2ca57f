# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write every figure that README and ``docs/`` show from ``benchmarks/results/*.json``.

    python -m benchmarks figures              # write all blocks anew
    python -m benchmarks figures --check      # fail if a block differs from the results
    python -m benchmarks figures --list       # names of the tables, and what they hold
    python -m benchmarks figures --show node-latency

A document shows a table by a block. Everything between its two lines is written by this command;
write nothing there by hand:

    <!-- figures: node-latency -->
    <!-- end figures -->

The name is that of a table in :mod:`benchmarks.tables`. A table may stand in several documents.
Nothing but blocks is touched. A number that no table holds has no place in a document.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.tables import TABLES, Results, Table
from benchmarks.tables.results import FOLDER, ROOT
from pointata_core.errors import PointataError

_BEGIN = re.compile(r'<!-- figures: *(\S+) *-->')
_END = '<!-- end figures -->'


def documents(root: Path = ROOT) -> Iterator[Path]:
    """The documents that may hold blocks."""
    yield root / 'README.md'
    yield from sorted((root / 'docs').rglob('*.md'))


def rewrite(text: str, results: Results, name: str = 'text') -> str:
    """A document with all its blocks written anew.

    Args:
        text: The document.
        results: What the tables are built from.
        name: Of the document, for messages.

    Raises:
        PointataError: A block has no end, or names a table that does not exist.
    """
    parts, position = [], 0
    for begin in _BEGIN.finditer(text):
        end = text.find(_END, begin.end())
        following = _BEGIN.search(text, begin.end())
        if end < 0 or (following and following.start() < end):
            raise PointataError(
                f"{name}: the block '{begin[1]}' has no end", f'Close it with a line {_END}'
            )
        parts += [text[position : begin.end()], f'\n\n{build(begin[1], results)}\n\n']
        position = end
    return ''.join([*parts, text[position:]])


def build(name: str, results: Results) -> str:
    """One table as Markdown.

    Raises:
        PointataError: There is none of that name.
    """
    if name not in TABLES:
        close = difflib.get_close_matches(name, TABLES) or sorted(TABLES)
        raise PointataError(f"there is no table '{name}'", f'Choose among {", ".join(close)}')
    return TABLES[name](results)


def changed(results: Results, paths: Sequence[Path]) -> dict[Path, str]:
    """Documents whose blocks differ from the results, as they would have to be."""
    found = {}
    for path in paths:
        text = path.read_text(encoding='utf-8')
        new = rewrite(text, results, str(path))
        if new != text:
            found[path] = new
    return found


def difference(path: Path, new: str) -> str:
    """What would change in a document, as a unified diff."""
    old = path.read_text(encoding='utf-8')
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(path), 'from results', lineterm='', n=0
    )
    return '\n'.join(lines)


def summary(table: Table) -> str:
    """The first line of a table's docstring, and what it is bound to."""
    function, bound = table, ''
    if isinstance(table, functools.partial):
        function, bound = table.func, f' ({", ".join(map(str, table.keywords.values()))})'
    return (function.__doc__ or '').partition('\n')[0] + bound


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, check, list or show; return the exit status."""
    parser = argparse.ArgumentParser(prog='benchmarks figures', description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='change nothing, fail on differences')
    parser.add_argument('--list', action='store_true', help='name the tables and stop')
    parser.add_argument('--show', nargs='+', metavar='NAME', help='print tables and stop')
    parser.add_argument('--results', type=Path, default=FOLDER, help='folder of the JSON files')
    options = parser.parse_args(arguments)
    results = Results(options.results)
    try:
        if options.list:
            print('\n'.join(f'{name:34} {summary(table)}' for name, table in TABLES.items()))
            return 0
        if options.show:
            print('\n\n'.join(build(name, results) for name in options.show))
            return 0
        found = changed(results, list(documents()))
    except PointataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for path, new in found.items():
        print(difference(path, new) if options.check else f'wrote {path}')
        if not options.check:
            path.write_text(new, encoding='utf-8')
    if options.check and found:
        print('error: run `python -m benchmarks figures`, and read what changed', file=sys.stderr)
        return 1
    return 0
