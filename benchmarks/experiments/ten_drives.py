# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How right the labels of a bundle are on ten drives that were recorded on real streets.

    python -m benchmarks ten-drives --data datasets/semantickitti_10drives
    python -m benchmarks ten-drives --bundles default=models/default mine=runs/mine/bundle

``--data`` holds ``sequences/NN`` in the layout of SemanticKITTI. Every drive is streamed through
the bundle as through the node with ``fixed_frame``, scan after scan, and once more without poses.
Every input point counts. Nothing is learned or chosen on these scans. Figures of other bundles in
the file of results stay. To look at a drive: ``pointata evaluate --semantickitti``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from pointata_core.bundles.bundle import SkillBundle, load_bundle
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.inference.frames import Skipped
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import SEGMENTATION_CLASSES, labels_from_semantickitti
from pointata_core.training.domain.self_checks import places_met

RANGES_M = ((0, 10), (10, 20), (20, 40), (40, np.inf))
_GROUND = [SEGMENTATION_CLASSES.index(name) for name in ('road', 'sidewalk', 'terrain')]
_CAR = SEGMENTATION_CLASSES.index('car')
_NEAR_M = 20


def _no_points() -> list[ConfusionMatrix]:
    return [ConfusionMatrix(SEGMENTATION_CLASSES) for _ in RANGES_M]


@dataclass
class Counts:
    """What is counted on drives.

    Attributes:
        by_range: For each of :data:`RANGES_M`.
        ghost: Points of near ground with a label, those labelled as something that stands.
        changed: Matched points, those whose label changed.
    """

    by_range: list[ConfusionMatrix] = field(default_factory=_no_points)
    ghost: NDArray = field(default_factory=lambda: np.zeros(2, np.int64))
    changed: NDArray = field(default_factory=lambda: np.zeros(2, np.int64))

    def add(self, other: Counts) -> None:
        """Add those of another drive."""
        for mine, theirs in zip(self.by_range, other.by_range, strict=True):
            mine.counts += theirs.counts
        self.ghost += other.ghost
        self.changed += other.changed

    def figures(self) -> dict[str, Any]:
        """Percentages."""
        whole = ConfusionMatrix(SEGMENTATION_CLASSES)
        whole.counts += sum(one.counts for one in self.by_range)
        score = whole.score()
        assert score is not None
        recall = {
            f'{low}-{high} m': _percent(one.counts[_CAR, _CAR], one.counts[_CAR].sum())
            for (low, high), one in zip(RANGES_M[:-1], self.by_range, strict=False)
        }
        return {
            'miou': round(100 * score.miou, 2),
            'accuracy': round(100 * score.accuracy, 2),
            'iou': {name: round(100 * iou, 2) for name, iou in score.iou.items()},
            'car_recall': recall,
            'ghost_ground': _percent(self.ghost[1], self.ghost[0]),
            'flicker': _percent(self.changed[1], self.changed[0]),
        }


def _percent(part: float, whole: float) -> float | None:
    return round(100 * float(part) / float(whole), 2) if whole else None


def count_drive(
    folder: Path,
    bundle: SkillBundle,
    poses: bool,
    label_memory: float = DECAY,
    max_voxels: int = 0,
) -> Counts:
    """Stream one drive.

    Args:
        folder: Of the drive.
        bundle: What labels it.
        poses: Whether the session learns how the sensor moved.
        label_memory: Of the session.
        max_voxels: Of the session.

    Raises:
        ConfigError: The drive has no labels or no poses.
    """
    session = StreamingSession(bundle, label_memory=label_memory, max_voxels=max_voxels)
    counts = Counts()
    classes = len(SEGMENTATION_CLASSES)
    before: tuple[NDArray, NDArray, NDArray] | None = None
    for number, scan in enumerate(SemanticKittiSequence(folder), start=1):
        if scan.label is None or scan.pose is None:
            raise ConfigError(f'{folder} has no labels or no poses', 'Add labels and poses.txt')
        motion = None
        if poses and before is not None:
            motion = np.linalg.inv(scan.pose) @ before[2]
        features = {'intensity': scan.intensity}
        result = session.step(scan.points, number * 10**8, features, transform=motion)
        assert not isinstance(result, Skipped)
        truth, found = labels_from_semantickitti(scan.label), result.labels
        reach = np.linalg.norm(scan.points[:, :2], axis=1)
        for (low, high), matrix in zip(RANGES_M, counts.by_range, strict=True):
            ring = (reach >= low) & (reach < high)
            matrix.add(truth[ring], found[ring])
        ground = np.isin(truth, _GROUND) & (reach < _NEAR_M) & (found < classes)
        counts.ghost += [ground.sum(), (ground & ~np.isin(found, _GROUND)).sum()]
        here = scan.points.astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
        if before is not None:
            met, index = places_met(here, before[0])
            counts.changed += [len(met), (found[met] != before[1][index]).sum()]
        before = here, found, scan.pose
    return counts


def measure(
    name: str, path: Path, data: Path, drives: Sequence[str], **session: Any
) -> dict[str, Any]:
    """All drives with one bundle; ``session`` are options of its sessions."""
    bundle = load_bundle(path)
    each: dict[str, dict[str, Any]] = {}
    pooled, still = Counts(), Counts()
    for drive in drives:
        folder = data / 'sequences' / drive
        moving, resting = (count_drive(folder, bundle, poses, **session) for poses in (True, False))
        pooled.add(moving)
        still.add(resting)
        each[drive] = with_still(moving, resting)
        log(f'{name} {drive}: mean IoU {each[drive]["miou"]} %')
    means = [one['miou'] for one in each.values()]
    return {
        'hash': bundle.hash,
        **session,
        'mean': round(float(np.mean(means)), 2),
        'worst': min(means),
        'pooled': with_still(pooled, still),
        'drives': each,
    }


def with_still(moving: Counts, resting: Counts) -> dict[str, Any]:
    """The figures of a drive with poses, and its flicker without them."""
    return moving.figures() | {'flicker_without_poses': resting.figures()['flicker']}


def run_all(options: argparse.Namespace) -> None:
    """Measure the bundles, and write the results of each at once."""
    drives = options.drives or sorted(p.name for p in (options.data / 'sequences').glob('*'))
    if not drives:
        raise ConfigError(f'{options.data} holds no sequences', 'Give the folder above sequences')
    bundles = json.loads(options.output.read_text())['bundles'] if options.output.exists() else {}
    for text in options.bundles:
        name, _, path = text.partition('=')
        session = {'label_memory': options.label_memory, 'max_voxels': options.max_voxels}
        bundles[name] = measure(name, Path(path), options.data, drives, **session)
        write_results(options.output, settings_of(options, 'data', 'threads'), bundles=bundles)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('ten-drives', __doc__, drives=['00'])
    line.add_argument('--data', type=Path, default=Path('datasets/semantickitti_10drives'))
    line.add_argument('--bundles', nargs='+', metavar='NAME=FOLDER',
                      default=['default=models/default'])  # fmt: skip
    line.add_argument('--drives', nargs='+', help='some of them; all by default')
    line.add_argument('--label-memory', type=float, default=DECAY, help='0: of single frames')
    line.add_argument('--max-voxels', type=int, default=0, help='of a scan; 0: as the bundle')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
