# SPDX-License-Identifier: Apache-2.0
"""Predictions of finished camera runs on the recorded images, one below the other."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.image
import numpy as np

from benchmarks.experiments.domain_matrix.street_runs import Setup, load
from benchmarks.run_store import Run
from pointata_core.evaluation.report.overlays import overlay
from pointata_core.training.domain.domains import open_frames
from pointata_core.training.domain.scoring import predict_frames

SHOWN = {'source_only': 'cloud', 'ftd++': 'cloud', 'ftd++_pl': 'ensemble'}
"""Method -> head whose prediction is drawn, from top to bottom."""

# The classes of the task in names that have a colour.
_NAMES = {'nature': 'vegetation', 'object': 'pole'}


def write_overlays(setup: Setup, work: Path, seed: int, folder: Path) -> None:
    """Draw every third recorded frame. The images are the recording's: mind its licence."""
    frames = open_frames(setup.target, setup.task)
    classes = [_NAMES.get(name, name) for name in frames.classes]
    drawn: dict[str, list[np.ndarray]] = {}
    for method, head in SHOWN.items():
        network = load(Run('camera', method, seed), setup, work)
        predictions = predict_frames(network, frames, setup.target.samples)
        for number, (sample, output) in enumerate(predictions):
            if number % 3:
                continue
            frame = frames[number]
            labels = getattr(output, head).argmax(dim=1).numpy().astype(np.uint16)
            away = np.linalg.norm(frame.points[sample.source], axis=1)
            pixels = np.floor(frame.pixels[sample.source]).astype(np.int64)
            image = overlay(frame.image, pixels, labels, classes, away)
            drawn.setdefault(sample.name, []).append(matplotlib.image.imread(io.BytesIO(image)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in drawn.items():
        matplotlib.image.imsave(folder / f'{name}.png', np.concatenate(rows))
