# SPDX-License-Identifier: Apache-2.0
"""Scans labelled by a bundle, as far as it is sure of itself, to train it further with them.

A network that learns all of its own labels also learns its mistakes. A label is kept only where the
scan and its mirror image are labelled alike, and only the surest share of every class, so that
frequent classes do not crowd out the rest (Zou et al., ECCV 2018).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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
    bundle: SkillBundle, scans: Iterable[RecordedScan], folder: Path, share: float
) -> int:
    """Label scans and write them as a sequence in the layout of SemanticKITTI.

    Args:
        bundle: What labels them.
        scans: In order.
        folder: Of the sequence.
        share: Of the points of every class, the surest, that keep their label.

    Returns:
        How many scans were written.

    Raises:
        ConfigError: No scan could be labelled.
    """
    straight, mirrored = LabelledStream(bundle), LabelledStream(bundle, mirrored=True)
    kept: list[tuple[RecordedScan, NDArray[np.uint16], NDArray[np.float32]]] = []
    for scan in scans:
        results = straight.step(scan), mirrored.step(scan)
        if results[0] is None or results[1] is None:
            continue
        alike = results[0].labels == results[1].labels
        labels = np.where(alike, results[0].labels, UNLABELLED).astype(np.uint16)
        sure = np.minimum(results[0].probabilities, results[1].probabilities)
        kept.append((scan, labels, sure.astype(np.float32)))
    if not kept:
        raise ConfigError('no scan of the recording could be labelled', 'Give one with clouds')
    least = _thresholds([labels for _, labels, _ in kept], [sure for *_, sure in kept], share)
    writer = SequenceWriter(folder)
    for scan, labels, sure in kept:
        chosen = np.where(sure >= least[labels], labels, UNLABELLED).astype(np.uint16)
        writer.add(scan.points, scan.intensity, raw_ids(chosen), scan.stamp_ns, scan.pose)
    writer.close()
    return len(kept)


def _thresholds(
    labels: list[NDArray[np.uint16]], sure: list[NDArray[np.float32]], share: float
) -> NDArray[np.float32]:
    """Least probability of each class that keeps its label, ``(65536,)``."""
    of_all, probability = np.concatenate(labels), np.concatenate(sure)
    least = np.full(1 << 16, np.inf, np.float32)
    for label in np.unique(of_all[of_all != UNLABELLED]).tolist():
        least[label] = np.quantile(probability[of_all == label], 1.0 - share)
    return least
