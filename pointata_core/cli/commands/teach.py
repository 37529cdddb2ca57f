# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata teach``: correct labels of a recording, and let a bundle learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pointata_core.cli.arguments import Parser, new_parser
from pointata_core.errors import ConfigError

NAME = 'teach'
SUMMARY = 'Correct labels of a recording by a few clicks, and let a bundle learn from them.'

_EXAMPLES = """\
examples:
  pointata teach drive.mcap                         open the label page
  pointata teach drive.mcap --classes my.yaml
  pointata teach import my_street --bag drive.mcap --fixed-frame odom
  pointata teach import my_street --semantickitti dataset/sequences/08
  pointata teach look my_street --bundle default
  pointata teach look fleet --bags 'drives/**/*.mcap' --ray 10.0.0.1:6379 --scans 20
  pointata teach learn my_street output=runs/mine --bundle default
  pointata train --config runs/mine/settings.yaml output=runs/again
  pointata teach simulate my_street --labels dataset/sequences/08/labels --clicks 50
  pointata teach score my_street --labels dataset/sequences/08/labels --bundle runs/mine/bundle
  pointata teach export my_street --output labelled/sequences/08"""


_SCORED = (1, 2, 5, 10, 25, 50, 100, 200, 500)  # clicks after which the labels are scored


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'pointata teach BAG [FOLDER] opens a page in the browser to correct labels, to learn from '
        'them and to use what was learned. BAG may be the folder of an earlier time. The other '
        'actions do parts of this without the page.\n\n'
        'import  make the folder FOLDER of a bag or of a sequence in the layout of SemanticKITTI\n'
        'look    label the scans with the bundle, and list scans that are worth a look\n'
        'learn   train the bundle further on the corrections; exit status 1 if it became worse\n'
        'simulate  let true labels answer clicks, to measure what clicks are worth\n'
        'score   compare the labels of a bundle alone with true labels\n'
        'export  write scans and labels as such a sequence; all that was not changed has the bytes '
        'that were imported\n\n'
        'Label tools may work in FOLDER/sequences/00 while no other command has it open.',
        _EXAMPLES,
    )
    new.add_argument('what', type=str, metavar='WHAT', help='Recording, or an action, see above.')
    new.add_argument(
        'folder', type=str, nargs='?', metavar='FOLDER',
        help='Folder to work in; of the page, by default NAME_teach in the current folder.',
    )  # fmt: skip
    new.option('--bag PATH', 'import: rosbag2 folder or file.')
    new.option('--topic NAME', 'import, page: topic of the clouds, if the bag has several.')
    new.option(
        '--fixed-frame FRAME',
        'import, page: frame at rest (map, odom); the page finds one itself. Without one no '
        'correction reaches other scans.',
        '',
    )
    new.option('--semantickitti DIR', 'import: a sequence, instead of a bag.')
    new.flag('--without-labels', 'import: leave the labels of the sequence out.')
    new.option('--bundle DIR', 'page, look, learn, score: folder or name of the bundle.', 'default')
    new.option('--classes FILE', 'page: YAML list of further classes, such as [trolley].')
    new.option(
        '--bags PATTERN',
        "look: many recordings, such as 'fleet/**/*.mcap'; each gets a folder below FOLDER.",
    )
    new.add_argument(
        '--ray', type=str | None, nargs='?', const='', metavar='ADDRESS',
        help='look: label --bags on a Ray cluster: host:port or ray://host:port; without an '
        'address on that of this machine, which is started if there is none.',
    )  # fmt: skip
    new.option('--scans N', 'look: how many scans to list.', 5)
    new.option('--labels DIR', 'simulate, score: folder with the true labels.')
    new.option('--clicks N', 'simulate: how many.', 50)
    new.add_argument(
        '--choice', type=Literal['suggested', 'random'], default='suggested', metavar='HOW',
        help='simulate: segments that are suggested, or random ones.',
    )  # fmt: skip
    new.option('--seed N', 'simulate: of the random choice.', 0)
    new.option('--port N', 'page: port on this machine; 0 for a free one.', 8765)
    new.option('--output DIR', 'export: new folder.')
    new.option('--config FILE', 'page, learn: another recipe than teach.yaml or teach_indoor.yaml.')
    new.add_argument(
        'overrides', type=str, nargs='*', metavar='NAME=VALUE',
        help='page, learn: values in place of those of the recipe, such as output=runs/mine.',
    )  # fmt: skip
    return new


