# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata evaluate``: accuracy and latency of a bundle on a recording."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointata_core.cli.arguments import (
    Parser,
    add_columns_option,
    add_model_options,
    add_placement_options,
    new_parser,
    read_columns,
)
from pointata_core.errors import ConfigError
from pointata_core.safe_files import make_output_folder

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults

NAME = 'evaluate'
SUMMARY = 'Measure a bundle on a bag, a SemanticKITTI sequence or cloud files; write a report.'

# Options that are arguments of `evaluate_bag`.
_OF_BAGS = (
    *('topic', 'labels_field', 'labels_topic', 'label_mapping', 'fixed_frame', 'image_topic'),
    *('camera_extrinsics', 'target_frame', 'tracks_topic'),
)
_EXAMPLES = """\
examples:
  pointata evaluate --bag drive.mcap
  pointata evaluate --bag ./street_bag --topic /velodyne_points --output street_report
  pointata evaluate --bag kitti00.mcap --labels-field label --label-mapping semantickitti
  pointata evaluate --bag drive_with_camera --bundle runs/night/bundle --image-topic /camera/image
  pointata evaluate --semantickitti dataset/sequences/08 --json
  pointata evaluate --clouds scans/ --rate 20
  pointata evaluate --bags 'fleet/**/*.mcap' --output fleet_report
  pointata evaluate --bags 'fleet/**/*.mcap' --output /shared/report --ray 10.0.0.1:6379"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Run a bundle over every cloud of a recording, as the node would with policy "block", and '
        'write results.json and report.html.\n\nWith ground truth it also scores the predictions: '
        'labels from a field of the clouds or from another topic, actions from '
        '/ground_truth/action.',
        _EXAMPLES,
    )
    new.option('--bag PATH', 'rosbag2 folder or file (sqlite3 or mcap).')
    new.option(
        '--bags PATTERN',
        "Many recordings, such as 'fleet/**/*.mcap', instead of one; what was finished before is "
        'kept.',
    )
    new.add_argument(
        '--ray',
        type=str | None,
        nargs='?',
        const='',
        metavar='ADDRESS',
        help='Evaluate --bags on a Ray cluster: host:port or ray://host:port; without an address '
        'on that of this machine, which is started if there is none.',
    )
    new.option(
        '--part-frames COUNT',
        'With --ray: longer streams run in parts of so many clouds; 0 = never.',
        3000,
    )
    new.option('--semantickitti DIR', 'Sequence (velodyne/, labels/, poses.txt), instead of a bag.')
    new.option('--clouds DIR', 'Folder of cloud files, frames of one stream, instead of a bag.')
    new.option('--rate HZ', 'Clouds a second of --clouds.', 10.0)
    add_columns_option(new)
    new.option('--topic NAME', 'Topic of the clouds; needed only if the bag has several.')
    new.option(
        '--labels-field NAME', 'Integer field (or column of --clouds) with ground-truth labels.'
    )
    new.option('--labels-topic NAME', 'Topic of clouds with ground truth, matched by stamp.')
    new.option('--label-mapping NAME', 'semantickitti for raw ids; by default, ids of the bundle.')
    new.option(
        '--fixed-frame FRAME', 'Remove ego motion by /tf against this frame (map, odom).', ''
    )
    new.option(
        '--image-topic NAME',
        'Images for a camera bundle, if the bag has several; none = no images.',
    )
    new.option(
        '--camera-extrinsics POSE',
        '"x y z qx qy qz qw": pose of the LiDAR in the optical frame of the camera; '
        'by default from the recorded transforms.',
        '',
    )
    new.option(
        '--image-tolerance SECONDS', 'Largest difference of stamps of cloud and image.', 0.05
    )
    add_placement_options(new)
    new.option(
        '--target-frame FRAME',
        'Frame with z up (base_link): the pose of the sensor comes from the recorded /tf.',
        '',
    )
    new.option(
        '--people DIR',
        'Folder of a person skill: follow people and tell what each of them does. "follow" follows '
        'them without a skill.',
    )
    new.option(
        '--tracks-topic NAME',
        'Topic of true people (vision_msgs/Detection3DArray); /ground_truth/people if left out.',
    )
    new.option('--max-gap SECONDS', 'A longer pause between two clouds starts a new history.', 1.0)
    memory = 'How much a cloud counts for labels against the next one, where motion is known; 0..1.'
    new.option('--label-memory SHARE', memory, 0.9)
    voxels = 'Voxels per cloud at most, for less work; 0 for as many as the bundle allows.'
    new.option('--max-voxels N', voxels, 0)
    new.option('--output DIR', 'Folder of results and report.', 'evaluation_output')
    add_model_options(new)
    return new


def run(arguments: Any) -> int:
    """Evaluate, print, write."""
    from pointata_core.cli.console import note, out
    from pointata_core.cli.tables import print_results
    from pointata_core.evaluation.report.page import write_report

    sources = (arguments.bag, arguments.bags, arguments.semantickitti, arguments.clouds)
    if sum(source is not None for source in sources) != 1:
        raise ConfigError(
            'expected exactly one of --bag, --bags, --semantickitti and --clouds',
            'Name the recording to evaluate',
        )
    if arguments.bags is not None:
        if arguments.people is not None:
            raise ConfigError('--people is for one recording', 'Name it with --bag')
        return _run_fleet(arguments)
    if arguments.ray is not None:
        raise ConfigError('--ray is for many recordings', 'Name them with --bags, or leave it out')
    output = make_output_folder(arguments.output)
    try:
        results = _evaluate(arguments)
    except BaseException:
        with suppress(OSError):  # a folder that holds something stays
            output.rmdir()
        raise
    page = write_report(results, Path(arguments.output))
    if arguments.json:
        print(results.to_json(), end='')
    else:
        print_results(results, out())
        out().print(f'report: {page}', soft_wrap=True)
    if not results.frames_predicted:
        losses = {**results.rejected, **results.skipped}
        reasons = ', '.join(f'{number} {reason}' for reason, number in losses.items())
        note(f'no frame has a prediction: {reasons or "the recording has no clouds"}')
        return 1
    return 0


def _evaluate(arguments: Any) -> EvaluationResults:
    from pointata_core.cli.console import progress

    with progress('evaluating', show=not arguments.json) as report_progress:
        shared = {
            'bundle': arguments.bundle,
            'device': arguments.device,
            'precision': arguments.precision,
            'max_gap_s': arguments.max_gap,
            'label_memory': arguments.label_memory,
            'max_voxels': arguments.max_voxels,
            'people': arguments.people,
            'progress': report_progress,
            'input_scale': arguments.input_scale,
            'sensor_pose': arguments.sensor_pose,
        }
        if arguments.semantickitti is not None:
            from pointata_core.evaluation.sequence_evaluation import evaluate_sequence

            return evaluate_sequence(
                arguments.semantickitti, compensate=bool(arguments.fixed_frame), **shared
            )
        if arguments.clouds is not None:
            from pointata_core.evaluation.folder_evaluation import evaluate_clouds

            return evaluate_clouds(
                arguments.clouds,
                labels_field=arguments.labels_field,
                label_mapping=arguments.label_mapping,
                columns=read_columns(arguments.columns),
                rate_hz=arguments.rate,
                **shared,
            )
        from pointata_core.evaluation.bag_evaluation import evaluate_bag

        return evaluate_bag(
            arguments.bag,
            **{name: arguments[name] for name in _OF_BAGS},
            image_tolerance_s=arguments.image_tolerance,
            **shared,
        )


def _run_fleet(arguments: Any) -> int:
    from pointata_core.cli.console import out, print_error, print_json, progress
    from pointata_core.cli.tables import print_fleet
    from pointata_core.evaluation.fleet.run import evaluate_fleet

    with progress('evaluating', show=not arguments.json) as report_progress:
        account = evaluate_fleet(
            arguments.bags,
            arguments.output,
            **{name: arguments[name] for name in _OF_BAGS},
            bundle=arguments.bundle,
            device=arguments.device,
            precision=arguments.precision,
            ray=arguments.ray,
            part_frames=arguments.part_frames,
            progress=report_progress,
            max_gap_s=arguments.max_gap,
            label_memory=arguments.label_memory,
            max_voxels=arguments.max_voxels,
            input_scale=arguments.input_scale,
            sensor_pose=arguments.sensor_pose,
            image_tolerance_s=arguments.image_tolerance,
        )
    if arguments.json:
        print_json(account)
    else:
        print_fleet(account, out())
        out().print(f'report: {Path(arguments.output) / "report.html"}', soft_wrap=True)
    for failure in account['failures']:
        topic = f', topic {failure["topic"]}' if failure['topic'] else ''
        print_error(f'{failure["recording"]}{topic}: {failure["message"]}', failure['fix'])
    return 0 if account['frames_predicted'] and not account['failures'] else 1
