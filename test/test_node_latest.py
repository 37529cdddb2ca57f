# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Policy ``latest`` on a virtual clock: predictions stay fresh whatever a cloud costs.

Queue, scheduler, worker, pipeline and counters are those of the node. Only the network is simulated
(a session whose frames take a given time), and time passes only while it computes.
"""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.robustness.ros_graph import cloud
from pointata_core.inference.background import LazyValue
from pointata_core.inference.frames import FrameResult
from pointata_ros.camera.input import NoCamera
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node import pipeline as pipeline_module
from pointata_ros.node import publish_task, received_cloud
from pointata_ros.node.input_queue import InputQueue
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.recovery import Recovery
from pointata_ros.node.scheduler import Scheduler
from pointata_ros.node.worker import Worker
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.transforms.ego_motion import NoEgoMotion

PERIOD_S = 0.1
EPSILON_S = 1e-6
# A counterexample is readable as it is, and making it smaller takes minutes.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
POINTS = np.ones((1, 3), np.float32)


class SimulatedSession:
    """Frames take ``published_s`` to label and ``ingested_s`` to ingest."""

    can_precompute = False
    takes_images = False
    window_frames = 8
    frames_in_history = 100
    bundle = SimpleNamespace(manifest=SimpleNamespace(features=()))

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def submit(self, frame):
        seconds = self._simulation.last_cost_s = self._simulation.cost_s()
        self._simulation.pass_time(seconds)
        timings_ms = {'network': 1e3 * self._simulation.ingested_share * seconds}
        labels, probabilities = np.zeros(1, np.uint16), np.ones(1, np.float32)
        result = FrameResult(labels, probabilities, None, timings_ms, frame.stamp_ns)
        return LazyValue(lambda: result)

    def ingest(self, frame):
        seconds = self._simulation.ingested_share * self._simulation.cost_s()
        self._simulation.pass_time(seconds)
        self._simulation.ingested.append(frame.stamp_ns)


class Published(NamedTuple):
    """One prediction of the node."""

    input: int
    arrived_s: float
    at_s: float
    cost_s: float

    @property
    def age_s(self) -> float:
        return self.at_s - self.arrived_s


class Simulation:
    """A node with one or several inputs, each fed by a sensor of constant period."""

    ingested_share = 0.8

    def __init__(self, monkeypatch, cost_s, inputs=1, period_s=PERIOD_S, **parameters):
        self.now_s = 0.0
        self.published: list[Published] = []
        self.ingested: list[int] = []
        self.period_s = period_s
        self._cost_s = cost_s
        self._sent = [0] * inputs
        for module in (pipeline_module, publish_task, received_cloud):
            monkeypatch.setattr(module, 'perf_counter', lambda: self.now_s)
        values = NodeSettings(**parameters)
        scheduler = Scheduler()
        self.statistics = Statistics(lambda: self.now_s)
        self._pipelines, self._queues = [], []
        recovery = Recovery(inputs)
        for index in range(inputs):
            pipeline = Pipeline(
                name=f'sensor_{index}',
                session=SimulatedSession(self),
                ego_motion=NoEgoMotion(),
                camera=NoCamera(),
                outputs=SimpleNamespace(
                    publish=lambda message, *_, index=index: self._publish(index, message.header),
                    publish_timings=lambda *_: None,
                ),
                statistics=self.statistics,
                settings=lambda: values,
                warn=lambda kind, text: None,
                give_up=lambda reason: None,
                recovery=recovery,
                inputs=inputs,
                has_pending=scheduler.has_pending,
                publisher=None,
            )
            queue = InputQueue(
                'latest',
                values.queue_size,
                lambda received: self.statistics.dropped(DropReason.OVERFLOW),
                changed=scheduler.changed,
            )
            scheduler.add(queue, pipeline)
            self._pipelines.append(pipeline)
            self._queues.append(queue)
        self._worker = Worker(scheduler, self._pipelines, self._fail)

    def cost_s(self) -> float:
        return self._cost_s(self.now_s)

    def pass_time(self, seconds: float) -> None:
        """Let the sensors send what they send meanwhile."""
        end_s = self.now_s + seconds
        while True:
            index = min(range(len(self._sent)), key=self._next_s)
            due_s = self._next_s(index)
            if due_s > end_s:
                break
            self.now_s = max(self.now_s, due_s)
            message = cloud(POINTS, 1 + round(due_s * 1e9))
            self.statistics.arrived(0, 0)
            self._queues[index].put(self._pipelines[index].receive(message))
            self._sent[index] += 1
        self.now_s = end_s

    def swap_skill(self) -> None:
        for one in self._pipelines:
            one.use(SimulatedSession(self))

    def run(self, until_s: float) -> Simulation:
        while self.now_s < until_s:
            if not any(len(one) for one in self._queues):
                index = min(range(len(self._sent)), key=self._next_s)
                self.pass_time(max(0.0, self._next_s(index) - self.now_s))
            self._worker.turn(0.0)
        return self

    def _next_s(self, index: int) -> float:
        return (self._sent[index] + index / len(self._sent)) * self.period_s

    def _publish(self, index: int, header) -> None:
        arrived_s = header.stamp.sec + 1e-9 * (header.stamp.nanosec - 1)
        self.published.append(Published(index, arrived_s, self.now_s, self.last_cost_s))

    def _fail(self, name, error):
        raise error


def assert_fresh(simulation: Simulation) -> None:
    """No prediction is older than the work on it plus one period."""
    assert simulation.published
    for one in simulation.published:
        assert one.age_s <= one.cost_s + simulation.period_s + EPSILON_S


def longest_pause_s(simulation: Simulation) -> float:
    times = [one.at_s for one in simulation.published]
    return max(later - earlier for earlier, later in pairwise(times))


@pytest.fixture(params=[1.0, 0.4], ids=lambda share: f'ingesting costs {share:g}')
def simulate(request, monkeypatch):
    def run(cost_s, **details) -> Simulation:
        simulation = Simulation(monkeypatch, cost_s, **details)
        simulation.ingested_share = request.param
        return simulation

    return run


def test_predictions_are_fresh_from_the_second_cloud_on(simulate):
    simulation = simulate(lambda now_s: 0.5).run(20.0)
    assert_fresh(simulation)
    # Nothing is ingested, so the worker does nothing but label.
    assert not simulation.ingested
    assert longest_pause_s(simulation) == pytest.approx(0.5)


@pytest.mark.parametrize('queue_size', [1, 10, 100])
def test_predictions_stay_fresh_when_work_becomes_dearer(simulate, queue_size):
    simulation = simulate(lambda now_s: 0.03 if now_s < 5.0 else 0.5, queue_size=queue_size)
    assert_fresh(simulation.run(12.0))
    # At most one cloud is ingested at the new price before the price is known.
    assert sum(stamp >= 5.0e9 for stamp in simulation.ingested) <= 1
    assert longest_pause_s(simulation) <= 2 * 0.5 + PERIOD_S + EPSILON_S


def test_a_price_that_falls_again_is_noticed_with_the_next_prediction(simulate):
    simulation = simulate(lambda now_s: 0.5 if 5.0 <= now_s < 10.0 else 0.03).run(20.0)
    assert_fresh(simulation)
    late = [one for one in simulation.published if one.arrived_s > 11.0]
    assert len(late) >= (20.0 - 11.0) / PERIOD_S - 2


def test_a_new_skill_has_to_show_its_price_first(simulate):
    simulation = simulate(lambda now_s: 0.02 if now_s < 5.0 else 0.5).run(5.0)
    simulation.swap_skill()
    # Held up for two seconds, as by whatever else the swap does.
    simulation.pass_time(2.0)
    ingested = len(simulation.ingested)
    assert_fresh(simulation.run(15.0))
    assert len(simulation.ingested) == ingested


def test_after_a_long_stall_only_what_the_newest_cloud_depends_on_is_ingested(simulate):
    simulation = simulate(lambda now_s: 0.04, queue_size=100).run(5.0)
    ingested = len(simulation.ingested)
    simulation.pass_time(9.0)
    assert_fresh(simulation.run(20.0))
    assert 0 < len(simulation.ingested) - ingested <= SimulatedSession.window_frames + 5
    after = next(one for one in simulation.published if one.at_s > 14.0)
    assert after.at_s < 14.0 + 0.04 * (SimulatedSession.window_frames + 6)


def test_cheap_clouds_that_are_superseded_enter_the_state(monkeypatch):
    simulation = Simulation(monkeypatch, lambda now_s: 0.15)
    simulation.ingested_share = 0.2
    assert_fresh(simulation.run(20.0))
    counts = simulation.statistics.snapshot()
    assert counts.ingested == len(simulation.ingested) > 50
    assert counts.gaps <= 1


@pytest.mark.parametrize('period_s', [0.02, 0.05, 0.1, 0.25])
def test_with_the_default_patience_no_cloud_is_labelled_after_more_than_a_period(
    simulate, period_s
):
    # Now and then a cloud takes long; on average the node keeps up.
    simulation = simulate(
        lambda now_s: (1.5 if int(now_s / period_s) % 10 == 0 else 0.4) * period_s,
        period_s=period_s,
    )
    assert_fresh(simulation.run(100 * period_s))
    assert simulation.statistics.snapshot().gaps <= 1


@settings(max_examples=20, deadline=None, phases=PHASES)
@given(
    costs_s=st.lists(st.floats(0.01, 0.8), min_size=1, max_size=6),
    share=st.floats(0.05, 1.0),
    inputs=st.integers(1, 3),
    queue_size=st.sampled_from([1, 10, 100]),
)
def test_whatever_clouds_cost_predictions_are_fresh(costs_s, share, inputs, queue_size):
    with pytest.MonkeyPatch.context() as monkeypatch:
        simulation = Simulation(
            monkeypatch,
            lambda now_s: costs_s[int(now_s) % len(costs_s)],
            inputs=inputs,
            queue_size=queue_size,
        )
        simulation.ingested_share = share
        simulation.run(2.0 * len(costs_s))
    assert_fresh(simulation)
    # The same bound for each input: it never waits for the queues of the others to be emptied.
    for index in range(inputs):
        times = [one.at_s for one in simulation.published if one.input == index]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert max(pauses, default=0.0) <= 2 * inputs * (max(costs_s) + simulation.period_s) + 1.0