def run(arguments: Any) -> int:
    """Do what is asked for."""
    actions = {
        'import': _import, 'look': _look, 'learn': _learn, 'simulate': _simulate,
        'score': _score, 'export': _export,
    }  # fmt: skip
    if arguments.what not in actions:
        from pointata_core.cli.teach_page import serve_page

        return serve_page(arguments)
    if arguments.folder is None:
        raise ConfigError(
            f'pointata teach {arguments.what} lacks FOLDER',
            f'Name the folder, or write ./{arguments.what} if that is a recording',
        )
    return actions[arguments.what](arguments)


def _import(arguments: Any) -> int:
    if (arguments.bag is None) == (arguments.semantickitti is None):
        raise ConfigError(
            'expected one of --bag and --semantickitti', 'Name the recording to import'
        )
    from pointata_core.cli.console import note, print_json
    from pointata_core.teaching.folder import refuse_content, write_scans
    from pointata_core.teaching.project import Project
    from pointata_core.training.domain.recorded_scans import scans_of_bag

    folder = Path(arguments.folder)
    if arguments.bag is None:
        project = Project.import_sequence(
            folder, arguments.semantickitti, labels=not arguments.without_labels
        )
    else:
        refuse_content(folder)
        scans = scans_of_bag(arguments.bag, arguments.topic, arguments.fixed_frame)
        write_scans(scans, folder / 'sequences' / '00')
        project = Project.start(folder)
    with project:
        poses = project.sequence.poses is not None
        if arguments.json:
            print_json({'folder': str(folder), 'scans': len(project), 'poses': poses})
            return 0
        note(f'{folder}: {len(project)} scans')
        for sentence in project.sequence.notes:
            note(f'note: {sentence}')
        if not poses:
            note('note: the scans have no poses, so a correction stays in its scan')
    return 0


def _look(arguments: Any) -> int:
    if arguments.bags is not None:
        return _look_at_fleet(arguments)
    if arguments.ray is not None:
        raise ConfigError('--ray is for many recordings', 'Name them with --bags, or leave it out')
    from dataclasses import asdict

    from pointata_core.bundles.bundle import load_bundle
    from pointata_core.cli.console import new_table, out, print_json, progress
    from pointata_core.teaching.predictions import predict
    from pointata_core.teaching.project import Project
    from pointata_core.teaching.suggestions import class_weights, suggest_scans

    with Project(arguments.folder) as project:
        with progress('labelling') as report:
            predict(project, load_bundle(arguments.bundle), report=report)
        found = suggest_scans(project, class_weights(project), arguments.scans)
        names = [project.name(one.scan) for one in found]
    if arguments.json:
        facts = [{'name': name, **asdict(one)} for name, one in zip(names, found, strict=True)]
        print_json({'scans': facts})
        return 0
    table = new_table('scan', 'why')
    for name, one in zip(names, found, strict=True):
        table.add_row(name, one.reason)
    out().print(table)
    return 0


def _look_at_fleet(arguments: Any) -> int:
    from dataclasses import asdict

    from pointata_core.cli.console import new_table, note, out, print_json
    from pointata_core.teaching.fleet import look_at_fleet

    found, failed = look_at_fleet(
        arguments.bags,
        arguments.folder,
        arguments.bundle,
        arguments.scans,
        topic=arguments.topic,
        fixed_frame=arguments.fixed_frame or None,
        ray=arguments.ray,
    )
    if arguments.json:
        errors = {name: error.message for name, error in failed.items()}
        print_json({'scans': [asdict(one) for one in found], 'failed': errors})
        return 1 if failed else 0
    table = new_table('folder', 'scan', 'why')
    for one in found:
        table.add_row(one.folder, one.scan, one.reason)
    out().print(table)
    for name, error in failed.items():
        note(f'{name} was left out: {error.message}. {error.fix}')
    return 1 if failed else 0


