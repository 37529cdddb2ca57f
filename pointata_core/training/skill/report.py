# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``report.html`` of a training: scores, loss, confusions and every setting, in one file."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.evaluation.report.page import page_style
from pointata_core.safe_files import write_atomically
from pointata_core.training.skill.align import AlignResult
from pointata_core.training.skill.scorers import SkillScore
from pointata_core.training.skill.settings import TrainingSettings

_HERE = Path(__file__).parent


def write_training_report(
    settings: TrainingSettings,
    align: AlignResult | None,
    scores: Sequence[SkillScore],
    training: dict[str, Any],
    folder: Path,
) -> Path:
    """Write ``report.html``; the same figures lie in ``results.json`` and ``align/align.json``.

    Args:
        settings: Of the run.
        align: What an ``align`` stage measured, if there is one.
        scores: Of each task and kind of recording.
        training: Seconds, parameters and backbone.
        folder: The run's folder.

    Returns:
        Path of the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template('report.html.j2').render(
        name=settings.name,
        data=settings.data.name,
        validation=settings.data.validation,
        seed=settings.seed,
        css=page_style(),
        scores=[(score, _confusion(score)) for score in scores],
        training=training,
        align=None if align is None else asdict(align),
        curves=[
            (stage.folder, curve)
            for stage in settings.plan
            if (curve := _curve(read_losses(folder / stage.folder)))
        ],
        settings=(folder / 'settings.yaml').read_text(encoding='utf-8'),
    )
    path = folder / 'report.html'
    write_atomically(path, page.encode())
    return path


def read_losses(folder: Path) -> list[tuple[int, float]]:
    """Read (step, loss) of all attempts of a stage; what an attempt repeated counts once."""
    found: dict[int, float] = {}
    for path in sorted((folder / 'logs' / 'csv').glob('attempt_*/metrics.csv')):
        with path.open(encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                if row.get('loss'):
                    found[int(row['step'])] = float(row['loss'])
    return sorted(found.items())


def _curve(losses: list[tuple[int, float]]) -> str:
    if len(losses) < 2:
        return ''
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), dpi=110)
    axes = figure.add_subplot()
    steps, values = zip(*losses, strict=True)
    axes.plot(steps, values, linewidth=1)
    axes.set_xlabel('step')
    axes.set_ylabel('loss')
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format='png', bbox_inches='tight')
    return _data_uri(file.getvalue())


def _confusion(score: SkillScore) -> str:
    from pointata_core.evaluation.report.charts import LIGHT, confusion_chart

    counts = np.array(score.confusion)
    if not counts.size:
        return ''
    # Every clip has a prediction: the chart's column for none stays empty.
    counts = np.pad(counts, ((0, 0), (0, 1)))
    return _data_uri(confusion_chart(counts, score.classes, LIGHT))


def _data_uri(png: bytes) -> str:
    return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')
