# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from math import prod
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.bundles.manifest_fields import TensorFile
from pointata_core.bundles.tensors import pack_tensors, read_tensors, unpack_tensors
from pointata_core.errors import BundleError
from pointata_core.safe_files import read_bounded, write_atomically

STATE = {
    'weight': torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    'scalar': torch.tensor(3.25),
    'empty': torch.zeros(0, 5),
    'count': torch.tensor([1, 2**40]),
}

TYPES = {
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
}


def as_file(header: dict[str, Any] | bytes, data: bytes = b'') -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


def write(path: Path, data: bytes, dtype: str = 'float32') -> TensorFile:
    path.write_bytes(data)
    return TensorFile(hashlib.sha256(data).hexdigest(), len(data), dtype)


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    data, file = pack_tensors(STATE, 'float32', 'test')
    write_atomically(tmp_path / 'a.safetensors', data)
    read = read_tensors(tmp_path / 'a.safetensors', file, STATE)
    assert read.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_rounds_to_nearest_and_leaves_integers(tmp_path, dtype) -> None:
    name = str(dtype).removeprefix('torch.')
    data, file = pack_tensors(STATE, name, 'test')
    write_atomically(tmp_path / 'a', data)
    read = read_tensors(tmp_path / 'a', file, STATE)
    assert torch.equal(read['weight'], STATE['weight'].to(dtype))
    assert torch.equal(read['count'], STATE['count'])


def test_equal_tensors_give_equal_bytes_whatever_their_order() -> None:
    backward = dict(reversed(STATE.items()))
    assert pack_tensors(STATE, 'float32', '')[0] == pack_tensors(backward, 'float32', '')[0]


def test_tied_and_strided_tensors_are_stored_whole(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = {'a': weight, 'b': weight.T, 'c': weight[:, 1]}
    data, file = pack_tensors(state, 'float32', 'test')
    write_atomically(tmp_path / 'a', data)
    read = read_tensors(tmp_path / 'a', file, state)
    assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ('value', 'dtype'), [('nan', 'float32'), ('inf', 'float32'), ('1e5', 'float16')]
)
def test_what_is_not_finite_once_stored_is_not_written(value: str, dtype: str) -> None:
    with pytest.raises(BundleError, match="tensor 'a' is not finite"):
        pack_tensors({'a': torch.tensor([0.0, float(value)])}, dtype, 'test')


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.complex64])
def test_other_types_are_not_stored(dtype: torch.dtype) -> None:
    with pytest.raises(BundleError, match="tensor 'a' is torch"):
        pack_tensors({'a': torch.zeros(2, dtype=dtype)}, 'float32', 'test')


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', 'header'),
        (b'\x01\x02', 'header'),
        ((2**63).to_bytes(8, 'little') + b'{}', 'header'),
        ((3).to_bytes(8, 'little') + b'{}', 'header'),
        (as_file(b'{"a": '), 'JSON'),
        (as_file(b'[]'), 'sequence'),
        (as_file(b'{"a": 1}'), 'TensorInfo'),
        (as_file({'a': {'dtype': 'F32', 'shape': [0]}}), 'data_offsets'),
        (as_file({'a': entry('F64', [1], 0, 8)}, bytes(8)), 'float64'),
        (as_file({'a': entry('F4', [2], 0, 1)}, bytes(1)), 'F4'),
        (as_file({'a': entry('F32', [1, True], 0, 4)}, bytes(4)), 'boolean'),
        (as_file({'a': entry('F32', [-1], 0, 4)}, bytes(4)), 'integer'),
        (as_file({'a': entry('F32', [1.0], 0, 4)}, bytes(4)), 'floating point'),
        (as_file({'a': entry('F32', [1] * 9, 0, 4)}, bytes(4)), "tensor 'a' is float32 [1, 1, 1"),
        (as_file({'a': entry('F32', [2**40, 2**40], 0, 4)}, bytes(4)), 'overflow'),
        (as_file({'a': entry('F32', [2**63, 0], 0, 0)}), 'verflow'),
        (as_file({'a': entry('F32', [1], 4, 0)}, bytes(4)), 'invalid'),
        (as_file({'a': entry('F32', [2], 0, 4)}, bytes(4)), 'invalid'),
        (as_file({'a': entry('F32', [1], 4, 8)}, bytes(8)), 'invalid offset'),
        (
            as_file({'a': entry('F32', [1], 0, 4), 'b': entry('F32', [1], 0, 4)}, bytes(4)),
            'invalid offset',
        ),
        (
            as_file({'a': entry('F32', [1], 0, 4), 'b': entry('F32', [1], 2, 6)}, bytes(6)),
            'invalid offset',
        ),
        (as_file({'a': entry('F32', [1], 0, 4)}, bytes(5)), 'not fully covered'),
        (as_file({'a': entry('F32', [2], 0, 8)}, bytes(4)), 'not fully covered'),
        (
            as_file(
                b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
                bytes(8),
            ),
            'invalid offset',
        ),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    # A size that no manifest can give is refused before the file is read.
    path = tmp_path / 'x.safetensors'
    try:
        file = write(path, data)
    except BundleError:
        with pytest.raises(BundleError, match=reason):
            unpack_tensors(data, str(path))
        return
    with pytest.raises(BundleError) as caught:
        read_tensors(path, file, {'a': torch.zeros(1)})
    assert reason in caught.value.message
    assert caught.value.message.startswith(str(path))


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    """A header of 640 bytes begins with the bytes of an old pickle."""
    state = {'a': torch.ones(2)}
    text = json.dumps({'a': entry('F32', [2], 0, 8)}).encode().ljust(640)
    file = write(tmp_path / 'a', as_file(text, safetensors.torch.save(state)[-8:]))
    assert torch.equal(read_tensors(tmp_path / 'a', file, state)['a'], state['a'])


