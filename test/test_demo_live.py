# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo: three processes over real DDS, an honest account, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from person_skills import write_person_skill
from small_bags import frames, write_bag

from pointata_core.evaluation.bag_evaluation import evaluate_bag

pytest.importorskip('rclpy', reason='no ROS 2: source an installation or run make env')
pytest.importorskip('vision_msgs', reason='no vision_msgs: run make env')
# Minutes only where other work takes the processors away.
pytestmark = [pytest.mark.ros, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 400.0


def demo(bundle: Path, output: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, '-m', 'pointata_core.cli.main', 'demo']
    command += ['--bundle', bundle, '--output', output, '--device', 'cpu', *words]
    return subprocess.Popen(
        [*map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; whatever happens, leave nothing of it running."""
    family = [psutil.Process(process.pid)]
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        for member in [*family[0].children(recursive=True), *family]:
            member.kill()
        raise
    return process.returncode, out, err


@pytest.fixture(scope='module')
def simulated(untrained_bundle, tmp_path_factory):
    output = tmp_path_factory.mktemp('demo')
    words = ('--duration', 1, '--sensor', 'vlp16', '--people', 'none')
    status, out, err = finish(demo(untrained_bundle, output, *words))
    assert status == 0, err
    (bag,) = output.glob('simulated_*')
    return json.loads((output / 'results.json').read_text()), out, output, bag


def test_every_simulated_cloud_comes_back_labelled(simulated):
    results, out, output, _ = simulated
    assert results['kind'] == 'live'
    assert results['frames'] == results['frames_predicted'] == 10
    assert results['dropped'] == results['rejected'] == results['resets'] == {}
    assert results['points'] > 100_000
    # Light mirrored by glass or water, and rain, have no class.
    assert 0.85 < results['segmentation']['points'] / results['points'] <= 1
    assert results['action']['frames'] == 10
    assert '10 / 10' in out
    assert (output / 'report.html').is_file()


def test_stages_are_timed_for_every_frame(simulated):
    latency = simulated[0]['latency']
    assert {'queue', 'decode', 'network', 'publish', 'total'} <= set(latency)
    assert {summary['count'] for summary in latency.values()} == {10}
    assert latency['total']['p50'] >= latency['network']['p50'] > 0


def test_node_is_measured_from_outside(simulated):
    results = simulated[0]
    assert 50 << 20 < results['peak_rss_bytes'] < 8 << 30
    assert results['state_bytes'] > 0
    assert results['device'].startswith('cpu')


def test_live_answers_are_those_of_the_offline_evaluation(simulated, untrained_bundle):
    results, _, _, bag = simulated
    offline = evaluate_bag(bag, bundle=untrained_bundle, device='cpu', fixed_frame='map')
    assert results['labels_sha256'] == offline.labels_sha256
    assert results['segmentation']['miou'] == offline.segmentation.miou
    assert results['action']['accuracy'] == offline.action.accuracy
    assert results['bundle']['hash'] == offline.bundle['hash']


def test_people_of_the_node_are_those_of_the_offline_evaluation(tmp_path):
    skill = write_person_skill(tmp_path / 'toy')
    process = demo('models/default', tmp_path / 'out', '--duration', 0.8, '--people', skill)
    status, _, err = finish(process)
    assert status == 0, err
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert results['action'] is None and results['notes'][0].startswith('played at')
    (bag,) = (tmp_path / 'out').glob('simulated_*')
    offline = evaluate_bag(bag, bundle='models/default', device='cpu', fixed_frame='map',
                           people=skill).to_dict()['people']  # fmt: skip
    live = results['people']
    assert live['skill']['hash'] == offline['skill']['hash']
    assert live['scores']['tracking'] == pytest.approx(offline['scores']['tracking'], abs=1e-6)
    assert live['scores']['action'] == offline['scores']['action']
    for one, two in zip(live['tracks'], offline['tracks'], strict=True):
        assert [one[key] for key in ('number', 'frames', 'start_s', 'actions')] == [
            two[key] for key in ('number', 'frames', 'start_s', 'actions')
        ]
        np.testing.assert_allclose(one['path'], two['path'], atol=2e-3)
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'id="people"' in page and 'id="actions"' not in page


def test_clouds_that_the_node_refuses_are_reported_and_fail_the_demo(untrained_bundle, tmp_path):
    cut = [replace(f, cut_bytes=3) for f in frames(3)]
    bag = write_bag(tmp_path / 'bag', cut)
    status, _, err = finish(demo(untrained_bundle, tmp_path / 'out', '--bag', bag))
    assert status == 1
    assert '3 truncated_data' in err
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert results['rejected'] == {'truncated_data': 3}


def test_node_that_cannot_start_ends_the_demo_with_its_last_words(untrained_bundle, tmp_path):
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'manifest.json').write_bytes((untrained_bundle / 'manifest.json').read_bytes())
    bag = write_bag(tmp_path / 'bag', frames(2))
    status, _, err = finish(demo(broken, tmp_path / 'out', '--bag', bag))
    assert status == 2
    assert 'on_configure failed' in err
    assert str(broken) in err
    assert 'Traceback' not in err


def test_without_ros_the_demo_says_so(tmp_path):
    (tmp_path / 'rclpy.py').write_text('raise ImportError("no ROS on this machine")')
    run = subprocess.run(
        [sys.executable, '-m', 'pointata_core.cli.main', 'demo', '--output', str(tmp_path / 'o')],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'},
    )  # fmt: skip
    assert run.returncode == 2
    assert 'no ROS on this machine' in run.stderr
    assert 'pointata doctor' in run.stderr


def family_of(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """The children, once there are so many."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        children = psutil.Process(process.pid).children(recursive=True)
        if len(children) >= count:
            return children
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError(f'fewer than {count} children after {PATIENCE_S:g} s')


@pytest.fixture
def endless(untrained_bundle, tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A demo that would take hours."""
    bag = write_bag(tmp_path / 'bag', frames(6))
    process = demo(untrained_bundle, tmp_path / 'out', '--bag', bag, '--rate', 1e-4)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ('number', 'children', 'status'),
    [
        (signal.SIGINT, 2, 130),
        (signal.SIGTERM, 1, 143),
        (signal.SIGKILL, 2, -9),
    ],
    ids=['ctrl_c_while_playing', 'sigterm_while_starting', 'killed_while_playing'],
)
def test_ending_the_demo_ends_everything_it_started(endless, number, children, status):
    family = family_of(endless, children)
    os.kill(endless.pid, number)
    endless.communicate(timeout=PATIENCE_S)
    assert endless.returncode == status
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
