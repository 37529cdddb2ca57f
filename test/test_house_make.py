# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands a newcomer types pass on what they are given and say what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')


def make(*arguments: str) -> str:
    # Without the variables of a `make test` around us.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))}
    command = ['make', '--no-print-directory', *arguments]
    return subprocess.check_output(command, cwd=ROOT, env=clean, text=True, timeout=60)


def find_python(candidates: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / 'tools/find_python.sh'],
        env=os.environ | {'PYTHON': candidates},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_make_alone_lists_the_targets() -> None:
    listed = {line.split()[1] for line in make().splitlines()}
    assert {'env', 'demo', 'test', 'lint', 'docs', 'clean'} <= listed


def test_the_demo_is_given_bag_and_topic() -> None:
    planned = make('--dry-run', 'demo', 'BAG=two words', 'TOPIC=/points')
    assert "pointata demo --bag 'two words' --topic '/points'" in planned


def test_the_demo_without_a_bag_is_given_none() -> None:
    assert '--bag' not in make('--dry-run', 'demo')


def test_arguments_reach_pytest() -> None:
    found = make('--dry-run', 'test', 'PYTEST_ARGS=-k codec')
    assert re.search(r'pytest .*-k codec', found)


def test_an_unsuitable_python_is_refused_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / 'python'
    broken.write_text('#!/bin/sh\nexit 1\n')
    broken.chmod(0o755)
    result = find_python(f'{broken} no-such-python')
    assert result.returncode == 1
    assert f'{broken} cannot be run' in result.stderr
    assert 'no-such-python cannot be run' in result.stderr


HEADERS = Path(sysconfig.get_path('include'), 'Python.h')


@pytest.mark.skipif(
    sys.version_info[:2] not in ((3, 11), (3, 12)) or not HEADERS.is_file(),
    reason='the Python that runs the tests is not one that make env could use',
)
def test_the_first_suitable_python_is_chosen() -> None:
    result = find_python(f'no-such-python {sys.executable}')
    assert result.stdout.strip() == sys.executable, result.stderr
