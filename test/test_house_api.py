# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The public interface of the library is complete, documented and loads nothing before its use."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import pointata_core

NAMES = [name for name in pointata_core.__all__ if name != '__version__']
CONSTANTS = [name for name in NAMES if name.isupper()]


def in_a_new_interpreter(program: str) -> str:
    command = [sys.executable, '-c', program]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_the_names_are_sorted_and_equal_those_of_the_table() -> None:
    assert pointata_core.__all__ == sorted(pointata_core.__all__)
    assert sorted(pointata_core._MODULES) == NAMES


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(inspect.getsource(pointata_core))
    seen = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == pointata_core._MODULES


@pytest.mark.parametrize('name', NAMES)
def test_every_name_resolves_to_what_its_module_defines(name: str) -> None:
    value = getattr(pointata_core, name)
    module = pointata_core._MODULES[name]
    assert value is getattr(import_module(module), name)
    if name not in CONSTANTS:
        assert value.__module__ == module


@pytest.mark.parametrize('name', [name for name in NAMES if name not in CONSTANTS])
def test_every_name_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(pointata_core, name)
    docstring = value.__doc__ or ''
    assert docstring.partition('\n')[0].endswith(('.', ':')), docstring
    assert not docstring.startswith(f'{name}('), 'written by the dataclass decorator'


@pytest.mark.parametrize('name', CONSTANTS)
def test_every_constant_is_described_where_it_is_defined(name: str) -> None:
    body = ast.parse(inspect.getsource(import_module(pointata_core._MODULES[name]))).body
    after = {
        target.id: follower
        for statement, follower in pairwise(body)
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in getattr(statement, 'targets', [getattr(statement, 'target', None)])
        if isinstance(target, ast.Name)
    }
    follower = after[name]
    assert isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant)


def test_every_name_is_in_the_reference_once() -> None:
    pages = (Path(__file__).resolve().parents[1] / 'docs/api').glob('*.md')
    listed = [
        line.removeprefix('::: pointata_core.')
        for page in pages
        for line in page.read_text().splitlines()
        if line.startswith(':::')
    ]
    assert sorted(listed) == NAMES


def test_dir_lists_every_name_before_its_use() -> None:
    program = 'import pointata_core; print(set(pointata_core.__all__) - set(dir(pointata_core)))'
    assert in_a_new_interpreter(program) == 'set()'


def test_importing_the_library_loads_neither_torch_nor_numpy() -> None:
    program = (
        'import sys, pointata_core; print({"torch", "numpy", "scipy", "rosbags"} & {*sys.modules})'
    )
    assert in_a_new_interpreter(program) == 'set()'


def test_reading_and_simulating_load_no_torch() -> None:
    program = (
        'import sys, pointata_core as pta\n'
        'pta.simulate, pta.BagReader, pta.read_cloud, pta.decode, pta.open_dataset\n'
        'print("torch" in sys.modules)'
    )
    assert in_a_new_interpreter(program) == 'False'


def test_a_star_import_brings_every_name() -> None:
    pytest.importorskip('torch')
    program = (
        'import pointata_core\nfrom pointata_core import *\n'
        'print([name for name in pointata_core.__all__ if name not in globals()])'
    )
    assert in_a_new_interpreter(program) == '[]'


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match='no_such_name'):
        pointata_core.no_such_name  # noqa: B018
