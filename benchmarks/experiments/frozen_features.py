#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What frozen backbones say about people in motion, before any head or adapter is trained.

    python -m benchmarks.experiments.frozen_features --utd datasets/UTD-MHAD --backbone masked a0.safetensors

Six frames of each training video of UTD-MHAD go through a frozen backbone in two preparations: like
its pre-training shapes (1,024 points in the unit sphere, 32 patches of 32), and as the small action
recipes have it (384 points in metres, 24 patches of 16). Class token, mean and maximum of the
tokens of the frames, one after the other, are a video's features. Reported per backbone and
preparation:

* the effective rank of the frames' features (exponential of the entropy of their covariance's
  spectrum; Roy and Vetterli, The effective rank, EUSIPCO 2007): over how many directions they
  spread;
* accuracy of a linear classifier of the 27 actions (subjects 1, 3, 5 train, 7 judges; the test
  subjects stay unseen), on the features as they are and whitened to 150 directions.

Random weights stand beside those given, a seed for each file of the longest list. Results:
``benchmarks/results/frozen_features.json``, with a table (``.md``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.encoders import TransformerEncoder
from pointata_core.training.skill.network import find_backbone

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'frozen_features.json'
FRAMES = 6
DIRECTIONS = 150
MEASURES = {
    'rank': 'effective rank',
    'plain': 'accuracy, as they are',
    'whitened': 'accuracy, whitened',
}


@dataclass(frozen=True)
class Preparation:
    """How a frame becomes what the backbone is given."""

    points: int
    tokens: int
    patch_size: int
    unit_sphere: bool

    def cloud(self, frame: np.ndarray) -> np.ndarray:
        """``(N, 3)`` metres to ``(points, 3)``."""
        random = np.random.default_rng(0)
        chosen = random.choice(len(frame), self.points, replace=len(frame) < self.points)
        centred = frame[chosen] - frame[chosen].mean(axis=0)
        return centred / np.linalg.norm(centred, axis=1).max() if self.unit_sphere else centred


PREPARATIONS = {
    'like pre-training': Preparation(1024, 32, 32, unit_sphere=True),
    'small action recipe': Preparation(384, 24, 16, unit_sphere=False),
}


def frames_of(root: Path) -> tuple[list[list[np.ndarray]], np.ndarray, np.ndarray]:
    """Frames, action and subject of every training video."""
    sampling = ClipSampling(window='uniform', frames=FRAMES, pick='middle')
    clips = open_dataset('utd_mhad', root, 'train', sampling=sampling)
    found = [clips[number] for number in range(len(clips))]
    return (
        [list(clip.points) for clip in found],
        np.array([clip.action for clip in found]),
        np.array([int(clip.subject) for clip in found]),
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
    return {'rank': effective_rank(features.reshape(-1, features.shape[-1])), **scores}


def table(runs: list[dict]) -> str:
    """Markdown: a line for each backbone and preparation."""
    lines = [
        '# Frozen features of people in motion',
        '',
        'Written by `python -m benchmarks.experiments.frozen_features`; do not edit. UTD-MHAD, judged on',
        'subject 7: accuracy in per cent, chance 3.7; mean (lowest to highest file).',
        '',
        f'| preparation | backbone | files | {" | ".join(MEASURES.values())} |',
        '|---|---|---|' + '---|' * len(MEASURES),
    ]
    for key in dict.fromkeys((run['preparation'], run['backbone']) for run in runs):
        own = [run for run in runs if (run['preparation'], run['backbone']) == key]
        cells = []
        for name in MEASURES:
            values = [run[name] * (1 if name == 'rank' else 100) for run in own]
            cells.append(f'{statistics.fmean(values):.1f} ({min(values):.1f} to {max(values):.1f})')
        lines.append(f'| {key[0]} | {key[1]} | {len(own)} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--utd', type=Path, required=True)
    parser.add_argument('--backbone', nargs='+', action='append', default=[],
                        metavar=('NAME', 'FILE'), help='a kind and its files')  # fmt: skip
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter('ignore', ConvergenceWarning)
    kinds = {name: files for name, *files in arguments.backbone}
    seeds = max(map(len, kinds.values()), default=1)
    videos, actions, subjects = frames_of(arguments.utd)
    runs = []
    for name, files in {'random': ['random:tiny'] * seeds, **kinds}.items():
        for seed, file in enumerate(files):
            source = find_backbone(file)
            torch.manual_seed(seed)
            backbone = Backbone(source.config)
            if source.state is not None:
                backbone.load_state_dict(source.state)
            for kind, preparation in PREPARATIONS.items():
                features = features_of(backbone, videos, preparation)
                found = measure(features, actions, subjects != 7)
                runs.append({'preparation': kind, 'backbone': name, 'file': Path(file).name,
                             'seed': seed, **found})  # fmt: skip
                print(runs[-1], flush=True)
    content = {'machine': machine(), 'versions': versions(), 'videos': len(videos), 'runs': runs}
    arguments.output.write_text(json.dumps(content, indent=1) + '\n')
    ordered = sorted(runs, key=lambda run: list(PREPARATIONS).index(run['preparation']))
    arguments.output.with_suffix('.md').write_text(table(ordered))


if __name__ == '__main__':
    main()
