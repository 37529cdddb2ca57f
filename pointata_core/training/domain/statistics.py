# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of the target in the normalisation of a trained network (AdaBN).

Another sensor or place gives other densities and shapes, and with them other means and variances of
every channel. Taking these from clouds of the target needs no labels, no images and no training
(Li et al., "Adaptive Batch Normalization for practical domain adaptation", Pattern Recognition
2018).
"""

from __future__ import annotations

import torch

from pointata_core.datasets.camera.frames import CameraFrames
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import CameraSamples
from pointata_core.models.camera.sparse_unet import SparseUNet, VoxelNorm
from pointata_core.training.domain.batches import collate


@torch.no_grad()
def take_statistics(network: SparseUNet, frames: CameraFrames, samples: SampleConfig) -> None:
    """Replace the running statistics of a sparse network by those of whole clouds.

    Clouds go through one by one without augmentation, as they will when the network is used; means
    and variances are averaged over clouds. Left in evaluation mode.

    Raises:
        DataError: A frame is bad.
    """
    norms = [part for part in network.modules() if isinstance(part, VoxelNorm)]
    rates = [norm.momentum for norm in norms]
    device = next(network.parameters()).device
    clouds = CameraSamples(frames.without_images(), samples.without_chance())
    network.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    for number in range(len(clouds)):
        batch = collate([clouds[number]]).to(device)
        network(batch.coordinates, batch.features)
    for norm, rate in zip(norms, rates):
        norm.momentum = rate
    network.eval()
