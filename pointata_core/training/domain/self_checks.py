# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether labels of scans without ground truth got better or worse.

Two checks need no truth. A scan and its mirror image should be labelled alike, and so should one
place in two scans. Labels that pass may still be wrong, but labels that fail are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointata_core.bundles.bundle import SkillBundle
from pointata_core.training.domain.pseudo_scans import LabelledStream
from pointata_core.training.domain.recorded_scans import RecordedScan

_SAME_PLACE_M = 0.1


@dataclass(frozen=True)
class SelfCheck:
    """Shares of points, 0..1.

    Attributes:
        agreement: Labelled like their mirror image.
        steadiness: At a place of the scan before, labelled alike; ``None`` without poses.
        classes: Share of each label, for people to look at.
    """

    agreement: float
    steadiness: float | None
    classes: dict[str, float]

    def worse_than(self, before: SelfCheck, margin: float = 0.01) -> list[str]:
        """What fell by more than ``margin``, as sentences."""
        found = []
        for name in ('agreement', 'steadiness'):
            old, new = getattr(before, name), getattr(self, name)
            if old is not None and new is not None and new < old - margin:
                found.append(f'{name} fell from {100 * old:.1f} to {100 * new:.1f} %')
        for name, old in before.classes.items():
            # A network that trains on its own labels may drop a class for good.
            if old > 0.01 and self.classes.get(name, 0.0) < 0.1 * old:
                found.append(f'{name} all but vanished, {100 * old:.1f} % of the points before')
        return found


def check_bundle(bundle: SkillBundle, runs: Iterable[Sequence[RecordedScan]]) -> SelfCheck:
    """Label scans twice and compare.

    Args:
        bundle: With classes of points.
        runs: Consecutive scans.
    """
    names = bundle.manifest.segmentation_classes
    points = alike = met = same = 0
    counts = np.zeros(len(names), np.int64)
    for run in runs:
        straight, mirrored = LabelledStream(bundle), LabelledStream(bundle, mirrored=True)
        before: tuple[NDArray, NDArray] | None = None
        for scan in run:
            one, other = straight.step(scan), mirrored.step(scan)
            if one is None or other is None:
                continue
            points += len(one.labels)
            alike += int((one.labels == other.labels).sum())
            counts += np.bincount(one.labels[one.labels < len(names)], minlength=len(names))
            if scan.pose is None:
                continue
            here = scan.points.astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
            if before is not None:
                there, index = places_met(here, before[0])
                met += len(there)
                same += int((one.labels[there] == before[1][index]).sum())
            before = here, one.labels
    share = counts / max(counts.sum(), 1)
    return SelfCheck(
        alike / max(points, 1),
        same / met if met else None,
        {name: float(s) for name, s in zip(names, share, strict=True) if s},
    )


def places_met(here: NDArray, before: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Points at the place of a point of the scan before, and which point that is.

    Args:
        here: ``(N, 3)`` metres in a frame at rest.
        before: ``(M, 3)``, of the scan before.
    """
    # A point that has none within reach gets the index M.
    _, index = cKDTree(before).query(here, distance_upper_bound=_SAME_PLACE_M)
    met = np.flatnonzero(index < len(before))
    return met, index[met]
