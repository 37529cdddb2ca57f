# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The state of the node as DiagnosticArray: input, processing and model, for each input.

Rates and ages are measured on the node's clock, so they mean the same in simulation; the words for
the state of the input are those of Autoware's topic state monitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.time import Time

from pointata_core.evaluation.metrics.latency import summarise_latency
from pointata_ros.camera.pairs import CameraSnapshot
from pointata_ros.health.faults import Fault, Finding, findings
from pointata_ros.health.people import PeopleFacts
from pointata_ros.health.statistics import Snapshot
from pointata_ros.parameters.table import NodeSettings

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
WORKER_FINDINGS = ('stuck', 'device')
"""Names of the findings that are about the worker, so about all inputs at once."""
IMPLAUSIBLE = 'implausible'
"""Begins the names of findings about the unit, axes and fields of the clouds."""
_RECENT_NS = 10_000_000_000


@dataclass(frozen=True)
class ModelFacts:
    """What the model status shows.

    Args:
        bundle: Name in the manifest.
        path: Where it was loaded from.
        hash: Names the exact weights.
        device: Device as torch names it.
        device_reason: Why this device.
        state_bytes: Size of the stream's temporal state.
        frames_in_history: Frames that the state has seen since it began.
        resets: Fresh starts of the state, by reason.
        window_frames: Frames that can influence a prediction; the state is warm after them.
        voxels: Voxels per cloud at most; fewer than in the bundle after a shortage of memory.
        full_voxels: Voxels per cloud in the bundle.
        memory: Bytes by kind: ``device_allocated``, ``device_reserved``, ``process``.
        trouble: What is not as it was asked for (another device, a refused skill), in words.
    """

    bundle: str
    path: str
    hash: str
    device: str
    device_reason: str
    state_bytes: int
    frames_in_history: int
    resets: Mapping[str, int]
    window_frames: int = 0
    voxels: int = 0
    full_voxels: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()


SILENCE = 'silence'
"""Name of the finding that a sensor has stopped."""


def all_findings(
    snapshot: Snapshot,
    settings: NodeSettings,
    busy_s: float = 0.0,
    broken: str = '',
    busy_with: str = '',
    now_ns: int = 0,
) -> list[Finding]:
    """Everything that is wrong with an input and its processing now.

    Args:
        snapshot: Counters and current faults.
        settings: Limits.
        busy_s: How long the worker has been at the cloud in hand.
        broken: Why the node is about to stop, empty if it is not.
        busy_with: Name of the input whose cloud that is, if inputs have names.
        now_ns: Time on the node's clock.
    """
    found = findings(snapshot.faults, snapshot.taken_s, settings.error_after)
    age_s = _age_s(snapshot, now_ns)
    if age_s is not None and age_s > settings.input_timeout:
        text = f'the input has stopped: the last cloud came {age_s:.1f} s ago (input_timeout)'
        found.append(Finding(SILENCE, True, text, age_s, 'clouds arrive again'))
    found += [
        Finding(f'{IMPLAUSIBLE}.{kind}', False, text, 0.0)
        for kind, text in snapshot.suspicions.items()
    ]
    if busy_s > settings.stuck_after:
        whose = f' of {busy_with}' if busy_with else ''
        text = f'the worker is stuck: {busy_s:.1f} s on one cloud{whose} (stuck_after)'
        found.append(Finding('stuck', True, text, busy_s))
    if broken:
        found.append(Finding('device', True, broken, 0.0))
    return found


def diagnostics(
    node_name: str,
    now_ns: int,
    snapshot: Snapshot,
    model: ModelFacts,
    settings: NodeSettings,
    waiting: int,
    found: Sequence[Finding] = (),
    input_name: str = '',
    camera: CameraSnapshot | None = None,
    people: PeopleFacts | None = None,
) -> DiagnosticArray:
    """The diagnostics of one input.

    Args:
        node_name: Fully qualified; begins the name of each status.
        now_ns: Time on the node's clock.
        snapshot: Counters and timings.
        model: Facts about the model.
        settings: Limits.
        waiting: Clouds that wait for their transform or for the worker.
        found: From :func:`all_findings`.
        input_name: Stands before the name of each status, if inputs have names.
        camera: What is known of the input's camera, if it has one.
        people: What is known of the people in it, if they are followed.
    """
    message = DiagnosticArray()
    message.header.stamp = Time(nanoseconds=now_ns).to_msg()
    message.status = [
        _input_status(now_ns, snapshot, settings, [one for one in found if _is_input(one)]),
        _processing_status(snapshot, waiting, [one for one in found if not _is_input(one)]),
        _model_status(model, snapshot),
    ]
    if camera is not None:
        message.status.append(_camera_status(camera))
    if people is not None:
        level = WARN if people.trouble else OK
        message.status.append(_status('people', level, people.trouble or 'OK', people.values()))
    for status in message.status:
        of_input = f'{input_name}/{status.name}' if input_name else status.name
        status.name = f'{node_name.lstrip("/")}: {of_input}'
        status.hardware_id = model.device
    return message


def input_state(
    age_s: float | None, rate_hz: float | None, settings: NodeSettings
) -> tuple[bytes, str]:
    """Level and word for the state of the input.

    Args:
        age_s: Seconds since the last cloud; ``None`` if there was none.
        rate_hz: Clouds per second lately; ``None`` if there were too few.
        settings: Limits.
    """
    if age_s is None:
        return ERROR, 'NotReceived'
    if age_s > settings.input_timeout:
        return ERROR, 'Timeout'
    if rate_hz is not None and rate_hz < settings.error_rate:
        return ERROR, 'ErrorRate'
    if rate_hz is not None and rate_hz < settings.warn_rate:
        return WARN, 'WarnRate'
    return OK, 'OK'


