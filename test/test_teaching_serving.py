# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle that learned is written as a whole, and running nodes load it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.errors import OutputError
from pointata_core.teaching.serving import publish_bundle, swap_into_nodes


def test_a_bundle_is_replaced_as_a_whole(tmp_path) -> None:
    first, second = tmp_path / 'first', tmp_path / 'second'
    for folder, name in ((first, 'a'), (second, 'b')):
        folder.mkdir()
        (folder / name).write_text(name)
    target = tmp_path / 'taught' / 'bundle'
    publish_bundle(first, target)
    publish_bundle(second, target)
    assert [path.name for path in target.iterdir()] == ['b']
    assert [path.name for path in target.parent.iterdir()] == ['bundle']
    with pytest.raises(OutputError, match='cannot be written'):
        publish_bundle(tmp_path / 'absent', target)
    assert [path.name for path in target.iterdir()] == ['b']


def test_running_nodes_load_the_bundle(untrained_bundle, tmp_path) -> None:
    pytest.importorskip('rclpy', reason='nodes need ROS 2')
    from node_harness import Bench

    old = load_bundle(untrained_bundle)
    save_bundle(tmp_path / 'bundle', old.network, replace(old.manifest, name='taught'))
    with Bench(bundle=str(untrained_bundle)) as bench:
        bench.wait_for_state('active')
        (answer,) = swap_into_nodes(str(tmp_path / 'bundle'))
        assert answer['success'] and answer['node'] == bench.name
        assert 'taught' in answer['message']
        assert bench.diagnostics('model')['bundle'] == 'taught'
        (answer,) = swap_into_nodes(str(tmp_path))
        assert not answer['success'] and str(tmp_path) in answer['message']
        assert bench.diagnostics('model')['bundle'] == 'taught'
