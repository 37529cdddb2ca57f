# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good a network is on a split, and its predictions there as pseudo-labels.

One frame at a time, whole images, nothing random. Three predictions are scored: the camera's main
head (``image``, which has seen both sensors where there is a fusion), the LiDAR's (``cloud``), and
the mean of both probabilities (``ensemble``). Frames without images have the LiDAR's only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pointata_core.datasets.camera.frames import CameraFrames
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import CameraSample, make_sample
from pointata_core.errors import ConfigError
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork, CameraLidarOutput
from pointata_core.training.domain.batches import collate
from pointata_core.training.domain.pseudo_labels import PseudoLabelWriter, predictions_of


def score_network(
    network: CameraLidarNetwork, frames: CameraFrames, samples: SampleConfig
) -> dict[str, Any]:
    """Score all three predictions, or the LiDAR's where there are no images, on a labelled split.

    Returns:
        By prediction, ``miou`` (over all classes, as published), ``iou`` by class, and
        ``accuracy``; and ``points``.

    Raises:
        ConfigError: The split has no labels of these classes, or a frame leaves the grid.
    """
    counts = {name: ConfusionMatrix(frames.classes) for name in ('image', 'cloud', 'ensemble')}
    for sample, output in predict_frames(network, frames, samples):
        if sample.labels is None:
            raise ConfigError(f'{frames.name}, split {frames.split}: found no labels to score by')
        if output.image is None:
            counts = {'cloud': counts['cloud']}
        for name, matrix in counts.items():
            matrix.add(sample.labels, getattr(output, name).argmax(dim=1).cpu().numpy())
    results: dict[str, Any] = {}
    for name, matrix in counts.items():
        score = matrix.score(mean='all')
        if score is None:
            raise ConfigError(f'{frames.name}, split {frames.split}: found no labelled points')
        results[name] = {
            'miou': score.miou,
            'iou': {c: score.iou.get(c) for c in frames.classes},
            'accuracy': score.accuracy,
        }
        results['points'] = score.points
    return results


def write_pseudo_labels(
    network: CameraLidarNetwork, frames: CameraFrames, samples: SampleConfig, folder: str | Path
) -> None:
    """Write the predictions on a split as pseudo-labels."""
    writer = PseudoLabelWriter(folder, frames.classes)
    for sample, output in predict_frames(network, frames, samples):
        writer.add(sample.name, *predictions_of(output))
    writer.finish()


def predict_frames(
    network: CameraLidarNetwork, frames: CameraFrames, samples: SampleConfig
) -> Iterator[tuple[CameraSample, CameraLidarOutput]]:
    """Predict for every point of every frame, in order."""
    samples, device = samples.without_chance(), next(network.parameters()).device
    network.eval()
    for index in range(len(frames)):
        frame = frames[index]
        if len(frame.points):
            sample = make_sample(frame, samples, np.random.default_rng(0))
            if sample is None or len(sample.source) != len(frame.points):
                raise ConfigError(
                    f'{frame.name}: some points leave a grid of {samples.grid} voxels',
                    'Take more voxels or larger ones',
                )
            with torch.no_grad():
                yield sample, network(collate([sample]).to(device))
