#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the default bundle on simulated data only, from nothing to ``models/default``.

1. simulate and prepare clips of streets, yards and rooms;
2. train the tiny backbone with its heads on single frames; with ``--backbone FILE`` from weights
   of ``pointata pretrain``, with ``--freeze`` as well the backbone stays as the file has it and
   align embedder, adapters, context encoder and heads learn;
3. freeze the backbone; train adapters, context encoder and heads on clips;
4. freeze those; train actor pooling and action readout on the actors' points of all clips, then on
   those that the network itself finds in scenes it has not seen;
5. measure on held-out scenes through ``StreamingSession``, and write the bundle.

Every phase leaves its result in the run folder and is skipped when that is there, so a killed run
continues. Example::

    .venv/bin/python tools/train_default_bundle.py --run runs/default --output models/default \
        --backbone runs/tiny/backbone.safetensors --freeze           # as the bundle at hand
    .venv/bin/python tools/train_default_bundle.py --run runs/scratch --output runs/bundle
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from bundle_start import Start, claim
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, WeightedRandomSampler

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.errors import PointataError
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.inference.session import StreamingSession
from pointata_core.models.point.config import GeometryConfig, NetworkConfig, preset_config
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import (
    ACTION_CLASSES,
    ACTION_COLOURS,
    SEGMENTATION_CLASSES,
    SEGMENTATION_COLOURS,
)
from pointata_core.training.clips.prepared_clips import PreparedClips, collate
from pointata_core.training.clips.simulated_clips import SceneJob, prepare_jobs, simulated_frames
from pointata_core.training.skill.actor_training import (
    ActorTrainingConfig,
    find_actor_clips,
    read_actor_clips,
    train_on_actors,
)
from pointata_core.training.skill.supervised import (
    SupervisedConfig,
    SupervisedTraining,
    class_weights,
)

CLIPS_SEED = 500_000
FOUND_SEED = 700_000
HELD_OUT_SEED = 900_000


@dataclass(frozen=True)
class Mix:
    """How many scenes of a kind, and how long."""

    scene: str
    sensor: str
    scenes: int
    frames: int


PREPARATION = PreparationConfig(
    scale_m=10.0, voxel_size_m=0.1, range_knee_m=10.0, max_voxels=6144, max_range_m=80.0
)
NETWORK = preset_config(
    'tiny',
    geometry=GeometryConfig(
        tokens=128,
        patch_size=24,
        range_knee=1.0,
        tube_radius=0.12,
        pillar_sizes=(0.05, 0.15, 0.45),
    ),
    segmentation_classes=SEGMENTATION_CLASSES,
    action_classes=ACTION_CLASSES,
    actor_class='person',
)
FRAMES = SupervisedConfig(stage='full', steps=2200, learning_rate=1.5e-3, action_weight=0.2)
CLIPS = SupervisedConfig(stage='adapt', steps=300, learning_rate=1e-3, action_weight=0.5)
ACTORS = ActorTrainingConfig(steps=1200, points=96)
FOUND_ACTORS = ActorTrainingConfig(steps=700, points=96, learning_rate=2e-3, drop=0.2, seed=1)


@dataclass(frozen=True)
class Recipe:
    """The whole recipe; written into the bundle's manifest."""

    # Many short recordings rather than few long ones: furniture differs from room to room only.
    mixes: tuple[Mix, ...] = (
        Mix('street', 'hdl64', 200, 8),
        Mix('street', 'vlp16', 60, 8),
        Mix('street', 'rs16', 40, 8),
        Mix('yard', 'vlp16', 60, 40),
        Mix('yard', 'hdl64_lite', 24, 40),
        Mix('indoor', 'rs16', 150, 40),
        Mix('indoor', 'kinect', 80, 40),
    )
    clip_mixes: tuple[Mix, ...] = (
        Mix('street', 'hdl64', 80, 8),
        Mix('street', 'vlp16', 30, 8),
        Mix('street', 'rs16', 10, 8),
        Mix('yard', 'vlp16', 32, 40),
        Mix('yard', 'hdl64_lite', 14, 40),
        Mix('indoor', 'rs16', 72, 40),
        Mix('indoor', 'kinect', 44, 40),
    )
    # Seen by no earlier phase, so that the segmentation errs on them as it will live.
    found_mixes: tuple[Mix, ...] = (
        Mix('street', 'vlp16', 30, 8),
        Mix('yard', 'vlp16', 24, 40),
        Mix('yard', 'hdl64_lite', 8, 40),
        Mix('indoor', 'rs16', 60, 40),
        Mix('indoor', 'kinect', 36, 40),
    )
    held_out: tuple[Mix, ...] = (
        Mix('street', 'hdl64', 12, 8),
        Mix('street', 'vlp16', 6, 8),
        Mix('yard', 'vlp16', 10, 60),
        Mix('indoor', 'rs16', 12, 60),
        Mix('indoor', 'kinect', 10, 60),
    )
    preparation: PreparationConfig = PREPARATION
    network: NetworkConfig = NETWORK
    frames: SupervisedConfig = FRAMES
    frames_batch: int = 8
    clips: SupervisedConfig = CLIPS
    clips_batch: int = 2
    clips_frames: int = 8
    weights_taken_back: float = 0.5
    actors: ActorTrainingConfig = ACTORS
    found_actors: ActorTrainingConfig = FOUND_ACTORS
    seed: int = 0


