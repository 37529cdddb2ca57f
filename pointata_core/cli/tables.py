# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of a run as tables for a terminal; bag evaluation and demo print the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pointata_core.cli.console import new_table

if TYPE_CHECKING:
    from pointata_core.evaluation.results import ActionSegment, EvaluationResults

_WORST = 5
_LOSSES = {
    'dropped': 'dropped',
    'rejected': 'rejected as malformed',
    'skipped': 'skipped',
    'resets': 'history resets',
}


def print_results(results: EvaluationResults, console: Console) -> None:
    """Print everything that fits a terminal: summary, latency by stage, actions, notes."""
    # Wrapped, a path could no longer be copied or searched for.
    console.print(f'[italic]{escape(results.source)}[/]', soft_wrap=True)
    console.print(summary_table(results))
    if results.latency:
        console.print(latency_table(results))
    if results.action_timeline:
        console.print(action_table(results))
    for sentence in results.notes:
        console.print(f'note: {escape(sentence)}', soft_wrap=True)


def print_fleet(account: Mapping[str, Any], console: Console) -> None:
    """Print the account of a fleet: a line for each recording and sensor, then the worst clouds."""
    table = new_table(
        'recording', 'topic', '>clouds', '>labelled', '>p50 ms', '>mean IoU', 'labels'
    )
    for row in account['recordings']:
        table.add_row(
            escape(row['recording']),
            escape(row['topic']),
            f'{row["frames"]:,}',
            f'{row["frames_predicted"]:,}',
            f'{row["latency_ms"]["p50"]:.1f}' if row['latency_ms'] else '-',
            _percent(row['miou']),
            row['labels_sha256'][:12],
        )
    console.print(table)
    table = new_table(
        'recording', 'topic', '>after s', '>right', '>labelled', '>ms', title='worst clouds first'
    )
    for row in account['worst_frames'][:_WORST]:
        table.add_row(
            escape(row['recording']),
            escape(row['topic']),
            f'{row["time_s"]:.1f}',
            _percent(row['accuracy']),
            _percent(row['labelled']),
            f'{row["milliseconds"] or 0:.1f}',
        )
    console.print(table)


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.1f} %'


def summary_table(results: EvaluationResults) -> Table:
    """One line per fact."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style='bold')
    table.add_column()
    for name, value in _summary(results):
        table.add_row(name, escape(value))
    return table


def latency_table(results: EvaluationResults) -> Table:
    """Percentiles by stage."""
    table = new_table('stage', '>p50', '>p95', '>p99', '>max', title='latency (ms)')
    for stage, summary in results.latency.items():
        values = (summary.p50, summary.p95, summary.p99, summary.max)
        row = [f'{value:.1f}' if value is not None else '-' for value in values]
        table.add_row(stage, *row, style='bold' if stage == 'total' else None)
    return table


def action_table(results: EvaluationResults, limit: int = 20) -> Table:
    """Recognised actions, and the true ones where they are known."""
    truth = ['ground truth'] if results.action_truth else []
    table = new_table('from - to (s)', 'action', '>score', *truth, title='action timeline')
    for segment in results.action_timeline[:limit]:
        span = f'{segment.start_s:6.1f} - {segment.end_s:.1f}'
        row = [span, escape(segment.label), f'{segment.score:.2f}']
        if truth:
            row.append(escape(_truth_during(segment, results.action_truth)))
        table.add_row(*row)
    rest = len(results.action_timeline) - limit
    if rest > 0:
        table.caption = f'and {rest} more, see the report'
    return table


def _summary(results: EvaluationResults) -> Iterator[tuple[str, str]]:
    yield 'frames / with a prediction', f'{results.frames} / {results.frames_predicted}'
    for name, title in _LOSSES.items():
        counts = getattr(results, name)
        if counts:
            reasons = ', '.join(f'{number} {reason}' for reason, number in counts.items())
            yield title, f'{sum(counts.values())} ({reasons})'
    labels = results.labels_per_cloud
    span = f'{labels["fewest"]:,} to {labels["most"]:,}'
    same = labels['fewest'] == labels['most']
    yield 'labels per cloud', f'{labels["most"]:,}' if same else f'{span} ({labels["median"]:,})'
    yield 'points per second', f'{results.points_per_second:,.0f}'
    if results.segmentation:
        score = results.segmentation
        yield 'mean IoU', f'{100 * score.miou:.1f} % over {len(score.iou)} classes'
        yield 'point accuracy', f'{100 * score.accuracy:.1f} % of {score.points:,} points'
    if results.camera:
        camera = results.camera
        yield 'with the camera', f'{camera["clouds"]} clouds, {camera["points"]:,} points'
    if results.action:
        f1 = ' / '.join(f'{100 * value:.1f}' for value in results.action.f1.values())
        yield 'action accuracy', f'{100 * results.action.accuracy:.1f} % of frames'
        yield 'action F1@' + ','.join(results.action.f1), f'{f1} %'
        yield 'action edit', f'{100 * results.action.edit:.1f} %'
    if results.peak_rss_bytes:
        who = 'node' if results.kind == 'live' else 'process'
        yield f'peak memory of the {who}', f'{results.peak_rss_bytes / 2**20:.0f} MiB'
    if results.state_bytes is not None:
        yield 'state of the stream', f'{results.state_bytes:,} bytes'
    yield 'bundle', f'{results.bundle["name"]} {results.bundle["hash"][:12]}'
    yield 'device', results.device
    yield 'labels SHA-256', results.labels_sha256[:16]


def _truth_during(segment: ActionSegment, truth: tuple[ActionSegment, ...]) -> str:
    """The true action that shares most time with a segment."""
    shared = {
        other: min(segment.end_s, other.end_s) - max(segment.start_s, other.start_s)
        for other in truth
    }
    best = max(shared, key=lambda other: shared[other], default=None)
    return best.label if best is not None and shared[best] > 0 else ''
