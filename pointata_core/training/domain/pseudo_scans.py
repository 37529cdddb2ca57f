# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans labelled by a bundle, as far as it is sure of itself, to train it further with them.

A network that learns all of its own labels also learns its mistakes. A label is kept only where the
scan and its mirror image are labelled alike, and only the surest share of every class, so that
frequent classes do not crowd out the rest (Zou et al., ECCV 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import SkillBundle
from pointata_core.datasets.scenes.semantickitti_writer import SequenceWriter, raw_ids
from pointata_core.errors import ConfigError
from pointata_core.inference.ego_motion import PoseChain
from pointata_core.inference.frames import FrameResult, Skipped
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import UNLABELLED
from pointata_core.training.domain.recorded_scans import RecordedScan

_MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])


class LabelledStream:
    """Scans through a bundle one by one, with the motion of the sensor.

    Args:
        bundle: What labels them.
        mirrored: Whether left and right are exchanged.
    """

    def __init__(self, bundle: SkillBundle, mirrored: bool = False) -> None:
        self._session, self._mirrored = StreamingSession(bundle), mirrored
        self._poses = PoseChain()

    def step(self, scan: RecordedScan) -> FrameResult | None:
        """Label one scan; ``None`` if its stamp is not later than the last one."""
        points, pose = scan.points, scan.pose
        if self._mirrored:
            points = points * np.array([1, -1, 1], np.float32)
            pose = None if pose is None else _MIRROR @ pose @ _MIRROR
        result = self._session.step(
            points, scan.stamp_ns, {'intensity': scan.intensity},
            transform=self._poses.motion_to(pose),
        )  # fmt: skip
        if isinstance(result, Skipped):
            return None
        self._poses.accept(pose)
        return result


def write_pseudo_labels(
    bundle: SkillBundle, runs: Iterable[Sequence[RecordedScan]], folder: Path, share: float
) -> int:
    """Label scans and write them in the layout of SemanticKITTI, each run as a sequence.

    Args:
        bundle: What labels them.
        runs: Consecutive scans.
        folder: Gets ``sequences/NN``.
        share: Of the points of every class, the surest, that keep their label.

    Returns:
        How many scans were written.

    Raises:
        ConfigError: No scan could be labelled.
    """
    labelled = [one for one in (_labelled(bundle, run) for run in runs) if one]
    if not labelled:
        raise ConfigError('no scan of the recording could be labelled', 'Give one with clouds')
    all_scans = list(chain.from_iterable(labelled))
    least = _thresholds([one.labels for one in all_scans], [one.sure for one in all_scans], share)
    for number, run in enumerate(labelled):
        writer = SequenceWriter(folder / 'sequences' / f'{number:02d}')
        for scan, labels, sure in run:
            chosen = np.where(sure >= least[labels], labels, UNLABELLED).astype(np.uint16)
            writer.add(scan.points, scan.intensity, raw_ids(chosen), scan.stamp_ns, scan.pose)
        writer.close()
    return len(all_scans)


class _Labelled(NamedTuple):
    """A scan with the labels that both directions agree on, and how sure they are of them."""

    scan: RecordedScan
    labels: NDArray[np.uint16]
    sure: NDArray[np.float32]


def _labelled(bundle: SkillBundle, run: Sequence[RecordedScan]) -> list[_Labelled]:
    straight, mirrored = LabelledStream(bundle), LabelledStream(bundle, mirrored=True)
    found = []
    for scan in run:
        one, other = straight.step(scan), mirrored.step(scan)
        if one is None or other is None:
            continue
        labels = np.where(one.labels == other.labels, one.labels, UNLABELLED).astype(np.uint16)
        sure = np.minimum(one.probabilities, other.probabilities).astype(np.float32)
        found.append(_Labelled(scan, labels, sure))
    return found


def _thresholds(
    labels: list[NDArray[np.uint16]], sure: list[NDArray[np.float32]], share: float
) -> NDArray[np.float32]:
    """Least probability of each class that keeps its label, ``(65536,)``."""
    of_all, probability = np.concatenate(labels), np.concatenate(sure)
    least = np.full(1 << 16, np.inf, np.float32)
    for label in np.unique(of_all[of_all != UNLABELLED]).tolist():
        least[label] = np.quantile(probability[of_all == label], 1.0 - share)
    return least
