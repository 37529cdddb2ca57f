# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""README and ``docs/`` are short, their links lead somewhere, what they show exists and runs."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from pointata_core.cli.main import COMMANDS
from pointata_core.simulation import simulate, write_bag
from pointata_core.training.domain.settings import DomainSettings
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.people.settings import PeopleSettings
from pointata_core.training.pretrain.settings import PretrainingSettings
from pointata_core.training.skill.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
GUIDE = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
PAGES = [*GUIDE, ROOT / 'CONTRIBUTING.md', ROOT / 'SECURITY.md']
TUTORIALS = sorted((ROOT / 'docs' / 'tutorials').glob('*.py'))
README = (ROOT / 'README.md').read_text(encoding='utf-8')
NOT_OF_THIS_PACKAGE = {'pip', 'ros2', 'docker'}
# Words of ours for which the field has others.
COINED = re.compile(
    r'\b(groundwork|cues?|pupils?|mailbox(?:es)?|errands?|hears?|spoilt|forgo(?:es)?'
    r'|stream of places|picture network)\b',
    re.I,
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    pattern = rf'^```{language}\n(.*?)^```$'
    return re.findall(pattern, path.read_text(encoding='utf-8'), re.M | re.S)


def shell_lines(path: Path) -> list[str]:
    """Shell commands of a page, continued lines joined, without comments."""
    text = '\n'.join(blocks(path, 'bash')).replace('\\\n', ' ')
    return [
        line for line in (re.sub(r'(^|\s)#.*', '', one).strip() for one in text.split('\n')) if line
    ]


def all_text() -> str:
    return '\n'.join(path.read_text(encoding='utf-8') for path in PAGES)


def anchors(path: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub and MkDocs make them."""
    headings = re.findall(r'^#+ (.+)$', path.read_text(encoding='utf-8'), re.M)
    plain = (re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).lower() for heading in headings)
    return {re.sub(r'[^\w\- ]', '', heading).strip().replace(' ', '-') for heading in plain}


def test_the_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize('path', PAGES, ids=name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    text = re.sub(r'```.*?```', '', path.read_text(encoding='utf-8'), flags=re.S)
    targets = re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'^\[[^]]+\]: (\S+)', text, re.M)
    dead = []
    for target in targets:
        if re.match(r'\w+:', target):
            continue
        file, _, anchor = target.partition('#')
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize('path', GUIDE, ids=name)
def test_lines_can_be_read_without_scrolling(path: Path) -> None:
    lines = path.read_text(encoding='utf-8').splitlines()
    assert [line for line in lines if len(line) > 100 and 'https://' not in line] == []


@pytest.mark.parametrize('path', GUIDE, ids=name)
def test_words_are_those_of_the_field(path: Path) -> None:
    assert COINED.findall(path.read_text(encoding='utf-8')) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / 'README.md', ROOT / 'docs' / 'index.md']
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix not in ('.md', '.py') or not path.exists():
            continue
        reached.add(path)
        links = re.findall(r'\]\(([^)#\s]+)', path.read_text(encoding='utf-8'))
        waiting += [(path.parent / link).resolve() for link in links if ':' not in link]
    assert {name(path) for path in [*GUIDE, *TUTORIALS]} - {name(path) for path in reached} == set()


def test_commands_exist() -> None:
    lines = (line for path in PAGES for line in shell_lines(path))
    code = '\n'.join(line for line in lines if 'python -m' not in line)
    code += '\n'.join(re.findall(r'`(pointata [^`]+)`', all_text()))
    found = set(re.findall(r'\bpointata ([a-z][a-z-]+)', code))
    assert found - {module.NAME for module in COMMANDS} == set()
    assert {module.NAME for module in COMMANDS} - found == set(), 'a command without documentation'


def test_benchmarks_and_make_targets_exist() -> None:
    text = all_text()
    benchmarks = set(re.findall(r'python -m benchmarks ([a-z][a-z-]*)', text))
    assert benchmarks - {*BENCHMARKS, 'figures', 'list'} == set()
    targets = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(), re.M))
    assert set(re.findall(r'`make (\w+)|^make (\w+)', text, re.M)) <= {
        pair for target in targets for pair in ((target, ''), ('', target))
    }


def test_files_that_pages_name_exist() -> None:
    pattern = (
        r'(?<![\w/.])(?:config|benchmarks|test|tools|launch)/[\w/.-]+\.(?:yaml|py|xml|json|md)'
    )
    assert [
        path for path in sorted(set(re.findall(pattern, all_text()))) if not (ROOT / path).exists()
    ] == []


def test_modules_that_pages_name_exist() -> None:
    for dotted in sorted(set(re.findall(r'`(pointata_core(?:\.\w+)+)`', all_text()))):
        module, _, attribute = dotted.rpartition('.')
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), dotted


def test_settings_of_commands_exist() -> None:
    kinds = {
        'train': TrainingSettings,
        'pretrain': PretrainingSettings,
        'train-people': PeopleSettings,
        'domain-adapt': DomainSettings,
    }
    seen = set()
    for line in (line for path in GUIDE for line in shell_lines(path)):
        command = re.match(
            r'pointata (train-people|train|pretrain|domain-adapt) --config (config/\S+)(.*)', line
        )
        if command:
            overrides = [word for word in shlex.split(command[3]) if '=' in word]
            assert read_settings(kinds[command[1]], ROOT / command[2], overrides).output
            seen.add(command[1])
    assert seen == set(kinds)


def test_options_of_benchmarks_exist() -> None:
    shared = (ROOT / 'benchmarks' / 'command_line.py').read_text()
    for line in (line for path in GUIDE for line in shell_lines(path)):
        command = re.match(r'python -m benchmarks ([a-z-]+)(.*)', line)
        if command and command[1] in BENCHMARKS:
            module = (
                ROOT / 'benchmarks' / BENCHMARKS[command[1]].room / command[1].replace('-', '_')
            )
            source = module.with_suffix('.py').read_text() + shared
            missing = [o for o in re.findall(r'--[a-z-]+', command[2]) if f"'{o}'" not in source]
            assert missing == [], line


def test_launch_arguments_exist() -> None:
    launch = (ROOT / 'launch' / 'perception.launch.py').read_text()
    for argument in set(re.findall(r'perception\.launch\.py[^`]*?(\w+):=', all_text(), re.S)):
        assert f"'{argument}'" in launch or argument.startswith('input_'), argument


@pytest.mark.parametrize('path', GUIDE, ids=name)
def test_python_of_a_page_is_valid_and_imports_what_exists(path: Path) -> None:
    for block in blocks(path, 'python'):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith('pointata'):
                module = importlib.import_module(str(node.module))
                assert [a.name for a in node.names if not hasattr(module, a.name)] == []


def run(code: str, folder: Path) -> str:
    """What a program prints; it runs in a folder of its own, on one thread."""
    environment = {**os.environ, 'MPLBACKEND': 'Agg', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_of_the_readme_labels_a_bag(tmp_path: Path) -> None:
    write_bag(tmp_path / 'street_bag', simulate('street', 'vlp16', seed=7, duration_s=0.3))
    (block,) = blocks(ROOT / 'README.md', 'python')
    assert len([line for line in block.splitlines() if line]) <= 10
    lines = run(block, tmp_path).splitlines()
    assert len(lines) == 3
    assert all('road' in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize('path', TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    assert text.startswith('# %% [markdown]\n# # '), 'jupytext, percent format, a title first'
    assert run(text, tmp_path)
