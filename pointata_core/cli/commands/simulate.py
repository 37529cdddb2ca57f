# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata simulate``: a simulated recording with ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointata_core.cli.arguments import Parser, new_parser
from pointata_core.errors import ConfigError

NAME = 'simulate'
SUMMARY = 'Record a simulated bag, or training shards, with ground truth.'
FORMATS = ('mcap', 'sqlite3', 'shard')

_EXAMPLES = """\
examples:
  pointata simulate street_bag
  pointata simulate yard_bag --scene yard --sensor rs16 --seed 7 --duration 30
  pointata simulate shards/ --format shard --scene indoor --count 8"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Generate a random scene, move a sensor through it and write a rosbag2 recording with '
        'clouds, /tf and ground truth (labels in the clouds, the action on /ground_truth/action), '
        'or training shards. Equal options give equal recordings.',
        _EXAMPLES,
    )
    new.option('output PATH', 'Folder to write; must not exist.', kind=str)
    new.option('--scene NAME', 'street, traffic, yard, crowd, stage or indoor.', 'street')
    new.option(
        '--sensor NAME',
        'Its name: hdl64, os1_64, mid360, kinect … (docs/simulation.md).',
        'vlp16',
    )
    new.option('--seed SEED', 'Seed of the scene.', 0)
    new.option('--duration SECONDS', 'Length of the recording.', 12.0)
    new.option('--rate HZ', 'Frames per second.', 10.0)
    new.option('--format FORMAT', 'mcap or sqlite3 (a bag), or shard (training data).', 'mcap')
    new.option('--count COUNT', 'Shards to write, with seeds from --seed upwards.', 1)
    return new


def run(arguments: Any) -> int:
    """Simulate and write."""
    from pointata_core.cli.console import print_json

    if arguments.format not in FORMATS:
        raise ConfigError(
            f"--format is '{arguments.format}', expected one of {', '.join(FORMATS)}",
            'Choose one of them',
        )
    if arguments.count < 1 or (arguments.count > 1 and arguments.format != 'shard'):
        raise ConfigError(
            f'--count is {arguments.count}, expected 1 or more, and 1 for a bag',
            'Use --format shard to write several recordings',
        )
    summary = _shards(arguments) if arguments.format == 'shard' else _bag(arguments)
    if arguments.json:
        print_json(summary)
    else:
        from rich.markup import escape

        from pointata_core.cli.console import out

        out().print(
            f'{summary["frames"]} frames, {summary["points"]:,} points in '
            f'{escape(summary["path"])}',
            soft_wrap=True,
        )
    return 0


def record_bag(
    path: Path,
    scene: str,
    sensor: str,
    seed: int,
    duration_s: float,
    rate_hz: float,
    storage: str = 'mcap',
    show: bool = True,
) -> dict[str, int]:
    """Simulate into a new bag with a progress bar; returns the number of frames and of points."""
    from pointata_core.cli.console import progress
    from pointata_core.simulation import simulate, write_bag

    frames = simulate(scene, sensor, seed, duration_s, rate_hz)
    total = max(1, round(duration_s * rate_hz))
    counts = {'frames': 0, 'points': 0}
    with progress('simulating', show=show) as report_progress:

        def counted() -> Any:
            for frame in frames:
                counts['frames'] += 1
                counts['points'] += len(frame.points)
                report_progress(counts['frames'], total)
                yield frame

        write_bag(path, counted(), sensor=sensor, storage=storage)
    return counts


def _bag(arguments: Any) -> dict[str, Any]:
    counts = record_bag(
        Path(arguments.output),
        arguments.scene,
        arguments.sensor,
        arguments.seed,
        arguments.duration,
        arguments.rate,
        arguments.format,
        show=not arguments.json,
    )
    return {'path': arguments.output, 'format': arguments.format, **counts}


def _shards(arguments: Any) -> dict[str, Any]:
    from pointata_core.simulation.shards import ShardJob, read_shard, write_shards

    jobs = [
        ShardJob(arguments.scene, arguments.sensor, seed, arguments.duration, arguments.rate)
        for seed in range(arguments.seed, arguments.seed + arguments.count)
    ]
    write_shards(Path(arguments.output), jobs, progress=not arguments.json)
    shards = [read_shard(Path(arguments.output) / job.filename) for job in jobs]
    return {
        'path': arguments.output,
        'format': 'shard',
        'frames': sum(len(shard) for shard in shards),
        'points': sum(int(shard.arrays['offsets'][-1]) for shard in shards),
    }
