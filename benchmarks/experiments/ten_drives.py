# SPDX-License-Identifier: Apache-2.0
"""How right the labels of a bundle are on ten drives that were recorded on real streets.

    python -m benchmarks ten-drives --data datasets/semantickitti_10drives
    python -m benchmarks ten-drives --bundles default=models/default mine=runs/mine/bundle
    python -m benchmarks ten-drives --pictures runs/pictures    # last scans, drawn

``--data`` holds ``sequences/NN`` in the layout of SemanticKITTI. Every drive is streamed through
the bundle as through the node with ``fixed_frame``, scan after scan, and once more without poses.
Every input point counts. Classes that a drive lacks are left out of its mean. Nothing is learned
or chosen on these scans.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.inference.frames import Skipped
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import (
    SEGMENTATION_CLASSES,
    SEGMENTATION_COLOURS,
    UNLABELLED,
    labels_from_semantickitti,
)

CLASSES = SEGMENTATION_CLASSES[:11]
"""Those that live outdoors: the truth holds no others."""

RANGES_M = ((0, 10), (10, 20), (20, 40))
_GROUND = [CLASSES.index(name) for name in ('road', 'sidewalk', 'terrain')]
_STANDING = [i for i in range(len(SEGMENTATION_CLASSES)) if i not in _GROUND]
_MATCH_M = 0.1
_FEWEST_POINTS = 30  # of a person that counts

Scores = dict[str, Any]


def score_drive(folder: Path, session: StreamingSession, poses: bool) -> Scores:
    """Stream one drive.

    Args:
        folder: Of the drive.
        session: New.
        poses: Whether the session learns how the sensor moved.

    Returns:
        ``confusion`` (11, 15) by truth and label, ``by_range`` for each of :data:`RANGES_M`,
        ``ghost`` (points of ground within 20 m labelled as something that stands, all of them),
        ``changed`` (matched points of things at rest whose label changed, all of them).
    """
    sequence = SemanticKittiSequence(folder)
    width = len(SEGMENTATION_CLASSES)
    confusion = np.zeros((len(RANGES_M) + 1, len(CLASSES), width), np.int64)
    ghost, changed = np.zeros(2, np.int64), np.zeros(2, np.int64)
    before: tuple[NDArray, NDArray, NDArray] | None = None
    for number, scan in enumerate(sequence):
        if scan.label is None or scan.pose is None:
            raise ConfigError(f'{folder} has no labels or no poses', 'Add labels and poses.txt')
        motion = None
        if poses and before is not None:
            motion = np.linalg.inv(scan.pose) @ before[2]
        result = session.step(
            scan.points, (number + 1) * 10**8, {'intensity': scan.intensity}, transform=motion
        )
        assert not isinstance(result, Skipped)
        truth, found = labels_from_semantickitti(scan.label), result.labels
        reach = np.linalg.norm(scan.points[:, :2], axis=1)
        use = (truth < len(CLASSES)) & (found != UNLABELLED)
        for row, (low, high) in enumerate([*RANGES_M, (RANGES_M[-1][1], np.inf)]):
            ring = use & (reach >= low) & (reach < high)
            pairs = truth[ring].astype(np.int64) * width + found[ring]
            confusion[row] += np.bincount(pairs, minlength=confusion[row].size).reshape(-1, width)
        near_ground = use & np.isin(truth, _GROUND) & (reach < 20)
        ghost += [np.isin(found[near_ground], _STANDING).sum(), near_ground.sum()]
        here = scan.points.astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
        if before is not None:
            distance, index = cKDTree(before[0]).query(here, distance_upper_bound=_MATCH_M)
            met = np.isfinite(distance)
            changed += [(found[met] != before[1][index[met]]).sum(), met.sum()]
        before = here, found, scan.pose
    return {'confusion': confusion, 'ghost': ghost, 'changed': changed}


def summary(scores: Scores) -> dict[str, Any]:
    """Percentages of one drive, or of several added up."""
    by_range = scores['confusion']
    whole = by_range.sum(axis=0)
    iou = class_iou(whole)
    recall = {
        f'{low}-{high} m': _percent(np.diagonal(rows[:, : len(CLASSES)])[8], rows[8].sum())
        for (low, high), rows in zip(RANGES_M, by_range, strict=False)
    }
    return {
        'miou': _mean(iou),
        'accuracy': _percent(np.trace(whole[:, : len(CLASSES)]), whole.sum()),
        'iou': dict(zip(CLASSES, iou, strict=True)),
        'miou_by_range': {
            f'{low}-{high} m': _mean(class_iou(rows))
            for (low, high), rows in zip(RANGES_M, by_range, strict=False)
        },
        'car_recall': recall,
        'ghost_ground': _percent(*scores['ghost']),
        'flicker': _percent(*scores['changed']),
    }


def class_iou(confusion: NDArray) -> list[float | None]:
    """IoU (%) of every class from (11, 15) by truth and label; ``None`` for one without truth."""
    right = np.diagonal(confusion[:, : len(CLASSES)])
    union = confusion.sum(axis=1) + confusion.sum(axis=0)[: len(CLASSES)] - right
    there = confusion.sum(axis=1) > 0
    return [_percent(r, u) if t else None for r, u, t in zip(right, union, there, strict=True)]


def _percent(part: float, whole: float) -> float | None:
    return round(100 * float(part) / float(whole), 2) if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 2) if known else None


def measure(name: str, bundle: Path, data: Path, drives: Sequence[str]) -> dict[str, Any]:
    """All drives with one bundle."""
    found: dict[str, Any] = {'drives': {}}
    loaded = load_bundle(bundle)
    pooled: Scores = {}
    without = np.zeros(2, np.int64)
    for drive in drives:
        folder = data / 'sequences' / drive
        scores = score_drive(folder, StreamingSession(loaded), poses=True)
        found['drives'][drive] = summary(scores)
        pooled = {k: pooled.get(k, 0) + v for k, v in scores.items()}
        still = score_drive(folder, StreamingSession(loaded), poses=False)
        without += still['changed']
        found['drives'][drive]['flicker_without_poses'] = _percent(*still['changed'])
        log(f'{name} {drive}: mean IoU {found["drives"][drive]["miou"]} %')
    means = [one['miou'] for one in found['drives'].values()]
    found['mean'], found['worst'] = round(float(np.mean(means)), 2), min(means)
    found['pooled'] = summary(pooled) | {'flicker_without_poses': _percent(*without)}
    found['hash'] = loaded.hash
    return found


def draw(path: Path, points: NDArray, labels: NDArray, truth: NDArray, reach_m: float = 40) -> None:
    """Draw a scan from above, as labelled and as it is; points without a label are grey."""
    import matplotlib.pyplot as plt

    colours = np.full((UNLABELLED + 1, 3), 200, np.uint8)
    colours[: len(SEGMENTATION_COLOURS)] = SEGMENTATION_COLOURS
    figure, panels = plt.subplots(1, 2, figsize=(12, 6.2))
    order = points[:, 2].argsort()
    for axes, values, title in zip(panels, (labels, truth), ('labels', 'truth'), strict=True):
        axes.scatter(*points[order, :2].T, c=colours[values[order]] / 255, s=0.4, linewidths=0)
        axes.set(xlim=(-reach_m, reach_m), ylim=(-reach_m, reach_m), aspect='equal', title=title)
        axes.set_axis_off()
    names = [plt.Line2D([], [], marker='o', ls='', label=name,
                         color=(c[0] / 255, c[1] / 255, c[2] / 255))
             for name, c in zip(CLASSES, SEGMENTATION_COLOURS, strict=False)]  # fmt: skip
    figure.legend(handles=names, loc='lower center', ncols=len(names), frameon=False, fontsize=8)
    figure.subplots_adjust(0.01, 0.06, 0.99, 0.95, 0.01)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_all(bundle: Path, data: Path, drives: Sequence[str], folder: Path) -> None:
    """Draw the last scan of every drive."""
    loaded = load_bundle(bundle)
    for drive in drives:
        session, sequence = (
            StreamingSession(loaded),
            SemanticKittiSequence(data / 'sequences' / drive),
        )
        for number, scan in enumerate(sequence):
            result = session.step(scan.points, (number + 1) * 10**8, {'intensity': scan.intensity})
        assert not isinstance(result, Skipped) and scan.label is not None
        truth = labels_from_semantickitti(scan.label)
        draw(folder / f'{drive}.png', scan.points, result.labels, truth)


def run_all(options: argparse.Namespace) -> None:
    """Measure all bundles and write the results."""
    drives = options.drives or sorted(p.name for p in (options.data / 'sequences').glob('*'))
    if not drives:
        raise ConfigError(f'{options.data} holds no sequences', 'Give the folder above sequences')
    if options.pictures is not None:
        draw_all(
            Path(options.bundles[0].rpartition('=')[2]), options.data, drives, options.pictures
        )
        return
    bundles = {
        name: measure(name, Path(path), options.data, drives)
        for name, _, path in (text.partition('=') for text in options.bundles)
    }
    write_results(options.output, settings_of(options, 'data', 'threads'), bundles=bundles)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('ten-drives', __doc__, drives=['00'])
    line.add_argument('--data', type=Path, default=Path('datasets/semantickitti_10drives'))
    line.add_argument('--bundles', nargs='+', metavar='NAME=FOLDER',
                      default=['default=models/default'])  # fmt: skip
    line.add_argument('--drives', nargs='+', help='some of them; all by default')
    line.add_argument('--pictures', type=Path, metavar='DIR', help='draw scans and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
