# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The same eight points in every spelling of a cloud file that is met, one by one.

Each spelling is what some program writes, or what a public report calls unreadable elsewhere.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

POINTS = np.array(
    [
        [1.5, -2, 3], [4, 5.25, -6], [7, 8, 9.5], [-1, -2, -3],
        [0.5, 0.25, 0.125], [10, 20, 30], [-7.5, 6, 2], [3, 1, 2],
    ],
    np.float32,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Spelling:
    """One file.

    Attributes:
        format: ``PCD``, ``PLY`` or ``text``.
        what: What is special about it, in a few words.
        name: File name.
        data: Content.
        points: (N, 3) float32 in it.
    """

    format: str
    what: str
    name: str
    data: bytes
    points: np.ndarray


def spellings() -> Iterator[Spelling]:
    """All of them."""
    for what, content in _pcd().items():
        yield _spelling('PCD', what, 'cloud.pcd', content)
    for what, content in _ply().items():
        yield _spelling('PLY', what, 'cloud.ply', content)
    for (what, name), content in _text().items():
        yield _spelling('text', what, name, content)


def _spelling(form: str, what: str, name: str, content: str | bytes) -> Spelling:
    data = content if isinstance(content, bytes) else content.encode()
    points = POINTS
    if what == 'missing values of Visual C++':
        points = POINTS.copy()
        points[0, 1] = np.nan
    return Spelling(form, what, name, data, points)


def _rows(gap: str = ' ', end: str = '\n', more: str = '') -> str:
    return ''.join(gap.join(f'{v:g}' for v in row) + more + end for row in POINTS.tolist())


_PCD_LINES = {
    'VERSION': '0.7', 'FIELDS': 'x y z', 'SIZE': '4 4 4', 'TYPE': 'F F F', 'COUNT': '1 1 1',
    'WIDTH': '8', 'HEIGHT': '1', 'VIEWPOINT': '0 0 0 1 0 0 0', 'POINTS': '8', 'DATA': 'ascii',
}  # fmt: skip


def _head(first: str = '# .PCD v0.7\n', **changes: str | None) -> str:
    lines = {k: v for k, v in (_PCD_LINES | changes).items() if v is not None}
    return first + ''.join(f'{key} {value}\n' for key, value in lines.items())


def _packed(raw: bytes) -> bytes:
    runs = (raw[at : at + 32] for at in range(0, len(raw), 32))
    body = b''.join(bytes([len(run) - 1]) + run for run in runs)
    return struct.pack('<II', len(body), len(raw)) + body


def _pcd() -> dict[str, str | bytes]:
    ascii_file, xyz = _head() + _rows(), POINTS.astype('<f4')
    binary = _head(DATA='binary').encode()
    records = np.zeros(8, [('x', '<f4'), ('p', 'u1', 3), ('y', '<f4'), ('z', '<f4'), ('i', '<u2')])
    doubles = np.zeros(8, [('x', '<f8'), ('y', '<f8'), ('z', '<f8'), ('t', '<u8')])
    for index, axis in enumerate('xyz'):
        records[axis] = doubles[axis] = POINTS[:, index]
    normals = np.arange(24, dtype='<f4')
    padded = {'FIELDS': 'x _ y z intensity', 'SIZE': '4 1 4 4 2', 'TYPE': 'F U F F U'}
    comma = ascii_file.split('ascii\n', maxsplit=1)[1].replace('.', ',')
    return {
        'ascii': ascii_file,
        'binary': binary + xyz.tobytes(),
        'binary_compressed': _head(DATA='binary_compressed').encode() + _packed(xyz.T.tobytes()),
        'organised': _head(WIDTH='4', HEIGHT='2') + _rows(),
        'padding fields': _head(COUNT='1 3 1 1 1', DATA='binary', **padded).encode()
        + records.tobytes(),
        'fields with COUNT 0': _head(COUNT='1 0 1 1 1', DATA='binary', **padded).encode()
        + np.array(records[['x', 'y', 'z', 'i']].tolist(), [('x', '<f4'), ('y', '<f4'),
                   ('z', '<f4'), ('i', '<u2')]).tobytes(),
        'float64 and 64-bit integers': _head(
            FIELDS='x y z t', SIZE='8 8 8 8', TYPE='F F F U', COUNT='1 1 1 1', DATA='binary'
        ).encode() + doubles.tobytes(),
        'vector fields, compressed': _head(
            FIELDS='normal x y z', SIZE='4 4 4 4', TYPE='F F F F', COUNT='3 1 1 1',
            DATA='binary_compressed',
        ).encode() + _packed(normals.tobytes() + xyz.T.tobytes()),
        'two fields of one name': _head(
            FIELDS='x y z i i', SIZE='4 4 4 4 4', TYPE='F F F F F', COUNT='1 1 1 1 1'
        ) + _rows(more=' 7 9'),
        'TYPE in lower case': ascii_file.replace('F F F', 'f f f'),
        'TYPE in words': ascii_file.replace('F F F', 'Float Float Float'),
        'no SIZE, TYPE, COUNT': _head(SIZE=None, TYPE=None, COUNT=None) + _rows(),
        'no WIDTH and HEIGHT': _head(WIDTH=None, HEIGHT=None) + _rows(),
        'no POINTS': _head(POINTS=None) + _rows(),
        'WIDTH and HEIGHT of 0': _head(WIDTH='0', HEIGHT='0') + _rows(),
        'WIDTH contradicts POINTS': _head(WIDTH='9') + _rows(),
        'COLUMNS for FIELDS, tabs': ascii_file.replace('FIELDS', 'COLUMNS').replace(' ', '\t'),
        'DATA in capitals': ascii_file.replace('ascii', 'ASCII'),
        'CR LF, binary': binary.replace(b'\n', b'\r\n') + xyz.tobytes(),
        'CR LF, ascii': ascii_file.replace('\n', '\r\n'),
        'CR alone': ascii_file.replace('\n', '\r'),
        'blank lines': ascii_file.replace('VERSION', '\nVERSION').replace('ascii\n', 'ascii\n\n'),
        'comments among the points': ascii_file.replace('ascii\n', 'ascii\n# x y z\n'),
        'byte order mark': '\ufeff' + ascii_file,
        'UTF-16': ascii_file.encode('utf-16'),
        'comment in Latin-1': ascii_file.replace('# .PCD', '# Größe').encode('latin-1'),
        'sizes as 8.0': ascii_file.replace('POINTS 8', 'POINTS 8.0'),
        'decimal commas': ascii_file.split('ascii\n', maxsplit=1)[0] + 'ascii\n' + comma,
        'commas between numbers': ascii_file.replace(_rows(), _rows(', ')),
        'more numbers than fields': ascii_file.replace(_rows(), _rows(more=' 77')),
        'exponents of Fortran, 0x': ascii_file.replace('1.5', '1.5D+00').replace(' -6', ' -0x6'),
        'missing values of Visual C++': ascii_file.replace('1.5 -2', '1.5 -1.#IND'),
    }  # fmt: skip


def _ply() -> dict[str, str | bytes]:
    lines = 'property float x\nproperty float y\nproperty float z\n'
    head = f'ply\nformat ascii 1.0\nelement vertex 8\n{lines}end_header\n'
    plain, body = head + _rows(), _rows()
    little = head.replace('ascii', 'binary_little_endian').encode()
    xyz = POINTS.astype('<f4').tobytes()
    camera = 'element camera 1\nproperty list int float view\n'
    first = head.replace('element vertex', camera + 'element vertex')
    lists = head.replace('float y\n', 'float y\nproperty list uchar short near\n')
    ragged = b''.join(
        struct.pack(f'<ffB{n}hf', x, y, n, *range(n), z) for n, (x, y, z) in enumerate(POINTS)
    )
    return {
        'ascii': plain,
        'binary_little_endian': little + xyz,
        'binary_big_endian': head.replace('ascii', 'binary_big_endian').encode()
        + POINTS.astype('>f4').tobytes(),
        'float32, double, capital names': plain.replace('float x', 'float32 X').replace(
            'float y', 'double Y'
        ),
        'types in capitals': plain.replace('float x', 'FLOAT x'),
        'element before the points': first + '2 8 9\n' + body,
        'element before, binary': first.replace('ascii', 'binary_little_endian').encode()
        + struct.pack('<iff', 2, 8, 9) + xyz,
        'lists in the points, binary': lists.replace('ascii', 'binary_little_endian').encode()
        + ragged,
        'element point': plain.replace('vertex', 'point'),
        '64-bit integers': head.replace('property float x', 'property int64 id\nproperty float x')
        + ''.join(f'7 {line}\n' for line in body.splitlines()),
        'blank lines': plain.replace('end_header\n', 'end_header\n\n') + '\n \n',
        'blank line in the header': plain.replace('1.0\n', '1.0\n\n'),
        'trailing blanks': plain.replace('\n', ' \n'),
        'points over several lines': head + body.replace(' ', '\n'),
        'more numbers than properties': head + _rows(more=' 9'),
        'comment in UTF-8': plain.replace('1.0\n', '1.0\ncomment Größe\n'),
        'comment in Latin-1': plain.replace('1.0\n', '1.0\ncomment Größe\n').encode('latin-1'),
        'obj_info': plain.replace('1.0\n', '1.0\nobj_info num_cols 8\n'),
        'CR LF, ascii': plain.replace('\n', '\r\n'),
        'CR LF, binary': little.replace(b'\n', b'\r\n') + xyz,
        'CR alone': plain.replace('\n', '\r'),
        'byte order mark': '\ufeff' + plain,
        'decimal commas': head + body.replace('.', ','),
        'missing values of Visual C++': plain.replace('1.5 -2', '1.5 -nan(ind)'),
    }  # fmt: skip


def _text() -> dict[tuple[str, str], str | bytes]:
    quoted = '"x";"y";"z"\r\n' + _rows(';', '\r\n').replace('.', ',')
    buffer = io.StringIO()
    np.savetxt(buffer, POINTS)
    return {
        ('blanks', 'cloud.xyz'): _rows(),
        ('numpy.savetxt', 'cloud.txt'): buffer.getvalue(),
        ('header of CloudCompare', 'cloud.txt'): '//X Y Z Intensity\n' + _rows(more=' 7'),
        ('CSV with a header', 'cloud.csv'): 'x,y,z,intensity\n' + _rows(',', more=',7'),
        ('CSV with an empty field', 'cloud.csv'): 'x,y,z,intensity\n' + _rows(',', more=','),
        ('CSV with decimal commas', 'cloud.csv'): quoted,
        ('.pts with its count', 'cloud.pts'): '8\n' + _rows(more=' 7 1 2 3'),
        ('tabs, blank lines, comments', 'cloud.asc'): '# by hand\n\n' + _rows('\t', '\n\n'),
    }
