# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The layers of docs/architecture.md hold, seen in the syntax trees of all modules.

Imports inside functions count as well: a late import hides a dependency, it does not remove it.
"""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pointata_core

ROOT = Path(__file__).resolve().parents[1]

ROS_PACKAGES = re.compile(
    r'(rclpy|rcl_\w+|rmw\w*|rosidl\w*|ament\w*|launch\w*|ros2\w*|tf2_\w+|tf_transformations'
    r'|\w+_msgs|\w+_interfaces|std_srvs|sensor_msgs_py|pointata_ros)'
)

# Which rooms a room may use besides itself. `base` is what lies directly in pointata_core.
_BELOW_TRAINING = {
    'base', 'ops', 'models', 'transport', 'io', 'simulation', 'shapes', 'datasets', 'bundles',
    'inference', 'evaluation', 'tracking',
}  # fmt: skip
ARROWS: dict[str, set[str]] = {
    'base': set(),
    'ops': {'base'},
    'models': {'base', 'ops'},
    'transport': {'base'},
    'shapes': {'base'},
    'io': {'base'},
    'simulation': {'base', 'io'},
    'datasets': {'base', 'ops', 'io', 'simulation'},
    'bundles': {'base', 'models'},
    'tracking': {'base'},
    'inference': {'base', 'ops', 'models', 'bundles', 'tracking'},
    'evaluation': {'base', 'ops', 'models', 'io', 'datasets', 'bundles', 'inference', 'tracking'},
    'training': _BELOW_TRAINING,
    'teaching': _BELOW_TRAINING | {'training'},
    'cli': _BELOW_TRAINING | {'training', 'teaching'},
}

# Names the public interface; imports nothing before a name is used.
INTERFACE = ROOT / 'pointata_core/__init__.py'

# The same for the rooms of the node.
NODE_ARROWS: dict[str, set[str]] = {
    'base': set(),
    'parameters': {'base'},
    'transforms': {'base'},
    'camera': {'base', 'parameters', 'transforms'},
    'health': {'base', 'parameters', 'camera'},
    'node': {'base', 'parameters', 'transforms', 'camera', 'health'},
    'tools': {'base'},
}


def modules_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob('*.py'))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def names_imported_by(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that a module of ``package`` imports."""
    for node in ast.walk(ast.parse(source)):
        yield from imports_of_node(node, package)


