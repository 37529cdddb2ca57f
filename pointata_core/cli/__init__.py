# SPDX-License-Identifier: Apache-2.0
"""The command line ``pointata``: one small module per command.

Each command module has ``NAME``, ``SUMMARY``, ``parser()`` and ``run(arguments) -> exit status``.
Modules import nothing slow at their top, so that ``--help`` and mistyped options answer at once.
"""
