# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every figure in README and ``docs/`` comes from ``benchmarks/results``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.tables import TABLES, Results
from benchmarks.tables.markdown import mean_deviation, milliseconds, table
from benchmarks.tables.results import FOLDER
from pointata_core.errors import PointataError

BLOCK = '# Title\n\n<!-- figures: streaming -->\nold\n<!-- end figures -->\n\nProse.\n'


def test_no_document_differs_from_the_results() -> None:
    found = figures.changed(Results(), list(figures.documents()))
    differences = '\n'.join(figures.difference(path, new) for path, new in found.items())
    assert not found, f'run `python -m benchmarks figures`:\n{differences}'


@pytest.mark.parametrize('name', TABLES)
def test_a_table_can_be_built_and_read(name: str) -> None:
    lines = figures.build(name, Results()).splitlines()
    rows = [line for line in lines if line.startswith('|')]
    assert len(rows) > 2, 'no row below the header'
    assert len({re.sub(r'\\\|', '', row).count('|') for row in rows}) == 1
    assert max(map(len, lines)) <= 100
    assert figures.summary(TABLES[name])


def test_every_file_of_results_can_be_read_and_belongs_to_a_table(tmp_path: Path) -> None:
    asked = set()

    class Recording(Results):
        def __call__(self, name: str):
            asked.add(name)
            return super().__call__(name)

    results = Recording()
    for build in TABLES.values():
        build(results)
    assert asked == {path.stem for path in FOLDER.glob('*.json')}


def test_a_changed_figure_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / 'page.md'
    document.write_text(figures.rewrite(BLOCK, Results()))
    assert not figures.changed(Results(), [document])
    shutil.copytree(FOLDER, tmp_path / 'results')
    path = tmp_path / 'results' / 'streaming.json'
    content = json.loads(path.read_text())
    content['state_bytes'] += 1
    path.write_text(json.dumps(content))
    found = figures.changed(Results(tmp_path / 'results'), [document])
    assert list(found) == [document]
    assert f'{content["state_bytes"]:,}' in figures.difference(document, found[document])


def test_a_figure_that_was_written_by_hand_is_caught(tmp_path: Path) -> None:
    document = tmp_path / 'page.md'
    text = figures.rewrite(BLOCK, Results())
    document.write_text(text.replace('| one streaming step |', '| one step |'))
    assert figures.changed(Results(), [document]) == {document: text}


def test_only_blocks_are_written_and_twice_gives_the_same() -> None:
    once = figures.rewrite(BLOCK, Results())
    assert once.startswith('# Title\n\n<!-- figures: streaming -->\n\n| ')
    assert once.endswith('|\n\n<!-- end figures -->\n\nProse.\n')
    assert 'old' not in once
    assert figures.rewrite(once, Results()) == once


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('<!-- figures: streamin -->\n<!-- end figures -->', "no table 'streamin'"),
        ('<!-- figures: streaming -->\n', 'has no end'),
        (f'<!-- figures: streaming -->\n{BLOCK}', 'has no end'),
    ],
)
def test_a_wrong_block_is_named(text: str, message: str) -> None:
    with pytest.raises(PointataError, match=message):
        figures.rewrite(text, Results())


def test_results_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(PointataError, match=r'node\.json: no results can be read'):
        figures.build('node-latency', Results(tmp_path))


def test_the_command_lists_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert figures.main(['--list']) == 0
    listed = capsys.readouterr().out
    assert all(f'\n{name} ' in f'\n{listed}' for name in TABLES)
    assert figures.main(['--show', 'streaming']) == 0
    assert capsys.readouterr().out == figures.build('streaming', Results()) + '\n'
    assert figures.main(['--show', 'stream']) == 2
    assert 'streaming' in capsys.readouterr().err


def test_values_are_written_with_the_decimals_that_tell_something() -> None:
    assert [milliseconds(v) for v in (0.123, 12.34, 123.4, 1234.5)] == [
        '0.12 ms', '12.3 ms', '123 ms', '1.23 s',
    ]  # fmt: skip
    assert mean_deviation([]) == ''
    assert mean_deviation([1.25]) == '1.2'
    assert mean_deviation([1.0, 3.0]) == '2.0 ± 1.4'
    assert table(('a', 'b'), [('', 1)]) == '| a | b |\n|---|---|\n| | 1 |'
    with pytest.raises(ValueError, match='has 1 values'):
        table(('a', 'b'), [('x',)])
