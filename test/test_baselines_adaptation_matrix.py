# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An experiment can be stopped anywhere, never mixes settings, and draws means over seeds."""

from __future__ import annotations

import json

import pytest
from matplotlib.image import imread

from benchmarks.command_line import RESULTS
from benchmarks.experiments.adaptation_plots import summarise, write_plots
from benchmarks.experiments.adaptation_runs import DataSet
from benchmarks.experiments.skill_runs import TASKS, shared_facts
from benchmarks.run_store import ResultsError, Run, RunStore, run_missing
from benchmarks.tables.adaptation import _name
from pointata_core.errors import ConfigError

EXPERIMENTS = [path for path in sorted(RESULTS.glob('*.json')) if '"runs"' in path.read_text()]


def measured(correct: int, **changes) -> dict:
    values = {
        'accuracy': correct / 100,
        'correct': correct,
        'videos': 100,
        'trainable': 300_000,
        'processor_s': 120.0,
    }
    return {**values, **changes}


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / 'adaptation.json')
    store.require_settings('utd_mhad', {'epochs': 20})
    store.add(Run('utd_mhad', 'pointata', 0), measured(70))
    store.add(Run('utd_mhad', 'pointata', 1), measured(80))
    store.add(Run('utd_mhad', 'pointata', 0, 0.25), measured(40))
    store.add(Run('utd_mhad', 'probe', 0), measured(50, trainable=20_000))
    return store


def test_what_was_finished_is_there_after_a_restart(store):
    again = RunStore(store.path)
    assert {run: again[run] for run in again} == {run: store[run] for run in store}
    assert Run('utd_mhad', 'pointata', 1) in again
    assert Run('utd_mhad', 'pointata', 2) not in again
    again.add(Run('utd_mhad', 'pointata', 2), measured(75))
    assert len(RunStore(store.path)) == len(store) + 1
    assert [p.name for p in store.path.parent.iterdir()] == ['adaptation.json']


def test_every_run_tells_on_what_it_was_measured(store):
    for run in RunStore(store.path):
        assert set(store[run]['environment']) == {
            'date', 'commit', 'machine', 'load_average', 'versions',
        }  # fmt: skip


def test_two_processes_may_write_the_same_file(store):
    other = RunStore(store.path)
    store.add(Run('utd_mhad', 'lora', 0), measured(60))
    other.require_settings('radhar', {'epochs': 5})
    other.add(Run('radhar', 'lora', 0), measured(65))
    found = RunStore(store.path)
    assert {Run('utd_mhad', 'lora', 0), Run('radhar', 'lora', 0)} <= set(found)
    assert found.settings('radhar') == {'epochs': 5}


def test_a_run_is_kept_once(store):
    with pytest.raises(ConfigError, match='pointata seed 0'):
        store.add(Run('utd_mhad', 'pointata', 0), measured(99))


def test_a_run_of_an_earlier_form_is_made_again_and_marked_until_then(tmp_path):
    store = RunStore(tmp_path / 'adaptation.json')
    store.add(Run('utd_mhad', 'p4transformer', 0), measured(50, outdated='no GELU'))
    assert Run('utd_mhad', 'p4transformer', 0) not in RunStore(store.path)
    rows = [{'method': 'p4transformer', **store[run]} for run in store]
    assert _name('p4transformer', rows) == '`p4transformer` (again)'
    store.add(Run('utd_mhad', 'p4transformer', 0), measured(60))
    again = RunStore(store.path)
    assert len(again) == 1
    assert again[Run('utd_mhad', 'p4transformer', 0)]['correct'] == 60
    assert _name('p4transformer', [again[run] for run in again]) == '`p4transformer`'


def test_other_settings_are_refused_by_name_and_equal_ones_are_not(store):
    again = RunStore(store.path)
    again.require_settings('utd_mhad', {'epochs': 20})
    again.require_settings('radhar', {'epochs': 5})
    with pytest.raises(ConfigError, match='epochs = 20, now it is 30'):
        again.require_settings('utd_mhad', {'epochs': 30})


@pytest.mark.parametrize('text', ['', '[]', '{"settings": {}, "runs": [{}]}', '{"settings": {}}'])
def test_unusable_file_is_named_and_left_alone(tmp_path, text):
    path = tmp_path / 'adaptation.json'
    path.write_text(text)
    with pytest.raises(ResultsError, match=r'adaptation\.json'):
        RunStore(path)
    assert path.read_text() == text


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda path: path.stem)
def test_committed_results_can_be_gone_on_with(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    store = RunStore(copy)
    assert len(store) > 0
    before = json.loads(copy.read_text())['runs']
    store.add(Run('new', 'new', 0), {'processor_s': 1.0})
    assert json.loads(copy.read_text())['runs'][:-1] == before


def test_missing_runs_are_carried_out_and_failed_ones_are_missing_still(store, capsys):
    runs = [Run('utd_mhad', 'probe', seed) for seed in range(3)]
    called = []

    def work(run: Run):
        called.append(run)
        return None if run.seed == 1 else measured(51)

    def missing(only_list: bool) -> int:
        return run_missing(store, runs, work, lambda found: 'ok', only_list=only_list)

    assert missing(True) == 2
    assert 'utd_mhad probe seed 1\nutd_mhad probe seed 2\n' in capsys.readouterr().out
    assert missing(False) == 1
    assert called == runs[1:]
    assert runs[2] in RunStore(store.path) and runs[1] not in RunStore(store.path)


def test_mean_and_spread_over_seeds_counted_by_hand(store):
    rows = {(row.method, row.fraction): row for row in summarise(store, 'utd_mhad')}
    row = rows['pointata', 1.0]
    assert row.accuracy == pytest.approx(0.75)
    assert row.spread == pytest.approx(0.0707106781)  # (0.05^2 + 0.05^2) / (2 - 1), root
    assert rows['probe', 1.0].spread == 0


def test_plots_are_drawn_for_each_data_set(store, tmp_path):
    store.add(Run('simulated', 'full', 0), measured(900, miou=0.315))
    assert summarise(store, 'simulated')[0].measure == 'mean IoU'
    plots = write_plots(store, tmp_path / 'plots')
    # A curve over labels needs two fractions.
    assert {plot.name for plot in plots} == {
        'utd_mhad_parameters.png', 'utd_mhad_labels.png', 'simulated_parameters.png',
    }  # fmt: skip
    for plot in plots:
        assert imread(plot).std() > 0


@pytest.mark.parametrize(
    'config', sorted((TASKS / 'adaptation').glob('*.yaml')), ids=lambda path: path.stem
)
def test_what_runs_share_can_be_kept_and_compared(config, tmp_path):
    facts = shared_facts(DataSet(config, tmp_path, tmp_path).settings())
    store = RunStore(tmp_path / 'adaptation.json')
    store.require_settings(config.stem, facts)
    store.add(Run(config.stem, 'probe', 0), measured(50))
    RunStore(store.path).require_settings(config.stem, facts)
    with pytest.raises(ConfigError, match='task'):
        RunStore(store.path).require_settings(config.stem, {**facts, 'task': 'frames'})
