# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a GPU is worth: everything that one needs to be asked, in at most five minutes.

    python -m benchmarks gpu [--device cuda] [--points 124000] [--seconds 240]

* ``node``: a serialised cloud in, a serialised labelled cloud out, as the node does it without the
  middleware: percentiles and memory, for the default bundle and for presets with random weights, in
  every precision.
* ``equality``: logits and labels on the device against those on the CPU, in float32.
* ``streaming``: one step against recomputing its window.
* ``training``: steps a second, forward, backward and optimiser.
* ``graphs``: one step of the network as it is, and replayed as a CUDA graph. Where it cannot be
  captured, the reason stands in place of the figures.

The file is written after every part, so what was measured is kept if time runs out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from benchmarks.robustness.point_cloud2_messages import PointCloud2, xyzi_fields
from benchmarks.speed.streaming import difference, logits, moving_scans, random_network, stream
from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.evaluation.metrics.latency import summarise_latency
from pointata_core.inference.loading import LoadedBundle, open_bundle
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode
from pointata_core.models.point.network_output import NetworkOutput

_WARM_UP = 3
_PRECISIONS = ('float32', 'bfloat16')
_PERIOD_NS = 100_000_000
_METRES = 10.0  # of a unit of the synthetic scans


def synchronise(device: torch.device) -> None:
    """Wait for everything that the device has been given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def timed(
    work: Callable[[], object], device: torch.device, repeats: int, seconds: float
) -> dict[str, float]:
    """Percentiles of a piece of work in milliseconds, after a warm-up."""
    samples: list[float] = []
    begun = time.perf_counter()
    for repeat in range(repeats + _WARM_UP):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        if repeat >= _WARM_UP:
            samples.append(1e3 * (time.perf_counter() - start))
        if samples and time.perf_counter() - begun > seconds:
            break
    summary = summarise_latency(samples)
    assert summary is not None
    kept = {name: round(getattr(summary, name), 3) for name in ('p50', 'p95', 'p99', 'max')}
    return {'count': summary.count, **kept}


def clouds(points: int, count: int) -> list[PointCloud2]:
    """Serialised clouds as dense near the sensor as those of a spinning LiDAR."""
    intensity = np.random.default_rng(0).random((points, 1), np.float32)
    frames = moving_scans(count, points)[0].numpy() * np.float32(_METRES)
    step = 16
    return [
        PointCloud2(
            fields=xyzi_fields(),
            width=points,
            point_step=step,
            row_step=points * step,
            data=np.hstack([one, intensity]).tobytes(),
        )
        for one in frames
    ]


def one_cloud(loaded: LoadedBundle, session: Any, encoded: Any, number: int) -> Any:
    """Decode, label, encode."""
    cloud = decode(encoded, wanted_features=loaded.bundle.manifest.features)
    assert isinstance(cloud, Cloud), cloud
    result = session.step(cloud.points, number * _PERIOD_NS, cloud.features)
    labels = [('class_id', result.labels), ('score', result.probabilities)]
    encode_fields([*xyz_columns(cloud.points), *labels])
    return result


def measure_node(path: str, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """A bundle at work on clouds of the full size."""
    device = torch.device(options.device)
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    loaded = open_bundle(path, options.device, precision, num_threads=None)
    session, recorded = loaded.session(), clouds(options.points, options.clouds)
    numbers = iter(range(10**9))

    def work() -> None:
        number = next(numbers)
        one_cloud(loaded, session, recorded[number % len(recorded)], number)

    found = timed(work, device, options.repeats, options.seconds / 10)
    memory = torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else None
    return {
        'latency_ms': found,
        'state_bytes': session.state_bytes,
        'device_bytes': memory,
        'peak_rss_bytes': peak_rss_bytes(),
    }


def random_bundle(preset: str, folder: Path) -> str:
    """A bundle of a preset with random weights; its figures do not depend on them."""
    network = random_network(preset, 128)
    preparation = PreparationConfig().to_dict()
    manifest = Manifest.for_network(
        preset, network.config.to_dict(), preset=preset, preparation=preparation
    )
    save_bundle(folder / preset, network, manifest)
    return str(folder / preset)


def measure_equality(options: argparse.Namespace) -> dict[str, Any]:
    """Logits of a random network, and labels of the default bundle, against those on the CPU."""
    network, clip = random_network('tiny', 64), moving_scans(options.frames, 2048)
    on_cpu = stream(network, clip)[0]
    largest = max(head.abs().max().item() for one in on_cpu for head in logits(one))
    whole = network(clip)
    device = torch.device(options.device)
    moved = [_on_cpu(one) for one in stream(network.to(device), clip.to(device))[0]]
    alike = []
    bundles = [open_bundle(None, kind, num_threads=None) for kind in ('cpu', options.device)]
    sessions = [loaded.session() for loaded in bundles]
    for number, encoded in enumerate(clouds(options.points, options.frames)):
        pair = [
            one_cloud(loaded, session, encoded, number).labels
            for loaded, session in zip(bundles, sessions)
        ]
        alike.append(float((pair[0] == pair[1]).mean()))
    apart = difference(moved, whole)
    return {
        'largest_logit': largest,
        'largest_difference': apart,
        'within_1e-3': apart <= 1e-3,
        'equal_labels_of_default_bundle': min(alike),
    }


def _on_cpu(output: NetworkOutput) -> NetworkOutput:
    segmentation, action = logits(output)
    return NetworkOutput(segmentation.cpu(), action.cpu())


def measure_streaming(options: argparse.Namespace) -> dict[str, Any]:
    """One step against recomputing the window."""
    device = torch.device(options.device)
    network = random_network('tiny', 128).to(device)
    clip = moving_scans(options.frames, 8192).to(device)
    state = stream(network, clip)[1][-1]
    newest, share = clip[:, -1], options.seconds / 20
    step = timed(lambda: network.step(newest, state), device, options.repeats, share)
    window = timed(lambda: network(clip), device, options.repeats, share)
    ratio = round(window['p50'] / step['p50'], 2)
    return {
        'window': options.frames, 'step_ms': step, 'window_ms': window, 'times_cheaper': ratio
    }  # fmt: skip


def measure_training(options: argparse.Namespace, precision: str) -> dict[str, Any]:
    """Steps of adapters, context encoder and heads over a frozen backbone."""
    device = torch.device(options.device)
    network = random_network('tiny', 64).to(device).train()
    network.backbone.requires_grad_(False)
    clip = moving_scans(options.frames, 2048).to(device).repeat(options.batch, 1, 1, 1)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=precision == 'bfloat16')

    def work() -> None:
        optimiser.zero_grad(set_to_none=True)
        with mixed:
            output = network(clip)
            loss = torch.stack([head.float().logsumexp(-1).mean() for head in logits(output)]).sum()
        loss.backward()
        optimiser.step()

    found = timed(work, device, options.repeats, options.seconds / 20)
    return {'batch': options.batch, 'ms': found, 'steps_a_second': round(1e3 / found['p50'], 3)}


def measure_graphs(options: argparse.Namespace) -> dict[str, Any]:
    """One step as it is, and replayed as a CUDA graph."""
    device = torch.device(options.device)
    network = random_network('tiny', 128).to(device)
    clip = moving_scans(2, 8192).to(device)
    state = stream(network, clip)[1][-1]
    newest, share = clip[:, -1].clone(), options.seconds / 20
    off = timed(lambda: network.step(newest, state), device, options.repeats, share)
    if device.type != 'cuda':
        return {'off_ms': off, 'on_ms': None, 'reason': 'only CUDA devices have graphs'}
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            network.step(newest, state)
    except Exception as error:  # an operation that the host has to wait for
        return {'off_ms': off, 'on_ms': None, 'reason': str(error).partition('\n')[0]}
    return {'off_ms': off, 'on_ms': timed(graph.replay, device, options.repeats, share)}


def run(options: argparse.Namespace) -> None:
    """Measure part by part and write after each."""
    names = ('device', 'points', 'clouds', 'repeats', 'frames', 'batch', 'threads')
    found: dict[str, Any] = {'gpu': None, 'node': {}, 'training': {}}
    if options.device.startswith('cuda'):
        found['gpu'] = torch.cuda.get_device_name(options.device)

    def keep(name: str, value: Any) -> None:
        log(f'{name}: {value}')
        write_results(options.output, settings_of(options, *names), **found)

    with tempfile.TemporaryDirectory() as folder:
        bundles = {'default': ''}
        bundles |= {preset: random_bundle(preset, Path(folder)) for preset in options.presets}
        for name, path in bundles.items():
            for precision in _PRECISIONS:
                label = f'{name}, {precision}'
                found['node'][label] = measure_node(path, precision, options)
                keep(label, found['node'][label])
    with torch.inference_mode():
        for name, measure in (
            ('equality', measure_equality),
            ('streaming', measure_streaming),
            ('graphs', measure_graphs),
        ):
            found[name] = measure(options)
            keep(name, found[name])
    for precision in _PRECISIONS:
        found['training'][precision] = measure_training(options, precision)
        keep(f'training, {precision}', found['training'][precision])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    quick = {'points': 3000, 'clouds': 2, 'repeats': 2, 'frames': 3, 'batch': 1}
    line = CommandLine('gpu', __doc__, device='cuda', seconds=4.0, presets=['tiny'], **quick)
    line.add_argument('--points', type=int, default=124_000, help='of a cloud')
    line.add_argument('--clouds', type=int, default=20, help='different ones, in a loop')
    line.add_argument('--repeats', type=int, default=200, help='at most, of each measurement')
    line.add_argument('--frames', type=int, default=24, help='of a clip')
    line.add_argument('--batch', type=int, default=8, help='clips of a training step')
    line.add_argument('--seconds', type=float, default=240.0, help='for everything, about')
    line.add_argument('--presets', nargs='*', default=['tiny', 'small'])
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
