# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of one format, and options that several commands share."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from pointata_core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar('Settings', bound='DataclassInstance')


class _Formatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Types and defaults beside each option, and examples as they were written."""


class Parser(ArgumentParser):
    """A parser whose options take one line each."""

    def option(self, usage: str, text: str, default: Any = None, kind: Any = None) -> None:
        """Add one option or positional argument.

        Args:
            usage: Name and placeholder, such as ``--rate HZ``; positional without dashes.
            text: The help.
            default: Its type is that of the option.
            kind: Type where that is not so; text or nothing where neither is given.
        """
        kind = kind or (str | None if default is None else type(default))
        name, metavar = usage.split()
        given = {} if default is None else {'default': default}  # positional ones take none
        self.add_argument(name, type=kind, metavar=metavar, help=text, **given)

    def flag(self, name: str, text: str) -> None:
        """Add one option without a value."""
        self.add_argument(name, action='store_true', help=text)


def new_parser(
    description: str, examples: str, *, prog: str | None = None, json: bool = True
) -> Parser:
    """A parser with a description on top, examples at the end of its help, and ``--json``."""
    new = Parser(prog=prog, description=description, epilog=examples, formatter_class=_Formatter)
    if json:
        new.flag('--json', 'Print the outcome as JSON and nothing else.')
    return new


def add_model_options(parser: Parser) -> None:
    """``--bundle``, ``--device`` and ``--precision``."""
    bundle = 'Folder of the skill bundle; the default bundle if left out.'
    device = 'auto, cpu, cuda or cuda:N; auto takes the first CUDA device if there is one.'
    precision = 'Type of the large products: float32, bfloat16, or auto for the faster one.'
    parser.option('--bundle DIR', bundle)
    parser.option('--device DEVICE', device, 'auto')
    parser.option('--precision TYPE', precision, 'auto')


def add_columns_option(parser: Parser) -> None:
    """``--columns``, for clouds that do not name theirs."""
    parser.option(
        '--columns NAMES',
        'Columns of .bin, text and bare arrays, such as x,y,z,intensity,ring; by default found out '
        'from name, size and numbers.',
    )


def read_columns(text: str | None) -> list[str] | None:
    """Names from ``--columns``.

    Raises:
        ConfigError: x, y or z is not among them, or a name occurs twice.
    """
    if text is None:
        return None
    names = text.replace(',', ' ').split()
    if not {'x', 'y', 'z'} <= set(names) or len(set(names)) < len(names):
        raise ConfigError(
            f'--columns is {text!r}, expected different names with x, y and z among them',
            'Write them in the order of the file, such as x,y,z,intensity',
        )
    return names


def add_placement_options(parser: Parser) -> None:
    """``--input-scale`` and ``--sensor-pose``."""
    parser.option(
        '--input-scale METRES', 'Metres per unit of the coordinates: 0.001 for millimetres.', 1.0
    )
    parser.option(
        '--sensor-pose POSE',
        '"x y z roll pitch yaw" (metres, radians): pose of a tilted sensor in a frame with x '
        'forward and z up; an optical frame is "0 0 0 -1.5708 0 -1.5708".',
        '',
    )


def settings_parser(description: str, examples: str) -> Parser:
    """A parser with ``--config`` and overrides, as all commands that train have."""
    parser = new_parser(description, examples)
    parser.option('--config FILE', 'YAML file, as in config/training.')
    parser.add_argument(
        'overrides',
        type=str,
        nargs='*',
        metavar='NAME=VALUE',
        help='Values that replace those of the file, e.g. optimiser.epochs=10 seed=1.',
    )
    return parser


def read_arguments(kind: type[Settings], arguments: Any) -> Settings:
    """Settings of a training from the options of :func:`settings_parser`.

    Raises:
        ConfigError: The file cannot be read, or a value has no such name or type.
    """
    from pointata_core.training.engine.settings import read_settings

    return read_settings(kind, arguments.config, arguments.overrides or ())
