# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sources suit every supported Python: its grammar, and its standard library.

`make test-pythons` goes further: it imports the modules and runs the tests that need no torch.
"""

from __future__ import annotations

import json
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_SPEC = spec_from_file_location('pythons', ROOT / 'tools/test_pythons.py')
assert _SPEC is not None and _SPEC.loader is not None
pythons = module_from_spec(_SPEC)
_SPEC.loader.exec_module(pythons)

PROGRAM = """
import ast, importlib, importlib.util, json, sys
missing = []
def exists(module, name):
    found = importlib.import_module(module)
    if hasattr(found, name):
        return True
    return hasattr(found, '__path__') and importlib.util.find_spec(f'{module}.{name}') is not None
for path in json.load(sys.stdin):
    with open(path, encoding='utf-8') as file:
        tree = ast.parse(file.read(), path)
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level:
            continue
        if node.module.partition('.')[0] not in sys.stdlib_module_names:
            continue
        missing += [
            f'{path}:{node.lineno} {node.module}.{alias.name}'
            for alias in node.names
            if alias.name != '*' and not exists(node.module, alias.name)
        ]
print(json.dumps(missing))
"""


@pytest.mark.parametrize('version', pythons.VERSIONS)
def test_sources_parse_and_their_standard_imports_exist(version: str) -> None:
    interpreter = pythons.find(version)
    if interpreter is None:
        pytest.skip(f'no Python {version} on the PATH or in pyenv')
    folders = ('launch', 'pointata_core', 'pointata_ros', 'tools')
    paths = [str(path) for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))]
    result = subprocess.run(
        [interpreter, '-c', PROGRAM],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == []
