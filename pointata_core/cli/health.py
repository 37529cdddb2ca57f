# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the installation: each with a status and a fix."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pointata_core

OK, WARN, PROBLEM = 'ok', 'warn', 'problem'
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_PROFILE = 'config/dds/fastdds_large_clouds.xml'

# Module to import, and what needs it.
_LIBRARIES = {
    'torch': 'the network',
    'numpy': 'everything',
    'scipy': 'point operators',
    'safetensors': 'loading bundles',
    'rosbags': 'reading and writing bags',
    'matplotlib': 'the images of the report',
    'jinja2': 'the report',
}
# Also whether the ROS side can do nothing without it.
_ROS_LIBRARIES = {
    'rclpy': (True, 'the node and the demo'),
    'sensor_msgs.msg': (True, 'clouds'),
    'vision_msgs.msg': (True, 'actions and label tables'),
    'diagnostic_msgs.msg': (True, 'diagnostics'),
    'visualization_msgs.msg': (True, 'markers'),
    'std_srvs.srv': (True, 'the service load_skill'),
    'tf2_msgs.msg': (True, 'transforms (fixed_frame, cameras)'),
    'sensor_msgs_py.point_cloud2': (False, 'a cross-check in the tests'),
}
# Imports run in a separate process: a library built for another Python or NumPy may crash it.
_PROBE = """\
import importlib, json, sys
imports = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        imports[name] = ''
    except BaseException as error:
        imports[name] = (type(error).__name__ + ': ' + str(error)).splitlines()[0]
    print(json.dumps(imports), flush=True)
"""


@dataclass(frozen=True)
class Check:
    """One line of the doctor.

    Args:
        name: What was looked at.
        level: ``ok``, ``warn`` (something will not work, the rest does) or ``problem`` (blocking).
        detail: What was found.
        fix: What to do; empty if nothing.
    """

    name: str
    level: str
    detail: str
    fix: str = ''


def all_checks(bundle: str | None = None) -> Iterator[Check]:
    """Look at everything, one check after the other.

    Args:
        bundle: Bundle to verify; ``None`` = the default one.
    """
    yield check_interpreter()
    yield from check_scripts()
    imports = probe((*_LIBRARIES, *_ROS_LIBRARIES))
    yield from check_libraries(imports)
    if not imports['torch']:
        yield check_cuda()
    yield from check_ros(imports)
    yield check_dds_profile(os.environ)
    if not imports['torch'] and not imports['safetensors']:
        yield check_bundle(bundle)


def check_interpreter() -> Check:
    """Version and location of Python and of this package."""
    where = 'virtual environment' if sys.prefix != sys.base_prefix else 'system'
    return Check(
        'interpreter',
        OK,
        f'Python {platform.python_version()} at {sys.executable} ({where}); '
        f'pointata {pointata_core.__version__} at {Path(pointata_core.__file__).parent}',
    )


def check_scripts() -> Iterator[Check]:
    """Whether the command found in PATH runs this interpreter: the classic trap of colcon."""
    script = shutil.which('pointata')
    if script is None:
        yield Check(
            'command', WARN, 'no command pointata in PATH',
            f'Activate the environment, or use {sys.executable} -m pointata_core.cli.main',
        )  # fmt: skip
        return
    try:
        first = Path(script).read_bytes()[:512].split(b'\n', 1)[0].decode(errors='replace')
    except OSError as error:
        yield Check('command', WARN, f'{script}: {error.strerror}', 'Install the package again')
        return
    words = first.removeprefix('#!').split()
    runs = _resolve_shebang(words)
    detail = f'{script} runs {" ".join(words) or "?"}'
    if runs is None:
        yield Check('command', WARN, f'{detail}, which does not exist', 'Install the package again')
    elif runs.parent.resolve() != Path(sys.executable).parent.resolve():
        yield Check(
            'command', WARN, f'{detail}, but this is {sys.executable}',
            'Install the package into the environment that you use',
        )  # fmt: skip
    else:
        yield Check('command', OK, detail)


def _resolve_shebang(words: list[str]) -> Path | None:
    """The interpreter that a script's first line starts; ``None`` if there is none."""
    if not words:
        return None
    name = words[1] if Path(words[0]).name == 'env' and len(words) > 1 else words[0]
    found = shutil.which(name)
    return Path(found) if found else None


def probe(modules: tuple[str, ...]) -> dict[str, str]:
    """Import modules in another process.

    Returns:
        Per module an empty string, or why it cannot be imported.
    """
    command = [sys.executable, '-c', _PROBE, *modules]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        lines, end = run.stdout.splitlines(), f'the import ended the process ({run.returncode})'
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b'').decode().splitlines()
        end = 'the import did not come back within 300 s'
    imports = json.loads(lines[-1]) if lines else {}
    for module in modules:
        if module not in imports:
            imports[module], end = end, 'not tried: an earlier import ended the process'
    return imports


