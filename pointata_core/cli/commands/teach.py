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
  pointata teach import my_street --bag drive.mcap --fixed-frame odom
  pointata teach import my_street --semantickitti dataset/sequences/08
  pointata teach export my_street --output labelled/sequences/08"""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Work in a folder with scans, labels and corrections.\n\n'
        'import  make the folder FOLDER of a bag or of a sequence in the layout of SemanticKITTI\n'
        'export  write scans and labels as such a sequence; all that was not changed has the bytes '
        'that were imported\n\n'
        'Label tools may work in FOLDER/sequences/00 while no other command has it open.',
        _EXAMPLES,
    )
    new.add_argument('what', type=Literal['import', 'export'], help='Action, see above.')
    new.option('folder FOLDER', 'Folder to work in.')
    new.option('--bag PATH', 'import: rosbag2 folder or file.')
    new.option('--topic NAME', 'import: topic of the clouds; needed only if the bag has several.')
    new.option(
        '--fixed-frame FRAME',
        'import: frame at rest (map, odom). Without one no correction reaches other scans.',
        '',
    )
    new.option('--semantickitti DIR', 'import: a sequence, instead of a bag.')
    new.option('--output DIR', 'export: new folder.')
    return new


def run(arguments: Any) -> int:
    """Do what is asked for."""
    return {'import': _import, 'export': _export}[arguments.what](arguments)


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
        project = Project.import_sequence(folder, arguments.semantickitti)
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
