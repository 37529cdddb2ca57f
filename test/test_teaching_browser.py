# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The label page in a real browser: correct by clicks, learn, see the outcome, use it.

The server is killed in between, and nothing is lost. The steps are one test each, in their order.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('lightning', reason='training needs the extra `train`')
pytest.importorskip('starlette', reason='the server needs the extra `teach`')
pytest.importorskip('playwright.sync_api', reason='requirements-dev.txt has it')

from playwright.sync_api import Page, sync_playwright
from teaching_folders import truth_of
from teaching_server import TINY_TRAINING, Server, labelled_street
from test_report_browser import BROWSERS

from pointata_core.bundles.bundle import load_bundle
from pointata_core.taxonomy import class_id
from pointata_core.teaching.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_MS = 600_000  # of a machine that does much else
FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']
SIDEWALK, TERRAIN, CAR = class_id('sidewalk'), class_id('terrain'), class_id('car')


class Bench:
    """A folder, its server, and a page that shows it.

    Attributes:
        troubles: What the browser complained about.
    """

    def __init__(self, folder: Path, page: Page) -> None:
        self.folder, self.page, self.troubles = folder, page, []
        self.words = (f'data.cache={folder.parent / "cache"}', *TINY_TRAINING)
        page.set_default_timeout(PATIENCE_MS)
        page.on('console', lambda message: self.troubles.append(message.text))
        page.on('pageerror', lambda error: self.troubles.append(str(error)))
        self.server = self.started(0)
        self.open()

    def started(self, port: int) -> Server:
        # Words of the recipe stand behind the folder to work in.
        return Server(self.folder, port, str(self.folder), *self.words)

    def open(self) -> None:
        self.page.goto(f'{self.server.url}/')
        self.page.wait_for_selector('body[data-ready]')

    def at(self, scan: int, label: int) -> tuple[float, float]:
        """Where in the window a point of a class is that nothing else hides."""
        found = self.page.evaluate(
            """([label]) => {
              const { desk, cloud } = pointata, at = cloud.onScreen();
              for (let n = 0; n < desk.shown.length; n++) {
                const x = at[3 * n], y = at[3 * n + 1];
                if (desk.shown[n] !== label || x < 50 || y < 60 || x > 750 || y > 560) continue;
                const hit = cloud.at(Math.round(x), Math.round(y));
                if (hit >= 0 && desk.shown[hit] === label && desk.arrays.by[hit] === 0)
                  return [Math.round(x), Math.round(y)];
              }
              return null;
            }""",
            [label],
        )
        assert found, f'scan {scan} shows no unlabelled {label}'
        return tuple(found)

    def click(self, label: int, key: str) -> None:
        """Correct a segment that has a label."""
        edits = self.edits()
        self.page.keyboard.press(key)
        self.page.mouse.click(*self.at(0, label))
        self.page.wait_for_function(f'pointata.desk.project.edits === {edits + 1}')

    def edits(self) -> int:
        return self.page.evaluate('pointata.desk.project.edits')

    def on_disk(self) -> int:
        with Project(self.folder, reading=True) as project:
            return len(project.edits)


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f'no browser: none of {", ".join(BROWSERS)} is installed')
    folder = tmp_path_factory.mktemp('page') / 'street'
    labelled_street(folder, 6, {'sidewalk': 'terrain'})
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport={'width': 1150, 'height': 700})
        one = Bench(folder, page)
        yield one
        chromium.close()
        one.server.end()


def test_clicks_on_the_canvas_correct_segments(bench) -> None:
    bench.click(TERRAIN, '2')
    bench.click(TERRAIN, '2')
    bench.click(CAR, '9')
    with Project(bench.folder, reading=True) as project:
        assert [edit.what['kind'] for edit in project.edits] == ['segment'] * 3
        known = project.known(0)
        rows = known.by > 0
        labels = project.classes.labels(known.words)
        assert set(labels[rows]) == {SIDEWALK, CAR}
        assert (labels == truth_of(0))[rows].all()
        assert any((project.known(n).by < 0).any() for n in range(1, 6)), 'carried over'
    # The page counts once the server has answered.
    bench.page.wait_for_selector('#count:text-is("3 corrections in 1 scan, all on disk")')


