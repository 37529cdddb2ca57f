# SPDX-License-Identifier: Apache-2.0
"""From simulated to recorded streets: what is compared, and one run of it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file

from benchmarks.experiments.domain_matrix.runs import (
    Run,
    domain_of,
    share_first_stage,
    training_of,
)
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.training.domain.domains import Domains, open_frames
from pointata_core.training.domain.run import (
    NETWORK,
    new_network,
    run_domain_adaptation,
)
from pointata_core.training.domain.scoring import score_network
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings
from pointata_core.training.domain.statistics import take_statistics

TESTS = {'street': 'street_test', 'view': 'street_test_view', 'simulated': 'simulated_test'}
"""Folders of what the LiDAR's head is scored on, by name."""


@dataclass(frozen=True)
class Way:
    """One line of a table.

    Attributes:
        summary: What it is, for the report.
        training: What differs from the arm's settings.
        source: Folder of labelled frames in place of the arm's.
        labelled: Folder of labelled frames of the target beside them.
        after: Way whose first network this one goes on from.
        train: False only takes the target's statistics into that network.
    """

    summary: str
    training: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    labelled: str | None = None
    after: str | None = None
    train: bool = True


_PLAIN = {'method': 'source_only', 'target_statistics': False}
_LABELS = {'method': 'pseudo_labels', 'second_stage': True, 'target_statistics': False}
_STATISTICS = {'target_statistics': True}
_JOINT = {'batch': 8}  # half of it is simulated, so as much of that is seen as in other ways

WAYS: dict[str, dict[str, Way]] = {
    'lidar': {
        'source_only': Way('simulation alone', _PLAIN),
        'statistics': Way(
            "simulation, then the target's statistics (AdaBN)",
            _PLAIN | _STATISTICS, after='source_only', train=False,
        ),
        'min_entropy': Way('minimal entropy', _PLAIN | {'method': 'min_entropy'}),
        'pseudo_labels': Way('pseudo-labels of "simulation alone"', _LABELS, after='source_only'),
        'statistics_pl': Way(
            "pseudo-labels of AdaBN, and the target's statistics again",
            _LABELS | _STATISTICS, after='statistics',
        ),
        'few_only': Way('two labelled frames alone', _PLAIN, source='street_few'),
        'source_few': Way(
            'simulation and two labelled frames', _PLAIN | _JOINT, labelled='street_few'
        ),
        'source_few_pl': Way(
            'the same, then its pseudo-labels and the target\'s statistics',
            _LABELS | _STATISTICS | _JOINT, labelled='street_few', after='source_few',
        ),
        'target': Way('bound: all fourteen frames with labels', _PLAIN, source='street_quarters'),
    },
    'camera': {
        'source_only': Way('simulation alone', {'method': 'source_only'}),
        'statistics': Way(
            "simulation, then the target's statistics (AdaBN)",
            _PLAIN | _STATISTICS, after='source_only', train=False,
        ),
        'xmuda': Way('xMUDA', {'method': 'xmuda'}),
        'ftd++': Way('FtD++, first stage', {'method': 'ftd++'}),
        'ftd++_pl': Way(
            'FtD++ with pseudo-labels', {'method': 'ftd++', 'second_stage': True}, after='ftd++'
        ),
    },
}  # fmt: skip
"""Ways by name, by arm, in the order of the report."""


@dataclass(frozen=True)
class Arm:
    """Settings of one half of the comparison, as a recipe has them.

    Attributes:
        task: Classes.
        source: Labelled simulated frames.
        target: Recorded frames without labels.
        training: Settings shared by all ways.
    """

    task: str
    source: Domain
    target: Domain
    training: dict[str, Any]

    @staticmethod
    def read(path: Path, frames: Path, data: Path, steps: int | None) -> Arm:
        """Read a recipe; its folders of frames are looked for in ``frames``."""
        settings = yaml.safe_load(path.read_text(encoding='utf-8'))

        def domain(name: str) -> Domain:
            found = domain_of(settings[name])
            images = found.images and str(data / Path(found.images).name)
            return replace(found, root=str(frames / Path(found.root).name), images=images)

        return Arm(
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

    def domains(self, way: Way) -> Domains:
        """Open what a way of training takes."""
        source = self.source if way.source is None else self.beside(self.source, way.source)
        few = None if way.labelled is None else self.beside(self.target, way.labelled)
        return Domains.open(DomainSettings(self.task, source, self.target, labelled=few))


def config_of(arm: Arm, way: Way, seed: int) -> DomainAdaptationConfig:
    """Every choice of a run."""
    return DomainAdaptationConfig(**arm.training | way.training | {'seed': seed})


def network_file(run: Run, config: DomainAdaptationConfig, work: Path) -> Path:
    """Where a run leaves its last network."""
    return work / run.key / ('second' if config.second_stage else 'first') / NETWORK


def load(run: Run, arm: Arm, work: Path) -> CameraLidarNetwork:
    """The network of a finished run."""
    config = config_of(arm, WAYS[run.pair][run.variant], run.seed)
    classes = len(open_frames(arm.source, arm.task).classes)
    network = new_network(config, classes, arm.source.samples.grid)
    network.load_state_dict(load_file(network_file(run, config, work)))
    return network.eval()


def carry_out(run: Run, arm: Arm, work: Path) -> dict[str, Any]:
    """Train and score; what was begun in ``work`` is gone on with."""
    way = WAYS[run.pair][run.variant]
    config, domains, folder = config_of(arm, way, run.seed), arm.domains(way), work / run.key
    wall, processor = time.monotonic(), time.process_time()
    if way.after is not None:
        share_first_stage(work / replace(run, variant=way.after).key, folder)
    if way.train:
        run_domain_adaptation(folder, config, domains)
    else:
        network = load(run, arm, work)
        take_statistics(network.cloud_net, domains.target, domains.samples[1])
        save_file(network.state_dict(), network_file(run, config, work))
    seconds = {
        'wall_s': time.monotonic() - wall,
        'processor_s': time.process_time() - processor,
    }
    network, scores = load(run, arm, work), {}
    for name, test in TESTS.items():
        frames = open_frames(arm.beside(arm.target, test), arm.task)
        scores[name] = score_network(network, frames, arm.target.samples)['cloud']
    return {'scores': scores} | seconds
