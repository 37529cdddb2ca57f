#!/usr/bin/env python3
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run under every supported Python what needs neither torch nor ROS: imports and tests.

    tools/test_pythons.py              # Python 3.10 to 3.13, as far as they are installed
    tools/test_pythons.py 3.10 3.12    # these, which must be installed

Each interpreter gets an environment of its own, ``.venv-X.Y``, with the newest releases that it
can have of the packages in requirements.txt except torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ('3.10', '3.11', '3.12', '3.13')
NEEDS_TORCH = {'torch', 'lightning', 'ot', 'sklearn', 'trimesh', 'embreex', 'manifold3d'}
TESTS = ('datasets', 'house_api', 'house_resources', 'io', 'simulation', 'taxonomy')

# Runs in the other interpreter, in the root of the repository.
IMPORTS = f"""
import importlib, pathlib, sys
sys.path.insert(0, '.')
imported, broken = 0, []
for file in sorted(pathlib.Path('pointata_core').rglob('*.py')):
    name = '.'.join(file.with_suffix('').parts).removesuffix('.__init__')
    if name.endswith('__main__'):
        continue
    try:
        importlib.import_module(name)
        imported += 1
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in {NEEDS_TORCH!r}:
            broken.append(f'{{name}}: {{error}}')
    except Exception as error:
        broken.append(f'{{name}}: {{type(error).__name__}}: {{error}}')
print(f'{{imported}} modules imported', *broken, sep='\\n')
sys.exit(bool(broken) or imported < 100)
"""


def find(version: str) -> str | None:
    """Return an interpreter of a version: on the PATH, else of pyenv; None if there is none."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    candidates = [shutil.which(f'python{version}')]
    candidates += sorted(map(str, pyenv.glob(f'versions/{version}.*/bin/python')), reverse=True)
    for candidate in filter(None, candidates):
        command = [candidate, '-c', 'import sys; print("%d.%d" % sys.version_info[:2])']
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == version:
            return candidate
    return None


def environment(version: str, interpreter: str) -> str:
    """Return the Python of the version's environment, which is made or updated if need be."""
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith(('#', 'torch'))]
    wanted += ['h5py', 'hypothesis', 'pillow', 'psutil', 'pytest<9', 'pytest-timeout']
    folder = ROOT / f'.venv-{version}'
    python, stamp = folder / 'bin/python', folder / '.made_from'
    digest = hashlib.sha256('\n'.join([interpreter, *wanted]).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, '-m', 'venv', str(folder)], check=True)
        subprocess.run([str(python), '-m', 'pip', 'install', '--quiet', *wanted], check=True)
        stamp.write_text(digest)
    return str(python)


def check(version: str, interpreter: str) -> bool:
    """Import and test under one interpreter."""
    python = environment(version, interpreter)
    tests = sorted(str(f) for name in TESTS for f in (ROOT / 'test').glob(f'test_{name}*.py'))
    tests = [file for file in tests if 'simulation_camera_frames' not in file]  # trains
    pytest = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', *tests]
    return all(
        subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode == 0
        for arguments in (['-c', IMPORTS], pytest)
    )


def main() -> int:
    """Check the versions named on the command line, else all that are installed."""
    failed = []
    for version in sys.argv[1:] or VERSIONS:
        interpreter = find(version)
        print(f'Python {version}: {interpreter or "not installed"}', flush=True)
        missing = interpreter is None and bool(sys.argv[1:])
        if missing or (interpreter is not None and not check(version, interpreter)):
            failed.append(version)
    print(f'failed: {", ".join(failed) or "none"}')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
