# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle at work on decoded clouds, with everything it does recorded.

Bag, data-set and file evaluation differ in where clouds come from; what happens to a cloud is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.evaluation.people_log import PeopleLog
from pointata_core.evaluation.people_truth import PeopleScores, TruePerson
from pointata_core.evaluation.recorder import RunFacts, RunRecorder
from pointata_core.evaluation.results import CameraImage, EvaluationResults
from pointata_core.inference.camera_session import CameraResult
from pointata_core.inference.ego_motion import PoseChain
from pointata_core.inference.frames import CameraView, Frame, FrameResult, Skipped
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.loading import LoadedBundle, open_person_skill
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.plausibility.check import PlausibilityCheck
from pointata_core.inference.session import StreamingSession
from pointata_core.io.cloud import Cloud


class BundleRunner:
    """One stream through a bundle.

    Args:
        loaded: The bundle and its device.
        expected_frames: About how many clouds will come.
        max_gap_s: A longer pause between two stamps starts a new history.
        label_memory: How much a frame counts for labels against the one after it.
        max_voxels: Voxels per frame at most; 0 for as many as the bundle allows.
        labels: Gets a copy of the labels, see :class:`.LabelDigest`.
        people: To follow people, as :func:`.open_person_skill` takes it.

    Attributes:
        recorder: What happened.
        session: The stream.
    """

    def __init__(
        self,
        loaded: LoadedBundle,
        expected_frames: int,
        *,
        max_gap_s: float = 1.0,
        label_memory: float = DECAY,
        max_voxels: int = 0,
        labels: BinaryIO | None = None,
        people: str | Path | None = None,
    ) -> None:
        manifest = loaded.bundle.manifest
        self.segmentation_classes = manifest.segmentation_classes
        self.features = tuple(manifest.features)
        self.session = loaded.session(max_gap_s, label_memory, max_voxels)
        self._new_recorder = lambda copy: RunRecorder(
            manifest.segmentation_classes, manifest.action_classes, expected_frames, copy
        )
        self._labels = labels
        self.recorder = self._new_recorder(labels)
        self._poses = PoseChain()
        self._check = PlausibilityCheck(manifest)
        self._loaded = loaded
        self._people, self._people_log = None, None
        self._people_scores: PeopleScores | None = None
        if people:
            self._people = loaded.people(open_person_skill(people, loaded))
            self._people_log = PeopleLog(self._people.classes)

    def run(
        self,
        cloud: Cloud,
        *,
        pose: np.ndarray | None = None,
        decode_ms: float | None = None,
        truth: np.ndarray | None = None,
        action_truth: str | None = None,
        true_people: Sequence[TruePerson] | None = None,
        view: CameraView | None = None,
        placement: Placement = UNPLACED,
        swapped: Callable[[], np.ndarray | None] | None = None,
    ) -> FrameResult | None:
        """Run one cloud and record the prediction.

        Args:
            cloud: The cloud.
            pose: ``(4, 4)`` sensor frame to a frame that stands still, for ego-motion compensation.
            decode_ms: What decoding it took.
            truth: ``(N,)`` true labels in the classes of the bundle.
            action_truth: Name of the true action.
            true_people: Who is there, in the frame of the cloud; ``None`` where that is not told.
            view: What the camera saw, for a camera bundle.
            placement: Unit of the points, and the pose of the sensor.
            swapped: The same points, read with the other byte order.

        Returns:
            The prediction; ``None`` if the cloud's stamp forbids one.
        """
        self._check.look(cloud.points, cloud.features, cloud.frame_id, placement, swapped)
        pending = self.session.submit(
            Frame(
                cloud.points,
                cloud.stamp_ns,
                cloud.features,
                cloud.frame_id,
                self._poses.motion_to(pose),
                view,
                placement=placement,
            )
        )
        if isinstance(pending, Skipped):
            self.recorder.skipped[str(pending.reason)] += 1
            return None
        result = pending.result()
        self._poses.accept(pose)
        if result.reset is not None:
            self.recorder.resets[str(result.reset)] += 1
        self._follow(cloud, result, pose, placement, true_people)
        self.recorder.add(
            cloud.stamp_ns,
            placement.apply(cloud.points),
            result.labels,
            action=result.action,
            timings_ms=_with_decoding(result.timings_ms, decode_ms),
            truth=truth,
            action_truth=action_truth,
            camera=_image(result, view),
        )
        return result

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """Frames that are run meanwhile enter the history and are not recorded."""
        self.recorder = self._new_recorder(None)
        yield
        self.recorder = self._new_recorder(self._labels)

    def state_sha256(self) -> str:
        """Digest of everything that the next predictions depend on.

        Raises:
            ConfigError: The session has no state that can be compared.
        """
        if not isinstance(self.session, StreamingSession):
            raise ConfigError('the state of camera bundles cannot be compared', 'Run it unsplit')
        digest = hashlib.sha256()
        for name, tensor in sorted(self.session.save_state().items()):
            if name != 'frames':  # how many there were has no influence
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(tensor.numpy()).data)
        if self._poses.previous is not None:
            digest.update(np.ascontiguousarray(self._poses.previous).data)
        return digest.hexdigest()

    def _follow(
        self,
        cloud: Cloud,
        result: FrameResult,
        pose: np.ndarray | None,
        placement: Placement,
        truth: Sequence[TruePerson] | None,
    ) -> None:
        """Follow the people of a labelled cloud."""
        if self._people is None or self._people_log is None:
            return
        resets = self.session.resets.total()
        found = self._people.follow(cloud.points, result, resets, pose, placement)
        points = placement.apply(cloud.points)
        self._people_log.add(cloud.stamp_ns, found, points)
        if truth is not None:
            # True places are in the unit and in the axes of the cloud.
            scores = self._people_scores or PeopleScores(self._people.classes)
            self._people_scores = scores
            to_fixed = placement.pose if pose is None else pose
            scores.add(cloud.stamp_ns, truth, found, cloud.points, to_fixed)

    def _people_results(self) -> dict[str, Any] | None:
        if self._people is None or self._people_log is None:
            return None
        skill = self._people.skill
        facts = None if skill is None else skill.manifest.facts(skill.path)
        scores = None if self._people_scores is None else self._people_scores.results()
        return {'skill': facts, **self._people_log.results(), 'scores': scores}

    def results(
        self,
        kind: str,
        source: str | Path,
        frames: int,
        wall_s: float,
        notes: Sequence[str],
        topic: str = '',
    ) -> EvaluationResults:
        """Everything that was recorded, with the facts of bundle and process.

        Each argument is the field of the same name of
        :class:`~pointata_core.evaluation.results.EvaluationResults`; `wall_s` in seconds.
        """
        found = self.recorder.results(
            RunFacts(
                kind=kind,
                source=str(source),
                topic=topic,
                frames=frames,
                wall_s=wall_s,
                notes=notes,
                **self.facts(),
            )
        )
        if self._people_log is not None:
            found = replace(found, trace=replace(found.trace, people=self._people_log.views()))
        return replace(found, people=self._people_results())

    def facts(self) -> dict[str, Any]:
        """Bundle, device and memory, by the names of :class:`.RunFacts`."""
        return {
            'bundle': self._loaded.facts(),
            'device': self._loaded.device_text,
            'state_bytes': self.session.state_bytes,
            'peak_rss_bytes': peak_rss_bytes(),
        }

    def notes(self) -> list[str]:
        """What seems to be wrong with the clouds or with their stamps, in words."""
        self._check.finish()
        trouble = self.session.trouble()
        return [one.text for one in self._check.reported] + ([trouble] if trouble else [])


def _image(result: FrameResult, view: CameraView | None) -> CameraImage | None:
    if view is None or not isinstance(result, CameraResult):
        return None
    return CameraImage(view.image, result.seen, result.pixels)


def _with_decoding(timings_ms: Mapping[str, float], decode_ms: float | None) -> dict[str, float]:
    """Stages in the order in which they happen, the total last."""
    stages = {} if decode_ms is None else {'decode': decode_ms}
    stages |= {stage: value for stage, value in timings_ms.items() if stage != 'total'}
    return {**stages, 'total': timings_ms['total'] + (decode_ms or 0.0)}
