# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which spellings of cloud files our readers take, and which the readers of other programs.

The files are those of ``spellings.py``. Other programs take part if they are there: install
``open3d pypcd4 plyfile pyntcloud trimesh pymeshlab``, and put PCL's tools on the path. They run in
processes of their own, since some end with a crash.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import multiprocessing
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from benchmarks.robustness.spellings import Spelling, spellings

_LONGEST_S = 60


def _ours(path: Path) -> Any:
    from pointata_core.io.files.cloud_files import read_cloud

    return read_cloud(path).points


def _open3d(path: Path) -> Any:
    import open3d

    return open3d.io.read_point_cloud(str(path), remove_nan_points=False).points


def _pypcd4(path: Path) -> Any:
    from pypcd4 import PointCloud

    return PointCloud.from_path(path).numpy(('x', 'y', 'z'))


def _plyfile(path: Path) -> Any:
    from plyfile import PlyData

    vertices = PlyData.read(str(path))['vertex']
    return np.stack([vertices[axis] for axis in 'xyz'], axis=1)


def _pyntcloud(path: Path) -> Any:
    from pyntcloud import PyntCloud

    return PyntCloud.from_file(str(path)).points[['x', 'y', 'z']].to_numpy()


def _trimesh(path: Path) -> Any:
    import trimesh

    return cast(Any, trimesh.load(path, process=False)).vertices


def _meshlab(path: Path) -> Any:
    import pymeshlab

    meshes = pymeshlab.MeshSet()
    meshes.load_new_mesh(str(path))
    return meshes.current_mesh().vertex_matrix()


def _pcl(path: Path) -> Any:
    tool = {'.pcd': 'pcl_convert_pcd_ascii_binary', '.ply': 'pcl_ply2pcd'}[path.suffix]
    output = path.with_name('converted.pcd')
    output.unlink(missing_ok=True)
    options = ['1'] if path.suffix == '.pcd' else []
    subprocess.run([tool, str(path), str(output), *options], check=True, capture_output=True)
    return _ours(output)


READERS: dict[str, tuple[Callable[[Path], Any], str, tuple[str, ...]]] = {
    'ours': (_ours, 'pointata_core', ('PCD', 'PLY', 'text')),
    'Open3D': (_open3d, 'open3d', ('PCD', 'PLY', 'text')),
    'PCL': (_pcl, '', ('PCD', 'PLY')),
    'MeshLab': (_meshlab, 'pymeshlab', ('PLY', 'text')),
    'pypcd4': (_pypcd4, 'pypcd4', ('PCD',)),
    'plyfile': (_plyfile, 'plyfile', ('PLY',)),
    'trimesh': (_trimesh, 'trimesh', ('PLY', 'text')),
    'pyntcloud': (_pyntcloud, 'pyntcloud', ('PCD', 'PLY', 'text')),
}
"""Name -> how it reads (N, 3) points, its Python package, and its formats."""


def is_there(name: str) -> bool:
    """Whether a reader can be tried here."""
    package = READERS[name][1]
    if package:
        return importlib.util.find_spec(package) is not None
    return shutil.which('pcl_ply2pcd') is not None


def outcomes(name: str, files: Sequence[Spelling], folder: Path) -> list[str]:
    """``yes``, ``no`` (an error, or nothing), or ``wrong`` (other points, without an error)."""
    log, found = folder / 'outcomes', list[str]()
    while len(found) < len(files):
        log.write_text('')
        process = multiprocessing.get_context('spawn').Process(
            target=_try_all, args=(name, files[len(found) :], folder, log)
        )
        process.start()
        process.join(_LONGEST_S)
        if process.is_alive():
            process.kill()
            process.join()
        done = log.read_text().split()
        found += done or ['no']  # that file ended the process
    return found


def _try_all(name: str, files: Sequence[Spelling], folder: Path, log: Path) -> None:
    for spelling in files:
        path = folder / spelling.name
        path.write_bytes(spelling.data)
        with log.open('a') as file:
            file.write(_try(name, path, spelling.points) + '\n')


def _try(name: str, path: Path, points: np.ndarray) -> str:
    try:
        read = np.asarray(READERS[name][0](path), np.float32)
    except Exception:
        return 'no'
    if read.shape == points.shape and np.array_equal(read, points, equal_nan=True):
        return 'yes'
    return 'wrong' if read.size and np.isfinite(read).any() else 'no'


def compare(names: Sequence[str]) -> list[dict[str, Any]]:
    """Outcome of every spelling with every reader that has its format."""
    files = list(spellings())
    rows: list[dict[str, Any]] = [
        {'format': one.format, 'what': one.what, 'outcomes': {}} for one in files
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            mine = [at for at, one in enumerate(files) if one.format in READERS[name][2]]
            found = outcomes(name, [files[at] for at in mine], Path(folder))
            for at, result in zip(mine, found, strict=True):
                rows[at]['outcomes'][name] = result
    return rows


def run(options: argparse.Namespace) -> int:
    """Compare; 1 if ours does not read a spelling."""
    names = [name for name in READERS if (name in options.readers and is_there(name))]
    rows = compare(names)
    missed = [row['what'] for row in rows if row['outcomes']['ours'] != 'yes']
    versions = {
        name: importlib.metadata.version(READERS[name][1])
        for name in names
        if READERS[name][1] and name != 'ours'
    }
    print(json.dumps(rows, indent=1))
    write_results(options.output, settings_of(options, 'readers'), readers=versions, spellings=rows)
    return 1 if missed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('readers', __doc__, readers=['ours'])
    line.add_argument('--readers', nargs='+', choices=[*READERS], default=[*READERS])
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
