#!/usr/bin/env python3
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Time the stages of a session on recorded clouds; prints JSON. ``node.py`` starts it.

It runs as a script in a process of its own and imports nothing of the benchmarks, so that the
package it measures is the one that ``PYTHONPATH`` names, perhaps of another checkout.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from pointata_core.bundles.bundle import load_bundle
from pointata_core.evaluation.metrics.latency import LatencyLog
from pointata_core.inference.session import StreamingSession
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode
from pointata_core.resources import resource_path


def measure(bag: Path, clouds: int, threads: int, overlap: bool) -> dict[str, Any]:
    """Milliseconds of every stage of a session, percentiles by nearest rank."""
    if threads:
        torch.set_num_threads(threads)
    with BagReader(bag) as reader:
        messages = [m for _, _, m in reader.messages([reader.select_point_topic()])]
    # Older trees know nothing of overlapping.
    more: dict[str, Any] = {'overlap': True} if overlap else {}
    session = StreamingSession(load_bundle(resource_path('models/default')), **more)
    watch = _ModuleWatch(session.network)
    log = LatencyLog()
    points = 0
    for number in range(clouds + 10):
        timings, points = _one_cloud(session, messages[number % len(messages)], number, watch)
        if number >= 10:  # the first ones wake libraries and fill caches
            log.add(timings)
    return {
        'clouds': clouds,
        'threads': torch.get_num_threads(),
        'overlap': overlap,
        'points': points,
        'latency_ms': {
            stage: {k: round(v, 2) for k, v in asdict(summary).items() if k != 'count'}
            for stage, summary in log.summary().items()
        },
    }


class _ModuleWatch:
    """Time spent inside the parts of a network, by forward hooks."""

    def __init__(self, network: Any) -> None:
        self.ms: dict[str, float] = defaultdict(float)
        heads = (network.segmentation_head, network.actor, network.action_head)
        parts = {'tokens': [network.embedder], 'heads': [head for head in heads if head]}
        parts['blocks'] = [*network.backbone.blocks, *network.adapters]
        for name, modules in parts.items():
            for module in modules:
                module.register_forward_pre_hook(self._begin)
                module.register_forward_hook(self._end(name))
        self._began: list[float] = []

    def _begin(self, *_: object) -> None:
        self._began.append(perf_counter())

    def _end(self, name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            self.ms[name] += 1e3 * (perf_counter() - self._began.pop())

        return hook


def _one_cloud(
    session: Any, message: Any, number: int, watch: _ModuleWatch
) -> tuple[dict[str, float], int]:
    watch.ms.clear()
    began = perf_counter()
    cloud = decode(message, wanted_features=session.bundle.manifest.features)
    decoded = perf_counter()
    assert isinstance(cloud, Cloud), cloud
    result = session.step(cloud.points, number * 100_000_000, cloud.features)
    stepped = perf_counter()
    encode_fields(
        [*xyz_columns(cloud.points), ('class_id', result.labels), ('score', result.probabilities)]
    )
    encoded = perf_counter()
    network = result.timings_ms['network']
    return {
        'decode': 1e3 * (decoded - began),
        'prepare': result.timings_ms['prepare'],
        'geometry': result.timings_ms['geometry'],
        **{name: watch.ms[name] for name in ('tokens', 'blocks', 'heads')},
        'rest_of_step': network - sum(watch.ms.values()),
        'propagate': result.timings_ms['propagate'],
        'encode': 1e3 * (encoded - stepped),
        'total': 1e3 * (encoded - began),
    }, len(cloud.points)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--bag', type=Path, required=True)
    parser.add_argument('--clouds', type=int, default=200)
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--overlap', action='store_true')
    options = parser.parse_args()
    print(json.dumps(measure(options.bag, options.clouds, options.threads, options.overlap)))
