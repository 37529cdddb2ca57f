# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a bundle over a recorded bag, exactly as the live node would in ``block`` policy.

Decoder, session and order are those of the node, so its labels of a recording are those that the
robot will publish. Nothing is dropped for lack of time, so two runs give the same labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO

from pointata_core.evaluation.bag_plan import (
    plan_bag,
    read_actions,
)
from pointata_core.evaluation.bag_run import BagRun, Part, Progress
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.evaluation.people_truth import read_people
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.placement import OPTICAL, UNPLACED, parse_placement
from pointata_core.io.bags.reader import BagReader

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults
    from pointata_core.inference.loading import LoadedBundle


@dataclass(frozen=True)
class BagOptions:
    """What of a bag is read, and how it enters the bundle.

    Args:
        topic: Topic of the clouds; ``None`` = the only one there is.
        labels_field: Integer field with ground-truth labels.
        labels_topic: Topic of clouds with ground truth, matched by stamp (field ``label`` unless
            ``labels_field`` names them).
        label_mapping: How raw labels become those of the bundle, see
            ``ground_truth.labels_to_classes``.
        fixed_frame: Compensate ego motion with the recorded ``/tf`` against this frame; a cloud
            whose transform is missing is skipped, as the node does by default.
        max_gap_s: A longer pause between two stamps starts a new history.
        label_memory: How much a frame counts for labels against the one after it.
        max_voxels: Voxels per frame at most; 0 for as many as the bundle allows.
        image_topic: Images for a camera bundle; ``None`` = the only ones there are, ``'none'`` =
            do without.
        camera_extrinsics: Pose of the LiDAR in the camera's frame (``x y z qx qy qz qw``), where
            the recording has no transform between them.
        image_tolerance_s: Largest difference between the stamps of a cloud and its image.
        input_scale: Metres per unit of the coordinates.
        sensor_pose: ``x y z roll pitch yaw`` of the sensor in a frame with z up.
        target_frame: Such a frame by name: the pose comes from the recorded ``/tf``.
        people: To follow people, as :func:`.open_person_skill` takes it.
        tracks_topic: ``vision_msgs/Detection3DArray`` with true people in the frame of the clouds;
            ``None`` = ``/ground_truth/people``, if there is one.
    """

    topic: str | None = None
    labels_field: str | None = None
    labels_topic: str | None = None
    label_mapping: str | None = None
    fixed_frame: str = ''
    max_gap_s: float = 1.0
    label_memory: float = DECAY
    max_voxels: int = 0
    image_topic: str | None = None
    camera_extrinsics: str = ''
    image_tolerance_s: float = 0.05
    input_scale: float = 1.0
    sensor_pose: str = ''
    target_frame: str = ''
    people: str | Path | None = None
    tracks_topic: str | None = None


def evaluate_bag(
    bag: str | Path,
    *,
    bundle: str | Path | None = None,
    device: str = 'auto',
    precision: str = 'auto',
    progress: Progress | None = None,
    **options: Any,
) -> EvaluationResults:
    """Answer every cloud of a bag and measure how well and how fast.

    Args:
        bag: rosbag2 folder or file (sqlite3, mcap).
        bundle: Folder of the bundle; ``None`` = the default bundle.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``float32`` or ``bfloat16``, see :func:`.open_bundle`.
        progress: Called with (messages done, messages in all).
        options: Fields of :class:`BagOptions`.

    Raises:
        BagError: The bag cannot be read, or lacks what was asked for.
        BundleError: The bundle cannot be used.
        ConfigError: A setting is out of range.
        TypeError: There is no such option.
    """
    started = perf_counter()
    opened = partial(_open, bundle, device, precision)
    run = run_bag(bag, opened, BagOptions(**options), progress)
    return run.results(perf_counter() - started)


def run_bag(
    bag: str | Path,
    open_bundle: Callable[[], LoadedBundle],
    options: BagOptions,
    progress: Progress | None = None,
    part: Part | None = None,
    labels: BinaryIO | None = None,
) -> BagRun:
    """Answer the clouds of a bag, or of a part of it.

    Args:
        bag: See :func:`evaluate_bag`.
        open_bundle: Gives the bundle; called once the topics are known to exist.
        options: What is read, and how.
        progress: See :func:`evaluate_bag`.
        part: Which clouds; not together with ``labels_topic``, ``people`` or a camera
            bundle.
        labels: Gets a copy of the labels, see :class:`.LabelDigest`.
    """
    path = Path(bag)
    placement = parse_placement(options.input_scale, options.sensor_pose, options.target_frame)
    with BagReader(path) as reader:
        plan = plan_bag(
            reader, options.topic, options.labels_field, options.labels_topic, options.tracks_topic
        )
        if placement is UNPLACED and plan.intrinsics is not None:
            placement = OPTICAL
        # Only now: a mistyped topic should not have to wait for torch.
        from pointata_core.evaluation.runner import BundleRunner

        loaded = open_bundle()
        camera = None
        if loaded.takes_images:
            from pointata_core.evaluation.camera_bag import open_camera

            camera = open_camera(
                reader, options.image_topic, options.camera_extrinsics, options.image_tolerance_s
            )
        frames = plan.frames if part is None else (part.stop or plan.frames) - part.start
        run = BagRun(
            path,
            plan,
            BundleRunner(
                loaded,
                frames,
                max_gap_s=options.max_gap_s,
                label_memory=options.label_memory,
                max_voxels=options.max_voxels,
                labels=labels,
                people=options.people,
            ),
            plan.translation(options.label_mapping, loaded.bundle.manifest.segmentation_classes),
            read_actions(reader, plan.action_topic),
            read_people(reader, plan.tracks_topic if options.people else None),
            BagTransforms(reader, options.fixed_frame, options.target_frame, placement),
            camera,
        )
        run.read(reader, progress, part)
    return run


def _open(bundle: str | Path | None, device: str, precision: str) -> LoadedBundle:
    from pointata_core.inference.loading import open_bundle

    return open_bundle(bundle, device, precision)
