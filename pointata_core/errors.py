# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors a person can act on.

Every error raised for bad input names what was found, what was expected and what to do. The command
line prints the message and the fix and exits with code 2; only ``--debug`` shows a traceback.
"""

from __future__ import annotations


class PointataError(Exception):
    """Bad input or configuration, described for the person who can mend it.

    Args:
        message: What was found and what was expected; names the file or topic and the field.
        fix: What to do about it, as an imperative sentence; may be empty.
    """

    def __init__(self, message: str, fix: str = '') -> None:
        super().__init__(f'{message}. {fix}'.rstrip('. ') + '.' if fix else message)
        self.message = message
        self.fix = fix


class ConfigError(PointataError):
    """A configuration value is missing, of the wrong type or out of range."""


class BundleError(PointataError):
    """A skill bundle on disk is damaged, incomplete, unsafe or made for another network."""


class BagError(PointataError):
    """A recording cannot be read, or lacks the topic or field asked for."""


class OutputError(PointataError, OSError):
    """A result cannot be written: no room, no permission, no such folder."""


class CloudFileError(PointataError):
    """A point-cloud file cannot be read."""
