# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of domain adaptation: methods x setups x seeds, of simulated pairs and recorded streets."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.torch import load_file, save_file

from benchmarks.command_line import CommandLine
from benchmarks.experiments.domain_methods import METHODS, TESTS, Method
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.evaluation.report.overlays import overlay
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.safe_files import write_atomically
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.domain.domains import Domains, open_frames
from pointata_core.training.domain.run import NETWORK, new_network, run_domain_adaptation
from pointata_core.training.domain.scoring import predict_frames, score_network
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings
from pointata_core.training.domain.statistics import take_statistics


@dataclass(frozen=True)
class Setup:
    """What all methods share, as a recipe of the training has it.

    Attributes:
        task: Classes.
        source: Labelled frames.
        target: Frames without labels.
        training: Settings of the training.
        test: Frames that are scored; without them those in the folders ``TESTS`` beside the target.
    """

    task: str
    source: Domain
    target: Domain
    training: dict[str, Any]
    test: Domain | None = None

    @staticmethod
    def read(path: Path, place: Callable[[Domain], Domain], steps: int | None) -> Setup:
        """Read a recipe.

        Args:
            path: YAML file.
            place: Puts the folders of a domain in place.
            steps: Of each stage, in place of the recipe's unless ``None``.
        """
        recipe = yaml.safe_load(path.read_text(encoding='utf-8'))
        domains = {
            name: place(_domain(recipe[name]))
            for name in ('source', 'target', 'test')
            if name in recipe
        }
        training = recipe['training'] | {'planes': tuple(recipe['training']['planes'])}
        if steps is not None:
            training['steps'] = steps
        return Setup(recipe['task'], training=training, **domains)

    def facts(self) -> dict[str, Any]:
        """What must be equal for runs to compare.

        Frames in our own format are known by the name of their folder; where another data set lies
        does not matter.
        """
        facts = {name: value for name, value in asdict(self).items() if value is not None}
        for domain in (facts[name] for name in ('source', 'target', 'test') if name in facts):
            images, root = domain['images'], Path(domain.pop('root'))
            domain['images'] = images and Path(images).name
            if domain['dataset'] == 'exported':
                domain['root'] = root.name
        return json.loads(json.dumps(facts))

    def beside(self, domain: Domain, folder: str) -> Domain:
        """Frames in another folder, which become samples like those of a domain."""
        return replace(domain, root=str(Path(domain.root).parent / folder), images=None)

    def domains(self, method: Method) -> Domains:
        """Open what a method trains on."""
        source = self.target if method.on_target else self.source
        if method.source is not None:
            source = self.beside(source, method.source)
        few = None if method.labelled is None else self.beside(self.target, method.labelled)
        return Domains.open(DomainSettings(self.task, source, self.target, self.test, few))

    def config(self, run: Run) -> DomainAdaptationConfig:
        """Every choice of a run."""
        changes = METHODS[run.task][run.method].training
        return DomainAdaptationConfig(**self.training | changes | {'seed': run.seed})


def _domain(entry: dict[str, Any]) -> Domain:
    entry = dict(entry)
    samples: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry.pop('samples').items()
    }
    return Domain(**entry, samples=SampleConfig(**samples))


def folder_of(run: Run) -> Path:
    """Folder of a run, below that of all of them."""
    return Path(run.task, run.method, str(run.seed))


def network_file(run: Run, setup: Setup, work: Path) -> Path:
    """Where a run leaves its last network."""
    stage = 'second' if setup.config(run).second_stage else 'first'
    return work / folder_of(run) / stage / NETWORK


def load(run: Run, setup: Setup, work: Path) -> CameraLidarNetwork:
    """The network of a finished run."""
    classes = len(open_frames(setup.source, setup.task).classes)
    assert setup.source.samples is not None, 'recipes give them'
    network = new_network(setup.config(run), classes, setup.source.samples.grid)
    network.load_state_dict(load_file(network_file(run, setup, work)))
    return network.eval()


