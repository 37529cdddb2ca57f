# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata probe``: accuracy of frozen features, beside those of an untrained network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pointata_core.cli.arguments import Parser, new_parser

NAME = 'probe'
SUMMARY = 'Linear SVM and few-shot accuracy of a frozen backbone.'

_EXAMPLES = """\
examples:
  pointata probe runs/tiny/backbone.safetensors
  pointata probe runs/tiny/backbone.safetensors --data procedural_scans
  pointata probe runs/tiny/backbone.safetensors --fine-tune parts
  pointata probe backbone.safetensors --data modelnet40 --root datasets/modelnet40"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Classify clouds by the frozen features of a backbone: a linear SVM, and few-shot draws. '
        'An untrained network of the same shape is scored beside it. Without --data, on shapes of '
        'procedural families that pre-training has not seen.',
        _EXAMPLES,
    )
    new.option('backbone FILE', 'From pretrain or convert (.safetensors).', kind=str)
    new.option(
        '--data NAME',
        'procedural, procedural_scans (one side, noisy), modelnet40, scanobjectnn, '
        'scanobjectnn_obj_bg, scanobjectnn_obj_only or shapenet_part.',
        'procedural',
    )
    new.option('--root DIR', 'Folder of the data set.')
    new.option('--limit N', 'At most so many per split.', kind=int | None)
    new.option('--per-family N', 'procedural: shapes of each family in train and in test.', 40)
    new.option(
        '--fine-tune TASK',
        'Train everything on this task instead: classes of clouds or parts of points.',
        kind=Literal['classes', 'parts'] | None,
    )
    new.option('--epochs N', 'Of fine-tuning.', 30)
    new.option('--points N', 'Points per cloud.', 1024)
    new.option('--tokens N', 'Patches per cloud.', 64)
    new.option('--patch-size N', 'Points per patch.', 32)
    new.option('--seed N', 'Of the untrained network.', 0)
    new.option('--device DEVICE', 'Such as cuda.', 'cpu')
    return new


def run(arguments: Any) -> int:
    """Score the backbone and an untrained one."""
    from pointata_core.cli.console import note, print_json
    from pointata_core.models.checkpoints.conversion import load_backbone
    from pointata_core.models.point.encoders import TransformerEncoder
    from pointata_core.training.pretrain.finetuning import FineTuningConfig, fine_tune
    from pointata_core.training.pretrain.probes import Probing, score_features, untrained

    loaded = load_backbone(Path(arguments.backbone))
    sizes = (arguments.tokens, arguments.patch_size)
    note('reading clouds')
    probing = Probing(*_clouds(arguments))
    scores = {}
    for name, backbone in (
        ('backbone', loaded.build()),
        ('untrained', untrained(loaded.config, arguments.seed)),
    ):
        note('the backbone' if name == 'backbone' else 'an untrained one')
        encoder = TransformerEncoder(backbone, *sizes).eval().to(arguments.device)
        if arguments.fine_tune:
            config = FineTuningConfig(arguments.fine_tune, arguments.epochs, seed=arguments.seed)
            scores[name] = asdict(fine_tune(encoder, probing.train, probing.test, config))
        else:
            scores[name] = asdict(score_features(encoder, probing, arguments.device))
    facts = {'data': arguments.data, 'train': len(probing.train), 'test': len(probing.test)}
    if arguments.json:
        print_json({**facts, **scores})
    elif arguments.fine_tune:
        _print_tuned(facts, scores)
    else:
        _print(facts, scores)
    return 0


def _clouds(arguments: Any) -> tuple[Any, Any]:
    from pointata_core.errors import ConfigError
    from pointata_core.training.pretrain.probe_sets import (
        PROCEDURAL,
        dataset_clouds,
        procedural_clouds,
    )

    if arguments.data in PROCEDURAL:
        count, points = arguments.per_family, arguments.points
        scanned = arguments.data == PROCEDURAL[1]
        train, test = (
            procedural_clouds(count, points, seed=seed, scanned=scanned) for seed in (0, count)
        )
        return train, test
    if arguments.root is None:
        raise ConfigError(f'--data {arguments.data} lacks --root', 'Give the folder of the data')
    train, test = (
        dataset_clouds(arguments.data, arguments.root, split, arguments.points, arguments.limit)
        for split in ('train', 'test')
    )
    return train, test


def _print(facts: dict[str, Any], scores: dict[str, Any]) -> None:
    from pointata_core.cli.console import new_table, out

    few = [f'>{s["ways"]}-way {s["shots"]}-shot' for s in scores['backbone']['few_shot']]
    title = f'{facts["data"]}: {facts["train"]:,} train, {facts["test"]:,} test'
    table = new_table('', '>linear SVM', *few, title=title)
    for name, score in scores.items():
        cells = [f'{s["mean"]:.1%} ± {s["deviation"]:.1%}' for s in score['few_shot']]
        table.add_row(name, f'{score["linear"]["accuracy"]:.1%}', *cells)
    out().print(table)
    out().print(f'chance {scores["backbone"]["linear"]["chance"]:.1%}')


def _print_tuned(facts: dict[str, Any], scores: dict[str, Any]) -> None:
    from pointata_core.cli.console import out

    out().print(f'{facts["data"]}: {facts["train"]:,} train, {facts["test"]:,} test')
    for name, score in scores.items():
        figures = [f'{k} {v:.1%}' for k, v in score.items() if v is not None]
        out().print(f'{name:12} {", ".join(figures)}')
