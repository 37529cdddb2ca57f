# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One run: train on clips or on their last frames, and score those very frames."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from benchmarks.experiments.skill_runs import costs
from pointata_core.datasets.scenes.simulated_clips import MOVABLE_CLASSES
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.models.point.pointata import PointATA
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.clips.clip_store import ClipStore, Windows
from pointata_core.training.engine.run_folder import claim
from pointata_core.training.engine.trainer import chosen_device, uses_bf16
from pointata_core.training.skill.network import build_network
from pointata_core.training.skill.scorers import SkillScore
from pointata_core.training.skill.scoring import score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import loss_weights, open_clips, train_on_clips
from pointata_core.training.skill.tuning import apply_mode, merge_and_freeze, tuning_mode


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        summary: What it sees.
        frames: Frames of a clip that it sees, the last ones; 0 for all.
        motion: Whether the motion of the sensor is an input, as with ``fixed_frame`` in the node.
        overrides: Settings that differ from those of the task.
    """

    summary: str
    frames: int = 0
    motion: bool = False
    overrides: tuple[str, ...] = ()


VARIANTS: dict[str, Variant] = {
    'single': Variant('T=1: the last frame alone', frames=1),
    'apart': Variant(
        'T=8, every frame by itself: as many labels as below, no time',
        overrides=('network.adapter_kernel=1',),
    ),
    'stream': Variant('T=8, sensor motion unknown: the node as it starts'),
    'motion': Variant('T=8, tubes follow the poses: the node with `fixed_frame`', motion=True),
    'displacements': Variant(
        'T=8, tubes follow the poses; displacements from 1, 2 and 4 frames before',
        motion=True,
        overrides=('network.motion_lags=[1,2,4]', 'network.motion_reach=0.15'),
    ),
}
"""By name, in the order of the table."""

STARTS = {
    'skill': 'simulated skill, not trained further',
    'tuned': 'simulated skill, trained on frames 0 to 13',
    'backbone': 'backbone alone, trained on frames 0 to 13',
}
"""What runs on the recorded street begin with."""

SKILL = 'skill.safetensors'
_MOVING = 'moving-'


class LastFrames(Windows):
    """Only the last frames of the clips of a store.

    They are those of the whole clips, voxel by voxel: what is learned from and scored at the end
    of a clip is the same whatever is seen before it.

    Args:
        store: Whole clips.
        frames: How many frames are seen; 0 for all.
        motion: Whether the motion of the sensor is an input.
    """

    def __init__(self, store: ClipStore, frames: int, motion: bool) -> None:
        frames = frames or store.frames
        super().__init__(store, frames, first=-frames)
        self.motion = motion

    def __getitem__(self, pairs: Sequence[tuple[int, int]]) -> ClipBatch:
        """Collate clips, given as (number, variant)."""
        batch = super().__getitem__(pairs)
        return batch if self.motion else replace(batch, motion=None)


@dataclass(frozen=True)
class Clips:
    """Whole clips of one task.

    Attributes:
        train: To learn from.
        test: To score; of each its last frame.
    """

    train: ClipStore
    test: ClipStore

    @staticmethod
    def open(train: TrainingSettings, test: TrainingSettings) -> Clips:
        """Prepare and open both, by the settings of either."""
        return Clips(
            open_clips(train, train.data.train, True), open_clips(test, test.data.validation, False)
        )


def train_and_score(
    settings: TrainingSettings,
    variant: Variant,
    clips: Clips,
    begin: Path | None = None,
    learn: bool = True,
) -> dict[str, Any]:
    """Train a network and score the last frames after the last epoch; leaves ``SKILL``.

    Args:
        settings: Of this run.
        variant: What the network takes as input.
        clips: Whole clips.
        begin: Weights to begin with, of whatever fits, in place of the backbone alone.
        learn: Train before scoring.
    """
    # A resumed run would not report its time.
    shutil.rmtree(settings.output, ignore_errors=True)
    folder = claim(settings.output, settings.to_dict())
    watch = Stopwatch()
    network, source = build_network(settings, clips.train.classes)
    apply_mode(
        network, tuning_mode(settings.tuning.mode), train_embedder=settings.tuning.train_embedder
    )
    if begin is not None:
        take_over(network, begin)
    train = LastFrames(clips.train, variant.frames, variant.motion)
    if learn:
        # Class weights of whole clips, so that variants weigh alike.
        power = settings.optimiser.class_weight_power
        weights = loss_weights(clips.train, settings.tasks, power)
        train_on_clips(settings, settings.plan[0], network, train, weights, folder)
    done = merge_and_freeze(network)
    test = LastFrames(clips.test, variant.frames, variant.motion)
    device = chosen_device(settings)
    (score,) = score_clips(done, test, settings.tasks, device)
    spent = costs(watch)
    save_file(done.cpu().state_dict(), folder / SKILL)
    return {
        **summarised(score),
        'skill_sha256': sha256_of(folder / SKILL),
        'steps': learn * settings.optimiser.epochs * (len(train) // settings.optimiser.batch),
        'trainable': network.parameter_summary()['trainable'],
        'train_clips': len(train),
        'test_frames': len(test),
        'backbone': source.origin,
        'bf16': uses_bf16(settings, device),
        **spent,
    }


def take_over(network: PointATA, path: Path) -> None:
    """Begin with the weights of a skill; what has another shape (other classes) stays as it is."""
    own = network.state_dict()
    found = {k: v for k, v in load_file(path).items() if k in own and v.shape == own[k].shape}
    network.load_state_dict(found, strict=False)


def summarised(score: SkillScore) -> dict[str, Any]:
    """Means over groups of classes, from confusions.

    Moving and standing things are first taken together, which is the plain task, then apart.
    """
    counts, names = np.array(score.confusion), score.classes
    plain = [name for name in names if not name.startswith(_MOVING)]
    ious = _ious(_merged(counts, names, plain), plain)
    groups = {
        'all': list(ious),
        'movable': [name for name in ious if name in MOVABLE_CLASSES],
        'static': [name for name in ious if name not in MOVABLE_CLASSES],
    }
    result = {
        'miou': {group: _mean(ious, members) for group, members in groups.items() if members},
        'iou': ious,
        'voxels': score.total,
        'confusion': counts.tolist(),
    }
    apart = _ious(counts, names)
    moving = [name for name in apart if name.startswith(_MOVING)]
    if moving:
        standing = [name.removeprefix(_MOVING) for name in moving]
        result['miou_apart'] = {
            'all': _mean(apart, apart),
            'moving': _mean(apart, moving),
            'standing': _mean(apart, [name for name in standing if name in apart]),
        }
        result['iou_apart'] = {name: apart[name] for name in (*moving, *standing) if name in apart}
    return result


def _merged(counts: np.ndarray, names: Sequence[str], plain: list[str]) -> np.ndarray:
    """Confusions with moving things counted as what they are."""
    places = [plain.index(name.removeprefix(_MOVING)) for name in names]
    merged = np.zeros((len(plain), len(plain)), counts.dtype)
    np.add.at(merged, np.ix_(places, places), counts)
    return merged


def _ious(counts: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """IoU of the classes that occur."""
    matrix = ConfusionMatrix(names)
    matrix.counts[:, : len(names)] = counts
    score = matrix.score()
    assert score is not None, 'the test frames are labelled'
    return score.iou


def _mean(ious: dict[str, float], members: Iterable[str]) -> float:
    return float(np.mean([ious[name] for name in members]))
