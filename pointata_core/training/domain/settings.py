# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a domain-adaptation run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.errors import ConfigError
from pointata_core.training.domain.published import (
    SETTINGS,
    LossWeights,
    Method,
    PseudoLabelMode,
    Schedule,
    StyleConfig,
    loss_weights,
)
from pointata_core.training.engine.options import RunOptions
from pointata_core.training.engine.settings import require

Part = Literal['modality', 'domain', 'style']


@dataclass(frozen=True)
class Domain:
    """Where frames come from.

    Attributes:
        dataset: ``nuscenes_lidarseg``, ``semantickitti``, ``a2d2``, ``virtual_kitti``,
            ``simulated``, or ``exported`` for our own format.
        root: Its folder.
        split: Of a public data set; our own format stores its own.
        images: Folder of images of our own format, if they lie elsewhere.
        samples: How frames become samples; as published for the data set if left out.
    """

    dataset: str
    root: str
    split: str = ''
    images: str | None = None
    samples: SampleConfig | None = None


@dataclass(frozen=True)
class DomainAdaptationConfig(RunOptions):
    """How a network is trained; seed, device and the like as in :class:`RunOptions`.

    What is left at None is as published for the setting.

    Attributes:
        method: ``ftd++``, or a baseline: ``xmuda``, ``min_entropy``, ``pseudo_labels``,
            ``source_only``. Baselines have no fusion.
        setting: Published pair of domains whose weights and schedule are taken.
        second_stage: Write pseudo-labels with the first network, then train a new one on them.
        pseudo_label_mode: How they are damped.
        images: False trains the LiDAR alone: frames need no images, and those that have one
            are used without. For the methods without cross-modal terms.
        target_statistics: Take the statistics of the sparse network's normalisation from the
            target's clouds when a stage has been trained (AdaBN).
        loss_points: Most points of a sample that the fusion and the losses of a training step take,
            or None for all. The sparse network takes all of them; the fusion costs most.
        fusion: Whether the camera's main head sees both sensors.
        without: Parts of FtD++ that are left out, to see what they are worth: ``modality`` (MPD),
            ``domain`` (DPD), ``style`` (the teacher sees the source as it is).
        depth: Of the image encoder, 34 or 18.
        width: Of the image network, a multiple of 8; published weights fit 64 only.
        image_weights: ImageNet weights of that encoder, a file.
        planes: Channels of the sparse network's levels.
        statistics_rate: How fast the sparse network's normalisation forgets old batches; runs of a
            few hundred steps need more than the published 0.01.
        attention_scope: Points that share a softmax in the fusion: ``sample`` or ``batch``.
        backend: Of the sparse convolutions, ``torch`` or ``spconv``.
        steps: Of each stage.
        milestones: Steps after which learning rates fall to a tenth.
        batch: Samples of each domain per step.
        image_rate: Learning rate of the 2D branch.
        rate: Of the 3D branch and of the fusion.
    """

    seed: int = 1
    precision: Literal['auto', '32', 'bf16'] = '32'
    checkpoint_steps: int = 1000
    method: Method = 'ftd++'
    setting: str = 'usa_to_singapore'
    second_stage: bool = False
    pseudo_label_mode: PseudoLabelMode | None = None
    images: bool = True
    target_statistics: bool = False
    loss_points: int | None = None
    fusion: bool | None = None
    without: tuple[Part, ...] = ()
    depth: int = 34
    width: int = 64
    image_weights: str | None = None
    planes: tuple[int, ...] = (16, 32, 48, 64, 80, 96, 112)
    statistics_rate: float = 0.01
    attention_scope: Literal['sample', 'batch'] = 'sample'
    backend: Literal['torch', 'spconv'] = 'torch'
    steps: int | None = None
    milestones: tuple[int, ...] | None = None
    batch: int | None = None
    image_rate: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        # Raises for unknown names, and for a second stage where there is none.
        loss_weights(self.method, self.setting, second_stage=self.second_stage)
        if not self.images and (self.method in ('ftd++', 'xmuda') or self.with_fusion):
            raise ConfigError(
                f'training.images is false, but {self.method} compares cloud and image',
                "Choose method 'pseudo_labels', 'min_entropy' or 'source_only', without fusion",
            )
        schedule = self.schedule
        rules = (
            ('steps', schedule.steps >= 1, '1 or more'),
            ('batch', schedule.batch >= 1, '1 or more'),
            ('loss_points', (self.loss_points or 2) >= 2, '2 or more, or null'),
            ('image_rate', schedule.image_rate > 0, 'more than 0'),
            ('rate', schedule.rate > 0, 'more than 0'),
            ('checkpoint_steps', self.checkpoint_steps >= 1, '1 or more'),
            ('workers', self.workers >= 0, '0 or more'),
            ('statistics_rate', 0 < self.statistics_rate <= 1, 'more than 0 and at most 1'),
            ('without', set(self.without) <= set(get_args(Part)), ', '.join(get_args(Part))),
        )
        require(self, rules, 'training.')

    @property
    def schedule(self) -> Schedule:
        """The setting's schedule, with what is chosen here."""
        names = ('steps', 'milestones', 'batch', 'image_rate', 'rate')
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if 'steps' in chosen and 'milestones' not in chosen:
            # Published milestones belong to the published length.
            published = SETTINGS[self.setting].schedule
            share = chosen['steps'] / published.steps
            chosen['milestones'] = tuple(round(m * share) for m in published.milestones)
        return replace(SETTINGS[self.setting].schedule, **chosen)

    @property
    def style(self) -> StyleConfig:
        """Of the stylised source; baselines see the source as it is."""
        style = SETTINGS[self.setting].style
        if 'style' in self.without:
            return StyleConfig(image='none', cloud=False)
        return style if self.method == 'ftd++' else replace(style, student_share=0.0)

    @property
    def with_fusion(self) -> bool:
        """Whether the network has the fusion."""
        return self.method == 'ftd++' if self.fusion is None else self.fusion

    def weights(self, second: bool) -> LossWeights:
        """Loss weights of a stage."""
        weights = loss_weights(self.method, self.setting, second_stage=second)
        if second and self.pseudo_label_mode is not None:
            weights = replace(weights, pseudo_label_mode=self.pseudo_label_mode)
        if 'modality' in self.without:
            weights = replace(weights, modality_source=0.0, modality_target=0.0)
        if 'domain' in self.without:
            weights = replace(weights, domain=0.0)
        return weights


@dataclass(frozen=True)
class DomainSettings:
    """A whole run.

    Attributes:
        task: Classes: ``nuscenes_lidarseg``, ``virtual_kitti_semantickitti``,
            ``a2d2_semantickitti`` or ``simulated_semantickitti``.
        source: Labelled frames.
        target: Frames without labels.
        test: Labelled frames of the target to score on, or None.
        labelled: A few frames of the target domain with labels, or None: half of each labelled
            batch.
        output: Folder of the run.
        licence: Of the weights: an SPDX identifier or a sentence, kept in the bundle.
        training: How to train.
    """

    task: str
    source: Domain
    target: Domain
    test: Domain | None = None
    labelled: Domain | None = None
    output: str = 'runs/domain_adaptation'
    licence: str = 'not stated; see the terms of the training data'
    training: DomainAdaptationConfig = field(default_factory=DomainAdaptationConfig)
