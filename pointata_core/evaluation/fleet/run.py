# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate all recordings of a fleet: here one after another, or on the workers of a Ray cluster.

Both ways give the same results. What was finished before, with the same bundle, options and files,
is kept. A recording that fails is listed and stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from pointata_core.bundles.bundle_files import find_files
from pointata_core.errors import OutputError
from pointata_core.evaluation.fleet.parts import join, split
from pointata_core.evaluation.fleet.recordings import Recording, Stream, find_recordings
from pointata_core.evaluation.fleet.summary import account
from pointata_core.evaluation.fleet.task import (
    Failure,
    FleetSettings,
    FleetTask,
    finish,
    look_into,
    run_task,
    stored_summary,
)
from pointata_core.evaluation.report.fleet_page import write_fleet_report
from pointata_core.inference.label_memory import DECAY
from pointata_core.resources import DEFAULT_BUNDLE, resource_path
from pointata_core.safe_files import make_output_folder
from pointata_core.tasks import RayCluster, WorkerLost, connect, run_tasks

Progress = Callable[[int, int], None]
PART_FRAMES = 3000
Task = TypeVar('Task')


def evaluate_fleet(
    pattern: str,
    output: str | Path,
    *,
    bundle: str | Path | None = None,
    device: str = 'auto',
    precision: str = 'auto',
    topic: str | None = None,
    ray: str | None = None,
    part_frames: int = PART_FRAMES,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate every recording that a pattern matches, and write one report about all.

    Args:
        pattern: Such as ``fleet/**/*.mcap``; see :func:`.find_recordings`.
        output: Folder of the results; on a disk that all workers share.
        bundle: Folder of the bundle; ``None`` = the default bundle.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, on each worker.
        precision: ``auto``, ``float32`` or ``bfloat16``, see :func:`.open_bundle`; all workers take
            what ``auto`` is on this machine.
        topic: Topic of the clouds; ``None`` = those of all sensors, each by itself.
        ray: Address of a Ray cluster, '' for that of this machine; ``None`` = in this process.
        part_frames: On Ray, longer streams run in parts of about so many frames; 0 = never.
        progress: Called with (clouds done, clouds in all).
        options: Further arguments of :func:`.evaluate_bag`.

    Returns:
        The account that ``results.json`` holds.

    Raises:
        BundleError: The bundle cannot be used.
        ConfigError: The pattern matches nothing, or Ray cannot be used.
        OutputError: The results cannot be written.
    """
    from pointata_core.inference.device import choose_device  # only now: it loads torch

    started = perf_counter()
    recordings = find_recordings(pattern)
    found = find_files(bundle or resource_path(DEFAULT_BUNDLE))
    output = make_output_folder(output).resolve()
    settings = FleetSettings(
        str(output),
        str(found.root),
        found.manifest.checksum,
        device,
        choose_device(device).precision(precision),
        topic,
        {name: value for name, value in sorted(options.items()) if value is not None},
    )
    with ExitStack() as stack:
        cluster = None if ray is None else stack.enter_context(connect(ray))
        fleet = _Fleet(settings, cluster, progress)
        fleet.look_into(recordings)
        # Images and labels of other topics may lie on the other side of a cut.
        whole = cluster is None or found.manifest.takes_images or options.get('labels_topic')
        # Labels that remember earlier clouds depend a little on all of them.
        whole = whole or (options.get('fixed_frame') and options.get('label_memory', DECAY))
        fleet.evaluate(0 if whole else part_frames)
    result = account(fleet.summaries(), fleet.failures, perf_counter() - started)
    write_fleet_report(result, output)
    return result


class _Fleet:
    """The streams of a fleet on their way to results."""

    def __init__(
        self, settings: FleetSettings, cluster: RayCluster | None, progress: Progress | None
    ) -> None:
        self.settings, self._cluster, self._progress = settings, cluster, progress
        self._streams: dict[Stream, str] = {}  # with their keys
        self._missing: list[Stream] = []
        self._failures: dict[tuple[str, str], Failure] = {}

    @property
    def failures(self) -> list[Failure]:
        """What could not be evaluated, in the order of the recordings."""
        return [self._failures[key] for key in sorted(self._failures)]

    def summaries(self) -> list[dict[str, Any]]:
        """Summaries of the streams with results, in the order of the recordings."""
        output = Path(self.settings.output)
        found = (stored_summary(output / s.folder, key) for s, key in self._streams.items())
        return [summary for summary in found if summary is not None]

    def look_into(self, recordings: Sequence[Recording]) -> None:
        """Find the streams of all recordings, and which of them have results."""
        jobs = [(self.settings, recording) for recording in recordings]
        looks: dict[int, Any] = dict(self._run(look_into, jobs, 0.0))
        for number, recording in enumerate(recordings):
            found = looks[number]
            if isinstance(found, WorkerLost):
                found = Failure.of(recording.name, '', found)
            if isinstance(found, Failure):
                self._fail(found)
                continue
            for stream, key, is_done in found:
                self._streams[stream] = key
                if not is_done:
                    self._missing.append(stream)

    def evaluate(self, part_frames: int) -> None:
        """Evaluate the streams without results."""
        tasks = [
            FleetTask(self.settings, stream, self._streams[stream], part)
            for stream in self._missing
            for part in split(stream.frames, part_frames)
        ]
        self._evaluate(tasks)

    def _evaluate(self, tasks: list[FleetTask]) -> None:
        parts: dict[Stream, list[FleetTask]] = {}
        for task in tasks:
            parts.setdefault(task.stream, []).append(task)
        waiting = {stream: len(group) for stream, group in parts.items()}
        again = []
        total = sum(stream.frames for stream in parts)
        for number, failure in self._run(run_task, tasks, self._gpus(), total):
            task = tasks[number]
            stream = task.stream
            waiting[stream] -= 1
            if isinstance(failure, WorkerLost):
                failure = Failure.of(stream.recording.name, stream.topic, failure)
            if failure is not None:
                self._fail(failure)
            elif not waiting[stream] and not self._finish(parts[stream]):
                again.append(FleetTask(self.settings, stream, task.key))
        if again:
            self._evaluate(again)

    def _finish(self, parts: list[FleetTask]) -> bool:
        """Join the parts of a stream; whether that was possible."""
        first = parts[0]
        recording, topic = first.stream.recording.name, first.stream.topic
        if (recording, topic) in self._failures:
            return True
        try:
            if first.part is not None:
                results = join(parts)
                if results is None:
                    return False
                finish(first, results)
            if stored_summary(first.folder, first.key) is None:
                raise OutputError(
                    f'{first.folder} holds no results, although a worker has written them',
                    'Choose an --output on a disk that all workers share',
                )
        except Exception as error:
            self._fail(Failure.of(recording, topic, error))
        return True

    def _run(
        self, work: Callable[[Task, Progress], Any], tasks: Sequence[Task], gpus: float,
        total: int = 0,
    ) -> Iterator[tuple[int, Any]]:  # fmt: skip
        if self._cluster is not None:
            yield from self._cluster.run(work, tasks, gpus, lambda d: self._show(d, total))
            return
        done: dict[int, int] = {}

        def one(job: tuple[int, Task]) -> Any:
            number, task = job

            def report(count: int, _: int) -> None:
                done[number] = count
                self._show(done, total)

            return work(task, report)

        yield from run_tasks(one, list(enumerate(tasks)))

    def _show(self, done: dict[int, int], total: int) -> None:
        if self._progress is not None and total:
            self._progress(min(sum(done.values()), total), total)

    def _gpus(self) -> float:
        device = self.settings.device
        if self._cluster is None or device == 'cpu':
            return 0.0
        return float(device.startswith('cuda') or bool(self._cluster.gpus))

    def _fail(self, failure: Failure) -> None:
        self._failures[failure.recording, failure.topic] = failure
