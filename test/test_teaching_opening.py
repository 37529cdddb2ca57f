# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One word opens a folder to teach in: a new recording, a sequence, or the folder itself."""

from __future__ import annotations

import numpy as np
import pytest
from scene_datasets import write_kitti_sequence
from small_bags import frames, write_bag
from teaching_folders import street_project

from pointata_core.errors import CloudFileError, OutputError
from pointata_core.teaching.opening import folder_of, guess_fixed_frame, open_project, token_of
from pointata_core.teaching.project import Project


def test_a_bag_is_imported_once_and_resumed_then(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = frames(3)
    poses = [(frame.stamp_ns, float(n)) for n, frame in enumerate(recorded)]
    bag = write_bag(tmp_path / 'drive', recorded, poses=poses)
    assert guess_fixed_frame(bag) == 'map'
    with open_project(bag) as project:
        assert project.folder.name == 'drive_teach' and len(project) == len(recorded)
        assert project.sequence.poses is not None
        project.record({'kind': 'points'}, [])
        token = token_of(project)
    with open_project(bag) as project:
        assert len(project.edits) == 1 and token_of(project) == token
    with open_project('drive_teach') as project:
        assert len(project.edits) == 1


def test_a_bag_without_a_frame_at_rest_has_scans_without_poses(tmp_path) -> None:
    bag = write_bag(tmp_path / 'drive', frames(2))
    with open_project(bag, tmp_path / 'mine') as project:
        assert project.folder == tmp_path / 'mine' and project.sequence.poses is None


def test_a_sequence_is_imported(tmp_path) -> None:
    write_kitti_sequence(tmp_path / '08')
    with open_project(tmp_path / '08', tmp_path / 'mine') as project:
        assert len(project) == 4 and project.known(0).confirmed.any()


def test_what_cannot_be_opened_is_named(tmp_path) -> None:
    with pytest.raises(CloudFileError, match=r'absent\.mcap is absent'):
        open_project(tmp_path / 'absent.mcap')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'thesis.txt').touch()
    bag = write_bag(tmp_path / 'drive', frames(2))
    with pytest.raises(OutputError, match='is there already'):
        open_project(bag, tmp_path / 'full')
    assert str(folder_of('runs/drive.mcap')) == 'drive_teach'


def test_a_folder_can_be_read_while_another_process_changes_it(tmp_path) -> None:
    with street_project(tmp_path / 'street', 2) as project:
        project.record({'kind': 'points'}, [])
        with Project(tmp_path / 'street', reading=True) as reader:
            assert len(reader.edits) == 1
            project.record({'kind': 'points'}, [])
            assert len(reader.edits) == 1, 'as it was when it was opened'
            with pytest.raises(OutputError, match='open for reading'):
                reader.record({'kind': 'points'}, [])
        nothing = np.zeros(project.points(1), np.int32)
        assert (project.known(1).segment == -1).all()
        reader.set_segments(1, nothing)
        assert (project.known(1).segment == 0).all(), 'segments of another process are taken over'
