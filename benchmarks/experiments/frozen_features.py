# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What frozen features tell of people in motion, before any head or adapter is trained.

    python -m benchmarks frozen-features --utd datasets/UTD-MHAD --backbone masked a0.safetensors

**Actions.** Six frames of each training video of UTD-MHAD go through a frozen backbone in three
preparations: upright like its pre-training shapes (1,024 points in the unit sphere, z up, 32
patches of 32), the same in the axes of the camera (y down), and as the small action recipes have it
(384 points in metres, 24 patches of 16, y down). Class token, mean and maximum of the
tokens of the frames, one after the other, are a video's features. Reported per backbone and
preparation:

* the effective rank of the frames' features (exponential of the entropy of their covariance's
  spectrum; Roy and Vetterli, The effective rank, EUSIPCO 2007): over how many directions they
  spread;
* accuracy of a linear classifier of the 27 actions (subjects 1, 3, 5 train, 7 judges; the test
  subjects stay unseen), on the features as they are and whitened to 150 directions;
* the same for single frames, which do not show motion.

**Single frames of simulated people**, see :mod:`benchmarks.experiments.people_frames`: the part of
the body that a token lies on, and the frame of another body in the same pose.

Random weights stand beside those given, a seed for each file of the longest list. A finished run is
on disk at once; stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.people_frames import probe_people
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.encoders import TransformerEncoder
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.skill.network import find_backbone

FRAMES = 6
PEOPLE = 'simulated people'
DIRECTIONS = 150


@dataclass(frozen=True)
class Preparation:
    """How a frame becomes what the backbone is given."""

    points: int
    tokens: int
    patch_size: int
    unit_sphere: bool
    upright: bool = False

    def cloud(self, frame: np.ndarray) -> np.ndarray:
        """``(N, 3)`` metres to ``(points, 3)``."""
        random = np.random.default_rng(0)
        chosen = random.choice(len(frame), self.points, replace=len(frame) < self.points)
        centred = frame[chosen] - frame[chosen].mean(axis=0)
        if self.upright:  # from x right, y down, z forward to x forward, y left, z up
            centred = np.stack([centred[:, 2], -centred[:, 0], -centred[:, 1]], axis=1)
        return centred / np.linalg.norm(centred, axis=1).max() if self.unit_sphere else centred


PREPARATIONS = {
    'upright like pre-training': Preparation(1024, 32, 32, unit_sphere=True, upright=True),
    'like pre-training': Preparation(1024, 32, 32, unit_sphere=True),
    'small action recipe': Preparation(384, 24, 16, unit_sphere=False),
}


def frames_of(root: Path) -> tuple[list[list[np.ndarray]], np.ndarray, np.ndarray]:
    """Frames, action and subject of every training video."""
    sampling = ClipSampling(window='uniform', frames=FRAMES, pick='middle')
    clips = cast(ClipDataset, open_dataset('utd_mhad', root, 'train', sampling=sampling))
    found = [clips[number] for number in range(len(clips))]
    return (
        [list(clip.points) for clip in found],
        np.array([clip.action for clip in found]),
        np.array([clip.subject for clip in found]).astype(int),
    )


@torch.inference_mode()
def features_of(
    backbone: Backbone, videos: list[list[np.ndarray]], preparation: Preparation
) -> np.ndarray:
    """``(videos, frames, features)``."""
    encoder = TransformerEncoder(backbone, preparation.tokens, preparation.patch_size).eval()
    rows = []
    for video in videos:
        clouds = torch.from_numpy(np.stack([preparation.cloud(one) for one in video])).float()
        found = encoder(clouds)
        present = (found.index >= 0).unsqueeze(-1)
        mean = (found.tokens * present).sum(dim=1) / present.sum(dim=1)
        rows.append(torch.cat([found.overall, mean], dim=-1))
    return torch.stack(rows).numpy()


def effective_rank(rows: np.ndarray) -> float:
    """Of the covariance of ``(N, C)``."""
    energy = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    share = energy[energy > 0] / energy.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def measure(features: np.ndarray, actions: np.ndarray, trains: np.ndarray) -> dict[str, float]:
    """The three figures of one backbone in one preparation."""
    rows = features.reshape(len(features), -1)
    classifiers = {
        'plain': make_pipeline(LogisticRegression(max_iter=60)),
        'whitened': make_pipeline(
            StandardScaler(),
            PCA(DIRECTIONS, whiten=True, random_state=0),
            LogisticRegression(C=0.1, max_iter=60),
        ),
    }
    scores = {}
    for name, classifier in classifiers.items():
        classifier.fit(rows[trains], actions[trains])
        scores[name] = classifier.score(rows[~trains], actions[~trains])
    single = features.reshape(-1, features.shape[-1])
    known, label = np.repeat(trains, features.shape[1]), np.repeat(actions, features.shape[1])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=60))
    classifier.fit(single[known], label[known])
    scores['frames'] = classifier.score(single[~known], label[~known])
    return {'rank': effective_rank(single), **scores}


def network_of(file: str, seed: int) -> Backbone:
    """The backbone of a file, or one of random weights."""
    source = find_backbone(file)
    torch.manual_seed(seed)
    backbone = Backbone(source.config)
    if source.state is not None:
        backbone.load_state_dict(source.state)
    return backbone


def run_all(options: argparse.Namespace) -> None:
    """Carry out what is missing."""
    warnings.simplefilter('ignore', ConvergenceWarning)
    given = {name: files for name, *files in options.backbone}
    seeds = max(map(len, given.values()), default=1)
    backbones = {'random': ['random:tiny'] * seeds, **given}
    videos = cache(lambda: frames_of(options.utd))

    def carry_out(run: Run) -> dict[str, Any]:
        file = backbones[run.method][run.seed]
        watch = Stopwatch()
        if run.task == PEOPLE:
            people = probe_people(network_of(file, run.seed), options.people)
            spent = watch.lap('run').processor_s
            return {'file': Path(file).name, **people, 'processor_s': spent}
        clouds, actions, subjects = videos()
        clouds, kept = clouds[:: options.every], slice(None, None, options.every)
        features = features_of(network_of(file, run.seed), clouds, PREPARATIONS[run.task])
        found = measure(features, actions[kept], subjects[kept] != 7)
        return {'file': Path(file).name, **found, 'processor_s': watch.lap('run').processor_s}

    runs = [
        Run(task, name, seed)
        for name, files in backbones.items()
        for seed in range(len(files))
        for task in (PEOPLE, *PREPARATIONS)
        if task in options.tasks
    ]
    run_missing(
        RunStore(options.output),
        runs,
        carry_out,
        lambda found: ', '.join(
            f'{name} {100 * found[name]:.1f} %'
            for name in ('plain', 'whitened', 'frames', 'parts', 'poses')
            if name in found
        ),
        only_list=options.list,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('frozen-features', __doc__, every=2)
    line.add_argument('--utd', type=Path, default=Path('datasets/UTD-MHAD'), metavar='DIR')
    line.add_argument('--backbone', nargs='+', action='append', default=[],
                      metavar=('NAME', 'FILE'), help='a kind and its files')  # fmt: skip
    line.add_argument('--every', type=int, default=1, help='take every n-th video')
    line.add_argument('--people', type=int, default=300, help='simulated people to probe on')
    line.add_argument('--tasks', nargs='+', default=[PEOPLE, *PREPARATIONS], metavar='TASK',
                      help='carry out these alone')  # fmt: skip
    line.add_argument('--list', action='store_true', help='name the missing runs and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
