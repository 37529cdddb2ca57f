#!/usr/bin/env python3
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Generate and compile ROS 2 interface packages with the ROS wheels and a C++ compiler.

Run it with the interpreter of the environment that has the wheels::

    .venv/bin/python tools/build_interfaces.py interfaces/*/

This does for ``.msg``, ``.srv`` and ``.action`` files what ``rosidl_generate_interfaces`` does in
CMake, in four steps: definitions to ``.idl``, type hashes, C and Python sources, shared libraries.
A package that is already installed from elsewhere (a ROS distribution) is never touched or
shadowed, and one that is up to date is not built again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PREFIX = Path(sys.prefix)
SITE_PACKAGES = Path(sysconfig.get_path('purelib'))
STAMP = 'built_from.sha256'  # beside the package's share files; marks them as ours

TYPE_SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
# The libraries of an interface package, in the order in which they can be linked, each with those
# of the same package that it needs.
LIBRARIES: dict[str, tuple[str, ...]] = {
    'rosidl_generator_c': (),
    'rosidl_typesupport_c': ('rosidl_generator_c',),
    'rosidl_typesupport_fastrtps_c': ('rosidl_generator_c',),
    'rosidl_typesupport_introspection_c': ('rosidl_generator_c',),
    'rosidl_generator_py': ('rosidl_generator_c', 'rosidl_typesupport_c'),
}
RUNTIME_LIBRARIES = (
    'rosidl_runtime_c',
    'rcutils',
    'rmw',
    'rosidl_typesupport_c',
    'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp',
    'rosidl_typesupport_introspection_c',
    'fastcdr',
)


class BuildError(Exception):
    """The package cannot be built here; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """An interface package: ``package.xml`` and ``msg/``, ``srv/``, ``action/`` beside it."""

    folder: Path
    name: str
    interfaces: tuple[Path, ...]

    @classmethod
    def read(cls, folder: Path) -> Package:
        """Read the package in ``folder``; raises BuildError where there is none."""
        manifest = folder / 'package.xml'
        if not manifest.is_file():
            raise BuildError(f'{manifest} does not exist: name folders of interface packages')
        found = sorted(f for kind in ('msg', 'srv', 'action') for f in folder.glob(f'{kind}/*.*'))
        return cls(folder, ET.parse(manifest).findtext('name', ''), tuple(found))

    @property
    def share(self) -> Path:
        """Where the definitions, ``.idl`` files and type hashes are installed."""
        return PREFIX / 'share' / self.name

    @property
    def modules(self) -> Path:
        """Where the Python package is installed."""
        return SITE_PACKAGES / self.name

    def fingerprint(self) -> str:
        """Return a hash of everything that the result depends on."""
        inputs = [Path(__file__), self.folder / 'package.xml', *self.interfaces]
        digest = hashlib.sha256(sys.version.encode())
        for path in inputs:
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def is_ours(self) -> bool:
        """Tell whether the installed package was built by this program."""
        return (self.share / STAMP).is_file()

    def is_current(self) -> bool:
        """Tell whether the installed package was built from these very inputs."""
        return self.is_ours() and (self.share / STAMP).read_text() == self.fingerprint()

    def provided_elsewhere(self) -> str:
        """Return where a package of this name comes from that is not ours, or an empty string."""
        spec = importlib.util.find_spec(self.name)
        places = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
        for prefix in filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)):
            if (Path(prefix) / 'share' / self.name / 'package.xml').is_file():
                places.append(Path(prefix) / 'share' / self.name)
        ours = (self.modules.resolve(), self.share.resolve()) if self.is_ours() else ()
        return next((str(place) for place in places if place.resolve() not in ours), '')


def generate(package: Package, share: Path, work: Path) -> None:
    """Write ``.idl`` and type hashes to ``share`` and sources to ``work/GENERATOR/PACKAGE``."""
    from rosidl_adapter import convert_to_idl
    from rosidl_generator_c import generate_c
    from rosidl_generator_py import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_c import generate_c as generate_dispatch
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection

    relative = [path.relative_to(package.folder) for path in package.interfaces]
    idls = [path.with_suffix('.idl') for path in relative]
    for path in relative:
        (share / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(package.folder / path, share / path)
        convert_to_idl(package.folder, package.name, path, share)
    known = [
        f'{path.name}:{path}'
        for path in (PREFIX / 'share').iterdir()
        if (path / 'msg').is_dir() and path.name != package.name
    ]

    def arguments(generator: str, output: Path, **more: object) -> str:
        """Write the JSON file that CMake would pass to a generator; return its path."""
        templates = PREFIX / 'share' / generator / 'resource'
        for folder in {idl.parent for idl in idls} | {Path('msg')}:
            (output / folder).mkdir(parents=True, exist_ok=True)
        for template in templates.glob('*__visibility_control.h.in'):
            header = template.read_text().replace('@PROJECT_NAME@', package.name)
            header = header.replace('@PROJECT_NAME_UPPER@', package.name.upper())
            (output / 'msg' / template.stem).write_text(header)
        values = {
            'package_name': package.name,
            'output_dir': str(output),
            'template_dir': str(templates),
            'idl_tuples': [f'{share}:{idl}' for idl in idls],
            'include_paths': known,
            'ros_interface_dependencies': [],
            'target_dependencies': [],
        }
        path = work / f'{generator}.json'
        path.write_text(json.dumps(values | more))
        return str(path)

    def sources(generator: str, **more: object) -> str:
        # Every generator needs a folder of its own: some write files of the same name.
        return arguments(generator, work / generator / package.name, **more)

    generate_type_hash(arguments('rosidl_generator_type_description', share))
    hashes = [f'{idl}:{share / idl.with_suffix(".json")}' for idl in idls]
    files = [str(path) for path in package.interfaces]
    generate_c(
        sources('rosidl_generator_c', ros_interface_files=files, type_description_tuples=hashes)
    )
    generate_dispatch(sources('rosidl_typesupport_c'), list(TYPE_SUPPORTS))
    generate_typesupport_fastrtps_c(sources('rosidl_typesupport_fastrtps_c'))
    generate_introspection(sources('rosidl_typesupport_introspection_c'))
    generate_py(sources('rosidl_generator_py'), ['rosidl_typesupport_c', *TYPE_SUPPORTS])
    (work / 'rosidl_generator_py' / package.name / '__init__.py').touch()


def dependencies(package: Package, share: Path) -> list[str]:
    """Return the packages whose types are used, directly or not: all must be linked."""
    used = {'action_msgs'} if (share / 'action').is_dir() else set()
    for path in share.glob('*/*.json'):
        types = json.loads(path.read_text())['type_hashes']
        used |= {entry['type_name'].split('/')[0] for entry in types}
    return sorted(used - {package.name})


