# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One task of a fleet: a stream, or a part of a long one, from the recording to its results.

A task writes into the folder of the fleet, which all workers share, and returns little. A task that
is run again replaces what it wrote before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import zstandard

from pointata_core.errors import PointataError
from pointata_core.evaluation.bag_evaluation import BagOptions, run_bag
from pointata_core.evaluation.bag_run import BagRun, Part
from pointata_core.evaluation.fleet.recordings import Recording, Stream, identity, streams_of
from pointata_core.evaluation.fleet.summary import summarise
from pointata_core.evaluation.report.page import write_report
from pointata_core.evaluation.results import EvaluationResults
from pointata_core.inference.loading import LoadedBundle, open_bundle
from pointata_core.safe_files import make_output_folder, write_json

FORMAT = 1
TASK_FILE = 'task.json'
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class FleetSettings:
    """What all tasks of a fleet have in common.

    Args:
        output: Folder of the results, absolute.
        bundle: Folder of the bundle, absolute, or the name of one of this package.
        bundle_sha256: Of its manifest.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32`` or ``bfloat16``.
        topic: Topic of the clouds; ``None`` for those of all sensors.
        options: Fields of :class:`~pointata_core.evaluation.bag_evaluation.BagOptions`.
    """

    output: str
    bundle: str
    bundle_sha256: str
    device: str
    precision: str
    topic: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def key(self, stream: Stream) -> str:
        """Names what the results of a stream depend on."""
        facts = asdict(self) | {'output': '', 'format': FORMAT, 'topic': stream.topic}
        facts['recording'] = [stream.recording.path, identity(stream.recording.path)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def open_bundle(self) -> LoadedBundle:
        """The bundle; a process loads it once."""
        return _open(self.bundle, self.device, self.precision)


@dataclass(frozen=True)
class FleetTask:
    """A stream to evaluate, or a part of it.

    Args:
        settings: Of the fleet.
        stream: What to evaluate.
        key: Of the settings and the stream.
        part: Which part of it; ``None`` for all.
    """

    settings: FleetSettings
    stream: Stream
    key: str
    part: Part | None = None

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return Path(self.settings.output) / self.stream.folder

    def file(self, ending: str) -> Path:
        """A file of the part."""
        start = self.part.start if self.part else 0
        return self.folder / 'parts' / f'{start:08d}{ending}'


@dataclass(frozen=True)
class Failure:
    """A recording, or a stream of one, that could not be evaluated.

    Args:
        recording: Its name.
        topic: Topic of the clouds; empty where the whole recording is meant.
        message: What is wrong.
        fix: What to do.
    """

    recording: str
    topic: str
    message: str
    fix: str

    @classmethod
    def of(cls, recording: str, topic: str, error: Exception) -> Failure:
        """From an exception."""
        if isinstance(error, PointataError):
            return cls(recording, topic, error.message, error.fix)
        text = f'unexpected {type(error).__name__}: {error}'
        return cls(recording, topic, text, 'This is a defect; run it alone with --debug')


def look_into(
    job: tuple[FleetSettings, Recording], _: Report | None = None
) -> list[tuple[Stream, str, bool]] | Failure:
    """Streams of a recording with their keys, and whether they have results already."""
    settings, recording = job
    try:
        streams = streams_of(recording, settings.topic, settings.options.get('labels_topic'))
        keyed = [(stream, settings.key(stream)) for stream in streams]
    except Exception as error:
        return Failure.of(recording.name, '', error)
    output = Path(settings.output)
    return [(s, key, stored_summary(output / s.folder, key) is not None) for s, key in keyed]


def run_task(task: FleetTask, report: Report) -> Failure | None:
    """Evaluate, and write the results of a stream or what is kept of a part."""
    try:
        if task.part is None:
            _run_whole(task, report)
        elif stored_part(task) is None:
            _run_part(task, report)
    except Exception as error:
        return Failure.of(task.stream.recording.name, task.stream.topic, error)
    return None


def finish(task: FleetTask, results: EvaluationResults) -> None:
    """Write report and results of a stream; the file that marks them as whole comes last."""
    (task.folder / TASK_FILE).unlink(missing_ok=True)
    write_report(results, task.folder)
    summary = summarise(task.stream.recording.name, str(task.stream.folder), results)
    write_json(task.folder / TASK_FILE, {'key': task.key, 'summary': summary})
    shutil.rmtree(task.folder / 'parts', ignore_errors=True)


def stored_summary(folder: Path, key: str) -> dict[str, Any] | None:
    """Summary of a stream with results of this very key, if there is one."""
    try:
        stored = json.loads((folder / TASK_FILE).read_text(encoding='utf-8'))
        whole = stored['key'] == key and (folder / 'results.json').exists()
        return stored['summary'] if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stored_part(task: FleetTask) -> dict[str, Any] | None:
    """Facts of a part that was finished before."""
    try:
        facts = json.loads(task.file('.json').read_text(encoding='utf-8'))
        return (
            facts if facts['key'] == task.key and facts['part'] == list(task.part or ()) else None
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=1)
def _open(bundle: str, device: str, precision: str) -> LoadedBundle:
    # One thread for each operation, so that labels are the same bits on every worker.
    return open_bundle(bundle, device, precision, num_threads=1)


def _run(task: FleetTask, report: Report, **more: Any) -> BagRun:
    options = BagOptions(**task.settings.options | {'topic': task.stream.topic})
    path, opened = task.stream.recording.path, task.settings.open_bundle
    return run_bag(path, opened, options, report, **more)


def _run_whole(task: FleetTask, report: Report) -> None:
    started = perf_counter()
    make_output_folder(task.folder)
    run = _run(task, report)
    finish(task, run.results(perf_counter() - started))


def _run_part(task: FleetTask, report: Report) -> None:
    started = perf_counter()
    folder = make_output_folder(task.folder / 'parts')
    handle, name = tempfile.mkstemp(prefix='.labels', dir=folder)
    try:
        with os.fdopen(handle, 'wb') as file:
            with zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as labels:
                run = _run(task, report, part=task.part, labels=labels)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, task.file('.labels.zst'))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    runner = run.runner
    runner.recorder.recorded.save(task.file('.npz'))
    facts = {
        'key': task.key,
        'part': list(task.part or ()),
        'frames': run.frames,
        'notes': run.notes(),
        'bad_truth': run.bad_truth,
        'wall_s': perf_counter() - started,
        'labels_sha256': runner.recorder.labels_sha256,
        'start_sha256': run.start_sha256,
        'stop_sha256': runner.state_sha256(),
        'run': runner.facts(),
    }
    write_json(task.file('.json'), facts)
