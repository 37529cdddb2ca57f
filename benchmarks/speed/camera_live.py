# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a cloud costs a camera bundle: without an image, with one, and with a second thread.

    python -m benchmarks camera-live [--repeats 5] [--device cpu]

Networks with random weights (the values do not matter for the time) answer one simulated scan of 64
rings, all around, together with a random image that shows the part of it ahead: the full network
on images of 1242 x 375 pixels as they are and resized to 400 x 121, and the small one of
``config/training/domain_day_to_night.yaml``. The three modes take turns, after one warm-up each;
medians and all samples are kept, milliseconds by stage. One thread per operation on the CPU.
Results go to ``benchmarks/results/camera_live.json``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.command_line import ROOT, CommandLine, run_main, settings_of, write_results
from pointata_core.bundles.bundle import CameraBundle
from pointata_core.bundles.camera_manifest import CameraManifest, CameraPreparation
from pointata_core.bundles.manifest_fields import Task
from pointata_core.inference.camera_calibration import Camera
from pointata_core.inference.camera_session import CameraSession, CameraView
from pointata_core.inference.frames import FrameResult
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.camera.sparse_unet import PLANES
from pointata_core.simulation.camera.domains import get_domain
from pointata_core.simulation.camera.frames import simulate_camera
from pointata_core.simulation.camera.model import CameraModel

CLASSES = ('vehicle', 'driveable_surface', 'sidewalk', 'terrain', 'manmade', 'vegetation')
WIDTH, HEIGHT = 1242, 375
FULL = {'depth': 34, 'width': 64, 'planes': list(PLANES), 'grid': 4096}
SMALL = {'depth': 18, 'width': 16, 'planes': [16, 32, 48, 64, 64, 64], 'grid': 512}
NETWORKS = {
    'full': (FULL, CameraPreparation(0.05)),
    'full_resized': (FULL, CameraPreparation(0.05, (400, 121))),
    'small': (SMALL, CameraPreparation(0.4, (160, 96))),
}


def scene() -> tuple[np.ndarray, CameraView]:
    """A scan, and a camera that looks ahead."""
    domain = get_domain('day')
    domain = replace(domain, lidar=replace(domain.lidar, columns=2048))
    frame = next(simulate_camera(domain, 1, 1))
    camera = CameraModel(WIDTH, HEIGHT, 82.0)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    view = CameraView(image, Camera(camera.intrinsics, WIDTH, HEIGHT), camera.extrinsics)
    return frame.lidar.points, view


def random_bundle(network: dict[str, Any], preparation: CameraPreparation) -> CameraBundle:
    """A bundle that was never on disk."""
    values = {**network, 'fusion': True, 'attention_scope': 'sample'}
    torch.manual_seed(0)
    net = CameraLidarNetwork(len(CLASSES), **values).requires_grad_(False).eval()
    manifest = CameraManifest('random', values, {'segmentation': Task(CLASSES)}, preparation)
    return CameraBundle(manifest, net, ROOT, manifest.checksum)


def measure(
    bundle: CameraBundle, points: np.ndarray, view: CameraView, repeats: int, device: str
) -> dict[str, Any]:
    """Samples and medians of the three modes, and how many points the camera saw."""
    modes = {'lidar': (False, None), 'camera': (False, view), 'second_thread': (True, view)}
    if device != 'cpu':
        del modes['second_thread']
    sessions = {
        name: CameraSession(bundle, device, overlap=overlap) for name, (overlap, _) in modes.items()
    }
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in modes}
    seen = 0
    for turn in range(repeats + 1):
        for name, (_, shown) in modes.items():
            result = sessions[name].step(points, turn, view=shown)
            assert isinstance(result, FrameResult), result
            seen = max(seen, result.points_with_camera)
            if turn:
                for stage, ms in result.timings_ms.items():
                    samples[name].setdefault(stage, []).append(ms)
    return {
        'points_with_camera': seen,
        'modes': {
            name: {
                stage: {'median': statistics.median(values), 'samples': values}
                for stage, values in stages.items()
            }
            for name, stages in samples.items()
        },
    }


def run(options: argparse.Namespace) -> None:
    """Measure, print, write."""
    points, view = scene()
    results = {}
    for name in options.networks:
        network, preparation = NETWORKS[name]
        bundle = random_bundle(network, preparation)
        results[name] = measure(bundle, points, view, options.repeats, options.device)
        for mode, found in results[name]['modes'].items():
            print(f'{name:14} {mode:14} {found["total"]["median"]:8.0f} ms', flush=True)
    settings = settings_of(options, 'device', 'repeats')
    settings |= {'points': len(points), 'image': [WIDTH, HEIGHT]}
    write_results(options.output, settings, results=results)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('camera-live', __doc__, device='cpu', repeats=1, networks=['small'])
    line.add_argument('--repeats', type=int, default=5)
    line.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS))
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
