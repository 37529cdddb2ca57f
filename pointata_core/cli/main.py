# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Entry point of ``pointata``: select a command, run it, report errors with a fix."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pointata_core
from pointata_core.cli.arguments import new_parser
from pointata_core.errors import PointataError
from pointata_core.safe_files import output_error

_MODULES = (
    *('demo', 'evaluate', 'score', 'predict', 'simulate', 'train', 'train_people'),
    *('domain_adapt', 'teach', 'pretrain'),
    *('pretrain_image', 'probe', 'convert', 'data', 'bundle', 'doctor'),
)
COMMANDS = tuple(import_module(f'pointata_core.cli.commands.{name}') for name in _MODULES)
FAILED = 1  # the command ran, with a negative outcome
BAD_INPUT = 2  # something the user can correct; as argparse
INTERRUPTED = 130  # as a shell reports SIGINT

_EXAMPLES = """\
examples:
  pointata demo                                 run the node on a simulated yard with people
  pointata evaluate --bag drive.mcap            measure accuracy and latency
  pointata predict scan.pcd                     label one cloud
  pointata doctor                               check the installation"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words of the command line; ``None`` = those of the process.

    Returns:
        Exit status: 0 success, 1 negative outcome, 2 bad input, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = new_parser(
        'Label point-cloud video: live, from recordings, from files.',
        _EXAMPLES,
        prog='pointata',
        json=False,
    )
    parser.add_argument('--version', action='version', version=pointata_core.__version__)
    commands = parser.add_subcommands(required=False, metavar='COMMAND')
    for module in COMMANDS:
        command = module.parser()
        command.flag('--debug', 'Show a traceback when something fails.')
        commands.add_subcommand(module.NAME, command, help=module.SUMMARY)
    parsed = parser.parse_args(words)
    if parsed.subcommand is None:
        parser.print_help()
        return BAD_INPUT
    module = next(module for module in COMMANDS if parsed.subcommand == module.NAME)
    return _run(module, parsed[parsed.subcommand])


def _run(module: Any, arguments: Any) -> int:
    from pointata_core.cli.console import print_error

    try:
        return module.run(arguments)
    except PointataError as error:
        if arguments.debug:
            raise
        print_error(error.message, error.fix)
        return BAD_INPUT
    except KeyboardInterrupt:
        print_error('interrupted')
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; keep Python from complaining on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if arguments.debug:
            raise
        fault = None
        if isinstance(error, OSError) and error.filename is not None:
            fault = output_error(error.filename, error)
        if fault is not None:
            print_error(fault.message, fault.fix)
            return BAD_INPUT
        print_error(
            f'unexpected {type(error).__name__}: {error}',
            'This is a defect; run again with --debug and report the traceback',
        )
        return FAILED


if __name__ == '__main__':
    sys.exit(main())