def _is_input(one: Finding) -> bool:
    return one.name in (Fault.REJECTED.value, SILENCE) or one.name.startswith(IMPLAUSIBLE)


def _age_s(snapshot: Snapshot, now_ns: int) -> float | None:
    """Seconds since the last cloud; ``None`` if there was none."""
    arrivals = snapshot.arrivals_ns
    return max(0, now_ns - arrivals[-1]) * 1e-9 if arrivals else None


def _worst(found: Sequence[Finding]) -> tuple[bytes, str]:
    """Level and text of several findings, errors first."""
    if not found:
        return OK, 'OK'
    ordered = sorted(found, key=lambda one: not one.is_error)
    return (
        ERROR if ordered[0].is_error else WARN,
        '; '.join(one.text for one in ordered),
    )


def _durations(found: Sequence[Finding]) -> dict[str, float]:
    return {
        f'fault_s.{one.name}': one.lasting_s
        for one in found
        if not one.name.startswith(IMPLAUSIBLE)
    }


def _input_status(
    now_ns: int, snapshot: Snapshot, settings: NodeSettings, found: Sequence[Finding]
) -> DiagnosticStatus:
    arrivals = snapshot.arrivals_ns
    age_s = _age_s(snapshot, now_ns)
    recent = [time for time in arrivals if now_ns - time <= _RECENT_NS]
    rate_hz = None
    if len(recent) > 1 and recent[-1] > recent[0]:
        rate_hz = (len(recent) - 1) / ((recent[-1] - recent[0]) * 1e-9)
    level, word = input_state(age_s, rate_hz, settings)
    if found:
        worst, text = _worst(found)
        level, word = max(level, worst), f'{word}; {text}'
    return _status(
        'input',
        level,
        word,
        {
            'rate_hz': rate_hz,
            'age_s': age_s,
            'received': snapshot.received,
            'lost_by_middleware': snapshot.lost,
            'rejected': snapshot.rejected.total(),
            **_by_reason('rejected', snapshot.rejected),
            **_durations(found),
        },
    )


def _processing_status(
    snapshot: Snapshot, waiting: int, found: Sequence[Finding]
) -> DiagnosticStatus:
    level, word = _worst(found)
    if Fault.FAILED in snapshot.faults:
        word = f'{word}; last error: {snapshot.last_error}'
    dropped = snapshot.dropped.total()
    values: dict[str, object] = {
        'published': snapshot.published,
        'dropped': dropped,
        **_by_reason('dropped', snapshot.dropped),
        'ingested_only': snapshot.ingested,
        'gaps': snapshot.gaps,
        'waiting': waiting,
        'non_finite_voxels': snapshot.non_finite,
        'uncompensated': snapshot.uncompensated,
        **_durations(found),
        'points_published': snapshot.points,
        'unlabelled_ratio': snapshot.unlabelled / snapshot.points if snapshot.points else None,
    }
    for stage, samples in snapshot.timings_ms.items():
        summary = summarise_latency(samples)
        if summary is None:
            continue
        values |= {
            f'latency_ms.{stage}.p50': summary.p50,
            f'latency_ms.{stage}.p95': summary.p95,
            f'latency_ms.{stage}.p99': summary.p99,
        }
    return _status('processing', level, word, values)


def _model_status(model: ModelFacts, snapshot: Snapshot) -> DiagnosticStatus:
    notes = list(model.trouble)
    if model.voxels < model.full_voxels:
        notes.append(
            f'{model.voxels} instead of {model.full_voxels} voxels per cloud, for lack of memory'
        )
    seen = min(model.frames_in_history, model.window_frames)
    if seen < model.window_frames:
        notes.append(f'the history holds {seen} of {model.window_frames} clouds')
    return _status(
        'model',
        WARN if notes else OK,
        '; '.join([f'{model.bundle} on {model.device}', *notes]),
        {
            'bundle': model.bundle,
            'bundle_path': model.path,
            'bundle_hash': model.hash,
            'device': model.device,
            'device_reason': model.device_reason,
            'state_bytes': model.state_bytes,
            'frames_in_history': model.frames_in_history,
            'window_frames': model.window_frames,
            'voxel_limit': model.voxels,
            **{f'memory_bytes.{kind}': size for kind, size in model.memory.items()},
            'resets': sum(model.resets.values()),
            **_by_reason('resets', model.resets),
            'last_error': snapshot.last_error,
        },
    )


def _camera_status(camera: CameraSnapshot) -> DiagnosticStatus:
    outcomes = ('paired', 'missing', 'late', 'undecodable', 'uncalibrated', 'no_transform')
    share = camera.points_with_camera / camera.points if camera.points else None
    return _status(
        'camera',
        WARN if camera.trouble else OK,
        camera.trouble or 'OK',
        {
            **{name: camera.counts[name] for name in outcomes},
            'images_received': camera.images,
            'offset_ms': camera.offset_ms,
            'points_with_camera': camera.points_with_camera,
            'points_with_camera_ratio': share,
        },
    )


def _by_reason(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {f'{prefix}.{reason}': counts[reason] for reason in sorted(counts)}


def _status(
    name: str, level: bytes, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name, level=level, message=message, values=list(_key_values(values.items()))
    )


def _key_values(items: Iterable[tuple[str, object]]) -> Iterable[KeyValue]:
    for key, value in items:
        if value is not None:
            text = f'{value:.3f}' if isinstance(value, float) else str(value)
            yield KeyValue(key=key, value=text)
