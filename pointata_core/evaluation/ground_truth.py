# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of a recording, in the classes of the bundle under test."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pointata_core.datasets.camera.class_maps import tasks
from pointata_core.datasets.scenes.semantickitti_clips import scheme_of, schemes
from pointata_core.errors import ConfigError
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED

ACTION_TRUTH_TOPIC = '/ground_truth/action'
LABEL_NAMES_TOPIC = '/ground_truth/label_info'
LABEL_MAPPINGS = ('semantickitti',)
# Labels and cloud of one moment are written a few messages apart; more would be a leak.
_PENDING = 64

LabelTranslation = Callable[[np.ndarray], np.ndarray]


def labels_to_classes(name: str | None, classes: Sequence[str]) -> LabelTranslation:
    """Function from raw labels ``(N,)`` integers to labels of the bundle ``(N,)`` int64.

    Args:
        name: ``None`` or empty: the raw labels are already those of the bundle.
            ``'semantickitti'``: raw SemanticKITTI ids. A bundle with the classes of a label scheme,
            such as that of two domains, is scored in its own classes.
        classes: Classes of the bundle. A class that it lacks is not scored.

    Raises:
        ConfigError: The name is unknown, or no class of the bundle has ids.
    """
    if not name:
        return lambda raw: np.asarray(raw, np.int64)
    if name not in LABEL_MAPPINGS:
        raise ConfigError(
            f"label mapping is '{name}', expected one of {', '.join(LABEL_MAPPINGS)}",
            'Leave it out if the labels are class ids of the bundle',
        )
    # Other bundles than those of a scheme are scored in the classes of our taxonomy that they have.
    members = schemes()[scheme_of(classes) or 'pointata']
    table = np.full(UNLABELLED + 1, UNLABELLED, np.int64)
    for label, ids in members.items():
        if label in classes:
            table[list(ids)] = list(classes).index(label)
    if (table == UNLABELLED).all():
        raise ConfigError(
            f'no class of the bundle ({", ".join(classes)}) is one of SemanticKITTI',
            'Leave --label-mapping out if the labels are class ids of the bundle',
        )
    return lambda raw: table[np.asarray(raw, np.int64) & UNLABELLED]


def labels_by_name(names: Mapping[int, str], classes: Sequence[str]) -> LabelTranslation:
    """Translate raw labels by their names in the recording; unknown ones become ``UNLABELLED``.

    Names of our taxonomy also stand for the class of a task that they are merged into.

    Args:
        names: Name of each recorded label.
        classes: Classes of the bundle.
    """
    task = next((one for one in tasks().values() if one.classes == tuple(classes)), None)
    merged = {} if task is None else task.members.get('simulated', {})
    of_name = {SEGMENTATION_CLASSES[i]: label for label, ids in merged.items() for i in ids}
    of_name |= {label: label for label in classes}
    table = {
        label: list(classes).index(of_name[name])
        for label, name in names.items()
        if name in of_name
    }

    def translate(raw: np.ndarray) -> np.ndarray:
        known, inverse = np.unique(np.asarray(raw, np.int64), return_inverse=True)
        return np.array([table.get(int(label), UNLABELLED) for label in known], np.int64)[inverse]

    return translate


class StampMatcher:
    """Pairs predictions with the ground truth of the same stamp, in any order of arrival.

    Only a bounded number waits; the oldest is dropped and counted.

    Attributes:
        unmatched: Predictions without ground truth so far, dropped ones included.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, OrderedDict[int, Any]] = {
            'prediction': OrderedDict(),
            'truth': OrderedDict(),
        }
        self._dropped = 0

    @property
    def unmatched(self) -> int:
        """Predictions without ground truth so far."""
        return self._dropped + len(self._waiting['prediction'])

    def prediction(self, stamp_ns: int, value: Any) -> tuple[Any, Any] | None:
        """Add a prediction; returns ``(prediction, truth)`` once both have arrived."""
        truth = self._waiting['truth'].pop(stamp_ns, None)
        if truth is not None:
            return value, truth
        self._wait('prediction', stamp_ns, value)
        return None

    def truth(self, stamp_ns: int, value: Any) -> tuple[Any, Any] | None:
        """Add ground truth; returns ``(prediction, truth)`` once both have arrived."""
        prediction = self._waiting['prediction'].pop(stamp_ns, None)
        if prediction is not None:
            return prediction, value
        self._wait('truth', stamp_ns, value)
        return None

    def _wait(self, kind: str, stamp_ns: int, value: Any) -> None:
        waiting = self._waiting[kind]
        waiting[stamp_ns] = value
        if len(waiting) > _PENDING:
            waiting.popitem(last=False)
            self._dropped += kind == 'prediction'


def classification_of(message: Any) -> tuple[int, str] | None:
    """``(stamp_ns, class name)`` of a ``vision_msgs/Classification``; ``None`` if it is empty."""
    if not message.results:
        return None
    best = max(message.results, key=lambda result: result.score)
    return stamp_of(message), best.class_id
