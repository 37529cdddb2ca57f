# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: images load, nothing complains, the figures are visible."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from report_samples import sample_results

from pointata_core.evaluation.report.page import write_report

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
# Quiet: no sandbox (containers), no network, no first-run pages.
FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--enable-logging=stderr', '--log-level=0', '--window-size=1100,1600',
)  # fmt: skip
# Asks the loaded page itself; runs after everything, images included, has loaded.
PROBE = """
<script>
addEventListener('load', () => {
  const report = {
    images: [...document.images].map(i => [i.alt, i.complete, i.naturalWidth, i.clientWidth]),
    figures: Object.fromEntries([...document.querySelectorAll('[data-key]')].map(
      e => [e.dataset.key, [e.dataset.value, e.innerText, e.getClientRects().length]])),
    overflow: document.documentElement.scrollWidth - innerWidth,
  };
  document.documentElement.setAttribute('data-probe', JSON.stringify(report));
});
</script>
"""


@pytest.fixture(scope='module')
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f'no browser: none of {", ".join(BROWSERS)} is installed')
    return found


@pytest.fixture(scope='module')
def opened(browser, tmp_path_factory):
    """The report's folder, what the page says of itself, and the browser's log."""
    directory = tmp_path_factory.mktemp('report')
    page = write_report(sample_results(), directory)
    html = page.read_text(encoding='utf-8').replace('</body>', f'{PROBE}</body>')
    probed = directory / 'probed.html'
    probed.write_text(html, encoding='utf-8')
    profile = tmp_path_factory.mktemp('profile')
    run = subprocess.run(
        [browser, *FLAGS, f'--user-data-dir={profile}', '--dump-dom', probed.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'data-probe="([^"]*)"', run.stdout)
    assert found, f'the page was not loaded: {run.stderr[-2000:]}'
    return directory, json.loads(found[1].replace('&quot;', '"')), run.stderr


def test_every_image_is_drawn(opened):
    _, page, _ = opened
    # Clouds as labelled, clouds as they were; actions, latency, confusions.
    assert len(page['images']) == 6 + 6 + 3
    for alt, complete, natural, shown in page['images']:
        assert complete and natural > 100 and shown > 100, alt


def test_nothing_is_reported_to_the_console(opened):
    _, _, log = opened
    assert not re.findall(r'.*CONSOLE.*', log)


def test_visible_figures_are_those_of_the_results(opened):
    directory, page, _ = opened
    results = json.loads((directory / 'results.json').read_text())
    assert len(page['figures']) > 40
    for key, (value, text, boxes) in page['figures'].items():
        expected = results
        for part in key.split('.'):
            expected = expected[part]
        assert value == str(expected) and boxes, key
        if isinstance(expected, str):
            assert text == expected
            continue
        number, unit = re.fullmatch(r'([\d,.]+)\s*(.*)', text.strip()).groups()
        scale = {'%': 0.01, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'KiB': 2**10, 'MiB': 2**20,
                 'GiB': 2**30}.get(unit, 1.0)  # fmt: skip
        assert float(number.replace(',', '')) * scale == pytest.approx(expected, rel=0.06, abs=6e-4)


def test_page_is_not_wider_than_the_window(opened):
    _, page, _ = opened
    assert page['overflow'] <= 0