def _torch_archive(zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.mark.parametrize(
    'data',
    [_torch_archive(True), _torch_archive(False), *(pickle.dumps([1], p) for p in range(2, 6))],
    ids=['zip', 'legacy', 'pickle2', 'pickle3', 'pickle4', 'pickle5'],
)
def test_a_pickle_is_recognised_and_never_opened(tmp_path: Path, data: bytes) -> None:
    file = write(tmp_path / 'a.safetensors', data)
    with pytest.raises(BundleError, match='pickle'):
        read_tensors(tmp_path / 'a.safetensors', file, {})


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_headers_near_valid_ones_are_refused_or_describe_the_file(
    data: st.DataObject,
) -> None:
    names = data.draw(st.lists(st.text('abc_.', max_size=3), unique=True, max_size=4))
    header, position = {}, 0
    for name in names:
        dtype = data.draw(st.sampled_from(sorted(TYPES)))
        shape = data.draw(st.lists(st.integers(0, 3), max_size=3))
        size = prod(shape) * TYPES[dtype].itemsize
        header[name] = entry(dtype, shape, position, position + size)
        position += size
    if names and data.draw(st.booleans()):
        broken = header[data.draw(st.sampled_from(names))]
        numbers = broken[data.draw(st.sampled_from(['shape', 'data_offsets']))]
        if numbers:
            index = data.draw(st.integers(0, len(numbers) - 1))
            numbers[index] = max(0, numbers[index] + data.draw(st.integers(-4, 4)))
    size = max(0, position + data.draw(st.sampled_from([0, 0, -1, 4])))
    try:
        tensors = unpack_tensors(as_file(header, bytes(size)), 'x')
    except BundleError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) == size
    assert {name: (tensor.dtype, list(tensor.shape)) for name, tensor in tensors.items()} == {
        name: (TYPES[described['dtype']], described['shape']) for name, described in header.items()
    }


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for content in (data, as_file(data), as_file({'a': entry('F32', [1], 0, 4)}, data)):
        try:
            unpack_tensors(content, 'x')
        except BundleError as error:
            assert error.message.startswith('x')


def test_a_file_larger_than_its_network_is_not_read(tmp_path: Path) -> None:
    # The path does not even exist: the manifest's size alone decides.
    file = TensorFile('0' * 64, 1 << 40, 'float32')
    with pytest.raises(BundleError, match='the manifest has 1099511627776 bytes'):
        read_tensors(tmp_path / 'absent', file, STATE)


@pytest.mark.parametrize('kind', ['absent', 'folder', 'link', 'pipe', 'too_large', 'other_size'])
def test_only_regular_files_of_the_right_size_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'file'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'link':
        (tmp_path / 'real').write_bytes(b'12345678')
        path.symlink_to('real')
    elif kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'too_large':
        path.write_bytes(bytes(101))
    elif kind == 'other_size':
        path.write_bytes(bytes(7))
    with pytest.raises(BundleError, match=r'file: found .*, expected'):
        read_bounded(path, 100, 8 if kind == 'other_size' else None)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / 'file', b'old')
    with pytest.raises(TypeError):
        write_atomically(tmp_path / 'file', 'not bytes')  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ['file']
    assert (tmp_path / 'file').read_bytes() == b'old'


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    write_atomically(tmp_path / 'new' / 'file', b'x')
    assert (tmp_path / 'new' / 'file').stat().st_mode & 0o444 == 0o444
