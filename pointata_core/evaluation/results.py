# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of an evaluation: plain values for ``results.json``, and a trace for the images.

The bag evaluation, the evaluation of a data set and the live demo all end in the same
:class:`EvaluationResults`, so that one report serves the three and their figures compare.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pointata_core.evaluation.metrics.actions import ActionScore
from pointata_core.evaluation.metrics.latency import LatencySummary
from pointata_core.evaluation.metrics.segmentation import SegmentationScore
from pointata_core.safe_files import write_atomically

if TYPE_CHECKING:
    from pointata_core.evaluation.people_log import PersonView

FORMAT = 1


@dataclass(frozen=True)
class ActionSegment:
    """A stretch of time with one action.

    Args:
        label: Name of the action.
        start_s: Begin, seconds after the first frame of the recording.
        end_s: End, seconds after the first frame.
        score: Mean score of the action over the frames of the stretch; ``None`` for ground truth.
    """

    label: str
    start_s: float
    end_s: float
    score: float | None = None


@dataclass(frozen=True)
class CameraImage:
    """The camera image that belongs to a cloud.

    Args:
        image: ``(H, W, 3)`` uint8.
        seen: ``(M,)`` which points of the cloud it shows.
        pixels: ``(M, 2)`` row and column of each.
    """

    image: np.ndarray
    seen: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """One labelled cloud, kept for the images of the report.

    Args:
        points: ``(N, 3)`` float32 metres, in the sensor's frame.
        labels: ``(N,)`` uint16; 65535 = unlabelled.
        time_s: Seconds after the first frame.
        truth: ``(N,)`` uint16 ground truth in the same classes, if there is any.
        camera: Its camera image, if there is one.
    """

    points: np.ndarray
    labels: np.ndarray
    time_s: float
    truth: np.ndarray | None = None
    camera: CameraImage | None = None


@dataclass(frozen=True)
class FrameFacts:
    """How one frame fared.

    Args:
        stamp_ns: Stamp.
        time_s: Seconds after the first frame.
        points: Points of the cloud.
        labelled: Those that got a class.
        total_ms: Time that it took; ``None`` where unknown.
        known: Points with ground truth.
        right: Those of them with the right label.
    """

    stamp_ns: int
    time_s: float
    points: int
    labelled: int
    total_ms: float | None
    known: int = 0
    right: int = 0


@dataclass(frozen=True)
class Trace:
    """Data that only images and joint reports need; not part of ``results.json``.

    Args:
        snapshots: A few labelled clouds spread over the recording.
        latency_ms: All samples, by stage.
        confusion: ``(C, C + 1)`` points by true and predicted class, "no prediction" last;
            ``None`` without ground truth.
        frames: Every frame with a prediction.
        people: Some of the people in it.
    """

    snapshots: tuple[Snapshot, ...] = ()
    latency_ms: dict[str, list[float]] = field(default_factory=dict)
    confusion: np.ndarray | None = None
    frames: tuple[FrameFacts, ...] = ()
    people: tuple[PersonView, ...] = ()


@dataclass(frozen=True)
class EvaluationResults:
    """Everything measured on one recording. Shares lie in 0..1, times are stated by suffix.

    Args:
        kind: ``'bag'`` (offline), ``'live'`` (through the node), ``'sequence'`` (data set) or
            ``'clouds'`` (files).
        source: Path of the recording.
        topic: Topic of the clouds; empty for a data set.
        frames: Clouds in the recording.
        frames_predicted: Those that got labels.
        points: Points of the clouds with a prediction.
        points_labelled: Those that got a class (the others are non-finite or out of range).
        labels_per_cloud: Fewest, median and most labels (unlabelled ones included) of a cloud.
        rejected: Malformed clouds, by reason.
        skipped: Well-formed clouds without a prediction because of their stamp or transform.
        dropped: Clouds lost in transport or dropped for lack of time, by reason; live only.
        resets: How often the temporal state began afresh, by reason.
        labels_sha256: Digest of every predicted frame in order, see :class:`LabelDigest`.
        duration_s: Time between the first and the last stamp.
        wall_s: Time that the evaluation took.
        points_per_second: Points labelled per second of computing (of wall time when live).
        latency: Percentiles by stage, milliseconds.
        class_shares: Share of the labelled points by class, of all classes of the bundle.
        action_timeline: Recognised actions.
        action_truth: Ground-truth actions, if there are any.
        segmentation: Scores against ground-truth labels, if there are any.
        action: Scores against ground-truth actions, if there are any.
        action_background: Actions that form no segment in F1 and edit score.
        bundle: Name, hash, path and provenance of the bundle.
        device: Where the network ran.
        state_bytes: Size of one stream's temporal state; ``None`` if unknown.
        peak_rss_bytes: Peak memory of the process that ran the network; ``None`` if unknown.
        machine: Processor, cores, memory and operating system.
        versions: Versions of the software that mattered.
        notes: Sentences for the reader, e.g. about lost frames.
        camera: ``clouds`` and ``points`` that were labelled with a camera, and the scores of these
            points alone, if there is ground truth; ``None`` where no cloud had an image.
        people: Person skill (``None`` where people were followed only), its classes, and each
            person with its path and actions, see
            :class:`~pointata_core.evaluation.people_log.PersonTrack`; ``None`` without people.
        trace: Material of the images.
    """

    kind: str
    source: str
    topic: str
    frames: int
    frames_predicted: int
    points: int
    points_labelled: int
    labels_per_cloud: dict[str, int]
    rejected: dict[str, int]
    skipped: dict[str, int]
    dropped: dict[str, int]
    resets: dict[str, int]
    labels_sha256: str
    duration_s: float
    wall_s: float
    points_per_second: float
    latency: dict[str, LatencySummary]
    class_shares: dict[str, float]
    action_timeline: tuple[ActionSegment, ...]
    action_truth: tuple[ActionSegment, ...]
    segmentation: SegmentationScore | None
    action: ActionScore | None
    action_background: tuple[str, ...]
    bundle: dict[str, Any]
    device: str
    state_bytes: int | None
    peak_rss_bytes: int | None
    machine: dict[str, Any]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    camera: dict[str, Any] | None = None
    people: dict[str, Any] | None = None
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the trace."""
        shown = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != 'trace'
        }
        return {'format': FORMAT, **_plain(shown)}

    def to_json(self) -> str:
        """The same as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + '\n'

    def write_json(self, path: Path) -> None:
        """Write ``to_json`` to a file."""
        write_atomically(Path(path), self.to_json().encode())


def _plain(value: Any) -> Any:
    """Dataclasses to dictionaries, tuples to lists, NumPy numbers to Python's, no NaN."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
