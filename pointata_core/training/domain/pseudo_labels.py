# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pseudo-labels of the second stage: confident predictions of the first stage's network.

2D and 3D predictions are kept apart. Which are confident is decided over the whole split: of each
class the better half by probability, and those above 0.9 (Li et al., CVPR 2019, as in xMUDA).
One ``.npz`` per frame with plain arrays, and an index: nothing that could run code on reading.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointata_core.errors import PointataError
from pointata_core.models.camera.camera_lidar import CameraLidarOutput
from pointata_core.safe_files import write_json
from pointata_core.taxonomy import IGNORE

CEILING = 0.9
INDEX = 'pseudo_labels.json'
_FORMAT = 1
_SENSORS = ('image', 'cloud')


class PseudoLabelError(PointataError):
    """A folder of pseudo-labels cannot be read or does not fit its data set."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one branch on the points of one frame.

    Attributes:
        labels: ``(n,)`` uint8.
        confidence: ``(n,)`` float32, probability of the label.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


def predictions_of(output: CameraLidarOutput) -> tuple[Predictions, Predictions]:
    """Labels and probabilities of both main heads, 2D first.

    Without an image both are the LiDAR's.
    """
    image = output.cloud if output.image is None else output.image
    return _predictions(image), _predictions(output.cloud)


def class_thresholds(
    predictions: Iterable[Predictions], classes: int, ceiling: float = CEILING
) -> NDArray[np.float32]:
    """Smallest probability with which a prediction becomes a label, by class.

    Args:
        predictions: Of one branch, over the whole split.
        classes: K.
        ceiling: No threshold is above.

    Returns:
        ``(K,)``: the median of the class's probabilities (of an even number the lower one), at
        most ``ceiling``; ``ceiling`` for a class that was never predicted.
    """
    found: list[list[NDArray]] = [[] for _ in range(classes)]
    for frame in predictions:
        for number in np.unique(frame.labels):
            found[number].append(frame.confidence[frame.labels == number])
    thresholds = np.full(classes, ceiling, dtype=np.float32)
    for number, parts in enumerate(found):
        if parts:
            together = np.concatenate(parts)
            middle = (len(together) - 1) // 2
            thresholds[number] = min(np.partition(together, middle)[middle], ceiling)
    return thresholds


def confident(predictions: Predictions, thresholds: NDArray[np.float32]) -> NDArray[np.int64]:
    """Labels ``(n,)`` int64; -100 where the probability is below the class's threshold."""
    labels = predictions.labels.astype(np.int64)
    unsure = predictions.confidence < thresholds[predictions.labels]
    labels[unsure] = IGNORE
    return labels


class PseudoLabelWriter:
    """Writes the predictions on a split, frame by frame; ``finish`` makes them readable.

    Args:
        folder: Made if need be.
        classes: Names, in the order of the labels.

    Raises:
        PseudoLabelError: The folder already holds finished pseudo-labels.
    """

    def __init__(self, folder: str | Path, classes: tuple[str, ...]) -> None:
        self.folder, self.classes = Path(folder), tuple(classes)
        if (self.folder / INDEX).exists():
            raise PseudoLabelError(f'{self.folder} holds pseudo-labels', 'Give another folder')
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, str] = {}
        self._predictions: list[tuple[Predictions, Predictions]] = []

    def add(self, frame: str, image: Predictions, cloud: Predictions) -> None:
        """Write one frame; its name must be new."""
        if frame in self._files:
            raise ValueError(f'pseudo-labels of frame {frame!r} were written before')
        name = f'{len(self._files):06d}.npz'
        arrays = {
            f'{sensor}_{part}': getattr(predictions, part)
            for sensor, predictions in zip(_SENSORS, (image, cloud))
            for part in ('labels', 'confidence')
        }
        np.savez_compressed(self.folder / name, **arrays)
        self._files[frame] = name
        self._predictions.append((image, cloud))

    def finish(self) -> None:
        """Decide the thresholds over all frames and write the index."""
        thresholds = {
            sensor: class_thresholds([both[i] for both in self._predictions], len(self.classes))
            for i, sensor in enumerate(_SENSORS)
        }
        rows = {sensor: values.tolist() for sensor, values in thresholds.items()}
        index = {'format': _FORMAT, 'classes': self.classes, 'thresholds': rows}
        write_json(self.folder / INDEX, {**index, 'frames': self._files})


class PseudoLabels:
    """Confident labels of a split, by frame name.

    Args:
        folder: As `PseudoLabelWriter` left it.
        classes: Names that the data set has; they must be those of the labels.

    Raises:
        PseudoLabelError: No finished pseudo-labels there, or of other classes.
    """

    def __init__(self, folder: str | Path, classes: tuple[str, ...]) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        try:
            index = json.loads(path.read_text(encoding='utf-8'))
            found = tuple(index['classes'])
            self.thresholds = {
                sensor: np.asarray(index['thresholds'][sensor], dtype=np.float32)
                for sensor in _SENSORS
            }
            self._files: dict[str, str] = dict(index['frames'])
            current = index['format'] == _FORMAT
        except FileNotFoundError as error:
            raise PseudoLabelError(
                f'{path}: found no finished pseudo-labels', 'Write them first'
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PseudoLabelError(f'{path}: found a damaged index ({error})') from error
        if not current:
            raise PseudoLabelError(f'{path}: found format {index["format"]}, expected {_FORMAT}')
        if found != tuple(classes) or any(
            rows.shape != (len(found),) for rows in self.thresholds.values()
        ):
            raise PseudoLabelError(
                f'{path}: found classes {", ".join(found)}; expected {", ".join(classes)}',
                'Write pseudo-labels with a network of these classes',
            )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._files)

    def labels(self, frame: str, points: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Labels of the 2D and the 3D branch, ``(points,)`` int64 with -100 where unsure.

        Raises:
            PseudoLabelError: No such frame, damaged, or another number of points.
        """
        if frame not in self._files:
            raise PseudoLabelError(f'{self.folder}: no pseudo-labels of frame {frame!r}')
        path = self.folder / Path(self._files[frame]).name
        try:
            with np.load(path, allow_pickle=False) as arrays:
                both = [
                    Predictions(arrays[f'{sensor}_labels'], arrays[f'{sensor}_confidence'])
                    for sensor in _SENSORS
                ]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise PseudoLabelError(f'{path}: found unreadable pseudo-labels ({error})') from error
        labels = []
        for sensor, predictions in zip(_SENSORS, both):
            if predictions.labels.shape != (points,) or predictions.confidence.shape != (points,):
                raise PseudoLabelError(
                    f'{path}: found labels of {predictions.labels.size} points, expected {points}',
                    'Write the pseudo-labels again: the data set has changed',
                )
            if points and predictions.labels.max() >= len(self.thresholds[sensor]):
                raise PseudoLabelError(f'{path}: found a label beyond the last class')
            labels.append(confident(predictions, self.thresholds[sensor]))
        return labels[0], labels[1]


def _predictions(scores: Tensor) -> Predictions:
    if scores.shape[1] > 256:
        raise ValueError(f'pseudo-labels hold at most 256 classes, found {scores.shape[1]}')
    best, label = scores.detach().float().softmax(dim=1).max(dim=1)
    return Predictions(label.to(torch.uint8).cpu().numpy(), best.cpu().numpy())
