# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency percentiles: measured values, ordered, one summary per stage."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointata_core.evaluation.metrics.latency import LatencyLog, summarise_latency

samples = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=300)


@given(samples)
def test_percentiles_are_measured_values_in_order(values):
    summary = summarise_latency(values)
    assert {summary.p50, summary.p95, summary.p99, summary.max} <= set(values)
    assert summary.p50 <= summary.p95 <= summary.p99 <= summary.max == max(values)
    assert summary.count == len(values)
    # Nearest rank: at least the share named lies at or below the value.
    assert sum(v <= summary.p95 for v in values) >= 0.95 * len(values)


def test_hundred_known_values():
    summary = summarise_latency(range(1, 101))
    assert (summary.p50, summary.p95, summary.p99, summary.max) == (50, 95, 99, 100)


def test_stages_keep_their_order_and_no_samples_is_no_summary():
    log = LatencyLog()
    log.add({'prepare': 1.0, 'total': 3.0})
    log.add({'prepare': 2.0, 'network': 1.0, 'total': 4.0})
    assert list(log.summary()) == ['prepare', 'total', 'network']
    assert log.summary()['network'].count == 1
    assert summarise_latency([]) is None
