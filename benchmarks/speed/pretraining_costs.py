#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parameters and FLOPs of 3D backbones and image encoders, beside published ones.

    python -m benchmarks.speed.pretraining_costs

Counted by ``torch.utils.flop_counter`` on one cloud or image, a multiplication and its addition
as two FLOPs; sampling, searches for neighbours, norms and activations are not counted. Figures are
exact, so the machine does not matter. Results go to ``benchmarks/results/pretraining_costs.json``
and ``.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import preset_config
from pointata_core.models.point.dgcnn import DgcnnEncoder
from pointata_core.models.point.encoders import TransformerEncoder, cut_patches

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'pretraining_costs.json'


@dataclass(frozen=True)
class Size:
    """What a network weighs.

    Attributes:
        network: Its name.
        input: What one answer takes.
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


def table(sizes: list[Size]) -> str:
    """Ours, and below them what others state."""
    lines = [
        '# What backbones and image encoders cost',
        '',
        'Written by `python -m benchmarks.speed.pretraining_costs`; do not edit.',
        '',
        '| network | input | parameters | GFLOPs (2 per multiply-add) | G multiply-adds |',
        '|---|---|---|---|---|',
        *(
            f'| {s.network} | {s.input} | {s.parameters / 1e6:.2f} M | {s.flops / 1e9:.2f} '
            f'| {s.flops / 2e9:.2f} |'
            for s in sizes
        ),
        '',
        '| published | parameters | "GFLOPs" | source |',
        '|---|---|---|---|',
        *(f'| {name} | {size} M | {work} | {source} |' for name, size, work, source in PUBLISHED),
    ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Count, print and write the result files."""
    torch.manual_seed(0)
    sizes = measure()
    result = {
        'command': 'python -m benchmarks.speed.pretraining_costs',
        'torch': torch.__version__,
        'sizes': [asdict(size) for size in sizes],
        'published': [dict(zip(('network', 'parameters_millions', 'gflops', 'source'), row,
                               strict=True)) for row in PUBLISHED],
    }  # fmt: skip
    RESULTS.write_text(json.dumps(result, indent=2) + '\n')
    RESULTS.with_suffix('.md').write_text(table(sizes))
    print(table(sizes))


if __name__ == '__main__':
    main()