def imports_of_node(node: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package[: len(package) - node.level + 1] if node.level else ()
        origin = '.'.join([*parents, *filter(None, [node.module])])
        yield from ((node.lineno, f'{origin}.{alias.name}') for alias in node.names)


def imports(path: Path) -> list[tuple[int, str]]:
    return list(names_imported_by(path.read_text(), path.relative_to(ROOT).parent.parts))


def import_graph(packages: tuple[str, ...]) -> dict[str, set[str]]:
    """Every module and what it imports, at its top or in a function, by dotted names.

    Imports under ``if TYPE_CHECKING`` do not count, because they never run.
    """
    paths = {
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
        for package in packages
        for path in modules_of(package)
    }
    graph = {}
    for name, path in paths.items():
        tree = ast.parse(path.read_text())
        never_run = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        targets = {
            target if target in paths else target.rpartition('.')[0]
            for node in ast.walk(tree)
            if node not in never_run
            for _, target in imports_of_node(node, path.relative_to(ROOT).parent.parts)
        }
        graph[name] = targets & paths.keys() - {name}
    return graph


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """One circle of modules that import each other, its first module again at the end; or []."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def room_of(dotted: str) -> str:
    second = dotted.split('.')[1] if '.' in dotted else ''
    return second if second in ARROWS | NODE_ARROWS else 'base'


@pytest.mark.parametrize(
    ('package', 'arrows'), [('pointata_core', ARROWS), ('pointata_ros', NODE_ARROWS)]
)
def test_every_room_has_a_layer(package: str, arrows: dict[str, set[str]]) -> None:
    rooms = {path.parent.name for path in (ROOT / package).glob('*/__init__.py')}
    assert rooms <= set(arrows), 'give the new room its arrows here and in docs/architecture.md'


def test_core_never_imports_ros() -> None:
    offending = [
        f'{relative(path)}:{line} imports {name}'
        for path in modules_of('pointata_core')
        for line, name in imports(path)
        if ROS_PACKAGES.fullmatch(name.split('.')[0])
    ]
    assert offending == []


@pytest.mark.parametrize(
    ('package', 'arrows'), [('pointata_core', ARROWS), ('pointata_ros', NODE_ARROWS)]
)
def test_arrows_only_go_down(package: str, arrows: dict[str, set[str]]) -> None:
    offending = []
    for path in modules_of(package):
        if path == INTERFACE:
            continue
        own = room_of('.'.join(path.relative_to(ROOT).with_suffix('').parts))
        offending += [
            f'{relative(path)}:{line} ({own}) imports {name}'
            for line, name in imports(path)
            if name.startswith(f'{package}.') and room_of(name) not in arrows[own] | {own}
        ]
    assert offending == []


def test_the_public_interface_names_what_its_modules_define() -> None:
    for name, module in pointata_core._MODULES.items():
        body = ast.parse((ROOT / f'{module.replace(".", "/")}.py').read_text()).body
        defined = {getattr(node, 'name', '') for node in body}
        defined |= {
            target.id
            for node in body
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            for target in getattr(node, 'targets', [getattr(node, 'target', None)])
            if isinstance(target, ast.Name)
        }
        assert name in defined, f'{module} has no {name}: update pointata_core/__init__.py'


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = import_graph(('pointata_core', 'pointata_ros', 'benchmarks'))
    assert len(graph) > 300
    assert circle_in(graph) == []


def test_circles_are_found_through_other_modules() -> None:
    graph = {'a': {'b'}, 'b': {'c'}, 'c': {'a', 'd'}, 'd': set(), 'e': {'d'}}
    assert set(circle_in(graph)) == {'a', 'b', 'c'}
    assert circle_in({**graph, 'c': {'d'}}) == []


def test_the_node_uses_only_rooms_that_it_may() -> None:
    allowed = {'base', 'io', 'simulation', 'bundles', 'inference', 'evaluation', 'cli'}
    offending = [
        f'{relative(path)}:{line} imports {name}'
        for path in modules_of('pointata_ros')
        for line, name in imports(path)
        if (name.startswith('pointata_core') and room_of(name) not in allowed)
        or name.split('.')[0] in ('scipy', 'fpsample')
    ]
    assert offending == []


def test_the_node_does_no_tensor_arithmetic() -> None:
    housekeeping = {'set_num_threads', 'cuda', 'device', 'OutOfMemoryError'}
    offending = [
        f'{relative(path)}:{node.lineno} uses torch.{node.attr}'
        for path in modules_of('pointata_ros')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and getattr(node.value, 'id', '') == 'torch'
        and node.attr not in housekeeping
    ]
    assert offending == []


def test_every_module_says_what_it_is() -> None:
    silent = []
    for path in modules_of('pointata_core') + modules_of('pointata_ros'):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ''
        if not docstring.partition('\n\n')[0].endswith(('.', '?', '!', ':')):
            silent.append(relative(path))
    assert silent == [], 'a module begins with a docstring whose first paragraph is a sentence'


def test_imports_are_seen_wherever_they_stand_and_however_they_are_written() -> None:
    source = 'import a.b\ndef f():\n    from ..models import x\n    from . import y\n'
    names = list(names_imported_by(source, ('pointata_core', 'io')))
    assert names == [(1, 'a.b'), (3, 'pointata_core.models.x'), (4, 'pointata_core.io.y')]


@pytest.mark.parametrize('name', ['rclpy', 'sensor_msgs', 'tf2_ros', 'launch_ros', 'pointata_ros'])
def test_ros_packages_are_recognised(name: str) -> None:
    assert ROS_PACKAGES.fullmatch(name)
