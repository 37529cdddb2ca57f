# SPDX-License-Identifier: Apache-2.0
"""Run a bundle over a recorded bag, exactly as the live node would in ``block`` policy.

Decoder, session and order are those of the node, so its labels of a recording are those that the
robot will publish. Nothing is dropped for lack of time, so two runs give the same labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO

from pointata_core.evaluation.bag_plan import (
    plan_bag,
    read_actions,
)
from pointata_core.evaluation.bag_run import BagRun, Part, Progress
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.placement import OPTICAL, UNPLACED, parse_placement
from pointata_core.io.bags.reader import BagReader

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults
    from pointata_core.inference.loading import LoadedBundle


def evaluate_bag(
    bag: str | Path,
    *,
    topic: str | None = None,
    bundle: str | Path | None = None,
    labels_field: str | None = None,
    labels_topic: str | None = None,
    label_mapping: str | None = None,
    device: str = 'auto',
    precision: str = 'float32',
    fixed_frame: str = '',
    max_gap_s: float = 1.0,
    label_memory: float = DECAY,
    progress: Progress | None = None,
    image_topic: str | None = None,
    camera_extrinsics: str = '',
    image_tolerance_s: float = 0.05,
    input_scale: float = 1.0,
    sensor_pose: str = '',
    target_frame: str = '',
    people: str | Path | None = None,
) -> EvaluationResults:
    """Answer every cloud of a bag and measure how well and how fast.

    Args:
        bag: rosbag2 folder or file (sqlite3, mcap).
        topic: Topic of the clouds; ``None`` = the only one there is.
        bundle: Folder of the bundle; ``None`` = the default bundle.
        labels_field: Integer field with ground-truth labels.
        labels_topic: Topic of clouds with ground truth, matched by stamp (field ``label`` unless
            ``labels_field`` names them).
        label_mapping: How raw labels become those of the bundle, see
            ``ground_truth.labels_to_classes``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32`` or ``bfloat16``.
        fixed_frame: Compensate ego motion with the recorded ``/tf`` against this frame; a cloud
            whose transform is missing is skipped, as the node does by default.
        max_gap_s: A longer pause between two stamps starts a new history.
        label_memory: How much a frame counts for labels against the one after it.
        progress: Called with (messages done, messages in all).
        image_topic: Images for a camera bundle; ``None`` = the only ones there are, ``'none'`` =
            do without.
        camera_extrinsics: Pose of the LiDAR in the camera's frame (``x y z qx qy qz qw``), where
            the recording has no transform between them.
        image_tolerance_s: Largest difference between the stamps of a cloud and its image.
        input_scale: Metres per unit of the coordinates.
        sensor_pose: ``x y z roll pitch yaw`` of the sensor in a frame with z up.
        target_frame: Such a frame by name: the pose comes from the recorded ``/tf``.
        people: Folder of a person skill: people are followed, and what they do is told.

    Raises:
        BagError: The bag cannot be read, or lacks what was asked for.
        BundleError: The bundle cannot be used.
        ConfigError: A setting is out of range.
    """
    started = perf_counter()
    run = run_bag(
        bag,
        lambda: _open(bundle, device, precision),
        topic=topic,
        labels_field=labels_field,
        labels_topic=labels_topic,
        label_mapping=label_mapping,
        fixed_frame=fixed_frame,
        max_gap_s=max_gap_s,
        label_memory=label_memory,
        progress=progress,
        image_topic=image_topic,
        camera_extrinsics=camera_extrinsics,
        image_tolerance_s=image_tolerance_s,
        input_scale=input_scale,
        sensor_pose=sensor_pose,
        target_frame=target_frame,
        people=people,
    )
    return run.results(perf_counter() - started)


def run_bag(
    bag: str | Path,
    open_bundle: Callable[[], LoadedBundle],
    *,
    topic: str | None = None,
    labels_field: str | None = None,
    labels_topic: str | None = None,
    label_mapping: str | None = None,
    fixed_frame: str = '',
    max_gap_s: float = 1.0,
    label_memory: float = DECAY,
    progress: Progress | None = None,
    image_topic: str | None = None,
    camera_extrinsics: str = '',
    image_tolerance_s: float = 0.05,
    input_scale: float = 1.0,
    sensor_pose: str = '',
    target_frame: str = '',
    people: str | Path | None = None,
    part: Part | None = None,
    labels: BinaryIO | None = None,
) -> BagRun:
    """Answer the clouds of a bag, or of a part of it.

    Args:
        bag: See :func:`evaluate_bag`, as for all that are not listed.
        open_bundle: Gives the bundle; called once the topics are known to exist.
        topic: See there.
        labels_field: See there.
        labels_topic: See there.
        label_mapping: See there.
        fixed_frame: See there.
        max_gap_s: See there.
        label_memory: See there.
        progress: See there.
        image_topic: See there.
        camera_extrinsics: See there.
        image_tolerance_s: See there.
        input_scale: See there.
        sensor_pose: See there.
        target_frame: See there.
        people: See there.
        part: Which clouds; not together with ``labels_topic``, ``people`` or a camera
            bundle.
        labels: Gets a copy of the labels, see :class:`.LabelDigest`.
    """
    path = Path(bag)
    placement = parse_placement(input_scale, sensor_pose, target_frame)
    with BagReader(path) as reader:
        plan = plan_bag(reader, topic, labels_field, labels_topic)
        if placement is UNPLACED and plan.intrinsics is not None:
            placement = OPTICAL
        # Only now: a mistyped topic should not have to wait for torch.
        from pointata_core.evaluation.runner import BundleRunner

        loaded = open_bundle()
        camera = None
        if loaded.takes_images:
            from pointata_core.evaluation.camera_bag import open_camera

            camera = open_camera(reader, image_topic, camera_extrinsics, image_tolerance_s)
        frames = plan.frames if part is None else (part.stop or plan.frames) - part.start
        run = BagRun(
            path,
            plan,
            BundleRunner(
                loaded,
                frames,
                max_gap_s=max_gap_s,
                label_memory=label_memory,
                labels=labels,
                people=people,
            ),
            plan.translation(label_mapping, loaded.bundle.manifest.segmentation_classes),
            read_actions(reader, plan.action_topic),
            BagTransforms(reader, fixed_frame, target_frame, placement),
            camera,
        )
        run.read(reader, progress, part)
    return run


def _open(bundle: str | Path | None, device: str, precision: str) -> LoadedBundle:
    from pointata_core.inference.loading import open_bundle

    return open_bundle(bundle, device, precision)
