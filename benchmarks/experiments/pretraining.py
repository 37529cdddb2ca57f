# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each part of pre-training is worth: equal runs that differ in one choice, then probed.

    python -m benchmarks pretraining [--images DIR] [--teacher FILE] [--seeds 0 1 2]
    python -m benchmarks pretraining --groups teacher    # a deeper image encoder?
    python -m benchmarks pretraining --groups views      # how many views?

Groups of variants. ``parts``: untrained, overall contrast alone, local alone, both, both without
pose, masked patches alone, masked and both; ``both`` with fewer views to draw from. ``teacher``:
both, behind a ResNet-18 and a ResNet-34 that were trained on the same images for the same, small
number of steps. ``views``: both, on small folders of their own in which the same shapes are
rendered from 6, 12, 20 and 30 sides.

All variants of a group take the same shapes in the same order for the same number of steps. Scores
are those of a linear SVM and of few-shot draws on families that neither the backbone nor its image
encoder was trained on: whole shapes, and noisy scans of one side. Last step, no selection. A
finished run is on disk at once; stopped, the same command goes on with what is missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.pretraining_variants import GROUPS, VARIANTS, Variant
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import preset_config
from pointata_core.models.point.encoders import TransformerEncoder
from pointata_core.shapes.rendering import (
    RenderingFolder,
    RenderSettings,
    procedural_sources,
    write_renderings,
)
from pointata_core.stopwatch import Lap, Stopwatch
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.probe_sets import procedural_clouds
from pointata_core.training.pretrain.probes import Probing, score_features, untrained
from pointata_core.training.pretrain.run import pretrain_backbone
from pointata_core.training.pretrain.settings import PretrainingConfig, TeacherConfig
from pointata_core.training.pretrain.splits import TRAINING_FAMILIES
from pointata_core.training.pretrain.teacher import save_teacher, train_teacher

TASK = 'procedural'

BASE = PretrainingConfig(
    tokens=32, patch_size=32, points=1024, views=2, latent=256, map_stride=8, batch=24,
    optimizer='adamw', learning_rate=1e-3, weight_decay=0.05, warmup=0.05,
)  # fmt: skip