def check_libraries(imports: Mapping[str, str]) -> Iterator[Check]:
    """Python libraries that the core needs."""
    missing = {name: why for name in _LIBRARIES if (why := imports[name])}
    present = [f'{name} {_version(name)}' for name in _LIBRARIES if name not in missing]
    if present:
        yield Check('libraries', OK, ', '.join(present))
    for name, why in missing.items():
        yield Check(
            name, PROBLEM, f'cannot be imported ({why}); needed for {_LIBRARIES[name]}',
            f'{sys.executable} -m pip install {name}',
        )  # fmt: skip


def check_cuda() -> Check:
    """Whether the network will run on a GPU, and why not."""
    from pointata_core.inference.device import choose_device

    choice = choose_device('auto')
    text = f'{choice.device} ({choice.reason})'
    if choice.device.type == 'cuda':
        return Check('device', OK, text)
    return Check(
        'device', WARN, text,
        'Fine for small clouds; for a GPU install its driver and a CUDA build of torch',
    )  # fmt: skip


def check_ros(imports: Mapping[str, str]) -> Iterator[Check]:
    """rclpy, the messages, and the discovery settings."""
    if imports['rclpy']:
        yield Check(
            'ROS 2', WARN,
            f'rclpy cannot be imported ({imports["rclpy"]}): no live node, no demo; evaluate, '
            'predict and simulate work without',
            'Source the ROS installation (source /opt/ros/DISTRO/setup.bash), or run make env',
        )  # fmt: skip
        return
    environment = os.environ
    distro = environment.get('ROS_DISTRO', 'not set')
    rmw = environment.get('RMW_IMPLEMENTATION', 'default')
    reach = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'default')
    domain = environment.get('ROS_DOMAIN_ID', '0')
    yield Check(
        'ROS 2', OK,
        f'rclpy {_version("rclpy")}, ROS_DISTRO {distro}, RMW_IMPLEMENTATION {rmw}, '
        f'ROS_DOMAIN_ID {domain}, discovery range {reach}',
    )  # fmt: skip
    for name, (required, purpose) in _ROS_LIBRARIES.items():
        package = name.partition('.')[0]
        if imports[name]:
            level = PROBLEM if required else WARN
            yield Check(
                package, level, f'cannot be imported ({imports[name]}); needed for {purpose}',
                f'Install ros-$ROS_DISTRO-{package.replace("_", "-")}'
                + (', or run make env' if required else ' where you need it'),
            )  # fmt: skip
    good = [name.partition('.')[0] for name in _ROS_LIBRARIES if not imports[name]]
    yield Check('ROS packages', OK, ', '.join(good))


def check_dds_profile(environment: Mapping[str, str]) -> Check:
    """Fast DDS loses full LiDAR scans with its default settings; is the profile in use?"""
    from pointata_core.errors import PointataError
    from pointata_core.resources import resource_path

    chosen = next((environment[n] for n in _PROFILE_VARIABLES if environment.get(n)), '')
    if chosen:
        if Path(chosen).is_file():
            return Check('DDS profile', OK, chosen)
        return Check(
            'DDS profile', WARN, f'{chosen} does not exist', f'Correct {_PROFILE_VARIABLES[0]}'
        )
    try:
        ours = resource_path(_PROFILE)
    except PointataError as error:
        return Check('DDS profile', WARN, error.message, error.fix)
    return Check(
        'DDS profile', OK,
        'none in this shell; node, replay and demo use ours. A LiDAR driver needs it too: '
        f'export {_PROFILE_VARIABLES[0]}={ours}',
    )  # fmt: skip


def check_bundle(path: str | None = None) -> Check:
    """Whether the bundle can be served."""
    from pointata_core.bundles.verify import verify_bundle
    from pointata_core.errors import PointataError
    from pointata_core.resources import DEFAULT_BUNDLE, resource_path

    try:
        report = verify_bundle(Path(path) if path else resource_path(DEFAULT_BUNDLE))
    except PointataError as error:
        return Check('bundle', PROBLEM, error.message, error.fix)
    if report.manifest is None or not report.ok:
        return Check('bundle', PROBLEM, report.problem, report.fix)
    name, parameters = report.manifest.name, report.parameters
    return Check(
        'bundle', OK, f'{name} at {report.path}, {parameters:,} parameters, all hashes match'
    )


def _version(module: str) -> str:
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return '(version unknown)'
