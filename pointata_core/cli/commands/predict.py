# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata predict``: label a cloud from a file, or a folder of them as one stream.

Labelled clouds are written in the formats that viewers and tools read.

========  ====================================================================================
ply       x y z, red green blue, class_id, probability; MeshLab, CloudCompare
pcd       x y z, rgb, class_id, probability; PCL, Open3D
npy       structured array with x y z, class_id, probability
npz       arrays points (N, 3), labels (N,), probabilities (N,), classes
label     SemanticKITTI's layout: one uint32 per point, the class id; 65535 = unlabelled
========  ====================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.safe_files import make_output_folder, write_atomically

if TYPE_CHECKING:
    import numpy as np

    from pointata_core.inference.loading import LoadedBundle

NAME = 'predict'
SUMMARY = 'Label one point-cloud file, or a folder of them.'
FORMATS = ('ply', 'pcd', 'npy', 'npz', 'label')

_EXAMPLES = """\
examples:
  pointata predict scan.pcd
  pointata predict velodyne/ --output labelled --format npz
  pointata predict scans/ --independent --json"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Label every point of a cloud (.pcd .ply .bin .npy .npz, text, .las .laz .e57) and write '
        'it back with class and probability, in the same order.\n\nThe files of a folder are '
        'frames of one stream, in the natural order of their names (2 before 10), unless '
        '--independent is given.',
        _EXAMPLES,
    )
    new.option('path PATH', 'A file, or a folder of files.', kind=str)
    new.option('--output DIR', 'Folder for the results.', 'predictions')
    new.option('--format FORMAT', f'Format of the labelled clouds: {", ".join(FORMATS)}.', 'ply')
    new.option('--rate HZ', 'Frame rate of the files of a folder.', 10.0)
    new.flag('--independent', 'Process each file of a folder on its own, without history.')
    add_columns_option(new)
    add_placement_options(new)
    add_model_options(new)
    return new


def run(arguments: Any) -> int:
    """Label, write, summarise."""
    from pointata_core.cli.console import print_error, print_file_notes, print_json, progress

    if arguments.format not in FORMATS:
        raise ConfigError(
            f"--format is '{arguments.format}', expected one of {', '.join(FORMATS)}",
            'Choose one of them',
        )
    if not arguments.rate > 0:
        raise ConfigError(f'--rate is {arguments.rate}, expected more than 0', 'Give it in Hz')
    files = _files(Path(arguments.path))
    _check_names(files)
    output = make_output_folder(arguments.output)
    from pointata_core.inference.loading import open_bundle

    loaded = open_bundle(arguments.bundle, arguments.device, arguments.precision)
    summaries = []
    with progress('labelling', show=not arguments.json) as report_progress:
        for summary in _label(files, loaded, arguments, output):
            summaries.append(summary)
            report_progress(len(summaries), len(files))
    failed = [summary for summary in summaries if 'error' in summary]
    done = [summary for summary in summaries if 'error' not in summary]
    print_file_notes({summary['file']: summary['notes'] for summary in done})
    for summary in failed:
        print_error(summary['error'], summary['fix'])
    if arguments.json:
        print_json(summaries)
    elif done:
        _print(done, loaded)
    return 1 if failed else 0


def _files(path: Path) -> list[Path]:
    from pointata_core.io.files.folders import list_clouds

    if path.is_dir():
        return list_clouds(path)
    if not path.exists():
        raise CloudFileError(f'{path}: no such file or folder', 'Check the path')
    return [path]


def _check_names(files: Sequence[Path]) -> None:
    """Refuse before anything is written if two files would share one output."""
    stems: dict[str, Path] = {}
    for file in files:
        other = stems.setdefault(file.stem, file)
        if other is not file:
            raise ConfigError(
                f'{other} and {file} would both be written as {file.stem}',
                'Put them into different folders',
            )


def _label(
    files: Sequence[Path], loaded: LoadedBundle, arguments: Any, output: Path
) -> Iterator[dict[str, Any]]:
    from pointata_core.inference.frames import Skipped
    from pointata_core.inference.placement import parse_placement
    from pointata_core.inference.plausibility.check import PlausibilityCheck
    from pointata_core.io.files.folders import read_clouds

    classes = loaded.bundle.manifest.segmentation_classes
    actions = loaded.bundle.manifest.action_classes
    session = loaded.session(max_gap_s=2.0 / arguments.rate)
    placement = parse_placement(arguments.input_scale, arguments.sensor_pose)
    check = PlausibilityCheck(loaded.bundle.manifest)
    clouds = read_clouds(files, read_columns(arguments.columns))
    notes: list[str] = []
    for number, (file, cloud) in enumerate(clouds):
        if isinstance(cloud, CloudFileError):
            if len(files) == 1:
                raise cloud
            yield {'file': str(file), 'error': cloud.message, 'fix': cloud.fix}
            continue
        if number and arguments.independent:
            session.reset()
        stamp_ns = round((number + 1) / arguments.rate * 1e9)
        suspicions = check.look(cloud.points, cloud.features, placement=placement)
        result = session.step(cloud.points, stamp_ns, cloud.features, placement=placement)
        if isinstance(result, Skipped):
            raise CloudFileError(
                f'{file}: the frame was skipped ({result.reason})', 'Give a lower --rate'
            )
        target = output / f'{file.stem}.{arguments.format}'
        if target.resolve() == file.resolve():
            raise ConfigError(
                f'{target}: the output would overwrite the input', 'Choose another --output'
            )
        _write(target, cloud.points, result.labels, result.probabilities, classes)
        notes = [*cloud.notes, *(one.text for one in suspicions)]
        yield {
            'file': str(file),
            'output': str(target),
            'points': len(cloud),
            'unlabelled': int((result.labels >= len(classes)).sum()),
            'shares': _shares(result.labels, classes),
            'action': None if result.action is None else actions[int(result.action.argmax())],
            'notes': notes,
            'milliseconds': round(result.timings_ms['total'], 3),
        }
    notes += [one.text for one in check.finish()]  # of the last cloud that could be read


def _write(
    path: Path,
    points: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write points ``(N, 3)`` with labels ``(N,)`` uint16, in the format of the file extension.

    Raises:
        CloudFileError: It cannot be written.
    """
    import numpy as np

    from pointata_core.evaluation.colours import colours_of_labels
    from pointata_core.io.files.cloud_files import write_cloud
    from pointata_core.io.messages.cloud_encoding import pack_rgb, rgb_as_float

    predictions = {'class_id': labels, 'probability': probabilities}
    colours = colours_of_labels(labels, classes)
    if path.suffix == '.label':
        write_atomically(path, labels.astype('<u4').tobytes())
    elif path.suffix == '.npz':
        arrays: dict[str, np.ndarray] = {'points': points, 'labels': labels}
        arrays |= {'probabilities': probabilities, 'classes': np.array(classes)}
        write_atomically(path, lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]
    elif path.suffix == '.ply':
        channels = dict(zip(('red', 'green', 'blue'), colours.T, strict=True))
        write_cloud(path, points, {**channels, **predictions})
    elif path.suffix == '.pcd':
        write_cloud(path, points, {'rgb': rgb_as_float(pack_rgb(colours)), **predictions})
    else:
        write_cloud(path, points, predictions)


def _shares(labels: Any, classes: Sequence[str]) -> dict[str, float]:
    """Share of each class among the labelled points, the largest first; absent ones left out."""
    counts = Counter({name: int((labels == index).sum()) for index, name in enumerate(classes)})
    total = sum(counts.values())
    return {name: round(count / total, 6) for name, count in counts.most_common() if count}


def _print(summaries: Sequence[dict[str, Any]], loaded: LoadedBundle) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import new_table, out

    table = new_table('file', '>points', '>unlabelled', 'mostly', 'action', '>ms')
    for summary in summaries:
        mostly = ', '.join(f'{n} {100 * s:.0f} %' for n, s in [*summary['shares'].items()][:3])
        table.add_row(
            escape(Path(summary['file']).name),
            f'{summary["points"]:,}',
            f'{summary["unlabelled"]:,}',
            escape(mostly),
            summary['action'] or '-',
            f'{summary["milliseconds"]:.1f}',
        )
    out().print(table)
    folder = Path(summaries[0]['output']).parent
    out().print(
        f'{len(summaries)} labelled cloud(s) in {escape(str(folder))}; '
        f'bundle {escape(loaded.bundle.manifest.name)} on {escape(loaded.device_text)}',
        soft_wrap=True,
    )
