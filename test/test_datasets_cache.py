# SPDX-License-Identifier: Apache-2.0
"""Caches: the same recordings but for rounding; whole, or not there and to be finished later."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from dataset_samples import depth_video, radar_points, write_msr_raw, write_radar_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pointata_core.cli.main import main
from pointata_core.datasets.actions.msr_action3d import msr_action3d
from pointata_core.datasets.actions.radhar import radhar
from pointata_core.datasets.cache import CacheConfig, open_cache, write_cache
from pointata_core.datasets.cache_files import decode, encode
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError

WHOLE = ClipSampling('whole')
SMALL_SHARDS = CacheConfig(recordings_per_shard=2)


@pytest.fixture
def msr(tmp_path):
    root = tmp_path / 'msr'
    root.mkdir()
    for action in range(1, 6):
        write_msr_raw(root, f'a{action:02d}_s01_e01', depth_video(3 + action, 12, 16, action))
    return msr_action3d(root, sampling=WHOLE)


@pytest.fixture
def radar(tmp_path):
    root = tmp_path / 'radar'
    root.mkdir()
    for number, counts in enumerate([(2, 0, 5), (1, 1, 1, 7)], start=1):
        rows, times = radar_points(counts, number)
        write_radar_npz(root / f'Train__walk__walk_{number}.npz', counts, rows, times)
    return radhar(root, sampling=WHOLE)


@settings(max_examples=30)
@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(0, 30), st.just(3)),
        elements=st.floats(-200, 200, width=32),
    ),
    st.sampled_from(['int16', 'float16', 'float32']),
)  # fmt: skip
def test_rounding_stays_within_what_the_encoding_promises(points, encoding):
    stored, scale = encode(points, encoding)
    found = decode(stored, scale)
    assert stored.dtype == encoding
    assert found.dtype == np.float32
    extent = np.abs(points).max(initial=0)
    bound = {
        'int16': np.full_like(points, 0.51 * extent / 32767 + 1e-6 * extent),
        'float16': np.abs(points) * 2**-11 + 2**-25,
        'float32': np.zeros_like(points),
    }[encoding]
    assert (np.abs(found - points) <= bound).all()


@pytest.mark.parametrize('encoding', ['int16', 'float16', 'float32'])
def test_a_cache_holds_what_the_data_set_does(radar, tmp_path, encoding):
    write_cache(radar, tmp_path / 'cache', CacheConfig(encoding))
    cached = open_cache(tmp_path / 'cache', WHOLE)
    assert (cached.name, cached.split, cached.classes) == (radar.name, 'train', radar.classes)
    assert cached.feature_names == radar.feature_names
    for index in range(len(radar)):
        ours, theirs = cached[index], radar[index]
        assert (ours.name, ours.action, ours.sequence) == (
            theirs.name,
            theirs.action,
            theirs.sequence,
        )
        np.testing.assert_array_equal(ours.times_s, theirs.times_s)
        for a, b in zip(ours.points, theirs.points, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3)
        for a, b in zip(ours.features, theirs.features, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_clips_of_a_cache_are_cut_as_from_the_files(msr, tmp_path):
    sampling = ClipSampling('sliding', frames=4, stride=2, points=16)
    write_cache(msr, tmp_path / 'cache', CacheConfig('float32', recordings_per_shard=2))
    cached = pickle.loads(pickle.dumps(open_cache(tmp_path / 'cache', sampling)))
    direct = msr.with_sampling(sampling)
    assert len(cached) == len(direct) > 5
    for ours, theirs in zip(cached, direct, strict=True):
        assert ours.name == theirs.name
        np.testing.assert_array_equal(ours.points, theirs.points)


def test_two_processes_write_the_same_cache_as_one(msr, tmp_path):
    write_cache(msr, tmp_path / 'one', SMALL_SHARDS)
    write_cache(msr, tmp_path / 'two', SMALL_SHARDS, workers=2)
    files = sorted(p.relative_to(tmp_path / 'one') for p in (tmp_path / 'one').rglob('*.*'))
    assert len(files) > 9
    for file in files:
        assert (tmp_path / 'one' / file).read_bytes() == (tmp_path / 'two' / file).read_bytes()


def test_an_interrupted_cache_is_not_opened_and_goes_on_where_it_was(msr, tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    folder = tmp_path / 'cache'
    with pytest.raises(KeyboardInterrupt):
        write_cache(msr, folder, SMALL_SHARDS, progress=interrupt)
    with pytest.raises(DataError, match='finished cache'):
        open_cache(folder, WHOLE)
    first = {path: path.stat().st_mtime_ns for path in folder.rglob('points.npy')}
    assert len(first) == 2
    (folder / 'shard_00002.partial').mkdir()  # as a killed process leaves it
    seen = []
    write_cache(msr, folder, SMALL_SHARDS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]
    assert {path: path.stat().st_mtime_ns for path in first} == first
    write_cache(msr, tmp_path / 'at_once', SMALL_SHARDS)
    assert [len(c) for c in open_cache(folder, WHOLE)] == [len(c) for c in msr]
    one, other = (d / 'index.json' for d in (folder, tmp_path / 'at_once'))
    assert one.read_bytes() == other.read_bytes()
    assert not list(folder.glob('*.partial'))


def test_at_most_so_many_points_are_kept_and_small_frames_stay_whole(msr, tmp_path):
    write_cache(msr, tmp_path / 'cache', CacheConfig('float32', points=10))
    for ours, theirs in zip(open_cache(tmp_path / 'cache', WHOLE), msr, strict=True):
        for kept, cloud in zip(ours.points, theirs.points, strict=True):
            assert len(kept) == min(10, len(cloud))
            assert {tuple(p) for p in kept.tolist()} <= {tuple(p) for p in cloud.tolist()}


def test_a_folder_with_another_cache_is_left_alone(msr, radar, tmp_path):
    write_cache(msr, tmp_path / 'cache', SMALL_SHARDS)
    for dataset, config in ((radar, SMALL_SHARDS), (msr, CacheConfig('float16'))):
        with pytest.raises(ConfigError, match='another'):
            write_cache(dataset, tmp_path / 'cache', config)


def test_a_damaged_source_is_named_and_what_was_done_stays(msr, tmp_path):
    msr.recordings[4].path.write_bytes(b'')
    with pytest.raises(DataError, match='a05_s01_e01'):
        write_cache(msr, tmp_path / 'cache', SMALL_SHARDS)
    assert len(list((tmp_path / 'cache').glob('shard_*'))) == 2


@pytest.mark.parametrize('file', ['points.npy', 'offsets.npy', 'shard.json', 'times.npy'])
def test_damaged_shards_are_named(radar, tmp_path, file):
    write_cache(radar, tmp_path / 'cache')
    path = tmp_path / 'cache' / 'shard_00000' / file
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match='shard_00000') as error:
        open_cache(tmp_path / 'cache', WHOLE)[0]
    assert 'make it again' in error.value.fix


def test_a_damaged_index_is_named(radar, tmp_path):
    write_cache(radar, tmp_path / 'cache')
    path = tmp_path / 'cache' / 'index.json'
    index = json.loads(path.read_text())
    path.write_text(json.dumps({**index, 'format': 99}))
    with pytest.raises(DataError, match='format 99'):
        open_cache(tmp_path / 'cache', WHOLE)
    path.write_text('{')
    with pytest.raises(DataError, match=r'index\.json'):
        open_cache(tmp_path / 'cache', WHOLE)


@pytest.mark.parametrize(
    'options', [{'encoding': 'int8'}, {'points': 0}, {'recordings_per_shard': 0}]
)
def test_impossible_caches_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        CacheConfig(**options)


def test_the_command_caches_a_split(radar, tmp_path, capsys):
    words = ['--root', tmp_path / 'radar', '--output', tmp_path / 'out', '--split', 'train']
    assert main(['data', 'cache', 'radhar', *map(str, words), '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['train']['recordings'] == 2
    assert len(open_cache(told['train']['path'], WHOLE)) == 2
    assert main(['data', 'cache', 'radhar', '--root', str(tmp_path / 'radar')]) == 2
    assert '--output' in capsys.readouterr().err
