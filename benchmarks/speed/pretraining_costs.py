# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters and FLOPs of 3D backbones and image encoders, beside published ones.

    python -m benchmarks pretraining-costs

Counted by ``torch.utils.flop_counter`` on one cloud or image, a multiplication and its addition
as two FLOPs; sampling, searches for neighbours, norms and activations are not counted. Figures are
exact, so the machine does not matter.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.command_line import CommandLine, run_main, write_results
from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import preset_config
from pointata_core.models.point.dgcnn import DgcnnEncoder
from pointata_core.models.point.encoders import TransformerEncoder, cut_patches


@dataclass(frozen=True)
class Size:
    """The size of a network.

    Attributes:
        network: Its name.
        input: Of one prediction.
        parameters: Number of them, heads and classifiers left out.
        flops: For one input; 2 per multiplication with addition.
    """

    network: str
    input: str
    parameters: int
    flops: int


PUBLISHED = (
    ('Transformer of Point-MAE', '22.1', '4.8', 'Hybrid-Emba3D, arXiv 2505.11099'),
    ('DGCNN with classifier', '1.8', '2.4', 'the same table'),
    ('PointNeXt-S with classifier', '1.37', '1.64', 'its public configuration, 1,024 points'),
)  # fmt: skip
"""Name, millions of parameters, GFLOPs as published, source. Whether a multiplication with addition
counts once or twice is mostly not said."""


def flops(work: Callable[[], object]) -> int:
    """FLOPs of matrix products and convolutions."""
    # The fused attention of the CPU is unknown to the counter; as plain products it is counted.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def transformer_size(preset: str, points: int, tokens: int, patch_size: int = 32) -> Size:
    """Size of a preset's backbone."""
    backbone = Backbone(preset_config(preset).backbone).eval()
    encoder = TransformerEncoder(backbone, tokens, patch_size)
    patches = cut_patches(torch.rand(1, points, 3) * 2 - 1, tokens, patch_size)
    what = f'{points:,} points, {tokens} patches of {patch_size}'
    return Size(f'preset {preset}', what, count(backbone), flops(lambda: encoder.encode(patches)))


def dgcnn_size(points: int, neighbours: int) -> Size:
    """Size of our DGCNN; its edge layers are applied to points, which saves products."""
    encoder = DgcnnEncoder(neighbours).eval()
    cloud = torch.rand(1, points, 3) * 2 - 1
    what = f'{points:,} points, {neighbours} neighbours'
    return Size('DGCNN', what, count(encoder), flops(lambda: encoder(cloud)))


def image_size(depth: int, pixels: int) -> Size:
    """Size of a ResNet without its classifier."""
    network = ResNet(depth, classes=0).eval()
    image = torch.rand(1, 3, pixels, pixels)
    what = f'an image of {pixels} x {pixels}'
    return Size(f'ResNet-{depth}', what, count(network), flops(lambda: network(image)))


def count(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def measure() -> list[Size]:
    """All rows, at the inputs that the recipes use."""
    return [
        transformer_size('tiny', 1024, 32),
        transformer_size('tiny', 1024, 48),
        transformer_size('tiny', 1024, 64),
        transformer_size('small', 1024, 64),
        transformer_size('small', 2048, 128),
        dgcnn_size(1024, 20),
        image_size(18, 64),
        image_size(34, 64),
        image_size(18, 224),
        image_size(34, 224),
    ]


def run(options: argparse.Namespace) -> None:
    """Count, print and write."""
    torch.manual_seed(0)
    sizes = measure()
    for size in sizes:
        print(f'{size.network:14} {size.input:32} {size.parameters:12,} {size.flops:16,} FLOPs')
    names = ('network', 'parameters_millions', 'gflops', 'source')
    published = [dict(zip(names, row, strict=True)) for row in PUBLISHED]
    write_results(options.output, {}, sizes=[asdict(size) for size in sizes], published=published)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = CommandLine('pretraining-costs', __doc__).options(arguments)
    return run_main(lambda: run(options), options.threads)
