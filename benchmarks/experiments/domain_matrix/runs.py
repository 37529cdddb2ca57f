# SPDX-License-Identifier: Apache-2.0
"""One run of the comparison, and the file that keeps finished ones."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.experiments.domain_matrix.variants import VARIANTS
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.errors import ConfigError
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.run import NETWORK, run_domain_adaptation
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings


@dataclass(frozen=True)
class Run:
    """One run: a pair of domains, a variant and a seed."""

    pair: str
    variant: str
    seed: int

    def __str__(self) -> str:
        return f'{self.pair} {self.variant} seed {self.seed}'

    @property
    def key(self) -> str:
        """Its name in files."""
        return f'{self.pair}/{self.variant}/{self.seed}'


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
        training: Settings shared by all variants.
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
    variant = VARIANTS[run.variant]
    config = DomainAdaptationConfig(**pair.training | variant.training | {'seed': run.seed})
    source = pair.target if variant.on_target else pair.source
    domains = Domains.open(DomainSettings(pair.task, source, pair.target, pair.test))
    folder = work / run.key
    if variant.after is not None:
        share_first_stage(work / replace(run, variant=variant.after).key, folder)
    wall, processor = time.monotonic(), time.process_time()
    results = run_domain_adaptation(folder, config, domains)
    scores = results['second' if config.second_stage else 'first']
    return {
        'miou': {name: scores[name]['miou'] for name in ('image', 'cloud', 'ensemble')},
        'iou': {name: scores[name]['iou'] for name in ('image', 'cloud', 'ensemble')},
        'points': scores['points'],
        'wall_s': time.monotonic() - wall,
        'processor_s': time.process_time() - processor,
    }


def share_first_stage(before: Path, folder: Path) -> None:
    """The first stage is the same run: take its network where it is finished."""
    trained, copy = before / 'first' / NETWORK, folder / 'first' / NETWORK
    if trained.is_file() and not copy.is_file():
        write_atomically(copy, trained.read_bytes())


class Finished:
    """Finished runs in one JSON file.

    Args:
        path: The file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {'settings': {}, 'machine': {}, 'versions': {}, 'runs': {}}
        self._read()

    def _read(self) -> None:
        if self.path.is_file():
            self.content |= json.loads(self.path.read_text(encoding='utf-8'))

    def __contains__(self, run: Run) -> bool:
        return run.key in self.content['runs']

    def require_settings(self, name: str, facts: dict[str, Any]) -> None:
        """Remember a pair's settings.

        Raises:
            ConfigError: Runs with other settings are there already.
        """
        before = self.content['settings'].setdefault(name, facts)
        if before != facts and any(key.startswith(f'{name}/') for key in self.content['runs']):
            raise ConfigError(
                f'{self.path}: runs of {name} are there with other settings', 'Give another output'
            )
        self.content['settings'][name] = facts

    def add(self, run: Run, measured: dict[str, Any], machine: dict, versions: dict) -> None:
        """Keep a run, beside those that other processes finished meanwhile."""
        settings = self.content['settings']
        self._read()
        self.content['settings'] |= settings
        self.content['runs'][run.key] = measured
        self.content |= {'machine': machine, 'versions': versions}
        write_json(self.path, self.content, sort_keys=True)
