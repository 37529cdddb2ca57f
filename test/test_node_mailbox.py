# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pointata_ros.node.input_queue import Delivery, Mailbox


class MailboxMachine(RuleBasedStateMachine):
    """Every item put is delivered, overtaken, pushed out, drained or waiting; exactly once."""

    @initialize(policy=st.sampled_from(['latest', 'block']), capacity=st.integers(1, 4))
    def open(self, policy, capacity):
        self.pushed_out: list[int] = []
        self.room = 0
        self.box = Mailbox(policy, capacity, self.pushed_out.append, self._count_room)
        self.put_so_far = 0
        self.gone: list[int] = []
        self.is_open = True

    def _count_room(self):
        self.room += 1

    @precondition(lambda self: self.box.policy == 'latest' or self.box.has_room or not self.is_open)
    @rule()
    def put(self):
        assert self.box.put(self.put_so_far) is self.is_open
        if self.is_open:
            self.put_so_far += 1

    @rule()
    def take(self):
        waiting = len(self.box)
        room = self.room
        delivery = self.box.take(timeout_s=0.0)
        assert (delivery is None) == (waiting == 0)
        if delivery is None:
            return
        assert self.room == room + 1
        self.gone += [*delivery.overtaken, delivery.item]
        if self.box.policy == 'latest':
            assert len(self.box) == 0
        else:
            assert delivery.overtaken == ()

    @rule()
    def drain(self):
        self.gone += self.box.drain()
        assert len(self.box) == 0

    @rule()
    def close(self):
        self.gone += self.box.close()
        self.is_open = False

    @invariant()
    def stays_bounded(self):
        assert len(self.box) <= self.box.capacity

    @invariant()
    def loses_nothing_silently_and_keeps_order(self):
        assert self.gone == sorted(self.gone)
        accounted = sorted(self.gone + self.pushed_out)
        assert accounted == list(range(self.put_so_far - len(self.box)))
        if self.box.policy == 'block':
            assert self.pushed_out == []


TestMailbox = MailboxMachine.TestCase
TestMailbox.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_block_makes_the_producer_wait_and_delivers_everything_in_order():
    box = Mailbox('block', 2)
    producer = threading.Thread(target=lambda: [box.put(item) for item in range(200)])
    producer.start()
    received = [box.take(10.0).item for _ in range(200)]
    producer.join(10.0)
    assert received == list(range(200))
    assert not producer.is_alive()


def test_closing_releases_a_producer_that_waits():
    box = Mailbox('block', 1)
    box.put('first')
    accepted = []
    producer = threading.Thread(target=lambda: accepted.append(box.put('second')))
    producer.start()
    assert box.close() == ['first']
    producer.join(10.0)
    assert accepted == [False]


def test_latest_hands_over_what_it_overtook():
    box = Mailbox('latest', 3)
    for item in 'abc':
        box.put(item)
    assert box.take(0.0) == Delivery('c', ('a', 'b'))


@pytest.mark.parametrize(('policy', 'capacity'), [('newest', 1), ('latest', 0)])
def test_a_mailbox_of_an_unknown_kind_cannot_be_made(policy, capacity):
    with pytest.raises(ValueError, match=policy):
        Mailbox(policy, capacity)