class Bench:
    """What variants share: images, image encoders and probe sets, made when first asked for.

    Args:
        arguments: Of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.probings = probe_sets(arguments.per_family)
        self._banks: dict[int, ImageBank] = {}

    def bank(self, views: int) -> ImageBank:
        """Common images (0), or those with so many views."""
        if views not in self._banks:
            arguments, settings = self.arguments, RenderSettings(size=64, points=2048)
            folder, shapes = arguments.images, arguments.shapes
            if views:
                settings, shapes = replace(settings, views=views), arguments.view_shapes
                folder = arguments.work / 'shared' / f'images-{shapes}-{views}-views'
            if views or not folder.is_dir():
                sources = procedural_sources(shapes, 0, TRAINING_FAMILIES)
                write_renderings(folder, sources, settings)
            self._banks = {views: ImageBank.read(RenderingFolder(folder))}  # one in memory
        return self._banks[views]

    def teacher(self, depth: Literal[0, 18, 34]) -> Path:
        """The common image encoder (0), or a shortly trained one."""
        path, config = self.arguments.teacher, TeacherConfig(steps=self.arguments.teacher_steps)
        if depth:
            steps = self.arguments.short_teacher_steps
            path = self.arguments.work / 'shared' / f'resnet{depth}-{steps}.safetensors'
            config = TeacherConfig(steps=steps, depth=depth)
        if not path.is_file():
            save_teacher(path, *train_teacher(self.bank(0), config))
        return path

    def carry_out(self, run: Run) -> dict[str, Any]:
        """Pre-train one variant and probe it."""
        variant, arguments = VARIANTS[run.method], self.arguments
        folder = arguments.work / f'{run.method.replace(" ", "_")}-{arguments.steps}-{run.seed}'
        config = self.config(run)
        backbone, spent = self._backbone(variant, config, folder)
        encoder = TransformerEncoder(backbone, config.tokens, config.patch_size).eval()
        scores = {kind: asdict(score_features(encoder, p)) for kind, p in self.probings.items()}
        facts = {
            'scores': scores, 'wall_s': round(spent.wall_s, 1),
            'processor_s': round(spent.processor_s, 1),
        }  # fmt: skip
        if variant.depth:
            facts['image_encoder'] = teacher_facts(self.teacher(variant.depth))
        return facts

    def config(self, run: Run) -> PretrainingConfig:
        """Settings of a run."""
        changes = VARIANTS[run.method].changes or {}
        shared = {'precision': self.arguments.precision, 'device': 'cpu'}
        return replace(BASE, steps=self.arguments.steps, seed=run.seed, **shared, **changes)

    def _backbone(
        self, variant: Variant, config: PretrainingConfig, folder: Path
    ) -> tuple[Backbone, Lap]:
        """The backbone of a run, and wall and processor seconds of its training."""
        if variant.changes is None:
            return untrained(preset_config(config.preset).backbone, config.seed), Lap(0.0, 0.0)
        teacher, bank = self.teacher(variant.depth), self.bank(variant.views)
        watch = Stopwatch()
        path = pretrain_backbone(folder, config, bank, teacher)
        return load_backbone(path).build(), watch.lap('training')


def teacher_facts(path: Path) -> dict[str, Any]:
    """Depth, accuracy and costs of an image encoder."""
    facts = json.loads(path.with_suffix('.json').read_text())
    return {name: facts[name] for name in ('depth', 'accuracy', 'chance', 'costs')}


def probe_sets(per_family: int) -> dict[str, Probing]:
    """Sets to fit on and to score on, whole and scanned."""
    return {
        name: Probing(
            *(
                procedural_clouds(per_family, BASE.points, seed=seed, scanned=scanned)
                for seed in (0, per_family)
            )
        )
        for name, scanned in (('whole', False), ('scans', True))
    }


def shown(measured: dict[str, Any]) -> str:
    """Scores of a run in words."""
    scores = measured['scores'].items()
    return ', '.join(f'{kind} {100 * one["linear"]["accuracy"]:.1f} %' for kind, one in scores)


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing, seed by seed."""
    names = arguments.variants or [
        name for name, one in VARIANTS.items() if one.group in arguments.groups
    ]
    bench, store = Bench(arguments), RunStore(arguments.output)
    base = {f'training.{k}': v for k, v in asdict(replace(BASE, steps=arguments.steps)).items()}
    shared = ('view_shapes', 'short_teacher_steps', 'per_family')
    store.require_settings(TASK, base | {name: getattr(arguments, name) for name in shared})
    runs = [Run(TASK, name, seed) for seed in arguments.seeds for name in names]
    run_missing(store, runs, bench.carry_out, shown, only_list=arguments.list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    work = Path('runs/quick/pretraining')
    line = CommandLine(
        'pretraining', __doc__, images=work / 'images', shapes=58, steps=2, seeds=[0],
        teacher=work / 'teacher.safetensors', teacher_steps=2, variants=['local + overall'],
        per_family=11,
    )  # fmt: skip
    line.add_argument('--images', type=Path, default=Path('runs/ablation/images'))
    line.add_argument('--teacher', type=Path, default=Path('runs/ablation/teacher.safetensors'))
    line.add_run_options()
    line.set_defaults(work=Path('runs/ablation'))
    line.add_argument('--groups', nargs='+', choices=GROUPS, default=['parts'])
    line.add_argument('--variants', nargs='*', choices=VARIANTS, help='in place of whole groups')
    line.add_argument('--steps', type=int, default=150)
    line.add_argument('--shapes', type=int, default=2784)
    line.add_argument('--teacher-steps', type=int, default=900)
    line.add_argument('--short-teacher-steps', type=int, default=150, help='group teacher')
    line.add_argument('--view-shapes', type=int, default=464, help='group views')
    line.add_argument('--per-family', type=int, default=20)
    line.add_argument('--precision', default='bf16', choices=('bf16', '32'))
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
