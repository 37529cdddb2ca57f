# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page about a run, with its images also as separate files.

The page needs no network, no script and no other file, so it can be mailed, archived or opened
years later. Every figure in it carries the key under which ``results.json`` holds it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointata_core.evaluation.people_log import PersonTrack
from pointata_core.evaluation.results import EvaluationResults, Snapshot
from pointata_core.safe_files import make_output_folder, write_atomically

_HERE = Path(__file__).parent
_KINDS = {
    'bag': 'Evaluation of a recording',
    'live': 'Live run through the ROS 2 node',
    'sequence': 'Evaluation of a data set',
    'clouds': 'Evaluation of cloud files',
}

_MOST_PEOPLE = 12


@dataclass(frozen=True)
class Image:
    """A PNG of the report.

    Args:
        name: File name.
        caption: What it shows, also read out by screen readers.
        png: The file.
        dark: The same for a dark page; ``None`` where one serves both.
    """

    name: str
    caption: str
    png: bytes
    dark: bytes | None = None

    @property
    def uri(self) -> str:
        """The image as a ``data:`` address."""
        return _data_uri(self.png)

    @property
    def dark_uri(self) -> str:
        """The dark variant as a ``data:`` address; empty without one."""
        return _data_uri(self.dark) if self.dark else ''

    def write(self, directory: Path) -> None:
        """Write the image, and its dark variant, into a folder."""
        write_atomically(directory / self.name, self.png)
        if self.dark:
            name = Path(self.name)
            write_atomically(directory / f'{name.stem}_dark{name.suffix}', self.dark)


def write_report(results: EvaluationResults, directory: str | Path) -> Path:
    """Write ``results.json``, ``report.html`` and the images.

    Args:
        results: What was measured, with its trace.
        directory: Where to; made if it is not there. Files of an earlier report are replaced.

    Returns:
        Path of ``report.html``.
    """
    directory = make_output_folder(directory)
    for name in ('cloud', 'truth', 'camera'):
        for old in directory.glob(f'{name}_*.png'):
            old.unlink()
    clouds, truths = _cloud_images(results)
    overlays = _camera_images(results)
    charts = {
        'timeline': _timeline_image(results),
        'people': _people_image(results),
        'trails': _trails_image(results),
        'views': _views_image(results),
        'latency': _latency_image(results),
        'confusion': _confusion_image(results),
    }
    for image in (*clouds, *truths, *(p for pair in overlays for p in pair), *charts.values()):
        if image is not None:
            image.write(directory)
    results.write_json(directory / 'results.json')
    page = directory / 'report.html'
    write_atomically(page, _render(results, clouds, truths, overlays, charts).encode())
    return page


def _render(
    results: EvaluationResults,
    clouds: list[Image],
    truths: list[Image],
    overlays: list[list[Image]],
    charts: Mapping[str, Image | None],
) -> str:
    return (
        report_environment()
        .get_template('page.html.j2')
        .render(
            r=results,
            kind=_KINDS.get(results.kind, results.kind),
            source_name=Path(results.source).name or results.source,
            css=page_style(),
            clouds=clouds,
            truths=truths,
            overlays=overlays,
            **charts,
            classes=_class_rows(results),
            losses=_losses(results),
            unscored=results.segmentation is None and results.action is None,
        )
    )