def jobs_of(mixes: tuple[Mix, ...], first_seed: int) -> list[SceneJob]:
    """Expand mixes to jobs; no two jobs share a seed."""
    jobs = []
    for number, mix in enumerate(mixes):
        for scene in range(mix.scenes):
            seed = first_seed + 1000 * number + scene
            jobs.append(SceneJob(mix.scene, mix.sensor, seed, mix.frames))
    return jobs


def train_phase(
    run: Path,
    name: str,
    network: PointATA,
    config: SupervisedConfig,
    clips: PreparedClips,
    batch: int,
    street_share: float,
) -> None:
    """Run one Lightning phase, or take over its result."""
    done = run / f'{name}.pt'
    if done.exists():
        network.load_state_dict(torch.load(done, weights_only=True))
        return
    module = SupervisedTraining(network, config, clip_weights(clips.clips))
    # By window alone, streets would be one sample in six: their clips are short and many.
    street = torch.tensor([clips.names[n].startswith('street') for n, _ in clips.windows])
    share = torch.where(street, street_share / street.sum(), (1 - street_share) / (~street).sum())
    sampler = WeightedRandomSampler(share.double(), config.steps * batch)
    loader = DataLoader(clips, batch, sampler=sampler, collate_fn=collate)
    trainer = lightning.Trainer(
        accelerator='auto',
        precision='bf16-mixed',
        max_steps=config.steps,
        gradient_clip_val=5.0,
        logger=CSVLogger(run, name=name),
        log_every_n_steps=10,
        callbacks=[
            RichProgressBar(),
            ModelCheckpoint(run / name, every_n_train_steps=200, save_last=True),
        ],
    )
    last = run / name / 'last.ckpt'
    trainer.fit(module, loader, ckpt_path=last if last.exists() else None)
    torch.save(network.state_dict(), done)


def clip_weights(clips: Iterable[Mapping[str, np.ndarray]]) -> torch.Tensor:
    """Return the weights of the segmentation loss for these clips."""
    labels = torch.cat([torch.from_numpy(clip['label']) for clip in clips])
    return class_weights(labels.long(), len(SEGMENTATION_CLASSES))


@torch.no_grad()
def take_back_weights(network: PointATA, weights: torch.Tensor, share: float) -> None:
    """Undo a share of what weighted training added to the logits of rare classes.

    A loss weighted by w teaches probabilities that are w times too high (logit adjustment, Menon et
    al., ICLR 2021): all of it favours recall of rare classes, nothing of it favours accuracy.
    """
    network.segmentation_head.classify.bias -= share * weights.clamp_min(1e-6).log() * (weights > 0)


def measure(bundle_path: Path, jobs: list[SceneJob]) -> dict:
    """Score held-out scenes per kind, through the session, on every input point."""
    bundle = load_bundle(bundle_path)
    kinds: dict[str, dict] = {}
    for job in jobs:
        kind = kinds.setdefault(
            f'{job.scene}/{job.sensor}',
            {'confusion': ConfusionMatrix(SEGMENTATION_CLASSES), 'right': 0, 'frames': 0},
        )
        session = StreamingSession(bundle)
        truth_actions = kind.setdefault('truth', [])
        for t, frame in enumerate(simulated_frames(job)):
            result = session.step(frame.points, (t + 1) * 100_000_000)
            kind['confusion'].add(frame.label.astype(np.int64), result.labels)
            kind['right'] += int(result.action.argmax() == frame.action)
            kind['frames'] += 1
            truth_actions.append(frame.action)
    table = {}
    for name, kind in kinds.items():
        score = kind['confusion'].score()
        share = np.bincount(kind['truth']).max() / kind['frames']
        table[name] = {
            'miou': round(score.miou, 4),
            'accuracy': round(score.accuracy, 4),
            'iou': {n: round(v, 4) for n, v in score.iou.items()},
            'action_accuracy': round(kind['right'] / kind['frames'], 4),
            'action_majority_share': round(float(share), 4),
            'frames': kind['frames'],
        }
    return table


