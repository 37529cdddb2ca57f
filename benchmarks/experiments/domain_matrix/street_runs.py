# SPDX-License-Identifier: Apache-2.0
"""From simulated to recorded streets: what is compared, and one run of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file

from benchmarks.experiments.domain_matrix.methods import STREET_METHODS, TESTS, StreetMethod
from benchmarks.experiments.domain_matrix.runs import (
    domain_of,
    folder_of,
    share_first_stage,
    training_of,
)
from benchmarks.run_store import Run
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.domain.domains import Domains, open_frames
from pointata_core.training.domain.run import (
    NETWORK,
    new_network,
    run_domain_adaptation,
)
from pointata_core.training.domain.scoring import score_network
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings
from pointata_core.training.domain.statistics import take_statistics


@dataclass(frozen=True)
class Setup:
    """Settings of one half of the comparison, as a recipe has them.

    Attributes:
        task: Classes.
        source: Labelled simulated frames.
        target: Recorded frames without labels.
        training: Settings shared by all methods.
    """

    task: str
    source: Domain
    target: Domain
    training: dict[str, Any]

    @staticmethod
    def read(path: Path, frames: Path, data: Path, steps: int | None) -> Setup:
        """Read a recipe; its folders of frames are looked for in ``frames``."""
        settings = yaml.safe_load(path.read_text(encoding='utf-8'))

        def domain(name: str) -> Domain:
            found = domain_of(settings[name])
            images = found.images and str(data / Path(found.images).name)
            return replace(found, root=str(frames / Path(found.root).name), images=images)

        return Setup(
            settings['task'], domain('source'), domain('target'), training_of(settings, steps)
        )

    def facts(self) -> dict[str, Any]:
        """All settings; of folders the last name."""
        plain = asdict(self)
        for name in ('source', 'target'):
            for key in ('root', 'images'):
                plain[name][key] = plain[name][key] and Path(plain[name][key]).name
        return json.loads(json.dumps(plain))

    def beside(self, domain: Domain, folder: str) -> Domain:
        """Frames in another folder, which become samples like those of a domain."""
        return replace(domain, root=str(Path(domain.root).parent / folder), images=None)

    def domains(self, method: StreetMethod) -> Domains:
        """Open what a method trains on."""
        source = self.source if method.source is None else self.beside(self.source, method.source)
        few = None if method.labelled is None else self.beside(self.target, method.labelled)
        return Domains.open(DomainSettings(self.task, source, self.target, labelled=few))


def config_of(setup: Setup, method: StreetMethod, seed: int) -> DomainAdaptationConfig:
    """Every choice of a run."""
    return DomainAdaptationConfig(**setup.training | method.training | {'seed': seed})


def network_file(run: Run, config: DomainAdaptationConfig, work: Path) -> Path:
    """Where a run leaves its last network."""
    return work / folder_of(run) / ('second' if config.second_stage else 'first') / NETWORK


def load(run: Run, setup: Setup, work: Path) -> CameraLidarNetwork:
    """The network of a finished run."""
    config = config_of(setup, STREET_METHODS[run.task][run.method], run.seed)
    classes = len(open_frames(setup.source, setup.task).classes)
    network = new_network(config, classes, setup.source.samples.grid)
    network.load_state_dict(load_file(network_file(run, config, work)))
    return network.eval()


def carry_out(run: Run, setup: Setup, work: Path) -> dict[str, Any]:
    """Train and score; what was begun in ``work`` is gone on with."""
    method = STREET_METHODS[run.task][run.method]
    config, domains, folder = (
        config_of(setup, method, run.seed),
        setup.domains(method),
        work / folder_of(run),
    )
    watch = Stopwatch()
    if method.after is not None:
        share_first_stage(work / folder_of(replace(run, method=method.after)), folder)
    if method.train:
        run_domain_adaptation(folder, config, domains)
    else:
        network = load(run, setup, work)
        take_statistics(network.cloud_net, domains.target, domains.samples[1])
        save_file(network.state_dict(), network_file(run, config, work))
    seconds = watch.lap('run')._asdict()
    network, scores = load(run, setup, work), {}
    for name, test in TESTS.items():
        frames = open_frames(setup.beside(setup.target, test), setup.task)
        scores[name] = score_network(network, frames, setup.target.samples)['cloud']
    return {'scores': scores} | seconds
