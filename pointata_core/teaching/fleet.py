# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans worth a look among many recordings, each with a folder of its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError, PointataError
from pointata_core.evaluation.fleet.recordings import find_recordings
from pointata_core.safe_files import make_output_folder
from pointata_core.tasks import Report, WorkerLost, connect, run_tasks
from pointata_core.teaching.opening import open_project
from pointata_core.teaching.predictions import has_predictions, predict
from pointata_core.teaching.suggestions import Candidate, candidate, choose, class_weights


@dataclass(frozen=True)
class FleetSuggestion:
    """A scan of a fleet that is worth a look.

    Attributes:
        folder: Where it can be corrected.
        scan: Its file name without ending.
        worth: See :class:`~pointata_core.teaching.suggestions.Suggestion`.
        reason: In words.
    """

    folder: str
    scan: str
    worth: float
    reason: str


@dataclass(frozen=True)
class _Task:
    recording: str
    folder: str
    bundle: str
    topic: str | None
    fixed_frame: str | None


@dataclass(frozen=True)
class _Found:
    names: list[str]
    candidates: list[Candidate]


def look_at_fleet(
    pattern: str,
    folder: str | Path,
    bundle: str | Path,
    most: int,
    *,
    topic: str | None = None,
    fixed_frame: str | None = None,
    ray: str | None = None,
) -> tuple[list[FleetSuggestion], dict[str, PointataError]]:
    """Choose scans over all recordings; what was labelled before is not labelled again.

    Args:
        pattern: Of the recordings, see :func:`find_recordings`.
        folder: Gets a folder to teach in for each recording; on Ray, one that all workers share.
        bundle: What labels them.
        most: How many scans to choose.
        topic: Of the clouds.
        fixed_frame: See :func:`open_project`.
        ray: Address of a cluster, '' for that of this machine; ``None`` = in this process.

    Returns:
        The scans, the best first, and what went wrong with recordings, by name.

    Raises:
        ConfigError: The pattern matches nothing, no recording can be used, or Ray cannot.
        PointataError: The bundle cannot be read.
    """
    recordings = find_recordings(pattern)
    root, path = make_output_folder(str(folder)).resolve(), load_bundle(bundle).path.resolve()
    tasks = [
        _Task(one.path, str(root / one.name), str(path), topic, fixed_frame) for one in recordings
    ]
    results: dict[int, _Found] = {}
    failed: dict[str, PointataError] = {}
    with ExitStack() as stack:
        if ray is None:
            ended = run_tasks(_look_here, tasks)
        else:
            ended = stack.enter_context(connect(ray)).run(_look, tasks)
        for number, found in ended:
            if isinstance(found, _Found):
                results[number] = found
            else:
                failed[recordings[number].name] = found
    if not results:
        name, error = next(iter(failed.items()))
        raise ConfigError(f'no recording can be used; {name}: {error.message}', error.fix)
    order = sorted(results)
    candidates = [one for number in order for one in results[number].candidates]
    places = [(tasks[number].folder, name) for number in order for name in results[number].names]
    chosen = [
        FleetSuggestion(*places[place], one.worth, one.reason)
        for place, one in choose(candidates, most)
    ]
    return chosen, failed


def _look_here(task: _Task) -> _Found | PointataError | WorkerLost:
    return _look(task, lambda done, of: None)


def _look(task: _Task, report: Report) -> _Found | PointataError | WorkerLost:
    """Label one recording; what is wrong with it is returned, for others go on."""
    try:
        with open_project(
            task.recording, task.folder, topic=task.topic, fixed_frame=task.fixed_frame
        ) as project:
            bundle = load_bundle(task.bundle)
            if not has_predictions(project, bundle):
                predict(project, bundle, report=report)
            weights = class_weights(project)
            numbers = range(len(project))
            return _Found(
                [project.name(number) for number in numbers],
                [candidate(project, number, weights) for number in numbers],
            )
    except PointataError as error:
        return error
