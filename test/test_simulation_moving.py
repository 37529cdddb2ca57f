# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator knows what moves: by places of vehicles and persons, whatever the sensor does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scenes.simulated_clips import (
    MOVING_OR_STANDING_CLASSES,
    simulated_clips,
)
from pointata_core.simulation import SCENES, ShardJob, read_shard, simulate, write_shard
from pointata_core.taxonomy import IGNORE, SEGMENTATION_CLASSES, class_id

JOB = ShardJob('traffic', 'vlp16', 3, 0.2)
LAST = ClipSampling('causal', 1)


def centre(shapes, instance: int) -> np.ndarray:
    """Mean place of an instance's shapes."""
    return shapes.centre[shapes.instance == instance].mean(axis=0)[:2]


@pytest.mark.parametrize('scene', ['street', 'traffic'])
def test_vehicles_move_where_their_shapes_do(scene):
    seen = set()
    for seed in range(8):
        world = SCENES[scene](np.random.default_rng(seed), 2.0)
        moving = set(world.moving_at(1.0))
        before, after = world.shapes_at(0.8), world.shapes_at(1.2)
        for mover in world.movers:
            way = np.linalg.norm(centre(after, mover.instance) - centre(before, mover.instance))
            assert (mover.instance in moving) == (way > 0.08)
            seen.add(mover.instance in moving)
        assert not moving & set(world.static.instance.tolist())
    # On a plain street whoever is in a lane drives, unless the whole column stands.
    assert True in seen
    assert scene == 'street' or seen == {True, False}


def test_nobody_held_up_stands_in_our_way():
    for seed in range(12):
        world = SCENES['traffic'](np.random.default_rng(seed), 2.0)
        way = world.ego.samples[:, :2]
        if np.linalg.norm(way[-1] - way[0]) < 1:
            continue
        for mover in world.movers:
            if np.ptp(mover.path[:, :2], axis=0).max() == 0:
                assert np.linalg.norm(way - mover.path[0, :2], axis=1).min() > 2.0


def test_points_of_a_frame_say_whether_their_instance_moves():
    worlds = 0
    for seed in range(8):
        frame = list(simulate('traffic', 'vlp16', seed, 0.2))[-1]
        for instance in np.unique(frame.instance[frame.moving]):
            own = frame.instance == instance
            assert frame.moving[own].all()
            assert set(frame.label[own]) <= {class_id(n) for n in ('car', 'bicycle', 'person')}
            worlds += 1
        assert not frame.moving[frame.instance == 0].any()
    assert worlds > 3


def test_shards_keep_what_moves_and_data_sets_name_it(tmp_path):
    shard = read_shard(write_shard(tmp_path, JOB))
    frames = list(simulate('traffic', 'vlp16', 3, 0.2))
    assert shard.metadata['format'] == 2
    for stored, frame in zip(shard, frames, strict=True):
        np.testing.assert_array_equal(stored.moving, frame.moving)
    assert frames[1].moving.any()
    plain, apart = (
        simulated_clips(tmp_path, 'all', sampling=LAST, labels=labels)
        for labels in ('semantic', 'moving')
    )
    assert plain.classes == SEGMENTATION_CLASSES
    assert apart.classes == MOVING_OR_STANDING_CLASSES
    known = apart[1].labels[0] != IGNORE
    names = np.array(apart.classes)[apart[1].labels[0][known]]
    moving = np.char.startswith(names.astype(str), 'moving-')
    np.testing.assert_array_equal(moving, frames[1].moving[known])
    short = np.char.replace(names.astype(str), 'moving-', '')
    np.testing.assert_array_equal(short, np.array(plain.classes)[plain[1].labels[0][known]])


def test_older_shards_are_read_but_do_not_tell_what_moves(tmp_path):
    path = write_shard(tmp_path, JOB)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != 'moving'}
    metadata = {**json.loads(bytes(arrays['metadata'])), 'format': 1}
    arrays['metadata'] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    with path.open('wb') as stream:
        np.savez(stream, **arrays)
    assert read_shard(path)[0].moving is None
    assert len(simulated_clips(tmp_path, 'all', sampling=LAST)) == 2
    with pytest.raises(DataError, match=r'00000003\.npz is of format 1.*simulate it again'):
        simulated_clips(tmp_path, 'all', labels='moving')
