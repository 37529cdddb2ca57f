# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a stream saves: the cost of one `step` against recomputing a window, same weights, one run.

    python -m benchmarks streaming [--preset tiny] [--tokens 128] [--points 8192] [--window 24]

A network without state must run its whole window again for every new frame. Timed here, after one
warm-up, for every repeat in turn so that both sides meet the same machine:

* ``step``: one frame, geometry included;
* ``window``: `forward` on the last W frames, geometry of all of them included;
* ``window_geometry_kept``: the same with the geometry of the W - 1 older frames remembered, which
  is the most a recomputing system could keep without keeping the state of the network.

Both as wall clock and as processor time, which a busy machine stretches less.

Checked in the same run: the largest difference of logits between stepping and one `forward` over
the whole sequence, and between stepping and a `forward` over just the frames an answer can depend
on; the largest logit beside them gives the scale. The weights are random with no branch silent;
the figures do not depend on what they are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.errors import ConfigError
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.models.point.config import GeometryConfig, preset_config
from pointata_core.models.point.geometry import FrameGeometry, frame_geometry
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.stream_state import StreamState
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES


def random_network(preset: str, tokens: int) -> PointATA:
    """A network of the preset whose zero-initialised branches carry random weights."""
    torch.manual_seed(0)
    config = preset_config(
        preset,
        geometry=GeometryConfig(tokens=tokens),
        segmentation_classes=SEGMENTATION_CLASSES,
        action_classes=ACTION_CLASSES,
        actor_class='person',
    )
    network = PointATA(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return network


def moving_scans(frames: int, points: int) -> Tensor:
    """Sensor-like frames ``(1, T, N, 3)`` of a slowly moving world, in normalised units."""
    generator = torch.Generator().manual_seed(1)
    distance, angle = torch.rand(2, points, generator=generator)
    distance, angle = 0.4 * torch.exp(distance * 2.5), angle * 2 * torch.pi
    height = 0.1 * torch.randn(points, generator=generator)
    world = torch.stack([distance * angle.cos(), distance * angle.sin(), height], dim=1)
    steps = 0.01 * torch.randn(frames, 1, 3, generator=generator).cumsum(0)
    noise = 0.005 * torch.randn(frames, points, 3, generator=generator)
    return (world + steps + noise).unsqueeze(0)


def stream(network: PointATA, clip: Tensor) -> tuple[list[NetworkOutput], list[StreamState]]:
    """Predictions for every frame, and the state before each."""
    state = network.initial_state()
    outputs, states = [], []
    for frame in clip.unbind(1):
        states.append(state)
        output, state = network.step(frame, state)
        outputs.append(output)
    return outputs, states


def logits(output: NetworkOutput) -> tuple[Tensor, Tensor]:
    """Logits of the segmentation and of the action, from a network with both heads."""
    assert output.segmentation is not None and output.action is not None
    return output.segmentation, output.action


def difference(stepped: list[NetworkOutput], whole: NetworkOutput, first: int = 0) -> float:
    """Largest absolute difference of logits over the frames from ``first`` on."""
    heads = zip(*map(logits, stepped), strict=True)
    apart = [torch.stack(head, 1) - one for head, one in zip(heads, logits(whole), strict=True)]
    return max(part[:, first:].abs().max().item() for part in apart)


def kept_geometry(parts: list[FrameGeometry]) -> FrameGeometry:
    """Geometries of single frames as that of one clip."""
    columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    return FrameGeometry(**{name: torch.cat(column) for name, column in columns.items()})


def alternate(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Time the works in turn (ms), so that a disturbance meets all of them."""
    wall: dict[str, list[float]] = {name: [] for name in works}
    processor: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            begin, begin_processor = time.perf_counter(), time.process_time()
            work()
            if repeat:
                wall[name].append(1e3 * (time.perf_counter() - begin))
                processor[name].append(1e3 * (time.process_time() - begin_processor))
    return {
        name: {
            'median_ms': round(statistics.median(wall[name]), 2),
            'fastest_ms': round(min(wall[name]), 2),
            'slowest_ms': round(max(wall[name]), 2),
            'cpu_median_ms': round(statistics.median(processor[name]), 2),
        }
        for name in works
    }


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> None:
    """Check equality, measure, print and write the results."""
    if arguments.frames <= arguments.window:
        raise ConfigError('--frames must exceed --window')
    network = random_network(arguments.preset, arguments.tokens)
    clip = moving_scans(arguments.frames, arguments.points)
    outputs, states = stream(network, clip)
    field = network.receptive_field
    equality = {
        'frames': arguments.frames,
        'largest_logit': max(
            head.abs().max().item() for output in outputs for head in logits(output)
        ),
        'step_against_whole_sequence': difference(outputs, network(clip)),
        'receptive_field_frames': field,
    }
    if field <= arguments.frames:
        covering = network(clip[:, -field:])
        equality['step_against_covering_window'] = difference(outputs[-field:], covering, field - 1)

    window, newest = clip[:, -arguments.window :], clip[:, -1]
    older = [frame_geometry(f, None, network.config.geometry) for f in window[0, :-1, None]]

    def window_geometry_kept() -> NetworkOutput:
        last = frame_geometry(newest, None, network.config.geometry)
        return network(window, geometry=kept_geometry([*older, last]))

    timings = alternate(
        {
            'step': lambda: network.step(newest, states[-1]),
            'window': lambda: network(window),
            'window_geometry_kept': window_geometry_kept,
        },
        arguments.repeats,
    )
    ratios = {
        name: {
            kind: round(timings[name][kind] / timings['step'][kind], 2)
            for kind in ('median_ms', 'cpu_median_ms')
        }
        for name in ('window', 'window_geometry_kept')
    }
    print(f'state of the stream: {states[-1].nbytes:,} bytes')
    for name, value in equality.items():
        print(f'{name:<32} {value:.3g}')
    for name, row in timings.items():
        print(f'{name:<32} {row["median_ms"]:10.2f} ms, CPU {row["cpu_median_ms"]:10.2f} ms')
    for name, ratio in ratios.items():
        print(
            f'step is {ratio["median_ms"]:.1f} x cheaper than {name} of {arguments.window} frames '
            f'({ratio["cpu_median_ms"]:.1f} x in processor time)'
        )
    names = ('preset', 'tokens', 'points', 'frames', 'window', 'repeats', 'threads')
    write_results(
        arguments.output,
        settings_of(arguments, *names) | {'network': asdict(network.config)},
        parameters=network.parameter_summary(),
        state_bytes=states[-1].nbytes,
        peak_rss_bytes=peak_rss_bytes(),
        equality_max_abs_logits=equality,
        timings=timings,
        times_cheaper_than=ratios,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('streaming', __doc__, tokens=16, points=256, frames=6, window=4, repeats=1)
    line.add_argument('--preset', default='tiny')
    line.add_argument('--tokens', type=int, default=128)
    line.add_argument('--points', type=int, default=8192)
    line.add_argument('--frames', type=int, default=120, help='length of the checked sequence')
    line.add_argument('--window', type=int, default=24)
    line.add_argument('--repeats', type=int, default=7)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
