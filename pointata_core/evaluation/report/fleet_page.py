# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page about a fleet of recordings; each line leads to the report of its recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pointata_core.evaluation.report.page import page_style, report_environment
from pointata_core.safe_files import write_atomically


def write_fleet_report(account: Mapping[str, Any], folder: Path) -> Path:
    """Write ``results.json`` and ``report.html``.

    Args:
        account: See :func:`pointata_core.evaluation.fleet.summary.account`.
        folder: Where to.

    Returns:
        Path of the page.
    """
    text = json.dumps(account, indent=2, allow_nan=False) + '\n'
    write_atomically(folder / 'results.json', text.encode())
    folders = {(r['recording'], r['topic']): r['folder'] for r in account['recordings']}
    page = folder / 'report.html'
    html = (
        report_environment()
        .get_template('fleet.html.j2')
        .render(
            fleet=account,
            css=page_style(),
            link=lambda row: f'{quote(folders[row["recording"], row["topic"]])}/report.html',
            lost=_lost,
        )
    )
    write_atomically(page, html.encode())
    return page


def _lost(row: Mapping[str, Any]) -> str:
    """Clouds without a prediction, by reason."""
    reasons = {**row['rejected'], **row['skipped'], **row['dropped']}
    return ', '.join(f'{count} {reason.replace("_", " ")}' for reason, count in reasons.items())
