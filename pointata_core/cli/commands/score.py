# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata score``: accuracy of a bundle on a data set of clips, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pointata_core.cli.arguments import (
    Parser,
    add_model_options,
    read_arguments,
    settings_parser,
)

if TYPE_CHECKING:
    from pointata_core.training.skill.scorers import SkillScore

NAME = 'score'
SUMMARY = 'Score a bundle on a data set of clips by the protocol of a recipe; nothing is trained.'

_EXAMPLES = """\
examples:
  pointata score --config config/training/radhar.yaml --bundle radhar data.root=datasets/RadHAR
  pointata score --config config/training/msr_action3d.yaml --bundle runs/msr_action3d/bundle
  pointata score --config config/training/utd_mhad.yaml --split test --json
  pointata score --config config/training/semantickitti.yaml data.options.labels=pointata"""


def parser() -> Parser:
    """Options of the command."""
    new = settings_parser(
        'Run a bundle on every clip of a split. The file gives data set, split (data.validation), '
        'clips and tasks; voxels and tokens are those of the bundle, and classes belong together '
        'by name. Windows and recordings, frames, or all points are scored: in all, per class and '
        'per subject, with confusions, in OUTPUT/results.json.',
        _EXAMPLES,
    )
    new.option('--split SPLIT', 'Split to score, in place of data.validation.', '')
    new.option('--output DIR', 'Folder of results.json.', 'score_output')
    add_model_options(new)
    return new


def run(arguments: Any) -> int:
    """Score, print, write."""
    from pointata_core.cli.console import note, out, print_json, progress
    from pointata_core.safe_files import make_output_folder, write_json
    from pointata_core.training.skill.score_bundle import score_bundle
    from pointata_core.training.skill.settings import TrainingSettings

    folder = make_output_folder(arguments.output)
    result = score_bundle(
        read_arguments(TrainingSettings, arguments),
        arguments.bundle,
        arguments.split,
        arguments.device,
        arguments.precision,
        progress,
    )
    write_json(folder / 'results.json', result.to_dict())
    if arguments.json:
        print_json(result.to_dict())
        return 0
    out().print(f'{result.data["name"]}, split {result.data["split"]}')
    for score in result.scores:
        _print(score)
    for sentence in result.notes:
        note(f'note: {sentence}')
    note(f'{folder / "results.json"}: confusions and all figures')
    return 0


def _print(score: SkillScore) -> None:
    from pointata_core.cli.console import new_table, out

    out().print(f'{score.task} {score.kind}'.rstrip())
    for name, value in score.metrics.items():
        out().print(f'{name:22} {100 * value:6.2f} %')
    out().print(f'{"right / all":22} {score.right} / {score.total}')
    measure = 'IoU' if score.task == 'points' else 'right'
    table = new_table('class', f'>{measure}', '>of', 'most often taken for')
    for name, share in score.per_class.items():
        counts = score.confusion[score.classes.index(name)]
        wrong = {other: n for other, n in zip(score.classes, counts) if other != name and n}
        worst = max(wrong, key=lambda other: wrong[other], default='')
        taken = f'{worst} ({wrong[worst]:,})' if worst else ''
        table.add_row(name, f'{100 * share:.1f} %', f'{sum(counts):,}', taken)
    out().print(table)
    if score.per_subject:
        table = new_table('subject', '>right')
        for name, share in score.per_subject.items():
            table.add_row(name, f'{100 * share:.1f} %')
        out().print(table)
