# SPDX-License-Identifier: Apache-2.0
"""Parsers of one format, and options that several commands share."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter

from jsonargparse import ArgumentParser, DefaultHelpFormatter


class _Formatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Types and defaults beside each option, and examples as they were written."""


def new_parser(description: str, examples: str, prog: str | None = None) -> ArgumentParser:
    """A parser with a description on top and examples at the end of its help."""
    return ArgumentParser(
        prog=prog, description=description, epilog=examples, formatter_class=_Formatter
    )


def add_model_options(parser: ArgumentParser) -> None:
    """``--bundle``, ``--device`` and ``--precision``."""
    parser.add_argument(
        '--bundle',
        type=str | None,
        metavar='DIR',
        help='Folder of the skill bundle; the default bundle if left out.',
    )
    parser.add_argument(
        '--device',
        type=str,
        default='auto',
        metavar='DEVICE',
        help='auto, cpu, cuda or cuda:N; auto takes the first CUDA device if there is one.',
    )
    parser.add_argument(
        '--precision',
        type=str,
        default='float32',
        metavar='TYPE',
        help='Number type of the large matrix products: float32 or bfloat16.',
    )


def add_settings_options(parser: ArgumentParser) -> None:
    """``--config``, overrides and ``--json``, the same for all commands that train."""
    parser.add_argument(
        '--config', type=str | None, metavar='FILE', help='YAML file, as in config/training.'
    )
    parser.add_argument(
        'overrides',
        type=str,
        nargs='*',
        metavar='NAME=VALUE',
        help='Values that replace those of the file, e.g. optimiser.epochs=10 seed=1.',
    )
    add_json_option(parser)


def add_json_option(parser: ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument(
        '--json', action='store_true', help='Print the outcome as JSON and nothing else.'
    )