def _learn(arguments: Any) -> int:
    from dataclasses import asdict

    from pointata_core.bundles.bundle import load_bundle
    from pointata_core.cli.console import err, note, out, print_json, progress
    from pointata_core.resources import resource_path
    from pointata_core.teaching.learning import learn, recipe_of
    from pointata_core.teaching.predictions import require_predictions
    from pointata_core.teaching.project import Project
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.settings import TrainingSettings

    with Project(arguments.folder) as project:
        require_predictions(project, load_bundle(arguments.bundle))
        config = arguments.config or resource_path(recipe_of(project))
        settings = read_settings(TrainingSettings, config, arguments.overrides or ())
        found = learn(
            project, arguments.bundle, settings, progress=progress, quiet=not err().is_terminal
        )
    lessons = found.lessons
    if arguments.json:
        facts = asdict(found)
        print_json(
            {
                **facts,
                'bundle': str(found.bundle),
                'lessons': {**facts['lessons'], 'root': str(lessons.root)},
            }
        )
    elif found.after.points:
        out().print(
            f'kept aside: {100 * found.before.right:.1f} % right before, '
            f'{100 * found.after.right:.1f} % after, {found.after.points} points'
        )
    if not found.after.points:
        note('note: with fewer than five clicks none is kept aside to check what was learned')
    if lessons.distrusted:
        note(f'labels of the bundle were not learned of {", ".join(lessons.distrusted)}')
    for sentence in found.worse:
        note(f'worse than before: {sentence}')
    note(f'{found.bundle}: the bundle; {settings.output}/settings.yaml repeats the training')
    return 1 if found.worse else 0


def _simulate(arguments: Any) -> int:
    _require_labels(arguments)
    from dataclasses import asdict

    from pointata_core.cli.console import new_table, out, print_json
    from pointata_core.teaching.annotator import annotate, read_truth, score_labels
    from pointata_core.teaching.project import Project

    with Project(arguments.folder) as project:
        truth = read_truth(project, arguments.labels)
        scores = [score_labels(project, truth, 0)]
        clicks = annotate(
            project, truth, arguments.clicks, choice=arguments.choice, seed=arguments.seed
        )
        for done in clicks:
            if done in _SCORED or done == arguments.clicks:
                scores.append(score_labels(project, truth, done))
    if arguments.json:
        print_json({'choice': arguments.choice, 'scores': [asdict(score) for score in scores]})
        return 0
    table = new_table('>clicks', '>labelled %', '>right %', '>mean IoU')
    for score in scores:
        shares = (score.labelled, score.right, score.miou)
        table.add_row(str(score.clicks), *(f'{100 * share:.1f}' for share in shares))
    out().print(table)
    return 0


def _score(arguments: Any) -> int:
    _require_labels(arguments)
    from dataclasses import asdict

    from pointata_core.bundles.bundle import load_bundle
    from pointata_core.cli.console import new_table, out, print_json
    from pointata_core.teaching.annotator import read_truth, score_bundle
    from pointata_core.teaching.project import Project

    with Project(arguments.folder) as project:
        truth = read_truth(project, arguments.labels)
        score = score_bundle(project, truth, load_bundle(arguments.bundle))
    if score is None:
        raise ConfigError(f'{arguments.labels}: no label is of a class', 'Give labels of classes')
    if arguments.json:
        print_json(asdict(score))
        return 0
    table = new_table('class', '>IoU')
    for name, iou in score.iou.items():
        table.add_row(name, f'{100 * iou:.1f}')
    table.add_row('mean', f'{100 * score.miou:.1f}')
    out().print(table)
    return 0


def _require_labels(arguments: Any) -> None:
    if arguments.labels is None:
        raise ConfigError(
            f'pointata teach {arguments.what} lacks --labels', 'Give the folder of the true labels'
        )


def _export(arguments: Any) -> int:
    if arguments.output is None:
        raise ConfigError('pointata teach export lacks --output', 'Name a new folder')
    from pointata_core.cli.console import note, print_json
    from pointata_core.teaching.project import Project

    with Project(arguments.folder) as project:
        project.export(arguments.output)
        if arguments.json:
            print_json({'output': arguments.output, 'scans': len(project)})
        else:
            note(f'{arguments.output}: {len(project)} scans')
    return 0
