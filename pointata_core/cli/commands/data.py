# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata data``: list data sets, check a download, make a recording of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pointata_core.cli.arguments import Parser, add_columns_option, new_parser, read_columns
from pointata_core.errors import ConfigError

if TYPE_CHECKING:
    from pointata_core.datasets.check import SplitCheck
    from pointata_core.datasets.info import DatasetInfo

NAME = 'data'
SUMMARY = 'List public data sets, check a download, make a recording of one.'

_EXAMPLES = """\
examples:
  pointata data list
  pointata data check utd_mhad --root datasets/UTD-MHAD
  pointata data check msr_action3d --root datasets/MSR --split train --deep
  pointata data bag night --output night_bag
  pointata data bag kitti --root 2011_09_26_drive_0001 --output drive_bag
  pointata data bag clouds --root scans --rate 20 --output scans_bag"""

KITTI, CLOUDS = 'kitti', 'clouds'
_SHOWN = 10  # names of missing or damaged files; --json has them all


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Work with public data sets on this disk; nothing is downloaded.\n\n'
        'list   data sets that can be read, with licence and source\n'
        'check  count files and compare with the published numbers; exit status 1 if files '
        'are missing or damaged\n'
        'bag    write a rosbag2 recording: of any folder of cloud files (NAME clouds), or with a '
        'camera: KITTI scans and images (NAME kitti), or a simulated drive (NAME day, night, rain '
        'or city_b)',
        _EXAMPLES,
    )
    # jsonargparse takes no second level of commands below one that is added whole.
    new.add_argument('what', type=Literal['list', 'check', 'bag'], help='Action, see above.')
    new.add_argument(
        'name',
        type=str | None,
        nargs='?',
        metavar='NAME',
        help='Name of the data set, as shown by list.',
    )
    new.option('--root PATH', 'Folder of the data set.')
    new.option('--split SPLIT', 'Check this split only; by default all published ones.')
    new.flag('--deep', 'check: read every file instead of headers and lists only.')
    new.option('--output DIR', 'bag: folder of the recording.')
    new.option('--rate HZ', 'bag clouds: clouds a second.', 10.0)
    add_columns_option(new)
    new.option('--frames N', 'bag: number of frames of a simulated drive.', 20)
    return new


def run(arguments: Any) -> int:
    """List, check or make a bag."""
    if arguments.what == 'list':
        return _list(arguments)
    needed = {'name': 'NAME', 'root': '--root'}
    if arguments.what == 'bag' and arguments.name not in (KITTI, CLOUDS):
        del needed['root']
    if arguments.what == 'bag':
        needed['output'] = '--output'
    for name, word in needed.items():
        if getattr(arguments, name) is None:
            raise ConfigError(
                f'pointata data {arguments.what} lacks {word}', 'See: pointata data --help'
            )
    return {'check': _check, 'bag': _bag}[arguments.what](arguments)


def _list(arguments: Any) -> int:
    from pointata_core.cli.console import print_json
    from pointata_core.datasets.registry import datasets

    known = list(datasets().values())
    if arguments.json:
        print_json([asdict(info) for info in known])
    else:
        _print_list(known)
    return 0


def _check(arguments: Any) -> int:
    from pointata_core.cli.console import print_json, progress
    from pointata_core.datasets.check import check_split
    from pointata_core.datasets.registry import dataset_info

    info = dataset_info(arguments.name)
    outcomes = []
    for split in _splits(info, arguments.split):
        with progress(f'reading {split}', show=arguments.deep) as report:
            outcomes.append(
                check_split(info, arguments.root, split, deep=arguments.deep, progress=report)
            )
    ok = all(outcome.ok for outcome in outcomes)
    if arguments.json:
        facts = [{**asdict(outcome), 'ok': outcome.ok} for outcome in outcomes]
        print_json({'name': info.name, 'ok': ok, 'splits': facts})
    else:
        _print_check(info, outcomes)
    return 0 if ok else 1


