# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a bundle over the cloud files of a folder, as the frames of one stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.evaluation.ground_truth import LabelTranslation, labels_to_classes
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.placement import parse_placement
from pointata_core.io.cloud import Cloud
from pointata_core.io.files.folders import list_clouds, read_clouds

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults

UNREADABLE = 'unreadable_file'


def evaluate_clouds(
    folder: str | Path,
    *,
    bundle: str | Path | None = None,
    labels_field: str | None = None,
    label_mapping: str | None = None,
    columns: Sequence[str] | None = None,
    rate_hz: float = 10.0,
    device: str = 'auto',
    precision: str = 'auto',
    max_gap_s: float = 1.0,
    label_memory: float = DECAY,
    max_voxels: int = 0,
    progress: Callable[[int, int], None] | None = None,
    input_scale: float = 1.0,
    sensor_pose: str = '',
    people: str | Path | None = None,
) -> EvaluationResults:
    """Label every cloud of a folder and measure how fast, and with labels how well.

    A file that cannot be read is counted as rejected, and the results name it.

    Args:
        folder: Folder of cloud files; natural order of their names.
        bundle: Folder of the bundle; ``None`` = the default bundle.
        labels_field: Column of the files with ground-truth labels.
        label_mapping: How raw labels become those of the bundle, see
            ``ground_truth.labels_to_classes``.
        columns: Columns of files that do not name them.
        rate_hz: Clouds a second; files have no stamps.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``float32`` or ``bfloat16``, see :func:`.open_bundle`.
        max_gap_s: A longer pause between two stamps starts a new history.
        label_memory: How much a frame counts for labels against the one after it.
        max_voxels: Voxels per frame at most; 0 for as many as the bundle allows.
        progress: Called with (files done, files in all).
        input_scale: Metres per unit of the coordinates.
        sensor_pose: ``x y z roll pitch yaw`` of the sensor in a frame with z up.
        people: To follow people, as :func:`.open_person_skill` takes it.

    Raises:
        CloudFileError: The folder holds no cloud files, or a file lacks ``labels_field``.
        BundleError: The bundle cannot be used.
        ConfigError: A setting is out of range.
    """
    started = perf_counter()
    placement = parse_placement(input_scale, sensor_pose)
    if not rate_hz > 0:
        raise ConfigError(f'rate_hz is {rate_hz}, expected more than 0', 'Give it in Hz')
    files = list_clouds(Path(folder))
    # Only now: a mistyped folder should not have to wait for torch.
    from pointata_core.evaluation.runner import BundleRunner
    from pointata_core.inference.loading import open_bundle

    loaded = open_bundle(bundle, device, precision)
    runner = BundleRunner(
        loaded,
        len(files),
        max_gap_s=max_gap_s,
        label_memory=label_memory,
        max_voxels=max_voxels,
        people=people,
    )
    to_ours = labels_to_classes(label_mapping, runner.segmentation_classes)
    notes: Counter[str] = Counter()
    for number, (file, cloud) in enumerate(read_clouds(files, columns), start=1):
        if isinstance(cloud, CloudFileError):
            runner.recorder.rejected[UNREADABLE] += 1
            notes[cloud.message] += 1
        else:
            notes.update(cloud.notes)
            truth = _truth(file, cloud, labels_field, to_ours) if labels_field else None
            features = {n: v for n, v in cloud.features.items() if n in runner.features}
            stamp_ns = round(number / rate_hz * 1e9)
            frame = replace(cloud, features=features, stamp_ns=stamp_ns)
            runner.run(frame, truth=truth, placement=placement)
        if progress:
            progress(number, len(files))
    notes.update(runner.notes())
    counted = [f'{text} ({n} files)' if n > 1 else text for text, n in notes.items()]
    return runner.results('clouds', folder, len(files), perf_counter() - started, counted)


def _truth(file: Path, cloud: Cloud, field: str, to_ours: LabelTranslation) -> np.ndarray:
    raw = cloud.features.get(field)
    if raw is None:
        raise CloudFileError(
            f'{file}: there is no column {field!r} among {", ".join(cloud.fields)}',
            'Name the column with ground-truth labels with --labels-field',
        )
    if not (np.trunc(raw) == raw).all():
        raise CloudFileError(
            f'{file}: column {field!r} holds numbers that are not whole', 'Name another column'
        )
    return to_ours(raw.astype(np.int64))
