# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans are chosen over many recordings; one that cannot be read stops nothing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from small_bags import frames, write_bag

from pointata_core.cli.main import main
from pointata_core.errors import ConfigError
from pointata_core.teaching.fleet import look_at_fleet
from pointata_core.teaching.opening import open_project
from pointata_core.teaching.suggestions import Candidate, Suggestion, choose


@pytest.fixture(scope='module')
def drives(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drives')
    for name, count in (('a', 2), ('b', 3)):
        write_bag(folder / name, frames(count))
    (folder / 'broken.mcap').write_bytes(b'no recording')
    return folder


def test_the_choice_is_made_over_all_recordings() -> None:
    axes = np.eye(3)
    scans = [(5.0, axes[0]), (4.9, axes[0]), (4.0, axes[1]), (0.0, axes[2])]
    candidates = [
        Candidate(Suggestion(number, None, worth, 'why'), described)
        for number, (worth, described) in enumerate(scans)
    ]
    found = choose(candidates, 4)
    assert [place for place, _ in found] == [0, 2, 1], 'worthless ones are left out'
    assert found[1][1].reason.endswith('unlike the scans seen so far')
    assert [place for place, _ in choose(candidates, 1, seen=candidates[2:3])] == [0]


def test_each_recording_gets_a_folder_and_is_labelled_once(
    drives, tmp_path, untrained_bundle
) -> None:
    pattern = str(drives / '*')
    found, failed = look_at_fleet(pattern, tmp_path, untrained_bundle, 4)
    assert list(failed) == ['broken.mcap'] and failed['broken.mcap'].fix
    assert {one.folder for one in found} <= {str(tmp_path / name) for name in 'ab'}
    assert len({(one.folder, one.scan) for one in found}) == len(found) > 0
    stamp = (tmp_path / 'a' / 'teach' / 'predictions' / '000000.npz').stat().st_mtime_ns
    again, _ = look_at_fleet(pattern, tmp_path, untrained_bundle, 4)
    assert again == found
    assert (tmp_path / 'a' / 'teach' / 'predictions' / '000000.npz').stat().st_mtime_ns == stamp
    with open_project(tmp_path / 'b') as project:
        assert len(project) == 3
    with pytest.raises(ConfigError, match='no recording can be used'):
        look_at_fleet(str(drives / 'broken.mcap'), tmp_path / 'c', untrained_bundle, 4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_finds_the_same(drives, tmp_path, untrained_bundle, capsys, monkeypatch) -> None:
    pytest.importorskip('ray', reason='a cluster needs the extra `fleet`')
    monkeypatch.setenv('RAY_worker_niceness', '0')
    monkeypatch.setenv('RAY_raylet_start_wait_time_s', '200')
    words = ['--bags', str(drives / '[ab]'), '--bundle', str(untrained_bundle), '--json']
    assert main(['teach', 'look', str(tmp_path / 'here'), *words]) == 0
    here = json.loads(capsys.readouterr().out)['scans']
    assert main(['teach', 'look', str(tmp_path / 'there'), *words, '--ray']) == 0
    there = json.loads(capsys.readouterr().out)['scans']
    for one in (*here, *there):
        one['folder'] = os.path.basename(one['folder'])
    assert here == there