def test_brush_lasso_confirm_undo_and_redo(bench) -> None:
    page = bench.page
    x, y = bench.at(0, TERRAIN)
    page.keyboard.press('b')
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y)
    page.mouse.up()
    page.wait_for_function('pointata.desk.project.edits === 4')
    page.keyboard.press('z')
    page.wait_for_function('pointata.desk.project.edits === 3')
    page.keyboard.press('l')
    page.mouse.move(x - 20, y - 20)
    page.mouse.down()
    for corner in ((x + 20, y - 20), (x + 20, y + 20), (x - 20, y + 20)):
        page.mouse.move(*corner)
    page.mouse.up()
    page.wait_for_function('pointata.desk.project.edits === 4')
    page.click('#undo')
    page.wait_for_function('pointata.desk.project.edits === 3')
    page.keyboard.press('s')
    page.keyboard.press('a')
    page.wait_for_function('pointata.desk.project.edits === 4')
    page.keyboard.press('z')
    page.wait_for_function('pointata.desk.project.edits === 3')
    page.click('#redo')
    page.wait_for_function('pointata.desk.project.edits === 4')
    page.keyboard.press('z')
    page.wait_for_function('pointata.desk.project.edits === 3')
    assert bench.on_disk() == 3
    assert not bench.troubles


def test_a_killed_server_and_a_reload_lose_nothing(bench) -> None:
    bench.server.end()
    bench.page.keyboard.press('2')
    bench.page.mouse.click(*bench.at(0, TERRAIN))
    bench.page.wait_for_selector('#message.error')
    assert 'does not answer' in bench.page.inner_text('#message')
    bench.server = bench.started(bench.server.port)
    bench.open()
    assert bench.edits() == bench.on_disk() == 3
    bench.click(TERRAIN, '2')
    bench.page.reload()
    bench.page.wait_for_selector('body[data-ready]')
    assert bench.edits() == bench.on_disk() == 4
    bench.troubles.clear()


def test_the_next_scan_comes_with_a_reason(bench) -> None:
    bench.page.keyboard.press('n')
    bench.page.wait_for_function('pointata.desk.scan !== 0')
    assert bench.page.inner_text('#reason')
    bench.page.keyboard.press('ArrowLeft')
    assert bench.page.locator('#suggestions li').count() > 1


def test_it_learns_shows_what_changed_and_serves_it(bench) -> None:
    page = bench.page
    page.click('#learn')
    page.wait_for_selector('#progress-learn progress')
    page.wait_for_selector('#outcome table')
    assert 'right, of your clicks' in page.inner_text('#outcome')
    page.wait_for_function("pointata.desk.labels === 'after'")
    scan = page.evaluate('pointata.desk.scan')
    shown = np.array(page.evaluate('[...pointata.desk.shown]'))
    np.testing.assert_array_equal(shown, np.load(
        bench.folder / 'runs' / '0001' / 'after' / f'{scan:06d}.npy'
    ))  # fmt: skip
    assert (bench.folder / 'runs' / '0001' / 'settings.yaml').is_file()
    page.keyboard.press('m')
    page.wait_for_function("pointata.desk.labels === 'labels'")
    page.reload()
    page.wait_for_selector('#outcome table')
    page.click('#serve')
    page.wait_for_function("document.getElementById('served').textContent.includes('node')")
    first, second = (
        load_bundle(path).network.state_dict()
        for path in (bench.folder / 'bundle', bench.folder / 'runs' / '0001' / 'bundle')
    )
    assert all((first[name] == second[name]).all() for name in first)
    assert not bench.troubles
