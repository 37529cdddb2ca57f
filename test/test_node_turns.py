# SPDX-License-Identifier: Apache-2.0
"""Several mailboxes share one worker: nothing is lost, and nobody waits for more than one turn."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pointata_ros.node.input_queue import Mailbox
from pointata_ros.node.scheduler import Turns


class TurnsMachine(RuleBasedStateMachine):
    """Items are numbered by lane, in the order in which they are put."""

    @initialize(policy=st.sampled_from(['latest', 'block']), lanes=st.integers(1, 4))
    def open(self, policy, lanes):
        self.changed = threading.Condition()
        self.pushed_out: list[tuple[int, int]] = []
        self.boxes = [
            Mailbox(policy, 3, self.pushed_out.append, changed=self.changed) for _ in range(lanes)
        ]
        self.turns = Turns(self.boxes, self.changed)
        self.put_so_far = [0] * lanes
        self.taken: list[list[int]] = [[] for _ in range(lanes)]
        # Turns that others had while something of this lane was waiting.
        self.patience = [0] * lanes

    def _waiting(self, lane):
        gone = len(self.taken[lane]) + sum(one == lane for one, _ in self.pushed_out)
        return self.put_so_far[lane] - gone

    @rule(lane=st.integers(0, 3))
    def put(self, lane):
        lane %= len(self.boxes)
        if self.boxes[lane].policy == 'latest' or self.boxes[lane].has_room:
            assert self.boxes[lane].put((lane, self.put_so_far[lane]))
            self.put_so_far[lane] += 1

    @rule()
    def take(self):
        waiting = [self._waiting(lane) for lane in range(len(self.boxes))]
        turn = self.turns.take(timeout_s=0.0)
        assert (turn is None) == (not any(waiting))
        if turn is None:
            return
        lane, number = turn.item
        assert turn.lane == lane
        self.taken[lane].append(number)
        for other in range(len(self.boxes)):
            self.patience[other] = self.patience[other] + 1 if waiting[other] else 0
        self.patience[lane] = 0

    @invariant()
    def each_lane_keeps_its_order_and_loses_nothing_silently(self):
        for lane, numbers in enumerate(self.taken):
            assert numbers == sorted(set(numbers))
            lost = {number for one, number in self.pushed_out if one == lane}
            assert not lost & set(numbers)

    @invariant()
    def nobody_waits_for_more_than_one_turn_of_each_other(self):
        assert all(turns < len(self.boxes) for turns in self.patience)


TestTurns = TurnsMachine.TestCase
TestTurns.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_was_overtaken_says_so_and_the_newest_does_not():
    changed = threading.Condition()
    box = Mailbox('latest', 3, changed=changed)
    for item in 'abc':
        box.put(item)
    turns = Turns([box], changed)
    taken = [turns.take(0.0) for _ in range(3)]
    assert [(one.item, one.is_overtaken) for one in taken] == [
        ('a', True),
        ('b', True),
        ('c', False),
    ]
    assert not turns.has_begun


@pytest.mark.parametrize('which', [0, 1])
def test_who_waits_is_woken_by_any_of_the_boxes(which):
    changed = threading.Condition()
    boxes = [Mailbox('latest', 3, changed=changed) for _ in range(2)]
    turns, taken = Turns(boxes, changed), []
    taker = threading.Thread(target=lambda: taken.append(turns.take(timeout_s=600.0)))
    taker.start()
    boxes[which].put('item')
    taker.join(60.0)
    assert not taker.is_alive()
    assert (taken[0].lane, taken[0].item) == (which, 'item')


def test_closing_any_box_wakes_who_waits():
    changed = threading.Condition()
    boxes = [Mailbox('block', 3, changed=changed) for _ in range(2)]
    turns, taken = Turns(boxes, changed), []
    taker = threading.Thread(target=lambda: taken.append(turns.take(timeout_s=600.0)))
    taker.start()
    boxes[1].close()
    taker.join(60.0)
    assert taken == [None]
