# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Derive the simulator's small meshes from the Debian package ``sweethome3d-furniture``.

    apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb unpacked
    python tools/derive_meshes.py unpacked/usr/share/sweethome3d/furniture

Needs numpy, pyyaml, pillow, embreex and fast_simplification. Each model that
``tools/derive_meshes.yaml`` names is turned to x forward, z up, scaled to its size in the
catalogue, freed of the faces that nobody sees from outside, split by material (paint, glass, dark,
other, wire) and reduced. The result replaces ``pointata_core/simulation/objects/meshes.npz`` and
its authors the list in ``NOTICE``; the package's own files are not kept.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fast_simplification
import numpy as np
import yaml
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / 'pointata_core/simulation/objects/meshes.npz'
_MARK = 'Models in meshes.npz:\n'
PARTS = ('paint', 'glass', 'dark', 'other', 'wire')
_GLASS = re.compile(r'glass|window|vitre|cristal|verre|windshield', re.IGNORECASE)
_DARK = re.compile(r'tire|tyre|pneu|rubber|wheel_?black|goma|neumatico', re.IGNORECASE)


@dataclass
class Model:
    """Triangles of one OBJ file with the material of each."""

    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    material: np.ndarray  # (F,) index into names
    names: list[str]
    opacity: np.ndarray  # (M,)
    brightness: np.ndarray  # (M,) 0..1
    cover: np.ndarray  # (M,) share of its pictures that is not transparent


def read_catalogue(archive: zipfile.ZipFile) -> dict[str, dict[str, str]]:
    """Entries of the catalogue by the stem of their model."""
    text = archive.read('PluginFurnitureCatalog.properties').decode('latin-1')
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r'^(\w+)#(\d+)\s*=\s*(.*)$', text, re.MULTILINE):
        entries.setdefault(number, {})[key] = value.strip()
    return {PurePosixPath(one['model']).stem: one for one in entries.values() if 'model' in one}


def read_obj(archive: zipfile.ZipFile, path: str) -> Model:
    """Read an OBJ file with its materials; polygons become fans of triangles."""
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    material: list[int] = []
    names: list[str] = ['']
    current = 0
    libraries: list[str] = []
    for line in archive.read(path).decode('latin-1').splitlines():
        word, _, rest = line.strip().partition(' ')
        if word == 'v':
            vertices.append([float(value) for value in rest.split()[:3]])
        elif word == 'f':
            corners = [int(corner.split('/')[0]) for corner in rest.split()]
            corners = [at - 1 if at > 0 else len(vertices) + at for at in corners]
            for second, third in itertools.pairwise(corners[1:]):
                faces.append((corners[0], second, third))
                material.append(current)
        elif word == 'usemtl':
            name = rest.strip()
            if name not in names:
                names.append(name)
            current = names.index(name)
        elif word == 'mtllib':
            libraries.append(rest.strip())
    colours = {}
    for library in libraries:
        place = str(PurePosixPath(path).parent / library)
        if place in archive.namelist():
            colours.update(dict(read_materials(archive, place)))
    looks = np.array([colours.get(name, (1.0, 0.5, 1.0)) for name in names])
    return Model(
        np.array(vertices),
        np.array(faces),
        np.array(material),
        names,
        *looks.T,
    )


