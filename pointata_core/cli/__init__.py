# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line ``pointata``: one module per command, in ``commands``.

Each command module has ``NAME``, ``SUMMARY``, ``parser()`` and ``run(arguments) -> exit status``.
Modules import nothing slow at their top, so that ``--help`` and mistyped options respond at once.
"""
