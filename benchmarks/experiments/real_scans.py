# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of recorded scans as a bundle labels them, beside the truth where there is one.

    python -m benchmarks real-scans --recordings drive_01=datasets/sequences/01 room=room_bag

A recording is a sequence in the layout of SemanticKITTI, a bag, or a depth video ``.mat`` of
UTD-MHAD or MSR-Action3D. It is streamed from its first frame to the one that is shown. What is
wrong in the pictures is written under each in ``docs/experiments/real_scans.md``, by a person.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.command_line import ROOT, CommandLine, log, run_main
from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.actions import msr_action3d, utd_mhad
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.datasets.sequences import Recording
from pointata_core.errors import ConfigError
from pointata_core.evaluation.colours import colours_of_labels
from pointata_core.evaluation.report.images import bird_eye_view, common_extent
from pointata_core.inference.frames import Skipped
from pointata_core.inference.session import StreamingSession
from pointata_core.io.bags.reader import read_bag
from pointata_core.safe_files import make_output_folder, write_atomically
from pointata_core.taxonomy import SEGMENTATION_CLASSES, labels_from_semantickitti

PIXELS = 480
_GAP, _LINE = 4, 18
_OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float32)  # to x forward, z up


class _Scan(NamedTuple):
    points: np.ndarray
    intensity: np.ndarray | None
    truth: np.ndarray | None
    pose: np.ndarray | None


def scans_of(path: Path) -> Iterator[_Scan]:
    """The scans of a recording, in order, x forward and z up.

    Raises:
        ConfigError: The ``.mat`` is of neither data set.
    """
    if (path / 'velodyne').is_dir():
        for scan in SemanticKittiSequence(path):
            truth = None if scan.label is None else labels_from_semantickitti(scan.label)
            yield _Scan(scan.points, scan.intensity, truth, scan.pose)
    elif path.suffix == '.mat':
        readers = {'_depth': utd_mhad.read_recording, '_sdepth': msr_action3d.read_recording}
        ending = '_' + path.stem.rpartition('_')[2]
        if ending not in readers:
            raise ConfigError(f'{path.name} is no depth video', 'Give *_depth.mat or *_sdepth.mat')
        for points in readers[ending](Recording(path.stem, path, 0, 0)).points:
            yield _Scan(points @ _OPTICAL.T, None, None, None)
    else:
        for cloud in read_bag(path):
            yield _Scan(cloud.points, cloud.features.get('intensity'), None, None)


def picture(path: Path, bundle: Path, frames: int) -> bytes:
    """One image: the labels of the last of some frames, and the truth beside them.

    Args:
        path: Of the recording.
        bundle: Of the skill.
        frames: How many are streamed; fewer if the recording is shorter.

    Returns:
        A WebP.
    """
    session = StreamingSession(load_bundle(bundle))
    classes, before, shown = session.bundle.manifest.segmentation_classes, None, None
    for number, scan in enumerate(scans_of(path), start=1):
        motion = None
        if before is not None and scan.pose is not None:
            motion = np.linalg.inv(scan.pose) @ before
        features = {} if scan.intensity is None else {'intensity': scan.intensity}
        result = session.step(scan.points, number * 10**8, features, transform=motion)
        assert not isinstance(result, Skipped)
        before, shown = scan.pose, (scan, result.labels)
        if number == frames:
            break
    if shown is None:
        raise ConfigError(f'{path} holds no scans', 'Give another recording')
    scan, labels = shown
    extent = min(40.0, common_extent([scan.points]))
    views = [bird_eye_view(scan.points, labels, classes, extent, 'labels')]
    if scan.truth is not None:
        views.append(bird_eye_view(scan.points, scan.truth, SEGMENTATION_CLASSES, extent, 'truth'))
    seen = np.unique(np.concatenate([labels, *([] if scan.truth is None else [scan.truth])]))
    return side_by_side(views, [int(label) for label in seen if label < len(classes)], classes)


def side_by_side(views: Sequence[bytes], seen: Sequence[int], classes: Sequence[str]) -> bytes:
    """Small copies of PNGs in a row over the names of some classes, as one WebP."""
    per_line = 4 * len(views)
    lines = -(-len(seen) // per_line)
    size = PIXELS * len(views) + _GAP * (len(views) - 1), PIXELS + _LINE * lines + _GAP
    row = Image.new('RGB', size, 'white')
    draw = ImageDraw.Draw(row)
    for number, label in enumerate(seen):
        x = size[0] // per_line * (number % per_line) + _GAP
        y = PIXELS + _GAP + _LINE * (number // per_line)
        colour = tuple(int(c) for c in colours_of_labels(np.array([label]), classes)[0])
        draw.rectangle((x, y, x + 12, y + 12), fill=colour, outline='black')
        draw.text((x + 18, y), classes[label], fill='black')
    for place, view in enumerate(views):
        with Image.open(io.BytesIO(view)) as image:
            small = image.convert('RGB').resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
        row.paste(small, (place * (PIXELS + _GAP), 0))
    buffer = io.BytesIO()
    row.save(buffer, 'WEBP', quality=85)
    return buffer.getvalue()


def run_all(options: argparse.Namespace) -> None:
    """Draw every recording, each into a file of its own."""
    for text in options.recordings:
        name, _, path = text.partition('=')
        image = picture(Path(path), options.bundle, options.frames)
        write_atomically(make_output_folder(options.output) / f'{name}.webp', image)
        log(f'{name}: {len(image)} bytes')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('real-scans', __doc__, frames=1)
    line.set_defaults(output=ROOT / 'docs' / 'images' / 'real_scans')
    line.add_argument('--recordings', nargs='+', metavar='NAME=PATH', required=True)
    line.add_argument('--bundle', type=Path, default=Path('models/default'))
    line.add_argument('--frames', type=int, default=6, help='streamed; the last one is shown')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
