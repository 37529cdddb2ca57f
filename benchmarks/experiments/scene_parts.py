# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each part of the scene network is worth, on recorded drives that none of them has seen.

    python -m benchmarks scene-parts --data datasets/semantickitti_10drives
    python -m benchmarks scene-parts --parts whole no_time

Every row is the recipe of the default bundle, ``config/training/default.yaml``, with fewer steps
and one part taken away or added. Actions of persons are left out. Scores are counted as
``ten-drives`` counts them; the last step counts. A scan's CPU time is measured in the same run.
A finished run is on disk at once; stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.skill_runs import shared_facts
from benchmarks.experiments.ten_drives import Counts, count_drive, with_still
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.bundles.bundle import SkillBundle, load_bundle
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.inference.session import StreamingSession
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

_TOKENS = (
    'network.geometry={tokens: 128, patch_size: 24, range_knee: 1.0, tube_radius: 0.12, '
    'pillar_sizes: []}',
)
PARTS: dict[str, tuple[str, ...]] = {
    'whole': (),
    'coarse_voxels': ('preparation.max_voxels=6144',),
    'no_view': ('network.scene.view_rows=0',),
    'no_intensity': ('preparation.features={}',),
    'no_time': ('network.scene.lags=[]',),
    'no_frame_statistics': ('network.scene.frame_statistics=0.0',),
    'adamw': ('stages.0.optimiser.muon_rate=0', 'stages.1.optimiser.muon_rate=0'),
    'tokens': (*_TOKENS, 'network.segmentation_blocks=[4, 8, 12]'),
    'tokens_and_adapters': (
        *_TOKENS, 'network.segmentation_blocks=[4, 8, 12]', 'network.adapter_width=32',
        'network.context_width=32',
    ),
}  # fmt: skip
"""What differs from the recipe."""


def read_recipe(options: argparse.Namespace, part: str) -> TrainingSettings:
    """The shortened recipe of a row, without stages for actions."""
    steps = (f'stages.{n}.optimiser.steps={count}' for n, count in enumerate(options.steps))
    words = [f'data.cache={options.work / "cache"}', *steps, *PARTS[part], *options.settings]
    whole = read_settings(TrainingSettings, Path('config/training/default.yaml'), words)
    return replace(whole, tasks=('points',), stages=whole.stages[: len(options.steps)])


def scan_cost(bundle: SkillBundle, folder: Path) -> float:
    """CPU seconds of one scan of a drive in its stream, the median.

    Args:
        bundle: Loaded anew, for its first scans are slower.
        folder: Of the drive.
    """
    session, costs = StreamingSession(bundle), []
    for number, scan in enumerate(SemanticKittiSequence(folder), start=1):
        begin = time.process_time()
        session.step(scan.points, number * 10**8, {'intensity': scan.intensity})
        costs.append(time.process_time() - begin)
    return statistics.median(costs[1:] or costs)


def run_all(options: argparse.Namespace) -> int:
    """Carry out what is missing."""
    drives = options.drives or sorted(p.name for p in (options.data / 'sequences').glob('*'))
    if not drives:
        raise ConfigError(f'{options.data} holds no sequences', 'Give the folder above sequences')
    store = RunStore(options.output)
    for part in options.parts:
        store.require_settings(part, shared_facts(read_recipe(options, part)) | {'drives': drives})
    runs = [Run(part, 'default', seed) for seed in options.seeds for part in options.parts]
    work = functools.partial(_measure, options, drives)
    return min(1, run_missing(store, runs, work, _score, only_list=options.list))


def _score(measured: dict[str, Any]) -> str:
    return f'mean IoU {measured["mean"]} %'


def _measure(options: argparse.Namespace, drives: Sequence[str], run: Run) -> dict[str, Any]:
    recipe = replace(
        read_recipe(options, run.task), output=str(options.work / run.folder), seed=run.seed
    )
    result = run_train(recipe)
    assert result is not None and result.bundle is not None
    bundle = load_bundle(result.bundle)
    folders = [options.data / 'sequences' / drive for drive in drives]
    pooled, still, means = Counts(), Counts(), []
    for folder in folders:
        moving, resting = (count_drive(folder, bundle, poses) for poses in (True, False))
        means.append(moving.figures()['miou'])
        pooled.add(moving)
        still.add(resting)
    return {
        'mean': round(statistics.fmean(means), 2),
        'worst': min(means),
        'pooled': with_still(pooled, still),
        'simulated': {score.kind: round(100 * score.metrics['miou'], 2) for score in result.scores},
        'cpu_ms': round(1e3 * scan_cost(bundle, folders[0]), 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('scene-parts', __doc__, parts=['whole'], steps=[2, 1], drives=['00'])
    line.add_run_options(seeds=[0], overrides=True)
    line.add_argument('--data', type=Path, default=Path('datasets/semantickitti_10drives'))
    line.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    line.add_argument('--steps', nargs=2, type=int, default=[300, 60], help='of frames and clips')
    line.add_argument('--drives', nargs='+', help='some of them; all by default')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
