# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run many tasks: in this process, in several of this machine, or on a Ray cluster.

Evaluation of many recordings and preparation of training clips share this engine. Tasks write their
own results, each whole or not at all, so whatever ends a run, the next one goes on behind it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from pointata_core.errors import ConfigError, PointataError

Task = TypeVar('Task')
Result = TypeVar('Result')
Report = Callable[[int, int], None]
_POLL_S = 0.5
_RETRIES = 3


class WorkerLost(PointataError):
    """The process of a task ended again and again before the task did."""


def run_tasks(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int = 1
) -> Iterator[tuple[int, Result]]:
    """Run tasks on this machine.

    Args:
        work: What to do; with several processes a function of a module.
        tasks: What to do it with.
        processes: 1 works in this process, in order.

    Yields:
        Number of the task and its result, as they end.

    Raises:
        Exception: What ``work`` raises; the tasks that have not begun are dropped.
    """
    if processes == 1 or len(tasks) < 2:
        for number, task in enumerate(tasks):
            yield number, work(task)
        return
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(min(processes, len(tasks)), context) as pool:
        numbers = {pool.submit(work, task): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class RayCluster:
    """A connection to Ray; made by :func:`connect`.

    Attributes:
        gpus: Of the whole cluster.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.gpus = float(ray.cluster_resources().get('GPU', 0.0))

    def run(
        self,
        work: Callable[[Task, Report], Result],
        tasks: Sequence[Task],
        gpus: float = 0.0,
        progress: Callable[[dict[int, int]], None] | None = None,
    ) -> Iterator[tuple[int, Result | WorkerLost]]:
        """Run tasks on the workers of the cluster, each on one core.

        A task whose worker ends is run again on another one.

        Args:
            work: A function of a module that the workers have too. Its second argument takes what
                is done so far and of how much.
            tasks: What can be pickled.
            gpus: GPUs of one task.
            progress: Called with what is done by number of the task.

        Yields:
            Number of the task and its result, as they end.

        Raises:
            Exception: What ``work`` raises.
        """
        ray = self._ray
        counts = ray.remote(num_cpus=0, max_restarts=-1)(_Counts).remote()
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)(_reporting)
        # In an object of its own, the function is sent once and not with each task.
        shared = ray.put(work)
        numbers = {
            remote.options(name=work.__name__).remote(shared, counts, number, task): number
            for number, task in enumerate(tasks)
        }
        pending = list(numbers)
        try:
            while pending:
                done, pending = ray.wait(pending, timeout=_POLL_S)
                if progress is not None:
                    progress(self._read(counts))
                for reference in done:
                    yield numbers[reference], self._result(reference)
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)
            ray.kill(counts)

    def _result(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except errors.RayError as error:
            reason = str(error).strip().partition('\n')[0] or type(error).__name__
            return WorkerLost(
                f'its worker ended {_RETRIES + 1} times: {reason}',
                'Look at the memory of the workers and at the logs of Ray; then run it again',
            )

    def _read(self, counts: Any) -> dict[int, int]:
        try:
            return self._ray.get(counts.read.remote(), timeout=5.0)
        except self._ray.exceptions.RayError:  # its process ended; it begins anew
            return {}


@contextmanager
def connect(address: str = '') -> Iterator[RayCluster]:
    """Connect to a Ray cluster.

    Args:
        address: Such as ``10.0.0.1:6379`` or ``ray://head:10001``; empty for the cluster of this
            machine, which is started if there is none.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    try:
        import ray
    except ImportError:
        raise ConfigError(
            'Ray is not installed, which --ray needs', "Run: pip install 'pointata_ros[fleet]'"
        ) from None
    ours = not ray.is_initialized()
    if ours:
        _require_open(address)
        try:
            ray.init(
                address=address or None,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:
            raise _no_cluster(address, error) from error
    try:
        yield RayCluster(ray)
    finally:
        if ours:
            ray.shutdown()


def _require_open(address: str) -> None:
    """Refuse an address at which nothing answers; Ray itself would try for minutes."""
    host, _, port = address.rpartition('/')[2].rpartition(':')
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip('[]'), int(port)), timeout=10.0).close()
    except OSError as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f'no Ray cluster answers at {address or "this machine"} ({error})',
        'Start one with `ray start --head`, or give --ray without an address',
    )


class _Counts:
    """What is done of each task; lives in a process of the cluster."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}

    def set(self, number: int, done: int) -> None:
        """Take what a task reports."""
        self._done[number] = done

    def read(self) -> dict[int, int]:
        """Return what all tasks have reported."""
        return self._done


def _reporting(work: Callable[[Any, Report], Any], counts: Any, number: int, task: Any) -> Any:
    return work(task, lambda done, _: counts.set.remote(number, done))
