# SPDX-License-Identifier: Apache-2.0
"""Recognise a file that stands in for the one that is wanted.

Git LFS and git-annex leave a line of text where a large file has not been fetched, and a download
that needed a login or failed leaves a page of HTML. To a reader of binary formats all of them are
damaged files, which is a false statement with no useful advice.
"""

from __future__ import annotations

from pathlib import Path

_HEAD_BYTES = 512
_LFS = b'version https://git-lfs.github.com/spec/'
_ANNEX = (b'/annex/objects/', b'.git/annex/objects/', b'../.git/annex/')
_HTML = (b'<!doctype html', b'<html')


def describe_stand_in(path: Path) -> tuple[str, str] | None:
    """Return what a file holds instead of its data, and what to do; None for any other file."""
    if path.is_symlink() and not path.exists() and 'annex/objects' in str(path.readlink()):
        return _annex(path)
    try:
        with path.open('rb') as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if head.startswith(_LFS):
        return (
            f'{path} is a Git LFS pointer: a line of text in place of the file, whose content was '
            'not fetched',
            f'Run `git lfs pull` in {path.absolute().parent} (git-lfs must be installed)',
        )
    if head.startswith(_ANNEX):
        return _annex(path)
    if head.lstrip().lower().startswith(_HTML):
        return (
            f'{path} is a page of HTML in place of the file, as a failed download or one that '
            'needs a login leaves it',
            'Open it in a browser to see what the server answered, and download the file again',
        )
    return None


def _annex(path: Path) -> tuple[str, str]:
    return (
        f'{path} is a git-annex pointer: the content of the file was not fetched',
        f'Run `git annex get {path.name}` in {path.absolute().parent}',
    )
