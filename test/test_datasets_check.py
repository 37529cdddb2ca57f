# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata data``: counts against published ones, and everything that is missing by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dataset_samples import depth_video, write_utd

from pointata_core.cli.main import main
from pointata_core.datasets.check import check_split
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.registry import dataset_info, datasets


@pytest.fixture
def utd(tmp_path):
    for subject in (1, 2):
        write_utd(tmp_path, (1, subject, 1), depth_video(2, 240, 320, subject))
    return tmp_path


def complete(published) -> DatasetInfo:
    """UTD-MHAD as if only so much of it had been published."""
    entry = dataset_info('utd_mhad')
    return DatasetInfo(
        entry.name, entry.title, entry.kind, entry.factory, entry.splits, published,
        entry.classes, entry.layout, entry.download, entry.licence, entry.citation,
        check_options={'strict': False},
    )  # fmt: skip


def test_an_incomplete_download_names_what_is_missing_and_ends_with_1(utd, capsys):
    assert main(['data', 'check', 'utd_mhad', '--root', str(utd)]) == 1
    told = capsys.readouterr().out
    assert 'a1_s1_t2_depth.mat' in told
    assert '430 missing' in told
    assert 'not complete' in told
    assert 'UTD-MHAD.html' in told


def test_json_lists_everything(utd, capsys):
    assert main(['data', 'check', 'utd_mhad', '--root', str(utd), '--json']) == 1
    told = json.loads(capsys.readouterr().out)
    train, test = told['splits']
    assert (train['split'], test['split']) == ('train', 'test')
    assert train['found'] == {'videos': 1, 'frames': 2, 'clips': 1}
    assert train['published'] == {'videos': 431}
    assert len(train['missing']) == 430
    assert not told['ok']


@pytest.mark.parametrize(('published', 'ok'), [(1, True), (2, False), (0, True)])
def test_fewer_than_published_is_a_failure_and_more_is_none(utd, monkeypatch, published, ok):
    # The naming scheme promises more than these two files, so that is left out of account here.
    monkeypatch.setattr('pointata_core.datasets.actions.utd_mhad.CLASSES', ('one',))
    for trial in (2, 3, 4):
        write_utd(utd, (1, 1, trial), np.zeros((1, 240, 320), np.uint16))
    for subject in (3, 5, 7):
        for trial in range(1, 5):
            write_utd(utd, (1, subject, trial), np.zeros((1, 240, 320), np.uint16))
    outcome = check_split(complete({'train': {'videos': published + 15}}), utd, 'train')
    assert outcome.missing == ()
    assert outcome.ok is ok


def test_damage_that_headers_do_not_show_is_found_by_a_deep_check(utd):
    path = utd / 'a1_s1_t1_depth.mat'
    content = bytearray(path.read_bytes())
    content[-40:-20] = bytes(20)
    path.write_bytes(content)
    info = complete({})
    assert check_split(info, utd, 'train').damaged == ()
    seen = []
    outcome = check_split(
        info, utd, 'train', deep=True, progress=lambda done, total: seen.append((done, total))
    )
    assert path.name in outcome.damaged[0]
    assert not outcome.ok
    assert seen == [(1, 1)]


def test_damaged_headers_are_listed_without_a_deep_check(utd, capsys):
    (utd / 'a1_s1_t1_depth.mat').write_bytes(b'')
    assert main(['data', 'check', 'utd_mhad', '--root', str(utd), '--split', 'train']) == 1
    assert 'no MATLAB 5 header' in capsys.readouterr().out


def test_a_root_that_is_not_there_says_where_to_get_the_data(tmp_path, capsys):
    assert main(['data', 'check', 'radhar', '--root', str(tmp_path / 'nowhere')]) == 1
    told = capsys.readouterr().out
    assert 'nowhere: no such folder' in told
    assert 'github.com/nesl/RadHAR' in told


@pytest.mark.parametrize(
    ('words', 'answer'),
    [
        (['check', 'imagenet', '--root', '.'], 'utd_mhad'),
        (['check', 'utd_mhad', '--root', '.', '--split', 'dev'], 'validation'),
        (['check', 'utd_mhad'], '--root'),
        (['check'], 'NAME'),
    ],
)
def test_mistakes_end_with_2_and_say_what_there_is(capsys, words, answer):
    assert main(['data', *words]) == 2
    assert answer in capsys.readouterr().err


def test_the_list_names_every_data_set_with_its_licence_and_source(capsys):
    assert main(['data', 'list']) == 0
    told = capsys.readouterr().out
    for info in datasets().values():
        assert info.title in told
        assert info.licence in told
        assert info.download in told
    assert main(['data', 'list', '--json']) == 0
    assert [d['name'] for d in json.loads(capsys.readouterr().out)] == list(datasets())