def compile_sources(package: Package, work: Path) -> None:
    """Compile every generated C and C++ file to an object file beside it."""
    import numpy

    headers = sysconfig.get_path('include')
    if not (Path(headers) / 'Python.h').is_file():
        raise BuildError(f'{headers}/Python.h does not exist: install the Python headers')
    compilers = {
        '.c': [os.environ.get('CC', 'cc'), '-std=gnu11'],
        '.cpp': [os.environ.get('CXX', 'c++'), '-std=c++17'],
    }
    for command, *_ in compilers.values():
        if shutil.which(command) is None:
            raise BuildError(f"compiler '{command}' not found: install a C++ compiler (g++)")
    include = PREFIX / 'include'
    folders = [
        *(work / library for library in LIBRARIES),
        *(folder for folder in include.glob('*') if (folder / folder.name).is_dir()),
        include,
        headers,
        numpy.get_include(),
    ]
    flags = ['-O2', '-DNDEBUG', '-fPIC', *(f'-I{folder}' for folder in folders)]

    def compile_one(source: Path) -> None:
        command = [*compilers[source.suffix], *flags, '-c', str(source)]
        subprocess.run([*command, '-o', f'{source}.o'], check=True)

    generated = [
        source
        for library in LIBRARIES
        for source in (work / library / package.name).rglob('*')
        if source.suffix in compilers
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, generated))


