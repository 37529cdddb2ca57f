# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: pages may link to files outside ``docs/``, as they do when read in the repository.

Such a file becomes a file of the site, in the place that it has in the repository; files of
``docs/`` lie in the root of the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r'(?<=\]\()(?!\w+:|/|#)([^)#\s]+)')
SOURCE = re.compile(r'(?<=href=")((?!\w+:)[^"#]+)\.(?:md|py)(?=["#])')


def in_site(target: Path, config: MkDocsConfig) -> str | None:
    """Return the path in the site of a file of the repository; None for what is not one."""
    docs = Path(config.docs_dir)
    base = docs if target.is_relative_to(docs) else docs.parent
    inside = target.is_file() and target.is_relative_to(base)
    return target.relative_to(base).as_posix() if inside else None


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to."""
    pages = list(files.documentation_pages())
    while pages:
        page = pages.pop()
        for link in LINK.findall(page.content_string):
            target = Path(str(page.abs_src_path)).parent.joinpath(link).resolve()
            path = in_site(target, config)
            if path is None or files.get_file_from_path(path) is not None:
                continue
            added = File.generated(config, path, abs_src_path=str(target))
            files.append(added)
            if added.is_documentation_page():
                pages.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Let all links point to the files' places in the site."""
    folder = Path(str(page.file.abs_src_path)).parent

    def moved(match: re.Match[str]) -> str:
        path = in_site(folder.joinpath(match[1]).resolve(), config)
        return match[1] if path is None else os.path.relpath(path, Path(page.file.src_uri).parent)

    return LINK.sub(moved, markdown)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Let links of the tutorials, which are no Markdown pages, point to pages of the site."""
    return SOURCE.sub(r'\1.html', html) if page.file.src_uri.endswith('.py') else html
