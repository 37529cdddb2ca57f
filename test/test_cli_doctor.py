# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The doctor sees what is there, names what is not, and says what to do."""

from __future__ import annotations

import sys

import pytest

from pointata_core.cli import health
from pointata_core.cli.health import OK, PROBLEM, WARN

ALL = (*health._LIBRARIES, *health._ROS_LIBRARIES)


@pytest.fixture(scope='module')
def answers() -> dict[str, str]:
    return health.probe(ALL)


def test_probe_tells_why_a_module_cannot_be_imported():
    found = health.probe(('json', 'no_such_module_anywhere', 'math'))
    assert found['json'] == found['math'] == ''
    assert 'no_such_module_anywhere' in found['no_such_module_anywhere']


def test_probe_survives_an_import_that_ends_the_process(tmp_path, monkeypatch):
    (tmp_path / 'deadly_module.py').write_text('import os; os._exit(11)')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    found = health.probe(('json', 'deadly_module', 'math'))
    assert found['json'] == ''
    assert '11' in found['deadly_module']
    assert 'not tried' in found['math']


def test_this_installation_can_run_the_core(answers, untrained_bundle):
    checks = [*health.check_libraries(answers), health.check_bundle(str(untrained_bundle))]
    assert [c for c in checks if c.level == PROBLEM] == []


def test_missing_library_blocks_and_names_the_command(answers):
    without = {**answers, 'rosbags': 'ModuleNotFoundError: No module named rosbags'}
    (check,) = [c for c in health.check_libraries(without) if c.name == 'rosbags']
    assert check.level == PROBLEM
    assert check.fix == f'{sys.executable} -m pip install rosbags'


def test_without_ros_the_rest_still_works(answers):
    (check,) = health.check_ros({**answers, 'rclpy': 'ModuleNotFoundError'})
    assert check.level == WARN
    assert 'evaluate' in check.detail


def test_missing_message_package_blocks_the_node_but_what_only_tests_use_does_not(answers):
    broken = dict.fromkeys(answers, '') | {
        'vision_msgs.msg': 'gone',
        'sensor_msgs_py.point_cloud2': 'gone',
    }
    levels = {c.name: c.level for c in health.check_ros(broken)}
    assert levels['vision_msgs'] == PROBLEM
    assert levels['sensor_msgs_py'] == WARN


def test_dds_profile_that_does_not_exist_is_noticed(tmp_path):
    name = 'FASTRTPS_DEFAULT_PROFILES_FILE'
    profile = tmp_path / 'profile.xml'
    profile.write_text('<dds/>')
    assert health.check_dds_profile({name: str(profile)}).level == OK
    missing = health.check_dds_profile({name: str(tmp_path / 'other.xml')})
    assert missing.level == WARN
    assert 'other.xml' in missing.detail


def test_bundle_that_cannot_be_served_blocks(tmp_path):
    check = health.check_bundle(str(tmp_path / 'nothing'))
    assert check.level == PROBLEM
    assert 'nothing' in check.detail
    assert check.fix


@pytest.mark.parametrize(
    ('first_line', 'level'),
    [(f'#!{sys.executable}', OK), ('#!/usr/bin/python_of_colcon', WARN), ('#!/bin/sh', WARN)],
)
def test_command_that_runs_another_interpreter_is_noticed(tmp_path, monkeypatch, first_line, level):
    script = tmp_path / 'pointata'
    script.write_text(f'{first_line}\nprint()\n')
    script.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    (check,) = health.check_scripts()
    assert check.level == level
    assert str(script) in check.detail


def test_no_command_in_path_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    (check,) = health.check_scripts()
    assert (check.level, bool(check.fix)) == (WARN, True)
