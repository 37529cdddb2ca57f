#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each part of pre-training is worth: equal runs that differ in one choice, then probed.

    OMP_NUM_THREADS=1 python -m benchmarks.experiments.pretraining [--images DIR] [--teacher FILE] [--seeds 3]
    OMP_NUM_THREADS=1 python -m benchmarks.experiments.pretraining --groups teacher  # a deeper one?
    OMP_NUM_THREADS=1 python -m benchmarks.experiments.pretraining --groups views    # how many?

Groups of arms. ``parts``: untrained, overall contrast alone, local alone, both, both without pose,
masked patches alone, masked and both; ``both`` with fewer views to draw from. ``teacher``: both,
behind a ResNet-18 and a ResNet-34 that were taught on the same images for the same, small number
of steps; what each cost is in the table. ``views``: both, on small folders of their own in which
the same shapes are rendered from 6, 12, 20 and 30 sides.

All arms of a group see the same shapes in the same order for the same number of steps. Scores are
those of a linear SVM and of few-shot draws on families that neither the backbone nor its image
network has seen: whole shapes, and noisy scans of one side. Last step, no selection. Finished runs
are kept in ``--output``, so the harness goes on where it was stopped. Results go to
``benchmarks/results/pretraining.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pointata_core.evaluation.environment import machine, versions
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
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.probe_sets import procedural_clouds
from pointata_core.training.pretrain.probes import Probing, score_features, untrained
from pointata_core.training.pretrain.run import pretrain_backbone
from pointata_core.training.pretrain.settings import PretrainingConfig, TeacherConfig
from pointata_core.training.pretrain.splits import TRAINING_FAMILIES
from pointata_core.training.pretrain.teacher import save_teacher, train_teacher

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'pretraining.json'

BASE = PretrainingConfig(
    tokens=32, patch_size=32, points=1024, views=2, latent=256, map_stride=8, batch=24,
    optimizer='adamw', learning_rate=1e-3, weight_decay=0.05, warmup=0.05,
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One row of the comparison.

    Attributes:
        changes: Settings that differ from the base; ``None`` trains nothing.
        group: What it is compared with.
        depth: Of a image encoder of its own, taught shortly; 0 takes the common one.
        views: Of images of its own; 0 takes the common ones.
    """

    changes: dict[str, Any] | None
    group: str = 'parts'
    depth: int = 0
    views: int = 0


ARMS = {
    'untrained': Arm(None),
    'local + overall': Arm({}),
    'overall': Arm({'local_weight': 0.0}),
    'local': Arm({'overall_weight': 0.0}),
    'without pose': Arm({'pose_join': 'none'}),
    'masked': Arm({'local_weight': 0.0, 'overall_weight': 0.0, 'masked_weight': 1.0}),
    'masked + local + overall': Arm({'masked_weight': 1.0}),
    'pose at the input': Arm({'pose_join': 'input'}),
    'own image negatives': Arm({'negatives': 'image'}),
    '5 of 20 views': Arm({'view_pool': 5}),
    '10 of 20 views': Arm({'view_pool': 10}),
    'short ResNet-18': Arm({}, 'teacher', depth=18),
    'short ResNet-34': Arm({}, 'teacher', depth=34),
    '6 rendered views': Arm({}, 'views', views=6),
    '12 rendered views': Arm({}, 'views', views=12),
    '20 rendered views': Arm({}, 'views', views=20),
    '30 rendered views': Arm({}, 'views', views=30),
}
GROUPS = {
    'parts': 'Parts of the method',
    'teacher': 'A deeper image encoder: equal steps of teaching',
    'views': 'Rendered views: small folders of their own, the same shapes',
}


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=Path, default=Path('runs/ablation/images'))
    parser.add_argument('--teacher', type=Path, default=Path('runs/ablation/teacher.safetensors'))
    parser.add_argument('--output', type=Path, default=Path('runs/ablation'))
    parser.add_argument('--groups', nargs='+', choices=GROUPS, default=['parts'])
    parser.add_argument('--arms', nargs='*', choices=ARMS, help='in place of whole groups')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--shapes', type=int, default=2784)
    parser.add_argument('--short-teacher-steps', type=int, default=150, help='group teacher')
    parser.add_argument('--view-shapes', type=int, default=464, help='group views')
    parser.add_argument('--per-family', type=int, default=20)
    parser.add_argument('--precision', default='bf16', choices=('bf16', '32'))
    parser.add_argument('--results', type=Path, default=RESULTS)
    parser.add_argument('--report', action='store_true', help='write the tables and stop')
    arguments = parser.parse_args()
    chosen = arguments.arms or [n for n, arm in ARMS.items() if arm.group in arguments.groups]
    if arguments.report:
        write_results(arguments)
        return
    bench = Bench(arguments)
    for seed in range(arguments.seeds):
        for arm in chosen:
            bench.run(arm, seed)
            write_results(arguments)


class Bench:
    """What arms share: images, image encoders and probe sets, made when first asked for.

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
                folder = arguments.output / 'shared' / f'images-{shapes}-{views}-views'
            if views or not folder.is_dir():
                sources = procedural_sources(shapes, 0, TRAINING_FAMILIES)
                write_renderings(folder, sources, settings)
            self._banks = {views: ImageBank.read(RenderingFolder(folder))}  # one in memory
        return self._banks[views]

    def teacher(self, depth: int) -> Path:
        """The common image encoder (0), or a shortly taught one."""
        path, config = self.arguments.teacher, TeacherConfig(steps=900)
        if depth:
            steps = self.arguments.short_teacher_steps
            path = self.arguments.output / 'shared' / f'resnet{depth}-{steps}.safetensors'
            config = TeacherConfig(steps=steps, depth=depth)
        if not path.is_file():
            save_teacher(path, *train_teacher(self.bank(0), config))
        return path

    def run(self, name: str, seed: int) -> None:
        """Pre-train one arm and probe it, unless that is done."""
        arm, arguments = ARMS[name], self.arguments
        folder = arguments.output / f'{name.replace(" ", "_")}-{arguments.steps}-{seed}'
        if (folder / 'scores.json').is_file():
            return
        changes = {'precision': arguments.precision, 'device': 'cpu', **(arm.changes or {})}
        config = replace(BASE, steps=arguments.steps, seed=seed, **changes)
        backbone, spent = self._backbone(arm, config, folder)
        encoder = TransformerEncoder(backbone, config.tokens, config.patch_size).eval()
        scores = {kind: asdict(score_features(encoder, p)) for kind, p in self.probings.items()}
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            'arm': name, 'seed': seed, 'scores': scores, 'training': asdict(config),
            'seconds': round(spent[0], 1), 'cpu_seconds': round(spent[1], 1),
            'load_average_1min': round(os.getloadavg()[0], 1),
        }  # fmt: skip
        if arm.depth:
            facts['image_encoder'] = teacher_facts(self.teacher(arm.depth))
        (folder / 'scores.json').write_text(json.dumps(facts, indent=2) + '\n')
        linear = {kind: score['linear']['accuracy'] for kind, score in scores.items()}
        print(f'{name:26} seed {seed}: {linear}, {spent[0]:.0f} s', flush=True)

    def _backbone(
        self, arm: Arm, config: PretrainingConfig, folder: Path
    ) -> tuple[Backbone, tuple[float, float]]:
        """The backbone of a run, and wall and processor seconds of its training."""
        if arm.changes is None:
            return untrained(preset_config(config.preset).backbone, config.seed), (0.0, 0.0)
        teacher, bank = self.teacher(arm.depth), self.bank(arm.views)
        watch = Stopwatch()
        path = pretrain_backbone(folder, config, bank, teacher)
        return load_backbone(path).build(), watch.lap('training')