def report_environment() -> Any:
    """The templates of all reports, with their filters for numbers."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=_count, percent=_percent, ms=_ms, score=_score, bytes=_bytes, short=_short
    )
    return environment


def page_style() -> Any:
    """The style sheet that the reports of evaluation and training share, as safe markup."""
    from markupsafe import Markup

    return Markup((_HERE / 'page.css').read_text(encoding='utf-8'))  # our own file


def _cloud_images(results: EvaluationResults) -> tuple[list[Image], list[Image]]:
    from pointata_core.evaluation.report.images import bird_eye_view, common_extent

    snapshots = results.trace.snapshots
    classes = results.bundle.get('segmentation_classes', [])
    extent = common_extent([snapshot.points for snapshot in snapshots])

    def draw(snapshot: Snapshot, labels: Any) -> bytes:
        title = f't = {snapshot.time_s:.1f} s'
        return bird_eye_view(snapshot.points, labels, classes, extent, title)

    clouds = [
        Image(
            f'cloud_{number}.png',
            f'{len(s.points):,} points at {s.time_s:.1f} s',
            draw(s, s.labels),
        )
        for number, s in enumerate(snapshots)
    ]
    truths = [
        Image(
            f'truth_{number}.png', f'Ground truth at {s.time_s:.1f} s', draw(s, _as_labels(s.truth))
        )
        for number, s in enumerate(snapshots)
        if s.truth is not None
    ]
    return clouds, truths


def _camera_images(results: EvaluationResults) -> list[list[Image]]:
    """Camera images with predicted labels and, next to each, the ground truth."""
    import numpy as np

    from pointata_core.evaluation.report.overlays import overlay

    classes = results.bundle.get('segmentation_classes', [])
    pairs = []
    for number, snapshot in enumerate(results.trace.snapshots):
        camera = snapshot.camera
        if camera is None:
            continue
        ranges = np.linalg.norm(snapshot.points[camera.seen], axis=1)

        def draw(labels: Any, camera: Any = camera, ranges: Any = ranges) -> bytes:
            return overlay(camera.image, camera.pixels, labels[camera.seen], classes, ranges)

        when = f'{snapshot.time_s:.1f} s'
        pair = [
            Image(
                f'camera_{number}.png',
                f'{len(camera.seen):,} points in the image at {when}, as labelled',
                draw(snapshot.labels),
            )
        ]
        if snapshot.truth is not None:
            name = f'camera_{number}_truth.png'
            pair.append(Image(name, f'Ground truth at {when}', draw(_as_labels(snapshot.truth))))
        pairs.append(pair)
    return pairs


def _as_labels(truth: Any) -> Any:
    """Ground truth as labels to draw: everything that is no class becomes unlabelled."""
    import numpy as np

    return np.where((truth < 0) | (truth > 65535), 65535, truth).astype(np.uint16)


def _timeline_image(results: EvaluationResults) -> Image | None:
    from pointata_core.evaluation.report.charts import DARK, LIGHT, action_chart

    if not results.action_timeline:
        return None
    rows = {'recognised': results.action_timeline}
    if results.action_truth:
        rows['ground truth'] = results.action_truth
    end = max(segment.end_s for row in rows.values() for segment in row)
    classes = results.bundle['action_classes']
    light, dark = (action_chart(rows, classes, end, theme) for theme in (LIGHT, DARK))
    return Image('actions.png', 'Actions over time', light, dark)


def _people_image(results: EvaluationResults) -> Image | None:
    """A row for each of the people who were there longest."""
    from pointata_core.evaluation.report.charts import DARK, LIGHT, action_chart

    tracks = results.people['tracks'] if results.people else ()
    if not tracks or not results.people or not results.people['classes']:
        return None
    shown = _longest(tracks)
    rows = {f'person {track.number}': track.actions for track in shown}
    end = max(track.end_s for track in tracks)
    classes = results.people['classes']
    light, dark = (action_chart(rows, classes, end, theme) for theme in (LIGHT, DARK))
    return Image('people.png', 'What each person does over time', light, dark)


def _trails_image(results: EvaluationResults) -> Image | None:
    """Where the same people went."""
    from pointata_core.evaluation.report.charts import DARK, LIGHT
    from pointata_core.evaluation.report.trails import trail_chart

    shown = _longest(results.people['tracks'] if results.people else ())
    if not shown:
        return None
    light, dark = (trail_chart(shown, theme) for theme in (LIGHT, DARK))
    return Image('people_trails.png', 'Where people went, seen from above', light, dark)


def _views_image(results: EvaluationResults) -> Image | None:
    """Some of the people, with their actions."""
    from pointata_core.evaluation.report.charts import DARK, LIGHT
    from pointata_core.evaluation.report.views import views_chart

    views = results.trace.people
    if not views:
        return None
    light, dark = (views_chart(views, theme) for theme in (LIGHT, DARK))
    return Image('people_views.png', 'People as the sensor sees them', light, dark)


def _longest(tracks: Sequence[PersonTrack]) -> list[PersonTrack]:
    """The people who were there longest, by number."""
    longest = sorted(tracks, key=lambda track: -track.frames)[:_MOST_PEOPLE]
    return sorted(longest, key=lambda track: track.number)


def _latency_image(results: EvaluationResults) -> Image | None:
    from pointata_core.evaluation.report.charts import DARK, LIGHT, latency_chart

    samples = results.trace.latency_ms
    if not any(samples.values()):
        return None
    light, dark = (latency_chart(samples, results.latency, theme) for theme in (LIGHT, DARK))
    return Image('latency.png', 'Latency of each stage over all frames', light, dark)


def _confusion_image(results: EvaluationResults) -> Image | None:
    from pointata_core.evaluation.report.charts import DARK, LIGHT, confusion_chart

    counts = results.trace.confusion
    if counts is None:
        return None
    classes = results.bundle['segmentation_classes']
    light, dark = (confusion_chart(counts, classes, theme) for theme in (LIGHT, DARK))
    return Image('confusion.png', 'What each true class was taken for, percent', light, dark)


def _class_rows(results: EvaluationResults) -> list[dict[str, Any]]:
    """Classes that were predicted or are in the ground truth, the most frequent first."""
    from pointata_core.evaluation.colours import colour_of

    iou = results.segmentation.iou if results.segmentation else {}
    rows = [
        {
            'name': name,
            'colour': '#{:02x}{:02x}{:02x}'.format(*colour_of(name, index)),
            'share': share,
            'iou': iou.get(name),
        }
        for index, (name, share) in enumerate(results.class_shares.items())
        if share > 0 or name in iou
    ]
    return sorted(rows, key=lambda row: -row['share'])


def _losses(results: EvaluationResults) -> list[tuple[str, str, str, int]]:
    """(results key, kind, reason, count) of every cloud without a prediction and every reset."""
    kinds: Mapping[str, str] = {
        'dropped': 'dropped',
        'rejected': 'malformed',
        'skipped': 'skipped',
        'resets': 'history reset',
    }
    return [
        (f'{key}.{reason}', kind, reason.replace('_', ' '), number)
        for key, kind in kinds.items()
        for reason, number in getattr(results, key).items()
        if number
    ]


def _data_uri(png: bytes) -> str:
    return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')


def _count(value: float) -> str:
    return f'{value:,.0f}'


def _short(value: float) -> str:
    """Three figures and a unit prefix: 1.23 M."""
    for limit, prefix in ((1e9, ' G'), (1e6, ' M'), (1e3, ' k')):
        if value >= limit:
            return f'{value / limit:.3g}{prefix}'
    return f'{value:.3g}'


def _percent(value: float) -> str:
    return f'{100 * value:.1f} %'


def _ms(value: float) -> str:
    return f'{value:.3f}' if value < 1 else f'{value:.1f}'


def _score(value: float) -> str:
    return f'{value:.3f}'


def _bytes(value: float) -> str:
    for limit, unit in ((2**30, 'GiB'), (2**20, 'MiB'), (2**10, 'KiB')):
        if value >= limit:
            return f'{value / limit:.1f} {unit}'
    return f'{value:.0f} B'