def carry_out(run: Run, setup: Setup, work: Path) -> dict[str, Any]:
    """Train and score; what was begun in ``work`` is gone on with."""
    method, config = METHODS[run.task][run.method], setup.config(run)
    domains, folder = setup.domains(method), work / folder_of(run)
    if method.after is not None:
        share_first_stage(work / folder_of(replace(run, method=method.after)), folder)
    watch = Stopwatch()
    if method.train:
        results = run_domain_adaptation(folder, config, domains)
    else:
        network = load(run, setup, work)
        take_statistics(network.cloud_net, domains.target, domains.samples[1])
        save_file(network.state_dict(), network_file(run, setup, work))
    costs = watch.lap('run')._asdict()
    if setup.test is not None:
        scores = results['second' if config.second_stage else 'first']
        heads = ('image', 'cloud', 'ensemble')
        measured = {key: {name: scores[name][key] for name in heads} for key in ('miou', 'iou')}
        return {**measured, 'points': scores['points'], **costs}
    network, scores = load(run, setup, work), {}
    assert setup.target.samples is not None, 'recipes give them'
    for name, test in TESTS.items():
        frames = open_frames(setup.beside(setup.target, test), setup.task)
        scores[name] = score_network(network, frames, setup.target.samples)['cloud']
    return {'scores': scores, **costs}


def share_first_stage(before: Path, folder: Path) -> None:
    """The first stage is the same run: take its network where it is finished."""
    trained, copy = before / 'first' / NETWORK, folder / 'first' / NETWORK
    if trained.is_file() and not copy.is_file():
        write_atomically(copy, trained.read_bytes())


def add_options(line: CommandLine) -> None:
    """Options of both experiments."""
    names = list(dict.fromkeys(name for methods in METHODS.values() for name in methods))
    line.add_run_options(seeds=(1, 2, 3))
    line.add_argument('--methods', nargs='+', choices=names, metavar='NAME',
                      help=f'of {", ".join(names)}')  # fmt: skip
    line.add_argument('--steps', type=int, help='of each stage, in place of the recipes')


def run_setups(options: argparse.Namespace, setups: Mapping[str, Setup]) -> None:
    """Carry out what is missing, seed by seed, so that seeds stay even."""
    store = RunStore(options.output)
    for name, setup in setups.items():
        store.require_settings(name, setup.facts())
    run_missing(
        store,
        [
            Run(name, method, seed)
            for name in setups
            for seed in options.seeds
            for method in METHODS[name]
            if options.methods is None or method in options.methods
        ],
        lambda run: carry_out(run, setups[run.task], options.work),
        shown,
        lambda run: METHODS[run.task][run.method].summary,
        options.list,
    )


def shown(measured: Mapping[str, Any]) -> str:
    """Scores of a run in words."""
    miou = measured.get('miou') or {k: one['miou'] for k, one in measured['scores'].items()}
    return 'mIoU ' + ', '.join(f'{name} {100 * value:.1f}' for name, value in miou.items())


DRAWN = {'source_only': 'cloud', 'ftd++': 'cloud', 'ftd++_pl': 'ensemble'}
"""Method -> head whose prediction is drawn, from top to bottom."""

# The classes of the task in names that have a colour.
_NAMES = {'nature': 'vegetation', 'object': 'pole'}


def write_overlays(setup: Setup, work: Path, seed: int, folder: Path) -> None:
    """Draw predictions of finished camera runs on every third recorded image.

    The images are the recording's: mind its licence.
    """
    import matplotlib.image

    frames = open_frames(setup.target, setup.task)
    classes = [_NAMES.get(name, name) for name in frames.classes]
    assert setup.target.samples is not None, 'recipes give them'
    drawn: dict[str, list[np.ndarray]] = {}
    for method, head in DRAWN.items():
        network = load(Run('camera', method, seed), setup, work)
        predictions = predict_frames(network, frames, setup.target.samples)
        for number, (sample, output) in enumerate(predictions):
            if number % 3:
                continue
            frame = frames[number]
            assert frame.image is not None, 'the recording has an image for each scan'
            labels = getattr(output, head).argmax(dim=1).numpy().astype(np.uint16)
            away = np.linalg.norm(frame.points[sample.source], axis=1)
            pixels = np.floor(frame.pixels[sample.source]).astype(np.int64)
            image = overlay(frame.image, pixels, labels, classes, away)
            drawn.setdefault(sample.name, []).append(matplotlib.image.imread(io.BytesIO(image)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in drawn.items():
        matplotlib.image.imsave(folder / f'{name}.png', np.concatenate(rows))
