# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of GPUs runs whole where there is none."""

from __future__ import annotations

import json

from benchmarks.speed.gpu import main


def test_every_part_is_measured_on_the_cpu(tmp_path):
    file = tmp_path / 'gpu.json'
    assert main(['--device', 'cpu', '--quick', '--output', str(file)]) == 0
    found = json.loads(file.read_text())
    assert set(found['node']) == {
        f'{bundle}, {precision}'
        for bundle in ('default', 'tiny')
        for precision in ('float32', 'bfloat16')
    }
    for one in found['node'].values():
        assert one['latency_ms']['p99'] >= one['latency_ms']['p50'] > 0
        assert one['peak_rss_bytes'] > one['state_bytes'] > 0
    assert found['equality']['within_1e-3']
    assert found['equality']['equal_labels_of_default_bundle'] == 1.0
    assert found['streaming']['times_cheaper'] > 0
    assert {name: one['steps_a_second'] > 0 for name, one in found['training'].items()} == {
        'float32': True, 'bfloat16': True,
    }  # fmt: skip
    assert found['graphs']['reason'] == 'only CUDA devices have graphs'
