# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A page reads and corrects scans through the server; nothing is lost when it is killed."""

from __future__ import annotations

import json
import shutil
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip('starlette', reason='the server needs the extra `teach`')
pytest.importorskip('uvicorn', reason='the server needs the extra `teach`')

from teaching_folders import truth_of
from teaching_server import Server, labelled_street

from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id
from pointata_core.teaching.project import Project

CAR, ROAD = class_id('car'), class_id('road')


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return labelled_street(tmp_path_factory.mktemp('served') / 'street', 3)


@pytest.fixture(scope='module')
def server(folder):
    one = Server(folder)
    yield one
    one.end()


def array(data: bytes, kind: str) -> np.ndarray:
    return np.frombuffer(data, kind)


def test_a_page_reads_a_scan_and_corrects_it(server, folder) -> None:
    facts = json.loads(server.get('project'))
    assert [scan['points'] for scan in facts['scans']] == [len(truth_of(n)) for n in range(3)]
    assert [one['name'] for one in facts['classes']] == list(SEGMENTATION_CLASSES)
    rows = array(server.get('scans/1/points'), '<f4').reshape(-1, 4)
    assert len(rows) == len(truth_of(1)) and np.isfinite(rows).all()
    labels = array(server.get('scans/1/labels'), '<u2')
    np.testing.assert_array_equal(labels, truth_of(1))
    assert set(array(server.get('scans/1/probability'), '<f4')) == {np.float32(0.7)}
    segments = array(server.get('scans/1/segments'), '<i4')
    chosen = int(segments[truth_of(1) == CAR][0])
    edit = server.post('scans/1/click', **{'segment': chosen, 'class': 'person'})
    assert edit['edit'] == facts['edits'] + 1 and 1 in edit['scans']
    after = array(server.get('scans/1/labels'), '<u2')
    assert set(after[segments == chosen]) == {class_id('person')}
    np.testing.assert_array_equal(after[segments != chosen], labels[segments != chosen])
    by = array(server.get('scans/1/by'), '<i4')
    np.testing.assert_array_equal(by == edit['edit'], segments == chosen)
    assert server.post('undo') == edit and server.post('redo') == edit
    server.post('undo')
    part = np.flatnonzero(segments == chosen)[:5].tolist()
    split = server.post('scans/1/split', index=part)['segment']
    assert np.flatnonzero(array(server.get('scans/1/segments'), '<i4') == split).tolist() == part
    server.post('scans/1/points', **{'index': part, 'class': None})
    assert server.post('scans/1/confirm', index=[*range(20)])['scans']
    assert {one['segment'] for one in json.loads(server.get('scans/0/suggestions'))} <= set(
        array(server.get('scans/0/segments'), '<i4').tolist()
    )
    assert {one['scan'] for one in json.loads(server.get('suggestions'))} <= {0, 1, 2}


def test_suggestions_follow_corrections_and_undo(server) -> None:
    first = json.loads(server.get('suggestions'))
    assert first and all(one['name'] and one['reason'] for one in first)
    points = len(truth_of(first[0]['scan']))
    server.post(f'scans/{first[0]["scan"]}/confirm', index=[*range(points)], carry_over=False)
    second = json.loads(server.get('suggestions'))
    assert first[0]['scan'] not in {one['scan'] for one in second}
    server.post('undo')
    assert json.loads(server.get('suggestions')) == first


def test_a_killed_server_loses_no_correction(tmp_path, folder) -> None:
    folder = shutil.copytree(folder, tmp_path / 'copy')
    server = Server(folder)
    edit = server.post('scans/0/points', **{'index': [1, 2], 'class': 'bicycle'})
    server.end()
    with Project(folder) as project:
        assert len(project.edits) == edit['edit']
        assert (project.classes.labels(project.known(0).words[[1, 2]]) == 9).all()


@pytest.mark.parametrize(('path', 'body', 'status', 'message'), [
    ('scans/9/points', None, 404, 'no scan 9'),
    ('scans/0/colours', None, 404, 'no colours'),
    ('scans/0/click', {'segment': 123456, 'class': 'car'}, 400, 'no segment 123456'),
    ('scans/0/click', {'segment': 0, 'class': 'trolley'}, 400, "no class 'trolley'"),
    ('scans/0/click', {'class': 'car'}, 400, 'segment'),
    ('scans/0/points', {'index': [10**9], 'class': 'car'}, 400, 'no list of points'),
    ('scans/0/points', {'index': [], 'class': 'car'}, 400, 'no points'),
    ('scans/0/points', {'index': [[1]], 'class': 'car'}, 400, 'no list of points'),
    ('scans/0/points', [1], 400, 'no JSON object'),
])  # fmt: skip
def test_a_wrong_request_is_answered_and_changes_nothing(
    server, path, body, status, message
) -> None:
    before = json.loads(server.get('project'))['edits']
    text = None if body is None else json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f'{server.url}/{path}', text, timeout=60)
    assert caught.value.code == status
    assert message in json.loads(caught.value.read())['message']
    assert json.loads(server.get('project'))['edits'] == before


def test_without_the_token_there_is_nothing(server) -> None:
    home = server.url.rpartition('/')[0]
    for path in ('', 'project', 'x/project', 'main.js'):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f'{home}/{path}', timeout=60)
        assert caught.value.code == 404


def test_the_page_and_its_modules_are_served(server) -> None:
    assert b'<canvas' in server.get('')
    for name in ('main.js', 'three.module.min.js', 'OrbitControls.js', 'page.css'):
        assert server.get(name)


def test_the_address_survives_a_restart_and_is_private(tmp_path, folder) -> None:
    folder = shutil.copytree(folder, tmp_path / 'copy')
    first = Server(folder)
    first.end(signal.SIGINT)
    second = Server(folder, first.port)
    second.end()
    assert first.url == second.url
    assert (folder / 'teach' / 'token').stat().st_mode & 0o077 == 0


def test_a_label_may_stay_in_its_scan(server) -> None:
    edit = server.post('scans/1/points', **{'index': [3], 'class': 'car', 'carry_over': False})
    assert edit['scans'] == [1]


def test_learning_needs_corrections_and_says_so(tmp_path) -> None:
    server = Server(labelled_street(tmp_path / 'street', 1))
    assert json.loads(server.get('learned')) is None
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.post('serve')
    assert 'nothing was learned' in json.loads(caught.value.read())['message']
    server.post('learn')
    while (state := json.loads(server.get('job')))['running']:
        time.sleep(0.2)
    assert 'nothing was corrected' in state['message'] and state['fix']
    server.end()


def test_a_job_outlives_requests_and_ends_with_its_server(tmp_path) -> None:
    folder = tmp_path / 'street'
    labelled_street(folder, 25)
    shutil.rmtree(folder / 'teach' / 'predictions')
    server = Server(folder)
    while not (state := json.loads(server.get('job')))['done']:
        assert state['running'], state
        time.sleep(0.2)
    (job,) = psutil.Process(server.process.pid).children()
    server.end()
    _, alive = psutil.wait_procs([job], timeout=60)
    assert not alive
    assert not (folder / 'teach' / 'predictions' / 'bundle.json').exists(), 'it was not done'