def teacher_facts(path: Path) -> dict[str, Any]:
    """Depth, accuracy and costs of a image encoder."""
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


def write_results(arguments: argparse.Namespace) -> None:
    """Collect the finished runs of this number of steps in one JSON and one Markdown file."""
    pattern = f'*-{arguments.steps}-*/scores.json'
    runs = [json.loads(path.read_text()) for path in sorted(arguments.output.glob(pattern))]
    runs = [entry for entry in runs if entry['seed'] < arguments.seeds]
    result = {
        'command': f'OMP_NUM_THREADS=1 python -m benchmarks.experiments.pretraining --steps {arguments.steps} '
        f'--seeds {arguments.seeds} --per-family {arguments.per_family}',
        'machine': machine(),
        'versions': versions(),
        'base': asdict(replace(BASE, steps=arguments.steps)),
        'images': len(RenderingFolder(arguments.images)) if arguments.images.is_dir() else 0,
        'view_shapes': arguments.view_shapes,
        'short_teacher_steps': arguments.short_teacher_steps,
        'runs': [{k: v for k, v in entry.items() if k != 'training'} for entry in runs],
    }
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(json.dumps(result, indent=2) + '\n')
    arguments.results.with_suffix('.md').write_text(table(runs, arguments))


def table(runs: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    """Mean and range over the seeds, a row per arm."""
    lines = [
        f'# Pre-training, {arguments.steps} steps of {BASE.batch} shapes',
        '',
        'Accuracy in per cent on 14 held-out families: mean (lowest to highest seed); median',
        'processor time of a run without its probes.',
    ]
    for group in GROUPS:
        arms = [arm for arm in ARMS if ARMS[arm].group == group]
        rows = [row(arm, [run for run in runs if run['arm'] == arm]) for arm in arms]
        if any(rows):
            lines += ['', f'## {GROUPS[group]}', '', *_HEADER, *filter(None, rows)]
    networks = {run['arm']: run['image_encoder'] for run in runs if 'image_encoder' in run}
    if networks:
        lines += [
            '',
            '| image encoder | names of images held back | taught in |',
            '|---|---|---|',
        ]
    for arm, facts in networks.items():
        lines.append(
            f'| {arm} | {100 * facts["accuracy"]:.1f} (chance {100 * facts["chance"]:.1f}) '
            f'| {facts["costs"]["processor_s"]:.0f} s of processor |'
        )
    return '\n'.join(lines) + '\n'


_HEADER = (
    '| arm | seeds | SVM, whole | SVM, scans | 1-shot of 10, whole | 1-shot of 10, scans | time |',
    '|---|---|---|---|---|---|---|',
)


def row(arm: str, runs: list[dict[str, Any]]) -> str:
    """One arm over its seeds; empty without runs."""
    if not runs:
        return ''
    mine = [run['scores'] for run in runs]
    cells = [spread([s[kind]['linear']['accuracy'] for s in mine]) for kind in mine[0]]
    cells += [spread([s[kind]['few_shot'][-1]['mean'] for s in mine]) for kind in mine[0]]
    seconds = statistics.median(run['cpu_seconds'] for run in runs)
    return f'| {arm} | {len(mine)} | {" | ".join(cells)} | {seconds:.0f} s |'


def spread(values: list[float]) -> str:
    """Mean and range in per cent."""
    low, high = 100 * min(values), 100 * max(values)
    return f'{100 * statistics.mean(values):.1f} ({low:.1f} to {high:.1f})'


if __name__ == '__main__':
    main()
