# SPDX-License-Identifier: Apache-2.0
"""The matrix can be stopped anywhere, never mixes settings, and reports means over seeds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from benchmarks.experiments.adaptation_matrix.report import spread_names, summarise, write_report
from benchmarks.experiments.adaptation_matrix.run_settings import base_settings, shared_facts
from benchmarks.experiments.adaptation_matrix.store import ResultsError, ResultStore, Run
from pointata_core.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / 'benchmarks' / 'experiments' / 'adaptation_matrix'


def measured(correct: int, **changes) -> dict:
    values = {
        'accuracy': correct / 100,
        'correct': correct,
        'videos': 100,
        'trainable': 300_000,
        'trainable_without_head': 200_000,
        'peak_rss_bytes': 700 << 20,
        'processor_s': 120.0,
    }
    return {**values, **changes}


@pytest.fixture
def store(tmp_path):
    store = ResultStore(tmp_path / 'adaptation.json')
    store.require_settings('utd_mhad', {'epochs': 20})
    store.add(Run('utd_mhad', 1.0, 'pointata', 0), measured(70, clip_accuracy=0.66))
    other = Run('utd_mhad', 1.0, 'pointata', 1)
    store.add(other, measured(80, processor_s=180.0, clip_accuracy=0.68))
    store.add(Run('utd_mhad', 0.25, 'pointata', 0), measured(40))
    store.add(Run('utd_mhad', 1.0, 'probe', 0), measured(50, trainable=20_000))
    return store


def test_what_was_finished_is_there_after_a_restart(store):
    again = ResultStore(store.path)
    assert list(again) == list(store)
    assert Run('utd_mhad', 1.0, 'pointata', 1) in again
    assert Run('utd_mhad', 1.0, 'pointata', 2) not in again
    again.add(Run('utd_mhad', 1.0, 'pointata', 2), measured(75))
    assert len(ResultStore(store.path)) == len(store) + 1
    assert [p.name for p in store.path.parent.iterdir()] == ['adaptation.json']


def test_a_run_is_kept_once(store):
    with pytest.raises(ConfigError, match='pointata seed 0'):
        store.add(Run('utd_mhad', 1.0, 'pointata', 0), measured(99))


def test_other_settings_are_refused_by_name_and_equal_ones_are_not(store):
    again = ResultStore(store.path)
    again.require_settings('utd_mhad', {'epochs': 20})
    again.require_settings('radhar', {'epochs': 5})
    with pytest.raises(ConfigError, match='epochs = 20, now it is 30'):
        again.require_settings('utd_mhad', {'epochs': 30})


@pytest.mark.parametrize('text', ['', '[]', '{"format": 9, "runs": []}', '{"format": 1}'])
def test_unusable_file_is_named_and_left_alone(tmp_path, text):
    path = tmp_path / 'adaptation.json'
    path.write_text(text)
    with pytest.raises(ResultsError, match=r'adaptation\.json'):
        ResultStore(path)
    assert path.read_text() == text


def test_mean_and_spread_over_seeds_counted_by_hand(store):
    rows = {(row.method, row.fraction): row for row in summarise(store)}
    row = rows['pointata', 1.0]
    assert (row.seeds, row.correct, row.videos) == (2, 150, 200)
    assert row.accuracy == pytest.approx(0.75)
    assert row.spread == pytest.approx(0.0707106781)  # (0.05^2 + 0.05^2) / (2 - 1), root
    assert row.seconds == 150.0
    assert rows['probe', 1.0].spread is None


def test_table_holds_every_row_with_its_denominator_and_settings(store):
    page, *plots = write_report(store, store.path.parent)
    text = page.read_text()
    assert '| 100 % | pointata | 75.0 ± 7.1 % | 2 | 150 / 200 | 67.0 ± 1.4 % |' in text
    assert '| 100 % | probe | 50.0 % | 1 | 50 / 100 | – | 0.020 M (0.200 M)' in text
    assert 'epochs 20' in text
    assert {plot.name for plot in plots} == {
        'adaptation_utd_mhad_parameters.png',
        'adaptation_utd_mhad_labels.png',
    }
    for plot in plots:
        assert imread(plot).std() > 0
        assert plot.name in text


def test_a_table_of_points_shows_their_mean_iou(tmp_path):
    store = ResultStore(tmp_path / 'adaptation.json')
    cells = measured(900, miou=0.315, judged=1000)
    del cells['videos']
    store.add(Run('simulated', 1.0, 'full', 0), cells)
    store.add(Run('utd_mhad', 1.0, 'full', 0), measured(50))
    page, *_ = write_report(store, tmp_path)
    text = page.read_text()
    assert '| labels | method | mean IoU |' in text
    assert '| 100 % | full | 31.5 % | 1 | 900 / 1000 |' in text
    assert '| labels | method | video accuracy |' in text


def test_label_curve_needs_two_fractions(tmp_path):
    store = ResultStore(tmp_path / 'adaptation.json')
    store.add(Run('radhar', 1.0, 'probe', 0), measured(50))
    assert [p.name for p in write_report(store, tmp_path)] == [
        'adaptation.md',
        'adaptation_radhar_parameters.png',
    ]
    assert json.loads(store.path.read_text())['runs'][0]['data'] == 'radhar'
    other = ResultStore(tmp_path / 'design.json')
    other.add(Run('radhar', 1.0, 'probe', 0), measured(50))
    assert {p.name for p in write_report(other, tmp_path)} == {
        'design.md',
        'design_radhar_parameters.png',
    }


@pytest.mark.parametrize('config', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.stem)
def test_what_runs_share_can_be_kept_and_compared(config, tmp_path):
    facts = shared_facts(base_settings(config, tmp_path, tmp_path, None))
    store = ResultStore(tmp_path / 'adaptation.json')
    store.require_settings(config.stem, facts)
    store.add(Run(config.stem, 1.0, 'probe', 0), measured(50))
    ResultStore(store.path).require_settings(config.stem, facts)
    with pytest.raises(ConfigError, match='task'):
        ResultStore(store.path).require_settings(config.stem, {**facts, 'task': 'frames'})


@given(heights=st.lists(st.floats(0, 100), min_size=1, max_size=20), line=st.floats(0.1, 8))
def test_names_of_a_plot_keep_apart_and_stay_near(heights, line):
    heights = sorted(heights, reverse=True)
    found = spread_names(heights, line)
    assert all(a - b >= line - 1e-6 for a, b in pairwise(found))
    assert sum(found) == pytest.approx(sum(heights), abs=1e-6)
    if all(a - b >= line for a, b in pairwise(heights)):
        assert found == pytest.approx(heights)
