# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of meshes in the layout of ShapeNet, some of them broken in ten ways."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pointata_core.shapes import Shape, generate

SYNSETS = {
    'chair': '03001627', 'table': '04379243', 'mug': '03797390', 'bottle': '02876657',
    'car': '02958343',
}  # fmt: skip
FORMATS = ('.obj', '.off', '.ply', '.glb')
_TRIANGLE = b'v 0 0 0\nv 1 0 0\nv 0 1 0\n'
BROKEN = {
    'empty': ('.obj', b'', 'no faces'),
    'no_faces': ('.obj', _TRIANGLE, 'no faces'),
    'not_a_number': ('.obj', b'v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n', 'not finite'),
    'a_point': ('.obj', b'v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n', 'extent'),
    'a_line': ('.obj', b'v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n', 'area'),
    'absent_vertex': ('.obj', _TRIANGLE + b'f 1 2 9\n', ''),
    'noise': ('.obj', b'\x00\xff\x13not a mesh at all\x80' * 9, 'cannot be parsed'),
    'cut_off': ('.off', b'OFF\n3 1 0\n0 0 0\n1 0', ''),
    'cut_ply': ('.ply', b'ply\nformat ascii 1.0\nelement vertex 3\n', ''),
    'cut_glb': ('.glb', b'glTF\x02\x00\x00\x00', ''),
}
"""Name of the model -> file ending, content, what the reason must contain."""


def write_shapenet(root: Path, per_category: int) -> tuple[list[str], list[str]]:
    """Write the folder; return the names of sound and of broken models."""
    sound = []
    for category, synset in SYNSETS.items():
        for number in range(per_category):
            suffix = FORMATS[number % 4]
            # v2 keeps a folder between, v1 does not; both in each format.
            v2 = number % 8 < 4
            name = f'models/model_normalized{suffix}' if v2 else f'model{suffix}'
            write_mesh(generate(category, 2000 + number), root / synset / f'm{number:02d}' / name)
            sound.append(f'{category}/m{number:02d}')
    for name, (suffix, content, _) in BROKEN.items():
        path = root / SYNSETS['chair'] / name / 'models' / f'model_normalized{suffix}'
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (root / SYNSETS['mug'] / 'nothing').mkdir()
    return sound, [*(f'chair/{name}' for name in BROKEN), 'mug/nothing']


def write_mesh(shape: Shape, path: Path) -> None:
    """Write a shape as y up with its front at -z, in the format of the path's ending."""
    import numpy as np
    import trimesh

    x, y, z = shape.vertices.T
    mesh = trimesh.Trimesh(np.stack([-y, z, -x], axis=1), shape.faces, process=False)
    data = mesh.export(file_type=path.suffix[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def pointata(*words: object) -> dict[str, Any]:
    """Run a command with ``--json``; its output, and its messages under ``messages``."""
    command = [sys.executable, '-m', 'pointata_core.cli.main', *map(str, words), '--json']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)}\n{done.stderr}')
    return {**json.loads(done.stdout), 'messages': done.stderr}


def end_to_end(folder: Path, per_category: int, steps: int) -> dict[str, Any]:
    """Write meshes, pre-train, probe, and hold the output to what was written."""
    sound, broken = write_shapenet(folder / 'meshes', per_category)
    batch = min(16, len(sound) // 2)
    options = {
        'images.size': 32, 'images.views': 6, 'teacher.steps': steps, 'training.steps': steps,
        'training.checkpoint_steps': 10, 'training.batch': batch, 'training.points': 256,
        'training.tokens': 16, 'training.patch_size': 16, 'training.latent': 64,
        'training.map_stride': 8, 'training.held_back': 5,
    }  # fmt: skip
    words = [f'{name}={value}' for name, value in options.items()]
    run = pointata(
        'pretrain', f'output={folder / "run"}', f'images.meshes={folder / "meshes"}', *words
    )
    named = {line.split(': ')[0]: line for line in run['broken_meshes']}
    assert sorted(named) == sorted(broken), f'named {sorted(named)}, broken are {sorted(broken)}'
    for name in broken:
        assert f'left out: {name}: ' in run['messages'], f'{name} is not named on the terminal'
        reason = BROKEN.get(name.split('/')[1], ('', b'', 'No such file'))[2]
        assert reason in named[name], f'{named[name]}: lacks "{reason}"'
    assert run['images']['shapes'] == len(sound), f'{run["images"]["shapes"]} shapes are used'
    assert run['images']['families'] == sorted(SYNSETS)
    probe = pointata(
        'probe', run['backbone'], '--per-family', 4, '--points', 256, '--tokens', 16,
        '--patch-size', 16,
    )  # fmt: skip
    return {
        'sound': len(sound),
        'broken': named,
        'costs': run['costs'],
        'probe': {name: probe[name]['linear'] for name in ('backbone', 'untrained')},
    }
