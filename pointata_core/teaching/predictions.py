# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle makes of the scans of a folder, and where it contradicts itself.

Every scan is labelled three times: as it is, mirrored, and turned by a quarter. Where the three
differ, or a place has another label than in the scan before, the bundle is likely to be wrong.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import SkillBundle
from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.taxonomy import UNLABELLED
from pointata_core.teaching.project import Project
from pointata_core.teaching.segments import DEFAULT_SIZES, SegmentSettings, segment_scan
from pointata_core.training.domain.pseudo_scans import LabelledStream
from pointata_core.training.domain.recorded_scans import RecordedScan
from pointata_core.training.domain.self_checks import places_met

_QUARTER = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Labels of one scan, in classes of the folder.

    Attributes:
        labels: ``(N,)`` uint16.
        probability: ``(N,)`` float32 of the label; 0 where unlabelled.
        differs: ``(N,)`` float32, share of the other views that are labelled otherwise.
        flickers: ``(N,)`` float32, 1 where the place had another label in the scan before; NaN
            where that is not known.
    """

    labels: NDArray[np.uint16]
    probability: NDArray[np.float32]
    differs: NDArray[np.float32]
    flickers: NDArray[np.float32]


def prediction_path(project: Project, number: int) -> Path:
    """Where the prediction of a scan is kept."""
    return project.folder / 'teach' / 'predictions' / f'{project.name(number)}.npz'


def write_prediction(project: Project, number: int, prediction: Prediction) -> None:
    """Keep the prediction of a scan."""
    path = prediction_path(project, number)
    write_atomically(path, lambda stream: np.savez(stream, **vars(prediction)))


def read_prediction(project: Project, number: int) -> Prediction:
    """The prediction of a scan.

    Raises:
        CloudFileError: There is none, or it is damaged.
    """
    path = prediction_path(project, number)
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Prediction(**{name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CloudFileError(
            f'{path}: found no prediction ({error})', 'Run: pointata teach look FOLDER'
        ) from error
    if any(len(values) != project.points(number) for values in vars(found).values()):
        raise CloudFileError(
            f'{path} belongs to another scan', f'Delete {path.parent}, then look again'
        )
    return found


def bundle_digest(bundle: SkillBundle) -> str:
    """Tells bundles apart by what their manifests say, the hashes of their files included."""
    return hashlib.sha256((bundle.path / 'manifest.json').read_bytes()).hexdigest()


def has_predictions(project: Project, bundle: SkillBundle) -> bool:
    """Whether all scans have predictions of this bundle."""
    return _predicted_by(project).get('digest') == bundle_digest(bundle)


def require_predictions(project: Project, bundle: SkillBundle) -> None:
    """Make sure that the predictions of a folder are those of a bundle.

    Raises:
        ConfigError: They are of another one, or there are none.
    """
    if not has_predictions(project, bundle):
        raise ConfigError(
            f'{_facts_path(project)}: the predictions are of '
            f'{_predicted_by(project).get("name", "no bundle")}, expected '
            f'those of {bundle.manifest.name} in {bundle.path}',
            f'Run: pointata teach look {project.folder} --bundle {bundle.path}',
        )


def _predicted_by(project: Project) -> dict[str, str]:
    path = _facts_path(project)
    return json.loads(path.read_text()) if path.is_file() else {}


def _facts_path(project: Project) -> Path:
    return project.folder / 'teach' / 'predictions' / 'bundle.json'


def predict(
    project: Project,
    bundle: SkillBundle,
    *,
    sizes: SegmentSettings = DEFAULT_SIZES,
    report: Callable[[int, int], object] | None = None,
) -> None:
    """Label all scans, and cut those that have no segments yet; everything is kept in the folder.

    Args:
        project: Open.
        bundle: What labels them; classes that the folder lacks become unlabelled.
        sizes: Of the segments.
        report: Called after each scan with how many are done, of how many.
    """
    facts = _facts_path(project)
    facts.unlink(missing_ok=True)  # until all predictions are of this bundle
    streams = LabelledStream(bundle), LabelledStream(bundle, mirrored=True), LabelledStream(bundle)
    table = _class_table(bundle, project)
    before: tuple[NDArray, NDArray] | None = None
    for number in range(len(project)):
        found = project.scan(number)
        scan = RecordedScan(found.points, found.intensity, found.stamp_ns, found.pose)
        steps = [streams[0].step(scan), streams[1].step(scan), streams[2].step(_turned(scan))]
        results = [step for step in steps if step is not None]
        points = len(scan.points)
        labels, probability = np.full(points, UNLABELLED, np.uint16), np.zeros(points, np.float32)
        differs = np.zeros(points, np.float32)
        if len(results) == len(steps):
            labels, *others = (table[result.labels] for result in results)
            probability = np.where(labels == UNLABELLED, 0, results[0].probabilities)
            differs = np.mean([other != labels for other in others], axis=0)
        flickers = np.full(points, np.nan, np.float32)
        if scan.pose is not None:
            here = scan.points.astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
            good = np.isfinite(here).all(1)
            if before is not None and len(before[0]):
                there, index = places_met(here[good], before[0])
                rows = np.flatnonzero(good)[there]
                flickers[rows] = labels[rows] != before[1][index]
            before = here[good], labels[good]
        kept = Prediction(
            labels, probability.astype(np.float32), differs.astype(np.float32), flickers
        )
        write_prediction(project, number, kept)
        if (project.known(number).segment < 0).all():
            segment = segment_scan(
                scan.points, scan.intensity, labels, project.classes.names, sizes
            )
            project.set_segments(number, segment)
        if report is not None:
            report(number + 1, len(project))
    write_json(facts, {'name': bundle.manifest.name, 'digest': bundle_digest(bundle)})


def bundle_labels(
    project: Project, bundle: SkillBundle, numbers: Collection[int]
) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Labels of some scans as a stream of all scans gives them, in classes of the folder.

    Args:
        project: Open.
        bundle: What labels them.
        numbers: Which scans; nothing behind the last of them is computed.

    Yields:
        Number of the scan, and ``(N,)`` labels.
    """
    stream, table = LabelledStream(bundle), _class_table(bundle, project)
    for number in range(max(numbers, default=-1) + 1):
        found = project.scan(number)
        result = stream.step(
            RecordedScan(found.points, found.intensity, found.stamp_ns, found.pose)
        )
        if number in numbers and result is not None:
            yield number, table[result.labels]


def _turned(scan: RecordedScan) -> RecordedScan:
    points = scan.points @ _QUARTER[:3, :3].T.astype(np.float32)
    pose = None if scan.pose is None else scan.pose @ np.linalg.inv(_QUARTER)
    return RecordedScan(points, scan.intensity, scan.stamp_ns, pose)


def _class_table(bundle: SkillBundle, project: Project) -> NDArray[np.uint16]:
    """Class of the folder for each label of the bundle."""
    table = np.full(1 << 16, UNLABELLED, np.uint16)
    names = project.classes.names
    for label, name in enumerate(bundle.manifest.segmentation_classes):
        if name in names:
            table[label] = names.index(name)
    return table
