# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An endless, repeatable supply of cloud files in the dialects of the programs that write them.

Each file follows from its seed alone. The spellings are those that PCL, Open3D, CloudCompare,
MeshLab, PDAL, pypcd, rply, plyfile, trimesh and hand-written exporters use or accept.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ENDS = ('\n', '\n', '\n', '\r\n')
_GAPS = (' ', ' ', ' ', '\t', '  ')
_EXTRAS = ('intensity', 'ring', 'time', 'rgb', 'normal_x', 'curvature', 'Label', 'scalar_Quality')
_COMMENTS = ('# .PCD v0.7 - Point Cloud Data file format', '# Größe', '#', '')


@dataclass(frozen=True, eq=False)
class CloudFile:
    """A file, and the points in it.

    Attributes:
        name: File name; its ending selects the reader.
        data: Content.
        points: (N, 3) float32 in the order of the file.
        extras: Further columns, ``(N,)`` float64 by their name in the file.
    """

    name: str
    data: bytes
    points: np.ndarray
    extras: dict[str, np.ndarray]


def cloud_file(seed: int) -> CloudFile:
    """The file number ``seed``: PCD, PLY, text or an array."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    count = rng.choice((0, 1, 2, 7, 40))
    points = numbers.normal(scale=rng.choice((0.1, 5, 60)), size=(count, 3)).astype(np.float32)
    if rng.random() < 0.2 and count:
        points[rng.randrange(count)] = np.nan
    names = rng.sample(_EXTRAS, rng.randint(0, 4))
    extras = {name: numbers.integers(0, 200, count).astype(np.float64) for name in names}
    write = rng.choice((_pcd, _pcd, _ply, _ply, _text, _array))
    name, data = write(rng, points, extras)
    if write in (_text, _array):
        extras = {}
    return CloudFile(name, data, points, extras)


def damaged(file: CloudFile, seed: int) -> bytes:
    """The content with a few bytes changed, cut, doubled or exchanged."""
    rng, data = random.Random(seed), bytearray(file.data)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at, size = rng.randrange(len(data)), rng.choice((1, 1, 2, 4, 30))
        change = rng.randrange(6)
        if change == 0:
            data[at : at + size] = rng.randbytes(size)
        elif change == 1:
            del data[at : at + size]
        elif change == 2:
            data[at:at] = data[at : at + size]
        elif change == 3:
            del data[at:]
        elif change == 4:
            digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57] or [at]
            data[rng.choice(digits)] = rng.choice(b'0123456789-.e')
        else:
            words = (b'nan', b'-1', b'99999999999', b' ', b'\n', b'\0', b'list', b'DATA', b'F')
            data[at:at] = rng.choice(words)
    return bytes(data)


def _number(rng: random.Random, value: float, comma: bool) -> str:
    if not np.isfinite(value):
        return rng.choice(('nan', 'NaN', '-nan', 'nan(ind)', '-nan(ind)', '1.#QNAN', '-1.#IND'))
    text = rng.choice((repr(float(value)), f'{value:.9e}', f'{value:+.12g}', f'{value:.9E}'))
    return text.replace('.', ',') if comma else text


def _table(rng: random.Random, columns: Sequence[np.ndarray], end: str, comma: bool) -> str:
    lines = []
    for row in zip(*columns):
        words = [_number(rng, value, comma) for value in row]
        if rng.random() < 0.5:
            words = [word.removesuffix('.0') for word in words]
        gap = rng.choice(_GAPS)
        lines.append(rng.choice(('', '', ' ')) + gap.join(words) + rng.choice(('', '', ' ')))
        if rng.random() < 0.05:
            lines.append('')
    return end.join(lines) + rng.choice((end, end, '', end * 2))


# --------------------------------------------------------------------------------------------- PCD


def _pcd(rng: random.Random, points: np.ndarray, extras: dict) -> tuple[str, bytes]:
    end, gap, count = rng.choice(_ENDS), rng.choice(_GAPS), len(points)
    encoding = rng.choice(('ascii', 'binary', 'binary_compressed'))
    columns = [(axis, points[:, index], 'F', rng.choice((4, 4, 8)))
               for index, axis in enumerate('xyz')]  # fmt: skip
    for name, values in extras.items():
        kind = rng.choice('FUI')
        columns.append((name, values, kind, rng.choice((4, 8) if kind == 'F' else (2, 4, 8))))
    rng.shuffle(columns)
    has_defaults = all(kind == 'F' and size == 4 for _, _, kind, size in columns)
    fields, parts = [], []
    for name, values, kind, size in columns:
        if rng.random() < 0.15 and encoding != 'ascii':
            padding = rng.choice((0, 1, 3, 4))
            fields.append(('_', 'U', 1, padding))
            parts.append(np.zeros((count, padding), 'u1'))
            has_defaults = False
        letter = kind.lower() if rng.random() < 0.2 else kind
        fields.append((name, letter, size, 1))
        code = {'F': 'f', 'U': 'u', 'I': 'i'}[kind]
        parts.append(values.astype(f'<{code}{size}').reshape(count, 1))
    lines = [rng.choice(_COMMENTS)] if rng.random() < 0.8 else []
    lines.append(f'VERSION{gap}{rng.choice((".7", "0.7", ".5", "0.6"))}')
    lines.append(f'{rng.choice(("FIELDS", "FIELDS", "COLUMNS"))}{gap}'
                 + gap.join(f[0] for f in fields))  # fmt: skip
    if not has_defaults or rng.random() < 0.5:
        lines.append(f'SIZE{gap}' + gap.join(str(f[2]) for f in fields))
        lines.append(f'TYPE{gap}' + gap.join(f[1] for f in fields))
    if any(f[3] != 1 for f in fields) or rng.random() < 0.7:
        lines.append(f'COUNT{gap}' + gap.join(str(f[3]) for f in fields))
    lines += _pcd_sizes(rng, count)
    lines.append(f'DATA {encoding.upper() if rng.random() < 0.1 else encoding}')
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines)), '# ' + rng.choice(('comment', 'größer')))
    if rng.random() < 0.1:
        lines = [line + ' ' for line in lines]
    if rng.random() < 0.1:
        lines = [line.lower() if line.split()[:1] == ['DATA'] else line for line in lines]
    head = (end.join(lines) + end).encode('utf-8' if rng.random() < 0.7 else 'latin-1')
    if encoding == 'ascii':
        written = [part[:, 0].astype(np.float64) for part in parts]
        return 'cloud.pcd', head + _table(rng, written, end, rng.random() < 0.1).encode()
    if encoding == 'binary':
        rows = [part.view('u1') for part in parts if part.size]
        rows = rows or [np.empty((count, 0), 'u1')]
        body = np.concatenate(rows, axis=1).tobytes()
        return 'cloud.pcd', head + body + (b'\n' if rng.random() < 0.1 else b'')
    raw = b''.join(part.tobytes() for part in parts)
    packed = _literals(raw)
    return 'cloud.pcd', head + struct.pack('<II', len(packed), len(raw)) + packed


def _pcd_sizes(rng: random.Random, count: int) -> list[str]:
    height = rng.choice([h for h in (1, 1, 2, 4) if count % h == 0])
    style = rng.randrange(5)
    if style == 0 and count:
        return [f'POINTS {count}']
    if style == 1:
        return [f'WIDTH {count}']
    sizes = [f'WIDTH {count // height}', f'HEIGHT {height}']
    if rng.random() < 0.8:
        sizes.append('VIEWPOINT 0 0 0 1 0 0 0')
    if style == 2:
        return [*sizes, f'POINTS {count}.0']
    return [*sizes, f'POINTS {count}']


def _literals(data: bytes) -> bytes:
    """LZF without back references."""
    runs = (data[at : at + 32] for at in range(0, len(data), 32))
    return b''.join(bytes([len(run) - 1]) + run for run in runs)


# --------------------------------------------------------------------------------------------- PLY

_TYPES = {
    'f4': ('float', 'float32', 'FLOAT'),
    'f8': ('double', 'float64'),
    'u1': ('uchar', 'uint8'),
    'u2': ('ushort', 'uint16'),
    'i4': ('int', 'int32'),
    'u4': ('uint', 'uint32'),
}


def _ply(rng: random.Random, points: np.ndarray, extras: dict) -> tuple[str, bytes]:
    end, count = rng.choice(_ENDS), len(points)
    form = rng.choice(('ascii', 'binary_little_endian', 'binary_big_endian'))
    order = '>' if 'big' in form else '<'
    columns = [(axis, points[:, index], rng.choice(('f4', 'f8')))
               for index, axis in enumerate('xyz')]  # fmt: skip
    columns += [(name, v, rng.choice(('f4', 'f8', 'u2', 'i4'))) for name, v in extras.items()]
    rng.shuffle(columns)
    vertex = [f'element vertex {count}']
    vertex += [f'property {rng.choice(_TYPES[code])} {name}' for name, _, code in columns]
    parts = [v.astype(order + code).reshape(count, 1) for _, v, code in columns]
    if rng.random() < 0.2:
        vertex.append(f'property list {rng.choice(_TYPES["u1"])} {rng.choice(_TYPES["i4"])} near')
        parts.append(np.full((count, 1), 2, 'u1'))
        parts.append(np.tile(np.array([5, 6], order + 'i4'), (count, 1)))
    face = ['element face 2', 'property list uchar int vertex_indices']
    faces = [[3, 0, 1, 2], [4, 0, 1, 2, 3]]
    before = rng.random() < 0.2
    elements = [*face, *vertex] if before else [*vertex, *face]
    lines = ['ply', *_ply_remarks(rng), f'format {form} 1.0', *_ply_remarks(rng)]
    for line in elements:
        lines += [line + rng.choice(('', '', '', ' ')), *_ply_remarks(rng)]
    encoding = 'utf-8' if rng.random() < 0.7 else 'latin-1'
    head = (end.join([*lines, 'end_header']) + end).encode(encoding)
    if form == 'ascii':
        written = [part[:, i].astype(np.float64) for part in parts for i in range(part.shape[1])]
        text = _table(rng, written, end, rng.random() < 0.1)
        face_text = end.join(' '.join(map(str, one)) for one in faces) + end
        if before:
            return 'cloud.ply', head + (face_text + text).encode()
        gap = '' if not text or text.endswith(end) else end
        return 'cloud.ply', head + (text + gap + face_text).encode()
    rows = [np.ascontiguousarray(part).view('u1') for part in parts]
    body = np.concatenate(rows, axis=1).tobytes()
    packed = b''.join(struct.pack(f'{order}B{len(one) - 1}i', *one) for one in faces)
    return 'cloud.ply', head + (packed + body if before else body + packed)


def _ply_remarks(rng: random.Random) -> list[str]:
    return [
        line
        for line in ('comment made by hand', 'comment Gerät: größer', 'obj_info num_cols 2', '')
        if rng.random() < 0.06
    ]


# ---------------------------------------------------------------------------------- text and arrays


def _text(rng: random.Random, points: np.ndarray, _: dict) -> tuple[str, bytes]:
    end, comma = rng.choice(_ENDS), False
    ending = rng.choice(('.xyz', '.txt', '.csv', '.asc', '.pts', '.XYZ'))
    lines = []
    for row in points:
        words = [_number(rng, value, comma) for value in (*row, 7.0)]
        lines.append(words)
    gap = rng.choice((' ', '\t', ',', ';', ', '))
    heads: tuple[str, ...] = ('', '', 'x,y,z,intensity', '//X Y Z Intensity', '# x y z intensity')
    head = rng.choice(heads)
    if ending == '.pts':
        head, gap = str(len(points)), ' '
    body = end.join(gap.join(words) for words in lines)
    return f'cloud{ending}', ((head + end if head else '') + body + end).encode()


def _array(rng: random.Random, points: np.ndarray, _: dict) -> tuple[str, bytes]:
    rows = np.concatenate([points, np.full((len(points), 1), 0.5, np.float32)], axis=1)
    kind = rng.choice(('bin', 'npy', 'npy', 'npz', 'structured'))
    if kind == 'bin':
        return 'cloud.bin', np.nan_to_num(rows, nan=np.nan).astype('<f4').tobytes()
    buffer = io.BytesIO()
    if kind == 'npz':
        arrays: dict[str, Any] = {rng.choice(('points', 'xyz', 'arr_0')): rows}
        np.savez(buffer, **arrays)
        return 'cloud.npz', buffer.getvalue()
    if kind == 'structured':
        named = np.zeros(len(rows), [('x', 'f4'), ('y', 'f8'), ('z', 'f4'), ('ring', 'u2')])
        for index, axis in enumerate('xyz'):
            named[axis] = points[:, index]
        np.save(buffer, named)
    else:
        np.save(buffer, np.asfortranarray(rows) if rng.random() < 0.3 else rows.astype('>f8'))
    return 'cloud.npy', buffer.getvalue()
