#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each part of pre-training is worth: equal runs that differ in one choice, then probed.

    OMP_NUM_THREADS=1 python benchmarks/pretraining.py [--pictures DIR] [--teacher FILE] [--seeds 3]

Arms: untrained, overall contrast alone, local alone, both, both without pose, masked patches alone,
masked and both; then ``both`` with fewer views to draw from. All see the same shapes in the same
order for the same number of steps. Scores are those of a linear SVM and of few-shot draws on
families that neither the backbone nor its picture network has seen: whole shapes, and noisy scans
of one side. Last step, no selection. Finished runs are kept in ``--output``, so the harness goes on
where it was stopped. Results go to ``benchmarks/results/pretraining.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pointata_core.evaluation.environment import machine, versions
from pointata_core.models.checkpoints import load_backbone
from pointata_core.models.config import preset_config
from pointata_core.pretraining.encoders import TransformerEncoder
from pointata_core.pretraining.picture_bank import PictureBank
from pointata_core.pretraining.pictures import (
    PictureFolder,
    PictureSettings,
    procedural_sources,
    write_pictures,
)
from pointata_core.pretraining.probe_sets import procedural_clouds
from pointata_core.pretraining.running import run_pretraining
from pointata_core.pretraining.scoring import Probing, score_features, untrained
from pointata_core.pretraining.settings import PretrainingConfig
from pointata_core.pretraining.splits import TRAINING_FAMILIES
from pointata_core.pretraining.teacher import TeacherConfig, save_teacher, train_teacher

RESULTS = Path(__file__).resolve().parent / 'results' / 'pretraining.json'

BASE = PretrainingConfig(
    tokens=32, patch_size=32, points=1024, views=2, latent=256, map_stride=8, batch=24,
    optimizer='adamw', learning_rate=1e-3, weight_decay=0.05, warmup=0.05,
)  # fmt: skip

ARMS: dict[str, dict[str, Any] | None] = {
    'untrained': None,
    'local + overall': {},
    'overall': {'local_weight': 0.0},
    'local': {'overall_weight': 0.0},
    'without pose': {'pose_join': 'none'},
    'masked': {'local_weight': 0.0, 'overall_weight': 0.0, 'masked_weight': 1.0},
    'masked + local + overall': {'masked_weight': 1.0},
    'pose at the input': {'pose_join': 'input'},
    'own picture negatives': {'negatives': 'picture'},
    '5 of 20 views': {'view_pool': 5},
    '10 of 20 views': {'view_pool': 10},
}


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pictures', type=Path, default=Path('runs/ablation/pictures'))
    parser.add_argument('--teacher', type=Path, default=Path('runs/ablation/teacher.safetensors'))
    parser.add_argument('--output', type=Path, default=Path('runs/ablation'))
    parser.add_argument('--arms', nargs='*', choices=ARMS, default=list(ARMS))
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--shapes', type=int, default=2784)
    parser.add_argument('--per-family', type=int, default=20)
    parser.add_argument('--precision', default='bf16-mixed')
    arguments = parser.parse_args()
    if not arguments.pictures.is_dir():
        sources = procedural_sources(arguments.shapes, 0, TRAINING_FAMILIES)
        write_pictures(arguments.pictures, sources, PictureSettings(size=64, points=2048))
    bank = PictureBank.read(PictureFolder(arguments.pictures))
    if not arguments.teacher.is_file():
        save_teacher(arguments.teacher, *train_teacher(bank, TeacherConfig(steps=900)))
    probings = probe_sets(arguments.per_family)
    for seed in range(arguments.seeds):
        for arm in arguments.arms:
            run(arm, seed, arguments, bank, probings)
            write_results(arguments)


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


def run(
    arm: str,
    seed: int,
    arguments: argparse.Namespace,
    bank: PictureBank,
    probings: dict[str, Probing],
) -> None:
    """Pre-train one arm and probe it, unless that is done."""
    folder = arguments.output / f'{arm.replace(" ", "_")}-{arguments.steps}-{seed}'
    done = folder / 'scores.json'
    if done.is_file():
        return
    start, cpu = time.perf_counter(), time.process_time()
    config = replace(BASE, steps=arguments.steps, seed=seed, **(ARMS[arm] or {}))
    if ARMS[arm] is None:
        backbone = untrained(preset_config(config.preset).backbone, seed)
    else:
        path = run_pretraining(
            folder, config, bank, arguments.teacher,
            trainer_options={'accelerator': 'cpu', 'devices': 1, 'precision': arguments.precision},
        )  # fmt: skip
        backbone = load_backbone(path).build()
    trained, trained_cpu = time.perf_counter() - start, time.process_time() - cpu
    encoder = TransformerEncoder(backbone, config.tokens, config.patch_size).eval()
    scores = {name: asdict(score_features(encoder, p)) for name, p in probings.items()}
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        'arm': arm, 'seed': seed, 'scores': scores, 'training': asdict(config),
        'seconds': round(trained, 1), 'cpu_seconds': round(trained_cpu, 1),
        'load_average_1min': round(os.getloadavg()[0], 1),
    }  # fmt: skip
    done.write_text(json.dumps(facts, indent=2) + '\n')
    linear = {name: score['linear']['accuracy'] for name, score in scores.items()}
    print(f'{arm:26} seed {seed}: {linear}, {trained:.0f} s', flush=True)


def write_results(arguments: argparse.Namespace) -> None:
    """Collect the finished runs of this number of steps in one JSON and one Markdown file."""
    pattern = f'*-{arguments.steps}-*/scores.json'
    runs = [json.loads(path.read_text()) for path in sorted(arguments.output.glob(pattern))]
    runs = [entry for entry in runs if entry['seed'] < arguments.seeds]
    result = {
        'command': f'OMP_NUM_THREADS=1 python benchmarks/pretraining.py --steps {arguments.steps} '
        f'--seeds {arguments.seeds} --per-family {arguments.per_family}',
        'machine': machine(),
        'versions': versions(),
        'base': asdict(replace(BASE, steps=arguments.steps)),
        'pictures': len(PictureFolder(arguments.pictures)),
        'runs': [{k: v for k, v in entry.items() if k != 'training'} for entry in runs],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + '\n')
    RESULTS.with_suffix('.md').write_text(table(runs, arguments))


def table(runs: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    """Mean and range over the seeds, a row per arm."""
    lines = [
        f'# Pre-training, {arguments.steps} steps of {BASE.batch} shapes',
        '',
        'Accuracy in per cent on 14 held-out families: mean (lowest to highest seed).',
        '',
        '| arm | seeds | SVM, whole | SVM, scans | 10-way 1-shot, whole | 10-way 1-shot, scans |',
        '|---|---|---|---|---|---|',
    ]
    for arm in ARMS:
        mine = [entry['scores'] for entry in runs if entry['arm'] == arm]
        if not mine:
            continue
        cells = [spread([s[kind]['linear']['accuracy'] for s in mine]) for kind in mine[0]]
        cells += [spread([s[kind]['few_shot'][-1]['mean'] for s in mine]) for kind in mine[0]]
        lines.append(f'| {arm} | {len(mine)} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def spread(values: list[float]) -> str:
    """Mean and range in per cent."""
    low, high = 100 * min(values), 100 * max(values)
    return f'{100 * statistics.mean(values):.1f} ({low:.1f} to {high:.1f})'


if __name__ == '__main__':
    main()
