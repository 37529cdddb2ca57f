# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turn what the demo received into results, with everything that was lost and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointata_core.bundles.manifest import Manifest
from pointata_core.evaluation.recorder import RunFacts
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import Rejected
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.tools.demo_collector import Collector
from pointata_ros.tools.demo_recording import Recording

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults


def score(recording: Recording, collector: Collector) -> list[str]:
    """Compare what came back with the labels in the recording, if it has any; returns notes."""
    if not recording.plan.labels_field:
        return []
    to_classes = recording.plan.translation(None, collector.recorder.segmentation_classes)
    with BagReader(recording.path) as reader:
        for _, _, message in reader.messages([recording.plan.cloud_topic]):
            stamp_ns = stamp_of(message)
            labels = collector.labels.get(stamp_ns)
            if labels is None:
                continue
            truth = decode_labels(message, recording.plan.labels_field)
            if isinstance(truth, Rejected) or truth.shape != labels.shape:
                return [f'the labels of {recording.path} could not be compared']
            collector.recorder.compare(to_classes(truth), labels, stamp_ns)
    return []


def live_results(
    arguments: Any,
    recording: Recording,
    collector: Collector,
    manifest: Manifest,
    bundle: Path,
    wall_s: float,
    peak_rss_bytes: int | None,
) -> EvaluationResults:
    """The results of a live run.

    Args:
        arguments: Options of ``pointata_core.cli.commands.demo``.
        recording: What was played.
        collector: What was received.
        manifest: Of the bundle.
        bundle: Its folder.
        wall_s: From the start of the player to the last result.
        peak_rss_bytes: Peak memory of the node.
    """
    notes = [*collector.problems, *score(recording, collector)]
    recorder, received = collector.recorder, collector.count('input', 'received')
    recorder.dropped.update(collector.reasons('processing', 'dropped'))
    recorder.rejected.update(collector.reasons('input', 'rejected'))
    recorder.resets.update(collector.reasons('model', 'resets'))
    if recording.plan.frames > received:
        recorder.dropped['never_reached_the_node'] = recording.plan.frames - received
    missed = collector.count('processing', 'published') - recorder.predicted
    if missed > 0:
        recorder.dropped['result_lost_on_the_way_back'] = missed
    notes += _pace_notes(arguments, recording, recorder.latency.samples_ms.get('total', []))
    model = collector.status.get('model', {})
    found = recorder.results(
        RunFacts(
            kind='live',
            source=str(recording.path),
            topic=recording.plan.cloud_topic,
            frames=recording.plan.frames,
            wall_s=wall_s,
            bundle=manifest.facts(bundle),
            device=f'{model.get("device", "?")} ({model.get("device_reason", "unknown")})',
            state_bytes=int(model['state_bytes']) if 'state_bytes' in model else None,
            peak_rss_bytes=peak_rss_bytes,
            points_per_second=recorder.points / wall_s if wall_s else 0.0,
            notes=notes,
        )
    )
    if collector.people is None:
        return found
    trace = replace(found.trace, people=collector.people.views())
    return replace(found, people=collector.people.results(), trace=trace)


def _pace_notes(arguments: Any, recording: Recording, total_ms: list[float]) -> list[str]:
    """How the node kept up with the recording."""
    period_ms = 1e3 * recording.period_s / arguments.rate
    late = sum(value > period_ms for value in total_ms)
    pace = f'{1e3 / period_ms:.1f} Hz' if period_ms else 'its own pace'
    notes = [
        f'played at {pace}, policy {arguments.policy}; stages are measured inside the node, '
        '"total" from arrival to publication'
    ]
    if late and period_ms:
        notes.append(
            f'{late} of {len(total_ms)} results took longer than one period ({period_ms:.0f} ms) '
            'from arrival; with --policy latest the node would skip clouds instead'
            if arguments.policy == 'block'
            else f'{late} of {len(total_ms)} results took longer than one period ({period_ms:.0f} '
            'ms) from arrival'
        )
    return notes
