# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A fleet on a real Ray cluster of two workers. It takes a while, because workers load torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_bags import write_bag
from test_evaluation_fleet import recorded

from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.fleet.run import evaluate_fleet

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def cluster() -> Iterator[str]:
    """Address of a cluster with two workers."""
    ray = pytest.importorskip('ray', reason='a cluster needs the extra `fleet`')
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    os.environ['RAY_worker_niceness'] = '0'  # noqa: SIM112 - its spelling
    os.environ['RAY_raylet_start_wait_time_s'] = '200'  # noqa: SIM112 - on a busy machine
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info['address']
    ray.shutdown()


def workers() -> list[psutil.Process]:
    """Processes that are at a task of a fleet."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name().startswith('ray::run_task') or 'ray::run_task' in process.cmdline()
    ]


def test_recordings_on_two_workers_equal_single_runs_though_one_is_killed(
    cluster, untrained_bundle, tmp_path
):
    lengths = {f'bag{number}': 6 for number in range(8)} | {'long': 24}
    for number, (name, length) in enumerate(lengths.items()):
        write_bag(tmp_path / 'fleet' / name, recorded(number, length))
    killed: list[int] = []
    shown: list[tuple[int, int]] = []

    def kill_one(done: int, total: int) -> None:
        shown.append((done, total))
        if done and not killed and (busy := workers()):
            killed.append(busy[0].pid)
            busy[0].kill()

    account = evaluate_fleet(
        f'{tmp_path}/fleet/**/*.mcap',
        tmp_path / 'out',
        bundle=untrained_bundle,
        device='cpu',
        labels_field='label',
        ray='',
        part_frames=12,
        progress=kill_one,
    )
    assert killed
    assert not psutil.pid_exists(killed[0])
    assert account['failures'] == []
    found = {row['recording']: row['labels_sha256'] for row in account['recordings']}
    assert found == {
        name: evaluate_bag(tmp_path / 'fleet' / name, bundle=untrained_bundle).labels_sha256
        for name in lengths
    }
    assert account['frames_predicted'] == sum(lengths.values())
    assert {total for _, total in shown} == {sum(lengths.values())}
    # The parts of the long recording are joined.
    assert not list((tmp_path / 'out').rglob('parts'))


def test_the_command_line_joins_a_cluster_by_its_address(cluster, untrained_bundle, tmp_path):
    write_bag(tmp_path / 'fleet' / 'one', recorded(1, 2))
    (tmp_path / 'fleet' / 'bad.mcap').write_bytes(b'no')
    command = [sys.executable, '-m', 'pointata_core.cli.main', 'evaluate', '--ray', cluster]
    command += ['--bags', 'fleet/**/*.mcap', '--output', 'out', '--bundle', str(untrained_bundle)]
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert 'bad.mcap' in run.stderr
    assert (tmp_path / 'out/recordings/one/points/results.json').exists()


def test_an_address_without_a_cluster_and_ray_not_installed_are_errors(tmp_path):
    pytest.importorskip('ray', reason='a cluster needs the extra `fleet`')
    write_bag(tmp_path / 'one', recorded(1, 1))
    words = ['evaluate', '--bags', str(tmp_path / 'one'), '--output', str(tmp_path / 'out')]
    for address, before, expected in (
        ('127.0.0.1:1', '', 'no Ray cluster answers at 127.0.0.1:1'),
        ('', "sys.modules['ray'] = None; ", 'pointata_ros[fleet]'),
    ):
        script = f'import sys; {before}from pointata_core.cli.main import main; sys.exit(main('
        script += f'{[*words, "--ray", *([address] if address else [])]!r}))'
        run = subprocess.run(
            [sys.executable, '-c', script], env={**os.environ, 'PYTHONPATH': str(ROOT)},
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert run.returncode == 2, run.stderr
        assert expected in run.stderr
