# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report stands alone, says what results.json says, and trusts no name in a recording."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_samples import empty_results, sample_results

from pointata_core.evaluation.report.page import write_report

PNG = b'\x89PNG\r\n\x1a\n'


class Page(HTMLParser):
    """Figures, addresses, text and open tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ''
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        if 'data-key' in attributes:
            self.figures[attributes['data-key']] = attributes['data-value']
        self.addresses += [
            attributes[name] for name in ('src', 'srcset', 'href') if name in attributes
        ]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp('report')
    page = write_report(sample_results(), directory)
    return directory, Page(page.read_text(encoding='utf-8'))


def look_up(results: dict, key: str):
    """Follow a dotted key; names of classes and reasons hold no dots."""
    for part in key.split('.'):
        results = results[part]
    return results


def test_figures_are_those_of_the_results(report):
    directory, page = report
    results = json.loads((directory / 'results.json').read_text())
    assert {'frames_predicted', 'latency.total.p99', 'segmentation.miou', 'action.edit',
            'rejected.truncated_data', 'dropped.superseded', 'resets.gap',
            'points_per_second'} <= set(page.figures)  # fmt: skip
    for key, shown in page.figures.items():
        assert shown == str(look_up(results, key)), key


def test_page_needs_nothing_but_itself(report):
    _, page = report
    assert page.addresses
    assert all(address.startswith('data:') for address in page.addresses)
    assert 'script' not in page.tags
    assert 'link' not in [t for t in page.tags if t == 'link'][1:]  # the empty icon only


def test_style_loads_nothing(report):
    directory, _ = report
    style = re.search(r'<style>(.*?)</style>', (directory / 'report.html').read_text(), re.S)[1]
    assert not re.search(r'url\(|@import|https?:', style)
    assert 'prefers-color-scheme: dark' in style


def test_images_lie_beside_the_page(report):
    directory, page = report
    names = {path.name for path in directory.glob('*.png')}
    assert {f'cloud_{i}.png' for i in range(6)} | {'actions.png', 'latency.png'} <= names
    assert {f'truth_{i}.png' for i in range(6)} <= names
    assert all((directory / name).read_bytes().startswith(PNG) for name in names)
    assert page.tags.count('img') == len([n for n in names if '_dark' not in n])


def test_images_are_spread_over_the_recording():
    times = [snapshot.time_s for snapshot in sample_results(31).trace.snapshots]
    assert times == pytest.approx([0.0, 0.6, 1.2, 1.8, 2.4, 3.0])


def test_names_from_a_recording_cannot_become_markup(tmp_path):
    hostile = '<script>alert(1)</script>'
    results = replace(sample_results(3, source=f'/data/{hostile}bag'), notes=(f'{hostile} & co',))
    html = write_report(results, tmp_path).read_text(encoding='utf-8')
    assert '<script' not in html
    assert f'{hostile} & co' in Page(html).text


def test_a_run_without_answers_still_reports(tmp_path):
    page = Page(write_report(empty_results(), tmp_path).read_text(encoding='utf-8'))
    assert page.figures['frames_predicted'] == '0'
    assert 'img' not in page.tags


def test_a_second_report_leaves_nothing_of_the_first(tmp_path):
    write_report(sample_results(3), tmp_path)
    write_report(sample_results(1), tmp_path)
    assert len(list(tmp_path.glob('cloud_*.png'))) == 1


def test_equal_results_give_equal_files(tmp_path):
    for name in ('one', 'two'):
        write_report(sample_results(1), tmp_path / name)
    one, two = (sorted((tmp_path / name).iterdir()) for name in ('one', 'two'))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
