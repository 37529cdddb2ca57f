# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several queues share one worker: nothing is lost, and none waits for more than one turn each."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pointata_ros.node.input_queue import InputQueue
from pointata_ros.node.scheduler import Scheduler


class SchedulerMachine(RuleBasedStateMachine):
    """Items are numbered by lane, in the order in which they are put."""

    @initialize(policy=st.sampled_from(['latest', 'block']), lanes=st.integers(1, 4))
    def open(self, policy, lanes):
        self.pushed_out: list[tuple[int, int]] = []
        self.scheduler = Scheduler()
        self.queues = [
            InputQueue(policy, 3, self.pushed_out.append, changed=self.scheduler.changed)
            for _ in range(lanes)
        ]
        for lane, queue in enumerate(self.queues):
            self.scheduler.add(queue, lane)
        self.put_so_far = [0] * lanes
        self.taken: list[list[int]] = [[] for _ in range(lanes)]
        # Turns that others had while something of this lane was waiting.
        self.patience = [0] * lanes

    def _waiting(self, lane):
        gone = len(self.taken[lane]) + sum(one == lane for one, _ in self.pushed_out)
        return self.put_so_far[lane] - gone

    @rule(lane=st.integers(0, 3))
    def put(self, lane):
        lane %= len(self.queues)
        if self.queues[lane].policy == 'latest' or self.queues[lane].has_room:
            assert self.queues[lane].put((lane, self.put_so_far[lane]))
            self.put_so_far[lane] += 1

    @rule()
    def take(self):
        waiting = [self._waiting(lane) for lane in range(len(self.queues))]
        assert self.scheduler.has_pending() == any(waiting)
        job = self.scheduler.take(timeout_s=0.0)
        assert (job is None) == (not any(waiting))
        if job is None:
            return
        lane, number = job.item
        assert job.owner == lane
        self.taken[lane].append(number)
        is_block = self.queues[lane].policy == 'block'
        assert job.newer == (0 if is_block else len(self.queues[lane]))
        # A turn lasts until there is nothing newer.
        for other in range(len(self.queues)):
            self.patience[other] = self.patience[other] + (not job.newer) if waiting[other] else 0
        self.patience[lane] = 0

    @invariant()
    def each_lane_keeps_its_order_and_loses_nothing_silently(self):
        for lane, numbers in enumerate(self.taken):
            assert numbers == sorted(set(numbers))
            lost = {number for one, number in self.pushed_out if one == lane}
            assert not lost & set(numbers)

    @invariant()
    def nobody_waits_for_more_than_one_turn_of_each_other(self):
        assert all(turns < len(self.queues) for turns in self.patience)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def scheduler_of(policy: str, count: int) -> tuple[Scheduler, list[InputQueue]]:
    scheduler = Scheduler()
    queues = [InputQueue(policy, 3, changed=scheduler.changed) for _ in range(count)]
    for number, queue in enumerate(queues):
        scheduler.add(queue, number)
    return scheduler, queues


def test_all_but_the_newest_are_superseded():
    scheduler, (queue,) = scheduler_of('latest', 1)
    for item in 'abc':
        queue.put(item)
    taken = [scheduler.take(0.0) for _ in range(3)]
    assert taken == [(0, 'a', 2), (0, 'b', 1), (0, 'c', 0)]
    assert not scheduler.has_pending()


def test_which_cloud_is_the_newest_is_decided_at_its_turn():
    scheduler, (queue,) = scheduler_of('latest', 1)
    queue.put('a')
    queue.put('b')
    assert scheduler.take(0.0) == (0, 'a', 1)
    queue.put('c')
    assert scheduler.take(0.0) == (0, 'b', 1)
    assert scheduler.take(0.0) == (0, 'c', 0)


def test_the_turn_of_an_input_ends_with_its_newest_cloud():
    scheduler, queues = scheduler_of('latest', 2)
    for queue in queues:
        queue.put('a')
        queue.put('b')
    taken = [scheduler.take(0.0) for _ in range(4)]
    assert taken == [(0, 'a', 1), (0, 'b', 0), (1, 'a', 1), (1, 'b', 0)]


@pytest.mark.parametrize('which', [0, 1])
def test_any_of_the_queues_wakes_the_thread_that_waits(which):
    scheduler, queues = scheduler_of('latest', 2)
    taken = []
    taker = threading.Thread(target=lambda: taken.append(scheduler.take(timeout_s=600.0)))
    taker.start()
    queues[which].put('item')
    taker.join(60.0)
    assert not taker.is_alive()
    assert taken == [(which, 'item', 0)]


def test_closing_any_queue_wakes_the_thread_that_waits():
    scheduler, queues = scheduler_of('block', 2)
    taken = []
    taker = threading.Thread(target=lambda: taken.append(scheduler.take(timeout_s=600.0)))
    taker.start()
    queues[1].close()
    taker.join(60.0)
    assert taken == [None]
