# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a bundle over a SemanticKITTI sequence: simulation to reality in one figure.

The default bundle has never seen a real scan. The raw classes are mapped to ours by
``data.taxonomy.SEMANTICKITTI_TO_OURS``; points of a class that we do not have (riders, "other"
structures and objects, ground that is neither road nor sidewalk nor terrain) take no part.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from pointata_core.datasets.scenes.semantickitti import SemanticKittiScan, SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.evaluation.ground_truth import labels_to_classes
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.placement import parse_placement
from pointata_core.io.cloud import Cloud, finite_rows

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults


def evaluate_sequence(
    folder: str | Path,
    *,
    bundle: str | Path | None = None,
    device: str = 'auto',
    precision: str = 'auto',
    compensate: bool = False,
    max_gap_s: float = 1.0,
    label_memory: float = DECAY,
    max_voxels: int = 0,
    progress: Callable[[int, int], None] | None = None,
    input_scale: float = 1.0,
    sensor_pose: str = '',
    people: str | Path | None = None,
) -> EvaluationResults:
    """Answer every scan of a sequence and score the answers where there are labels.

    Args:
        folder: Folder with ``velodyne``, and optionally ``labels``, ``poses.txt``, ``calib.txt``.
        bundle: Folder of the bundle; ``None`` = the default bundle.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``float32`` or ``bfloat16``, see :func:`.open_bundle`.
        compensate: Take ego motion out by the poses of the sequence.
        max_gap_s: A longer pause between two stamps starts a new history.
        label_memory: How much a frame counts for labels against the one after it.
        max_voxels: Voxels per frame at most; 0 for as many as the bundle allows.
        progress: Called with (scans done, scans in all).
        input_scale: Metres per unit of the coordinates.
        sensor_pose: ``x y z roll pitch yaw`` of the sensor in a frame with z up.
        people: Folder of a person skill: people are followed, and what they do is told.

    Raises:
        CloudFileError: The sequence cannot be read.
        BundleError: The bundle cannot be used.
        ConfigError: Compensation is asked for and there are no poses.
    """
    started = perf_counter()
    placement = parse_placement(input_scale, sensor_pose)
    sequence = SemanticKittiSequence(folder)
    # Only now: a mistyped folder should not have to wait for torch.
    from pointata_core.evaluation.runner import BundleRunner
    from pointata_core.inference.loading import open_bundle

    loaded = open_bundle(bundle, device, precision)
    runner = BundleRunner(
        loaded,
        len(sequence),
        max_gap_s=max_gap_s,
        label_memory=label_memory,
        max_voxels=max_voxels,
        people=people,
    )
    if compensate and sequence.poses is None:
        why = [note for note in sequence.notes if 'poses.txt' in note]
        raise ConfigError(
            why[0] if why else f'{sequence.folder}: there is no poses.txt to take ego motion from',
            'Leave --fixed-frame out, or add the poses of the sequence',
        )
    to_ours = labels_to_classes('semantickitti', runner.segmentation_classes)
    for number, scan in enumerate(sequence, start=1):
        runner.run(
            _cloud(scan, runner.features),
            pose=scan.pose if compensate else None,
            truth=None if scan.label is None else to_ours(scan.label),
            placement=placement,
        )
        if progress:
            progress(number, len(sequence))
    notes = (*sequence.notes, *runner.notes())
    return runner.results('sequence', folder, len(sequence), perf_counter() - started, notes)


def _cloud(scan: SemanticKittiScan, features: tuple[str, ...]) -> Cloud:
    """A scan as the decoder returns clouds, with the features that the bundle wants."""
    return Cloud(
        points=scan.points,
        features={'intensity': scan.intensity} if 'intensity' in features else {},
        finite=finite_rows(scan.points),
        width=len(scan.points),
        height=1,
        stamp_ns=scan.stamp_ns,
        frame_id='velodyne',
    )