def describe(recipe: Recipe, provenance: dict) -> Manifest:
    """Return the bundle's manifest."""
    return Manifest.for_network(
        'default',
        recipe.network.to_dict(),
        preset='tiny',
        preparation=recipe.preparation.to_dict(),
        colours={'segmentation': SEGMENTATION_COLOURS, 'action': ACTION_COLOURS},
        provenance=provenance,
    )


def commit() -> str:
    """Return the commit of this checkout, or 'unknown'."""
    command = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or 'unknown'


def main() -> int:
    """Parse the command line and run all phases."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--run', type=Path, default=Path('runs/default'))
    parser.add_argument('--output', type=Path, default=Path('models/default'))
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--only-simulate', action='store_true')
    parser.add_argument(
        '--initial-weights', type=Path, help='state dict to start from instead of random weights'
    )
    parser.add_argument('--backbone', type=Path, help='pre-trained backbone to start from')
    parser.add_argument('--freeze', action='store_true', help='leave that backbone as it is')
    arguments = parser.parse_args()
    try:
        start = Start(arguments.backbone, arguments.freeze, arguments.initial_weights)
        train(
            Recipe(), start, arguments.run, arguments.output, arguments.processes,
            arguments.only_simulate,
        )  # fmt: skip
    except PointataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def train(
    recipe: Recipe,
    start: Start,
    run: Path,
    output: Path,
    processes: int = 2,
    only_simulate: bool = False,
) -> None:
    """Run all phases that are not done yet, and write the bundle."""
    claim(run, start)
    if start.freeze:
        kept = replace(recipe.frames, stage='adapt', train_embedder=True)
        recipe = replace(recipe, frames=kept)
    lightning.seed_everything(recipe.seed)
    started = time.time()

    def prepared(jobs: list[SceneJob]) -> list[Path]:
        geometry, classes = recipe.network.geometry, len(SEGMENTATION_CLASSES)
        return prepare_jobs(run / 'clips', jobs, recipe.preparation, geometry, classes, processes)

    # Scenes that the backbone has not seen teach the adapters what it really delivers.
    clip_jobs = jobs_of(recipe.clip_mixes, CLIPS_SEED)
    clip_paths = prepared(clip_jobs)
    found_paths = prepared(jobs_of(recipe.found_mixes, FOUND_SEED))
    paths = prepared(jobs_of(recipe.mixes, 0)) if not (run / 'frames.pt').exists() else []
    if only_simulate:
        return
    network = start.network(recipe.network)
    # Single frames: neighbours in time are nearly the same image.
    frames = PreparedClips(paths, 1, 3)
    train_phase(run, 'frames', network, recipe.frames, frames, recipe.frames_batch, 0.4)
    if not start.freeze:
        # The embedder was trained as part of the backbone; both are one until stage 1 parts them.
        network.backbone.patch_encoder.load_state_dict(network.embedder.patch_encoder.state_dict())
    clips = PreparedClips(clip_paths, recipe.clips_frames, recipe.clips_frames)
    train_phase(run, 'clips', network, recipe.clips, clips, recipe.clips_batch, 0.35)
    take_back_weights(network, clip_weights(clips.clips), recipe.weights_taken_back)
    person = SEGMENTATION_CLASSES.index('person')
    actors = read_actor_clips(sorted((run / 'clips').glob('*.npz')), person)
    train_on_actors(network, actors, recipe.actors)
    # Live, the network's own segmentation finds the actor: learn its mistakes, too.
    streets = [path for path in clip_paths if path.stem.startswith('street')]
    found = find_actor_clips(network, [*found_paths, *streets], person)
    losses = train_on_actors(network, [*actors, *found, *found], recipe.found_actors)
    provenance = {
        'script': 'tools/train_default_bundle.py',
        'commit': commit(),
        'seed': recipe.seed,
        **start.facts(),
        'data': start.data(),
        'recipe': json.loads(json.dumps(asdict(recipe))),
        'actors_loss': round(sum(losses[-20:]) / 20, 4),
        'versions': {'torch': torch.__version__, 'lightning': lightning.__version__},
    }
    draft = run / 'draft'
    save_bundle(draft, network, describe(recipe, provenance), half=True)
    provenance['held_out'] = measure(draft, jobs_of(recipe.held_out, HELD_OUT_SEED))
    provenance['seconds'] = round(time.time() - started)
    print(json.dumps(provenance['held_out'], indent=2))
    save_bundle(output, network, describe(recipe, provenance), half=True)


if __name__ == '__main__':
    sys.exit(main())
