# SPDX-License-Identifier: Apache-2.0
"""``pointata evaluate``: accuracy and latency of a bundle on a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import add_json_option, add_model_options, new_parser
from pointata_core.errors import ConfigError

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults

NAME = 'evaluate'
SUMMARY = 'Measure a bundle on a bag or a SemanticKITTI sequence; write a report.'

_EXAMPLES = """\
examples:
  pointata evaluate --bag drive.mcap
  pointata evaluate --bag ./street_bag --topic /velodyne_points --output street_report
  pointata evaluate --bag kitti00.mcap --labels-field label --label-mapping semantickitti
  pointata evaluate --bag drive_with_camera --bundle runs/night/bundle --image-topic /camera/image
  pointata evaluate --semantickitti dataset/sequences/08 --json"""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Run a bundle over every cloud of a recording, as the node would with policy "block", and '
        'write results.json and report.html.\n\nWith ground truth it also scores the predictions: '
        'labels from a field of the clouds or from another topic, actions from '
        '/ground_truth/action.',
        _EXAMPLES,
    )
    new.add_argument(
        '--bag', type=str | None, metavar='PATH', help='rosbag2 folder or file (sqlite3 or mcap).'
    )
    new.add_argument(
        '--semantickitti',
        type=str | None,
        metavar='DIR',
        help='Sequence in SemanticKITTI layout (velodyne/, labels/, poses.txt), instead of a bag.',
    )
    new.add_argument(
        '--topic',
        type=str | None,
        metavar='NAME',
        help='Topic of the clouds; needed only if the bag has several.',
    )
    new.add_argument(
        '--labels-field',
        type=str | None,
        metavar='NAME',
        help='Integer field with ground-truth labels.',
    )
    new.add_argument(
        '--labels-topic',
        type=str | None,
        metavar='NAME',
        help='Topic of clouds with ground truth, matched by stamp.',
    )
    new.add_argument(
        '--label-mapping',
        type=str | None,
        metavar='NAME',
        help='semantickitti: labels are raw SemanticKITTI ids; by default, ids of the bundle.',
    )
    new.add_argument(
        '--fixed-frame',
        type=str,
        default='',
        metavar='FRAME',
        help='Remove ego motion by the recorded /tf against this frame (map, odom).',
    )
    new.add_argument(
        '--image-topic',
        type=str | None,
        metavar='NAME',
        help='Images for a camera bundle; needed only if the bag has several. none = no images.',
    )
    new.add_argument(
        '--camera-extrinsics',
        type=str,
        default='',
        metavar='POSE',
        help='"x y z qx qy qz qw": pose of the LiDAR in the optical frame of the camera; '
        'by default from the recorded transforms.',
    )
    new.add_argument(
        '--image-tolerance',
        type=float,
        default=0.05,
        metavar='SECONDS',
        help='Largest difference between the stamps of a cloud and its image.',
    )
    new.add_argument(
        '--max-gap',
        type=float,
        default=1.0,
        metavar='SECONDS',
        help='A longer pause between two clouds starts a new history.',
    )
    new.add_argument(
        '--output',
        type=str,
        default='evaluation_output',
        metavar='DIR',
        help='Folder for results.json, report.html and the images.',
    )
    add_model_options(new)
    add_json_option(new)
    return new


def run(arguments: Any) -> int:
    """Evaluate, print, write."""
    from pointata_core.cli.console import note, out
    from pointata_core.cli.tables import print_results
    from pointata_core.evaluation.report.page import write_report

    if (arguments.bag is None) == (arguments.semantickitti is None):
        raise ConfigError(
            'expected exactly one of --bag and --semantickitti', 'Name the recording to evaluate'
        )
    results = _evaluate(arguments)
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
            'progress': report_progress,
        }
        if arguments.semantickitti is not None:
            from pointata_core.evaluation.sequence_evaluation import evaluate_sequence

            return evaluate_sequence(
                arguments.semantickitti, compensate=bool(arguments.fixed_frame), **shared
            )
        from pointata_core.evaluation.bag_evaluation import evaluate_bag

        return evaluate_bag(
            arguments.bag,
            topic=arguments.topic,
            labels_field=arguments.labels_field,
            labels_topic=arguments.labels_topic,
            label_mapping=arguments.label_mapping,
            fixed_frame=arguments.fixed_frame,
            image_topic=arguments.image_topic,
            camera_extrinsics=arguments.camera_extrinsics,
            image_tolerance_s=arguments.image_tolerance,
            **shared,
        )
