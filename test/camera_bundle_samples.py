# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small camera bundle with random weights, and a camera that looks at random points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.camera_manifest import CameraManifest, CameraPreparation
from pointata_core.bundles.manifest_fields import Task
from pointata_core.inference.camera_calibration import Camera
from pointata_core.inference.frames import CameraView
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork

NETWORK = {
    'fusion': True,
    'depth': 18,
    'width': 8,
    'planes': [8, 16, 16],
    'grid': 1024,
    'attention_scope': 'sample',
}
CLASSES = ('road', 'car', 'building', 'vegetation')
HEIGHT, WIDTH = 24, 48
MATRIX = np.array([[30.0, 0, 24], [0, 30, 12], [0, 0, 1]])
# x forward, y left, z up to x right, y down, z forward; 10 cm below the LiDAR.
FROM_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.1], [1, 0, 0, 0], [0, 0, 0, 1]])
POSE = '0 -0.1 0 0.5 -0.5 0.5 0.5'
"""The same as a pose: x y z qx qy qz qw."""


def camera_network(seed: int = 0, **changes) -> CameraLidarNetwork:
    """Random weights and statistics, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = CameraLidarNetwork(len(CLASSES), **{**NETWORK, **changes})
        for name, buffer in network.named_buffers():
            if name.endswith('running_mean'):
                torch.nn.init.normal_(buffer, std=0.1)
        # Untrained heads hardly differ from point to point.
        for head in (network.cloud_main, network.image_heads.main):
            torch.nn.init.normal_(head.weight, std=3.0)
    return network.eval()


def camera_manifest(**changes) -> CameraManifest:
    """The manifest of `camera_network`."""
    values = {
        'name': 'small_camera',
        'network': NETWORK,
        'tasks': {'segmentation': Task(CLASSES)},
        'preparation': CameraPreparation(0.2),
        'provenance': {'seed': 0},
    }
    return CameraManifest(**{**values, **changes})


def write_camera_bundle(folder: Path, **changes) -> Path:
    """Write one and return its folder."""
    save_bundle(folder, camera_network(), camera_manifest(**changes))
    return folder


def surroundings(seed: int, count: int = 400) -> np.ndarray:
    """Points on all sides, (count, 3) float32 metres."""
    random = np.random.default_rng(seed)
    return random.uniform((-20, -15, -2), (20, 15, 4), (count, 3)).astype(np.float32)


def drawn_image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Random colours, (height, width, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def view(seed: int = 0) -> CameraView:
    """What an ideal camera sees that looks forward."""
    return CameraView(drawn_image(seed), Camera(MATRIX, WIDTH, HEIGHT), FROM_LIDAR)
