# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a folder of meshes to a probed backbone by the commands alone; broken meshes are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('embreex', reason='images need the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
pytest.importorskip('trimesh', reason='mesh files need the extra `pretrain`')
pytest.importorskip('lightning', reason='training needs the extra `train`')


import mesh_folders as meshes

from pointata_core.cli.main import main
from pointata_core.shapes.rendering import RenderingFolder


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('meshes')


@pytest.fixture(scope='module')
def outcome(folder):
    """Fifteen sound meshes, eleven broken ones; two steps."""
    return meshes.end_to_end(folder, per_category=3, steps=2)


def test_meshes_become_a_backbone_and_broken_ones_are_named(folder, outcome):
    assert outcome['sound'] == 15
    assert len(outcome['broken']) == len(meshes.BROKEN) + 1
    assert 'not finite' in outcome['broken']['chair/not_a_number']
    assert 'No such file' in outcome['broken']['mug/nothing']
    manifest = json.loads((folder / 'run' / 'backbone.json').read_text())
    assert manifest['data'].endswith('meshes of the user') and manifest['licence'] != 'Apache-2.0'
    assert manifest['images']['shapes'] == 15


def test_what_each_part_cost_is_reported(outcome):
    images, teacher, training = (
        outcome['costs'][part] for part in ('images', 'image_encoder', 'training')
    )
    assert (images['shapes'], images['images']) == (15, 15 * 6)
    assert teacher['images'] == 2 * 64
    assert training['shapes'] == 2 * 7 and training['sessions'] == 1
    for part in (images, teacher, training):
        assert part['wall_s'] > 0 and part['processor_s'] > 0
        assert part['peak_memory_bytes'] > 10e6


def test_meshes_are_turned_from_y_up(folder, outcome):
    """The bottle stands as the generator drew it."""
    images = RenderingFolder(folder / 'run' / 'images')
    bottle = images[images.names.index('bottle/m00')]
    extent = bottle.points.max(axis=0) - bottle.points.min(axis=0)
    drawn = meshes.generate('bottle', 2000).vertices
    assert extent == pytest.approx(drawn.max(axis=0) - drawn.min(axis=0), abs=0.03)


def test_other_meshes_than_those_rendered_are_refused(folder, outcome, capsys):
    other = folder / 'other'
    meshes.write_mesh(meshes.generate('mug', 1), other / 'cups' / 'a.ply')
    words = ['pretrain', f'output={folder / "run"}', f'images.meshes={other}', 'images.size=32',
             'images.views=6']  # fmt: skip
    assert main(words) == 2
    assert 'was written with other sources' in capsys.readouterr().err


def test_a_folder_of_broken_meshes_alone_is_explained(folder, capsys):
    broken = folder / 'broken' / 'cups'
    broken.mkdir(parents=True)
    (broken / 'a.off').write_text('OFF')
    words = ['pretrain', f'output={folder / "none"}', f'images.meshes={broken.parent}']
    assert main(words) == 2
    said = capsys.readouterr().err
    assert 'all 1 meshes are broken' in said and 'cups/a.off' in said