def _bag(arguments: Any) -> int:
    from pointata_core.cli.console import note, print_json
    from pointata_core.datasets.camera.simulated_recording import write_simulated_camera_bag
    from pointata_core.datasets.scenes.kitti_raw import write_kitti_bag
    from pointata_core.simulation.camera.domains import DOMAINS

    pictures = ' with images'
    if arguments.name == CLOUDS:
        from pointata_core.datasets.bags.from_folder import write_cloud_bag

        scans, notes = write_cloud_bag(
            arguments.root,
            arguments.output,
            columns=read_columns(arguments.columns),
            rate_hz=arguments.rate,
        )
        pictures = ''
        for sentence in notes:
            note(sentence)
    elif arguments.name == KITTI:
        scans = write_kitti_bag(arguments.root, arguments.output)
    elif arguments.name in DOMAINS:
        scans = write_simulated_camera_bag(arguments.output, arguments.name, arguments.frames)
    else:
        raise ConfigError(
            f"recordings are not made of '{arguments.name}'",
            f'Choose one of {", ".join([CLOUDS, KITTI, *DOMAINS])}',
        )
    if arguments.json:
        print_json({'path': arguments.output, 'scans': scans})
    else:
        note(f'{arguments.output}: {scans} scans{pictures}')
    return 0


def _splits(info: DatasetInfo, chosen: str | None) -> Sequence[str]:
    from pointata_core.datasets.errors import require_split

    if chosen is None:
        return list(info.published) or info.splits[:1]
    return [require_split(info.title, chosen, info.splits)]


def _print_list(known: Sequence[DatasetInfo]) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import out

    for info in known:
        out().print(
            f'[bold]{info.name}[/]  {escape(info.title)}: {info.kind}, {info.classes} classes',
            soft_wrap=True,
        )
        for title in ('splits', 'layout', 'download', 'licence', 'citation', 'axes'):
            value = getattr(info, title)
            text = ', '.join(value) if title == 'splits' else value
            out().print(f'  {title:9} {escape(text)}', soft_wrap=True)
        if info.published:
            command = f'pointata data check {info.name} --root FOLDER --deep'
            out().print(f'  {"check":9} {command}', soft_wrap=True)


def _print_check(info: DatasetInfo, outcomes: Sequence[SplitCheck]) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import new_table, out

    table = new_table('split', 'counted', '>found', '>published', '', title=escape(info.title))
    for outcome in outcomes:
        for name, found in outcome.found.items():
            number = outcome.published.get(name)
            published = '' if number is None else f'{number:,}'
            row = (outcome.split, name, f'{found:,}', published, _verdict(found, number))
            table.add_row(*row)
    if table.row_count:
        out().print(table)
    for outcome in outcomes:
        _print_problems(outcome)
    for note in dict.fromkeys(f'{o.split}: {note}' for o in outcomes for note in o.notes):
        out().print(f'note: {escape(note)}', soft_wrap=True)
    if all(outcome.ok for outcome in outcomes):
        out().print('[green]complete[/]')
        return
    out().print(f'[bold red]not complete[/]: get it from {escape(info.download)}', soft_wrap=True)


def _verdict(found: int, published: int | None) -> str:
    if published is None or found == published:
        return '' if published is None else '[green]ok[/]'
    if found < published:
        return f'[bold red]{published - found:,} missing[/]'
    return f'[yellow]{found - published:,} more[/]'


def _print_problems(outcome: SplitCheck) -> None:
    from rich.markup import escape

    from pointata_core.cli.console import out

    if outcome.error:
        out().print(f'[bold red]{outcome.split}[/]: {escape(outcome.error)}', soft_wrap=True)
        if outcome.fix:
            out().print(f'  fix: {escape(outcome.fix)}', soft_wrap=True)
    for title, names in (('missing', outcome.missing), ('damaged', outcome.damaged)):
        for name in names[:_SHOWN]:
            out().print(f'[red]{title}[/]  {escape(name)}', soft_wrap=True)
        if len(names) > _SHOWN:
            rest = len(names) - _SHOWN
            out().print(f'[red]{title}[/]  and {rest:,} more of {outcome.split}; --json lists all')