def read_materials(
    archive: zipfile.ZipFile, path: str
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield name, opacity, brightness and cover of each material."""
    name, opacity, brightness, cover = '', 1.0, 0.5, 1.0
    for line in archive.read(path).decode('latin-1').splitlines():
        word, _, rest = line.strip().partition(' ')
        if word == 'newmtl':
            if name:
                yield name, (opacity, brightness, cover)
            name, opacity, brightness, cover = rest.strip(), 1.0, 0.5, 1.0
        elif word == 'd':
            opacity = float(rest.split()[-1])
        elif word == 'Kd':
            brightness = float(np.mean([float(value) for value in rest.split()[:3]]))
        elif word in ('map_Kd', 'map_d'):
            place = str(PurePosixPath(path).parent / rest.split()[-1])
            if place in archive.namelist():
                picture = Image.open(io.BytesIO(archive.read(place))).convert('LA')
                light, alpha = np.asarray(picture, float).reshape(-1, 2).T / 255
                cover = float(alpha.mean())
                brightness = float((light * alpha).sum() / max(alpha.sum(), 1e-6))
    if name:
        yield name, (opacity, brightness, cover)


def oriented(model: Model, entry: dict[str, str], choice: dict[str, Any]) -> np.ndarray:
    """Vertices in metres: x forward, y left, z up, the origin on the ground in the middle.

    In the catalogue x is the width, y up, and what a person faces looks along +z.
    """
    vertices = model.vertices[:, :3].copy()
    if 'modelRotation' in entry:
        turn = np.array([float(value) for value in entry['modelRotation'].split()]).reshape(3, 3)
        vertices = vertices @ turn.T
    used = vertices[np.unique(model.faces)]
    low, high = used.min(0), used.max(0)
    size = np.array([float(entry[key]) / 100 for key in ('width', 'height', 'depth')])
    vertices = (vertices - (low + high) / 2) * (size / np.maximum(high - low, 1e-6))
    vertices = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1] + size[1] / 2], 1)
    angle = np.radians(choice.get('turn', 0))
    cos, sin = np.round([np.cos(angle), np.sin(angle)], 9)
    vertices[:, :2] = vertices[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    if 'length' in choice:
        used = vertices[np.unique(model.faces)]
        vertices *= choice['length'] / np.ptp(used[:, 0])
    return vertices


def part_of_materials(
    model: Model, vertices: np.ndarray, seen: np.ndarray, choice: dict[str, Any]
) -> np.ndarray:
    """(M,) index into ``PARTS`` of each material; the largest opaque one is the paint."""
    names = model.names
    glass = np.array([o < 0.85 or bool(_GLASS.search(n)) for o, n in zip(model.opacity, names)])
    dark = np.array([b < 0.13 or bool(_DARK.search(n)) for b, n in zip(model.brightness, names)])
    corners = vertices[model.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    total = np.bincount(model.material, area * seen, len(names))
    part = np.where(dark, PARTS.index('dark'), PARTS.index('other'))
    opaque = np.where(glass, 0.0, total)
    part[int(np.argmax(np.where(dark, 0.2, 1.0) * opaque))] = PARTS.index('paint')
    part[glass] = PARTS.index('glass')
    if choice.get('wire'):
        part[model.cover < 0.95] = PARTS.index('wire')
    return part


def visible(vertices: np.ndarray, faces: np.ndarray, glass: np.ndarray) -> np.ndarray:
    """(F,) whether a face is met by some ray from outside; glass hides nothing."""
    seen = np.zeros(len(faces), bool)
    centre = (vertices[faces].reshape(-1, 3).min(0) + vertices[faces].reshape(-1, 3).max(0)) / 2
    radius = float(np.linalg.norm(vertices[faces].reshape(-1, 3) - centre, axis=1).max())
    groups = [np.flatnonzero(~glass), np.flatnonzero(glass)]
    for group in groups:
        if not len(group):
            continue
        scene = rtcore_scene.EmbreeScene()
        TriangleMesh(
            scene,
            np.ascontiguousarray(vertices - centre, np.float32),
            np.ascontiguousarray(faces[group], np.int32),
        )
        for elevation in (-12, 8, 30, 75):
            for azimuth in range(0, 360, 36):
                e, a = np.radians([elevation, azimuth + elevation])
                towards = -np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
                side = np.array([-np.sin(a), np.cos(a), 0.0])
                upward = np.cross(towards, side)
                u, v = np.meshgrid(*[np.linspace(-1, 1, 160) * radius] * 2)
                origin = -2 * radius * towards + u[..., None] * side + v[..., None] * upward
                origin = origin.reshape(-1, 3).astype(np.float32)
                direction = np.ascontiguousarray(
                    np.broadcast_to(towards.astype(np.float32), origin.shape)
                )
                hit = scene.run(origin, direction)
                seen[group[np.unique(hit[hit >= 0])]] = True
    return seen


def welded(vertices: np.ndarray, faces: np.ndarray, grid: float) -> tuple[np.ndarray, np.ndarray]:
    """Merge the vertices of each cell of ``grid`` metres and drop what has no area."""
    key = np.round(vertices / grid).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (a != c)]
    faces = faces[np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1]]
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[first][used], faces.reshape(-1, 3)


def reduced(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """At most about ``target`` faces.

    Models of many loose pieces cannot be reduced by collapsing edges alone: their pieces are welded
    on a coarser and coarser grid first.
    """
    corner, triangle = vertices, faces
    for grid in (0.001, 0.004, 0.008, 0.014, 0.022):
        corner, triangle = welded(vertices, faces, grid)
        if len(triangle) > target:
            corner, triangle = fast_simplification.simplify(
                np.asarray(corner, np.float32), triangle.astype(np.int32), target_count=target
            )
            corner, triangle = welded(corner, triangle, 0.001)
        if len(triangle) <= 1.4 * target:
            break
    return corner, triangle


def derive(
    archive: zipfile.ZipFile, entry: dict[str, str], choice: dict[str, Any]
) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
    """One mesh: its row of the manifest and (vertices, faces) of each part."""
    model = read_obj(archive, entry['model'].lstrip('/'))
    vertices = oriented(model, entry, choice)
    glassy = np.array(
        [o < 0.85 or bool(_GLASS.search(n)) for o, n in zip(model.opacity, model.names)]
    )
    seen = visible(vertices, model.faces, glassy[model.material])
    part = part_of_materials(model, vertices, seen, choice)[model.material]
    corners = vertices[model.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    pieces, rows = [], []
    whole = sum(float(np.sqrt(area[seen & (part == k)].sum())) for k in range(len(PARTS)))
    for number, name in enumerate(PARTS):
        mine = seen & (part == number)
        if not mine.any():
            continue
        share = np.sqrt(float(area[mine].sum())) / max(whole, 1e-9)
        target = max(24, int(choice['faces'] * share))
        corner, triangle = reduced(vertices, model.faces[mine], target)
        corner = np.clip(corner, corners.min((0, 1)), corners.max((0, 1)))
        if not len(triangle) or len(corner) > 65535:
            continue
        weight = area * mine
        bright = float(np.average(model.brightness[model.material], weights=weight + 1e-12))
        pieces.append((corner, triangle))
        row = {'part': name, 'brightness': round(bright, 2)}
        rows.append(row | {'cover': choice['wire'] if name == 'wire' else 1.0})
    lift = min(float(corner[:, 2].min()) for corner, _ in pieces)
    pieces = [(corner - [0.0, 0.0, lift], triangle) for corner, triangle in pieces]
    return {'parts': rows}, pieces


def pack(
    rows: list[dict[str, Any]], pieces: list[list[tuple[np.ndarray, np.ndarray]]]
) -> dict[str, np.ndarray]:
    """The arrays of the file: vertices as shares of each part's box, in 16 bits."""
    vertices, faces, boxes, counts = [], [], [], []
    for parts in pieces:
        for corner, triangle in parts:
            low, high = corner.min(0), corner.max(0)
            span = np.maximum(high - low, 1e-6)
            vertices.append(np.rint((corner - low) / span * 65535).astype(np.uint16))
            faces.append(triangle.astype(np.uint16))
            boxes.append(np.stack([low, high]))
            counts.append((len(corner), len(triangle)))
    text = json.dumps(rows, sort_keys=True, ensure_ascii=False).encode()
    return {
        'manifest': np.frombuffer(text, np.uint8),
        'vertices': np.concatenate(vertices),
        'faces': np.concatenate(faces),
        'boxes': np.array(boxes, np.float32),
        'counts': np.array(counts, np.int32),
    }


def write_notice(rows: list[dict[str, Any]]) -> None:
    """Replace the list of models in NOTICE."""
    notice = ROOT / 'NOTICE'
    before, mark, _ = notice.read_text().partition(_MARK)
    lines = [f'{one["name"]}: {one["author"]} ({one["source"]}, {one["licence"]})' for one in rows]
    notice.write_text(before + mark + '\n' + '\n'.join(sorted(lines, key=str.lower)) + '\n')


def main() -> None:
    """Derive all meshes of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('furniture', type=Path, help='folder with the .sh3f archives')
    parser.add_argument('--only', help='derive only models whose name holds this text')
    parser.add_argument('--output', type=Path, default=OUTPUT)
    args = parser.parse_args()
    table = yaml.safe_load((ROOT / 'tools/derive_meshes.yaml').read_text())
    rows, pieces = [], []
    for source, kinds in table['archives'].items():
        archive = zipfile.ZipFile(args.furniture / f'{source}.sh3f')
        catalogue = read_catalogue(archive)
        for kind, models in kinds.items():
            for stem, more in models.items():
                if args.only and args.only not in stem:
                    continue
                entry = catalogue[stem]
                choice = {**table['kinds'][kind], **(more or {})}
                row, parts = derive(archive, entry, choice)
                row |= {
                    'name': stem,
                    'kind': kind,
                    'author': entry.get('creator', source),
                    'licence': table['licences'][source],
                    'source': source,
                }
                rows.append(row)
                pieces.append(parts)
                total = sum(len(triangle) for _, triangle in parts)
                box = np.concatenate([corner for corner, _ in parts])
                print(f'{kind:12s}{stem:32s}{total:6d} faces {np.ptp(box, axis=0).round(2)}')
                sys.stdout.flush()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.output, **pack(rows, pieces))
    if args.output == OUTPUT:
        write_notice(rows)
    print(args.output, args.output.stat().st_size)


if __name__ == '__main__':
    main()
