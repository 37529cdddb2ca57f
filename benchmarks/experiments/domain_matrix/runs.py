# SPDX-License-Identifier: Apache-2.0
"""One run on a pair of simulated domains."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.experiments.domain_matrix.methods import METHODS
from benchmarks.run_store import Run
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.safe_files import write_atomically
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.run import NETWORK, run_domain_adaptation
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings


def folder_of(run: Run) -> str:
    """Folder of a run."""
    return f'{run.task}/{run.method}/{run.seed}'


def training_of(settings: dict[str, Any], steps: int | None) -> dict[str, Any]:
    """How a recipe trains; ``steps`` in place of its own unless ``None``."""
    training = settings['training'] | {'planes': tuple(settings['training']['planes'])}
    return training if steps is None else training | {'steps': steps}


@dataclass(frozen=True)
class Pair:
    """A pair of domains, as the training's own configuration file has it.

    Attributes:
        task: Classes.
        source: Labelled frames.
        target: Frames without labels.
        test: What is scored.
        training: Settings shared by all methods.
    """

    task: str
    source: Domain
    target: Domain
    test: Domain
    training: dict[str, Any]

    @staticmethod
    def read(path: Path, root: Path, role: str, steps: int | None) -> Pair:
        """Read a configuration; ``role`` (test or val) says which frames of the target to score."""
        settings = yaml.safe_load(path.read_text(encoding='utf-8'))

        def domain(name: str) -> Domain:
            return replace(domain_of(settings[name]), root=str(root))

        test = domain('test')
        test = replace(test, split=f'{role}_{test.split.partition("_")[2]}')
        return Pair(
            settings['task'], domain('source'), domain('target'), test, training_of(settings, steps)
        )

    def facts(self) -> dict[str, Any]:
        """All settings but the folder."""
        plain = asdict(self)
        for name in ('source', 'target', 'test'):
            del plain[name]['root']
        return json.loads(json.dumps(plain))


def domain_of(entry: dict[str, Any]) -> Domain:
    """A domain as a configuration file has it."""
    entry = dict(entry)
    samples = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.pop('samples').items()}
    return Domain(**entry, samples=SampleConfig(**samples))


def carry_out(run: Run, pair: Pair, work: Path) -> dict[str, Any]:
    """Train and score; what was begun in ``work`` is gone on with."""
    method = METHODS[run.method]
    config = DomainAdaptationConfig(**pair.training | method.training | {'seed': run.seed})
    source = pair.target if method.on_target else pair.source
    domains = Domains.open(DomainSettings(pair.task, source, pair.target, pair.test))
    folder = work / folder_of(run)
    if method.after is not None:
        share_first_stage(work / folder_of(replace(run, method=method.after)), folder)
    watch = Stopwatch()
    results = run_domain_adaptation(folder, config, domains)
    scores = results['second' if config.second_stage else 'first']
    return {
        'miou': {name: scores[name]['miou'] for name in ('image', 'cloud', 'ensemble')},
        'iou': {name: scores[name]['iou'] for name in ('image', 'cloud', 'ensemble')},
        'points': scores['points'],
        **watch.lap('run')._asdict(),
    }


def share_first_stage(before: Path, folder: Path) -> None:
    """The first stage is the same run: take its network where it is finished."""
    trained, copy = before / 'first' / NETWORK, folder / 'first' / NETWORK
    if trained.is_file() and not copy.is_file():
        write_atomically(copy, trained.read_bytes())
