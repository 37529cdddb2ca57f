# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of a made-up run, with everything that a report can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointata_core.evaluation.recorder import RunFacts, RunRecorder
from pointata_core.evaluation.results import EvaluationResults
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES

STAGES = ('decode', 'prepare', 'geometry', 'network', 'propagate')


def sample_results(frames: int = 30, source: str = 'drive_bag') -> EvaluationResults:
    random = np.random.default_rng(5)
    recorder = RunRecorder(SEGMENTATION_CLASSES, ACTION_CLASSES, frames)
    for number in range(frames):
        points = random.normal(0, (15, 15, 1.5), (4000, 3)).astype(np.float32)
        truth = random.integers(0, 11, len(points)).astype(np.uint16)
        guessed = random.random(len(points)) < 0.3
        labels = np.where(guessed, random.integers(0, 15, len(points)), truth).astype(np.uint16)
        labels[:17] = 65535
        timings = {stage: float(random.gamma(4, 2)) for stage in STAGES}
        recorder.add(
            number * 100_000_000,
            points,
            labels,
            action=np.eye(len(ACTION_CLASSES), dtype=np.float32)[number // 7],
            timings_ms={**timings, 'total': sum(timings.values())},
            truth=truth,
            action_truth=ACTION_CLASSES[number // 6],
        )
    recorder.rejected['truncated_data'] += 2
    recorder.dropped['superseded'] += 1
    recorder.resets['gap'] += 1
    bundle = {
        'name': 'sample',
        'hash': 'c0ffee' * 10 + 'c0de',
        'path': 'models/sample',
        'preset': 'tiny',
        'licence': 'Apache-2.0',
        'segmentation_classes': list(SEGMENTATION_CLASSES),
        'action_classes': list(ACTION_CLASSES),
        'provenance': {},
    }
    facts = RunFacts(
        'bag', source, '/points', frames + 3, 4.2, bundle, 'cpu (asked for)', 160_439, 5 << 27
    )
    return recorder.results(facts)


def empty_results() -> EvaluationResults:
    """A run in which nothing was answered."""
    recorder = RunRecorder((), (), 0)
    bundle = {'name': 'none', 'hash': '0' * 64, 'preset': '', 'segmentation_classes': []}
    facts = RunFacts('bag', 'silent_bag', '/points', 0, 0.1, bundle, 'cpu')
    return replace(recorder.results(facts), machine={'processor': 'x', 'cores': 1,
        'memory_bytes': None, 'system': 'Linux', 'architecture': 'x86_64'})  # fmt: skip
