# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a pre-training run; each field is a key of ``config/training/pretrain_*.yaml``.

What the paper states is the default (1,024 points, 512-dimensional space, pose joined, Adam and
cosine, 20 views); the rest it leaves open, and is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pointata_core.training.engine.options import RunOptions
from pointata_core.training.engine.settings import require

PoseJoin = Literal['none', 'input', 'mid']
Negatives = Literal['batch', 'image']


@dataclass(frozen=True)
class PretrainingConfig(RunOptions):
    """How a 3D backbone is pre-trained; seed, device and the like as in :class:`RunOptions`.

    Attributes:
        encoder: ``transformer`` (a preset of ours) or ``dgcnn``.
        preset: Shape of the transformer.
        tokens: Patches per cloud (transformer), or points with a local feature (DGCNN).
        patch_size: Points per patch, or neighbours in DGCNN's graphs.
        points: Points per cloud and step.
        views: Images per shape and step, drawn anew each time.
        view_pool: Images to draw from, evenly spread over those stored; 0 for all.
        latent: Width d of the shared space.
        map_stride: Pixels per cell of the image encoder's map.
        pose_join: Where the pose enters the local point head; ``none`` leaves it out.
        temperature: Of both contrasts.
        negatives: Cells of the whole batch compete, or those of a region's own image.
        overall_weight: Of the contrast of shapes and images; 0 switches it off.
        local_weight: Of the contrast of regions and cells; 0 switches it off.
        masked_weight: Of masked patch reconstruction (transformer only); 0 switches it off.
        batch: Shapes per step and process.
        steps: Optimiser steps.
        optimizer: ``adam`` as published, or ``adamw``.
        learning_rate: Peak rate.
        muon_rate: Peak rate of Muon, which then trains matrices and kernels; 0 leaves it out.
        weight_decay: Of the optimiser.
        warmup: Share of the steps in which the rate rises before its cosine.
        keep_features: Image features are computed once and kept in the output, in half precision.
        normalised: Clouds are centred and brought into the unit sphere, as scans of one side are
            not; before they are moved.
        scale: Clouds grow or shrink by up to this factor.
        jitter: Standard deviation of noise on points, clipped at five times.
        drop: Largest share of points that a cloud loses (others are repeated).
        held_back: Every so many-th shape is kept for validation.
    """

    precision: Literal['auto', '32', 'bf16'] = '32'
    encoder: Literal['transformer', 'dgcnn'] = 'transformer'
    preset: str = 'tiny'
    tokens: int = 64
    patch_size: int = 32
    points: int = 1024
    views: int = 1
    view_pool: int = 0
    latent: int = 512
    map_stride: int = 32
    pose_join: PoseJoin = 'mid'
    temperature: float = 0.1
    negatives: Negatives = 'batch'
    overall_weight: float = 1.0
    local_weight: float = 1.0
    masked_weight: float = 0.0
    batch: int = 32
    steps: int = 10_000
    optimizer: Literal['adam', 'adamw'] = 'adam'
    learning_rate: float = 1e-3
    muon_rate: float = 0.0
    weight_decay: float = 1e-6
    warmup: float = 0.0
    keep_features: bool = False
    normalised: bool = False
    scale: float = 1.25
    jitter: float = 0.01
    drop: float = 0.5
    held_back: int = 20

    def __post_init__(self) -> None:
        weights = (self.overall_weight, self.local_weight, self.masked_weight)
        objective = min(weights) >= 0 and max(weights) > 0
        masks = self.masked_weight == 0 or self.encoder == 'transformer'
        rules = (
            *((name, getattr(self, name) >= 1, '1 or more') for name in _COUNTS),
            ('view_pool', self.view_pool == 0 or self.view_pool >= self.views, '0 or >= views'),
            ('batch', self.batch >= 2, '2 or more: a contrast needs two shapes'),
            ('temperature', self.temperature > 0, 'more than 0'),
            ('warmup', 0 <= self.warmup < 1, 'in [0, 1)'),
            ('learning_rate', self.learning_rate > 0, 'more than 0'),
            ('muon_rate', self.muon_rate >= 0, '0 or more'),
            ('scale', self.scale >= 1, '1 or more'),
            ('jitter', self.jitter >= 0, '0 or more'),
            ('drop', 0 <= self.drop < 1, 'in [0, 1)'),
            ('held_back', self.held_back >= 2, '2 or more'),
            ('points', self.points >= self.patch_size, f'patch_size ({self.patch_size}) or more'),
            ('masked_weight', masks, '0 with encoder dgcnn, which has no patches'),
            ('overall_weight', objective, 'an objective with a weight above 0'),
        )
        require(self, rules, 'training.')

    @property
    def contrasts(self) -> bool:
        """Whether images are used."""
        return self.overall_weight > 0 or self.local_weight > 0


_COUNTS = ('tokens', 'patch_size', 'points', 'views', 'latent', 'steps', 'checkpoint_steps')


@dataclass(frozen=True)
class ImageSettings:
    """Images of shapes; they are rendered if their folder has none, or not all yet.

    People and things are those of the simulator: bodies in captured and parametric poses; vehicles,
    furniture and what stands in streets.

    Attributes:
        folder: Where they are; empty for ``images`` in the output.
        meshes: Folder of meshes to render: ShapeNet, ModelNet, or any with .obj, .off, .ply and
            .glb files. Broken ones are named and left out. Empty for procedural shapes.
        up: Axis of the meshes that points up; left out, y for ShapeNet and z for others.
        shapes: Procedural shapes to draw, families in turn; none with meshes.
        people: People to draw, actions in turn.
        things: Things to draw, kinds in turn.
        scanned: Share of people and things whose points are a scan by one of the sensors.
        colour: Images in colour; else all surfaces are grey.
        size: Pixels of an image's edge.
        views: Images per shape.
        processes: That render.
    """

    folder: str = ''
    meshes: str = ''
    up: Literal['y', 'z'] | None = None
    shapes: int = 2784
    people: int = 0
    things: int = 0
    scanned: float = 0.5
    colour: bool = False
    size: int = 64
    views: int = 20
    processes: int = 1


@dataclass(frozen=True)
class TeacherConfig:
    """How an image encoder of our own is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Images per step.
        learning_rate: Peak of one cosine with warm-up.
        shift: Largest shift of an image in pixels, as a share of its width.
        held_back: Every so many-th shape is kept to measure accuracy.
        seed: Of weights, order and augmentation.
        depth: 18 or 34, as in ResNet-18.
    """

    steps: int = 900
    batch: int = 64
    learning_rate: float = 2e-3
    shift: float = 0.1
    held_back: int = 16
    seed: int = 0
    depth: Literal[18, 34] = 18

    def __post_init__(self) -> None:
        least = (('steps', 1), ('batch', 2), ('held_back', 2))
        rules = [(name, getattr(self, name) >= value, f'>= {value}') for name, value in least]
        require(self, [*rules, ('depth', self.depth in (18, 34), '18 or 34')], 'teacher.')


@dataclass(frozen=True)
class PretrainingSettings:
    """A whole run: images, image encoder and backbone.

    Attributes:
        output: Folder of the run.
        images: What the backbone and the image encoder learn from.
        image_encoder: Weights of a ResNet-18 or -34, by torchvision's names, or
            ``efficientnet_lite0`` for that network, trained on ImageNet; empty to train one.
        teacher: How that one is trained.
        training: How the backbone is trained.
    """

    output: str = 'runs/pretrain'
    images: ImageSettings = field(default_factory=ImageSettings)
    image_encoder: str = ''
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    training: PretrainingConfig = field(default_factory=PretrainingConfig)