def link_and_install(package: Package, work: Path, used: list[str]) -> None:
    """Link the libraries, then install them, the Python modules and the headers."""
    lib = PREFIX / 'lib'
    search = [f'-L{lib}', f'-Wl,-rpath-link,{lib}']
    name = package.name

    def link(target: Path, objects: list[Path], libraries: list[str], rpath: str) -> None:
        flags = ['-shared', f'-Wl,-soname,{target.name},-rpath,{rpath}', *search]
        wanted = [f'-l{library}' for library in [*libraries, *RUNTIME_LIBRARIES]]
        # To a new file, then renamed: a process may have the old one mapped.
        partial = target.with_name(f'.{target.name}.partial')
        command = [os.environ.get('CXX', 'c++'), *flags, *map(str, objects), *wanted]
        subprocess.run([*command, '-o', str(partial)], check=True)
        partial.replace(target)

    def objects_of(library: str) -> list[Path]:
        return sorted((work / library / name).rglob('*.o'))

    def is_extension(path: Path) -> bool:
        return '_s.ep.' in path.name

    for library, own in LIBRARIES.items():
        needed = [f'{name}__{other}' for other in own]
        needed += [f'{package}__{other}' for package in used for other in (*own, library)]
        plain = [path for path in objects_of(library) if not is_extension(path)]
        link(lib / f'lib{name}__{library}.so', plain, needed, '$ORIGIN')

    shutil.rmtree(package.modules, ignore_errors=True)
    generated = shutil.ignore_patterns('*.c', '*.cpp', '*.o')
    shutil.copytree(work / 'rosidl_generator_py' / name, package.modules, ignore=generated)
    for path in filter(is_extension, objects_of('rosidl_generator_py')):
        type_support = path.name.split('.')[-3]  # _NAME_s.ep.TYPE_SUPPORT.c.o
        needed = ['rosidl_generator_py', 'rosidl_generator_c', 'rosidl_typesupport_c', type_support]
        extension = package.modules / f'{name}_s__{type_support}.so'
        link(extension, [path], [f'{name}__{x}' for x in dict.fromkeys(needed)], '$ORIGIN/../../..')

    headers = PREFIX / 'include' / name
    shutil.rmtree(headers, ignore_errors=True)
    for library in (x for x in LIBRARIES if x != 'rosidl_generator_py'):
        shutil.copytree(work / library / name, headers / name, ignore=generated, dirs_exist_ok=True)


def register(package: Package, used: list[str]) -> None:
    """Enter the package into the ament index, where ROS tools look it up."""
    share = package.share
    files = sorted(str(f.relative_to(share)) for f in share.glob('*/*') if f.suffix != '.json')
    entries = {
        'packages': '',
        'rosidl_interfaces': '\n'.join(files),
        'package_run_dependencies': ';'.join(used),
    }
    for resource, text in entries.items():
        marker = PREFIX / 'share/ament_index/resource_index' / resource / package.name
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(text)


def build(package: Package) -> None:
    """Build and install one package into the running environment."""
    with tempfile.TemporaryDirectory(prefix=f'{package.name}_') as folder:
        work = Path(folder)
        share = work / 'share'
        with contextlib.redirect_stdout(io.StringIO()):  # the generators name every file
            generate(package, share, work)
        used = dependencies(package, share)
        compile_sources(package, work)
        link_and_install(package, work, used)
        shutil.copy(package.folder / 'package.xml', share)
        shutil.rmtree(package.share, ignore_errors=True)
        shutil.copytree(share, package.share)
    register(package, used)
    (package.share / STAMP).write_text(package.fingerprint())  # last: now it is complete


def main() -> int:
    """Build the packages named on the command line that are missing or out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folders', nargs='+', type=Path, metavar='PACKAGE_FOLDER')
    parser.add_argument('--force', action='store_true', help='build even what is up to date')
    arguments = parser.parse_args()
    # The generators look for their own packages here.
    prefixes = [str(PREFIX), *filter(None, [os.environ.get('AMENT_PREFIX_PATH')])]
    os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(prefixes)
    for folder in arguments.folders:
        try:
            package = Package.read(folder.resolve())
            elsewhere = package.provided_elsewhere()
            if elsewhere:
                print(f'{package.name}: left alone, provided by {elsewhere}')
            elif package.is_current() and not arguments.force:
                print(f'{package.name}: up to date')
            else:
                start = time.monotonic()
                build(package)
                seconds = time.monotonic() - start
                print(f'{package.name}: {len(package.interfaces)} interfaces in {seconds:.1f} s')
        except (BuildError, subprocess.CalledProcessError) as error:
            print(f'error: {folder}: {error}', file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
