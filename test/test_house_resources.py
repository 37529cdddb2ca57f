# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipped files are found in every way of installing the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pointata_core.resources import ResourceError, resource_path

ROOT = Path(__file__).resolve().parents[1]


def install(prefix: Path, packages: Path, text: str) -> None:
    """Lay out an installation: the two modules that matter and one configuration file."""
    (packages / 'pointata_core').mkdir(parents=True)
    for module in ('__init__.py', 'errors.py', 'resources.py'):
        shutil.copy(ROOT / 'pointata_core' / module, packages / 'pointata_core')
    share = prefix / 'share/pointata_ros'
    (share / 'config').mkdir(parents=True)
    (share / 'package.xml').write_text('<package/>')
    (share / 'config/marker.txt').write_text(text)


def read_marker(packages: Path, **environment: str) -> str:
    """Ask an interpreter, which sees only that installation, for the file's content."""
    program = (
        f'import sys; sys.path.insert(0, {str(packages)!r})\n'
        'from pointata_core.resources import resource_path\n'
        'print(resource_path("config/marker.txt").read_text())'
    )
    clean = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'AMENT_PREFIX_PATH')}
    command = [sys.executable, '-S', '-c', program]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd='/', env=clean | environment, timeout=60
    )
    return result.stdout.strip() or result.stderr


def test_the_source_tree_finds_its_own_files() -> None:
    assert resource_path('package.xml') == ROOT / 'package.xml'


@pytest.mark.parametrize(
    'packages',
    ['lib/python3.11/site-packages', 'local/lib/python3.12/dist-packages', '.'],
    ids=['venv or colcon', 'Debian', 'pip --target'],
)
def test_an_installed_package_finds_the_share_folder_of_its_prefix(
    tmp_path: Path, packages: str
) -> None:
    install(tmp_path, tmp_path / packages, 'mine')
    assert read_marker(tmp_path / packages) == 'mine'


def test_files_beside_the_code_win_over_those_of_another_installation(tmp_path: Path) -> None:
    install(tmp_path / 'a', tmp_path / 'a/lib/python3/site-packages', 'a')
    install(tmp_path / 'b', tmp_path / 'b/lib/python3/site-packages', 'b')
    packages = tmp_path / 'a/lib/python3/site-packages'
    assert read_marker(packages, AMENT_PREFIX_PATH=str(tmp_path / 'b')) == 'a'


def test_the_ament_path_serves_code_that_is_elsewhere(tmp_path: Path) -> None:
    install(tmp_path / 'a', tmp_path / 'code', 'a')
    path = os.pathsep.join(['/nonexistent', str(tmp_path / 'a')])
    assert read_marker(tmp_path / 'code', AMENT_PREFIX_PATH=path) == 'a'


def test_a_missing_file_is_an_error_that_says_where_it_was_sought() -> None:
    with pytest.raises(ResourceError) as caught:
        resource_path('models/no-such-bundle')
    assert 'models/no-such-bundle' in caught.value.message
    assert str(ROOT) in caught.value.message
    assert caught.value.fix
