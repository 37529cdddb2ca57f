# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pointata_ros.node.input_queue import InputQueue


class InputQueueMachine(RuleBasedStateMachine):
    """Every item put is taken, replaced, drained or waiting; exactly once."""

    @initialize(policy=st.sampled_from(['latest', 'block']), capacity=st.integers(1, 4))
    def open(self, policy, capacity):
        self.replaced: list[int] = []
        self.room = 0
        self.queue = InputQueue(policy, capacity, self.replaced.append, self._count_room)
        self.put_so_far = 0
        self.gone: list[int] = []
        self.is_open = True

    def _count_room(self):
        self.room += 1

    @precondition(
        lambda self: self.queue.policy == 'latest' or self.queue.has_room or not self.is_open
    )
    @rule()
    def put(self):
        assert self.queue.put(self.put_so_far) is self.is_open
        if self.is_open:
            self.put_so_far += 1

    @rule()
    def take(self):
        waiting = len(self.queue)
        room = self.room
        taken = self.queue.take(timeout_s=0.0)
        assert (taken is None) == (waiting == 0)
        if taken is None:
            return
        item, newer = taken
        assert self.room == room + 1
        assert newer == (waiting - 1 if self.queue.policy == 'latest' else 0)
        self.gone.append(item)

    @rule()
    def drain(self):
        self.gone += self.queue.drain()
        assert len(self.queue) == 0

    @rule()
    def close(self):
        self.gone += self.queue.close()
        self.is_open = False

    @invariant()
    def stays_bounded(self):
        assert len(self.queue) <= self.queue.capacity

    @invariant()
    def loses_nothing_silently_and_keeps_order(self):
        assert self.gone == sorted(self.gone)
        accounted = sorted(self.gone + self.replaced)
        assert accounted == list(range(self.put_so_far - len(self.queue)))
        if self.queue.policy == 'block':
            assert self.replaced == []


TestInputQueue = InputQueueMachine.TestCase
TestInputQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_block_makes_the_producer_wait_and_delivers_everything_in_order():
    queue = InputQueue('block', 2)
    producer = threading.Thread(target=lambda: [queue.put(item) for item in range(200)])
    producer.start()
    received = [queue.take(10.0)[0] for _ in range(200)]
    producer.join(10.0)
    assert received == list(range(200))
    assert not producer.is_alive()


def test_closing_releases_a_producer_that_waits():
    queue = InputQueue('block', 1)
    queue.put('first')
    accepted = []
    producer = threading.Thread(target=lambda: accepted.append(queue.put('second')))
    producer.start()
    assert queue.close() == ['first']
    producer.join(10.0)
    assert accepted == [False]


def test_latest_tells_how_many_newer_items_supersede_one():
    queue = InputQueue('latest', 3)
    for item in 'abc':
        queue.put(item)
    assert [queue.take(0.0) for _ in range(4)] == [('a', 2), ('b', 1), ('c', 0), None]


@pytest.mark.parametrize(('policy', 'capacity'), [('newest', 1), ('latest', 0)])
def test_a_queue_of_an_unknown_kind_cannot_be_made(policy, capacity):
    with pytest.raises(ValueError, match=policy):
        InputQueue(policy, capacity)
