# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the papers set: loss weights, styles and schedules of FtD++ and of what it is compared with.

Sources: FtD++ (Wu et al., TCSVT 2025) with its release, xMUDA (Jaritz et al., TPAMI 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from pointata_core.errors import ConfigError

Method = Literal['ftd++', 'xmuda', 'min_entropy', 'pseudo_labels', 'source_only']
METHODS: tuple[Method, ...] = get_args(Method)
PseudoLabelMode = Literal['plain', 'release', 'detached', 'pointwise']
ImageStyle = Literal['fourier', 'mixup', 'either', 'none']


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms.

    Args:
        cloud: Of the LiDAR's share in the cross-entropy on the source (c3).
        modality_source: MPD on the source (l_S).
        modality_target: MPD on the target (l_T).
        domain: Of both DPD terms together (d).
        domain_same: DPD within a sensor (h).
        domain_fused: DPD across sensors (l_fm).
        pseudo_label: Cross-entropy on pseudo-labels (l_PL), second stage only.
        pseudo_label_mode: How it is damped; see `losses.pseudo_label_loss`.
        entropy: Entropy of both main heads on the target.
    """

    cloud: float = 1.0
    modality_source: float = 1.0
    modality_target: float = 0.1
    domain: float = 0.1
    domain_same: float = 1.0
    domain_fused: float = 0.1
    pseudo_label: float = 0.0
    pseudo_label_mode: PseudoLabelMode = 'detached'
    entropy: float = 0.0

    @property
    def needs_teacher(self) -> bool:
        """Whether any term needs the teacher's predictions on the stylised source."""
        return self.domain > 0 and (self.domain_same > 0 or self.domain_fused > 0)

    @property
    def needs_target(self) -> bool:
        """Whether any term needs predictions on the target."""
        return self.modality_target > 0 or self.pseudo_label > 0 or self.entropy > 0


@dataclass(frozen=True)
class StyleConfig:
    """How the stylised source is made.

    Args:
        image: ``fourier``, ``mixup``, a fair coin between the two for each batch, or ``none``.
        cloud: Whether clouds take the target's density.
        student_share: How much of the target's image the *student's* source images get; 0 for none.
    """

    image: ImageStyle = 'either'
    cloud: bool = True
    student_share: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """How long, in which steps and with how much per step.

    Args:
        steps: Iterations.
        milestones: Iterations after which the learning rate is divided by ten.
        batch: Samples per domain and iteration.
        image_rate: Learning rate of the 2D branch.
        rate: Learning rate of the 3D branch and of the fusion.
    """

    steps: int
    milestones: tuple[int, ...] = ()
    batch: int = 8
    image_rate: float = 1e-4
    rate: float = 1e-3


@dataclass(frozen=True)
class Setting:
    """One published pair of domains.

    Args:
        weights: Of FtD++'s first stage.
        style: Of the stylised source.
        schedule: Of each stage.
        plain_second_stage: Pseudo-labels without damping in the release.
        xmuda: xMUDA's weights on source and target.
    """

    weights: LossWeights
    style: StyleConfig
    schedule: Schedule
    plain_second_stage: bool = False
    xmuda: tuple[float, float] = (1.0, 0.1)


_NUSCENES = LossWeights()
_KITTI = LossWeights(modality_source=0.1, modality_target=0.02, domain_same=0.1, domain_fused=0.01)

SETTINGS: dict[str, Setting] = {
    'day_to_night': Setting(
        _NUSCENES,
        StyleConfig(image='fourier', student_share=0.2),
        Schedule(100_000, (80_000, 90_000), image_rate=1e-3),
    ),
    'usa_to_singapore': Setting(_NUSCENES, StyleConfig(), Schedule(60_000)),
    'virtual_kitti_to_semantickitti': Setting(
        replace(_KITTI, cloud=0.1),
        StyleConfig(),
        Schedule(60_000, (48_000, 56_000), batch=4),
        plain_second_stage=True,
        xmuda=(0.1, 0.01),
    ),
    'a2d2_to_semantickitti': Setting(
        _KITTI,
        StyleConfig(image='fourier', student_share=0.05),
        Schedule(200_000, (160_000, 180_000), batch=4),
        xmuda=(0.1, 0.01),
    ),
}


def loss_weights(method: Method, setting: str, *, second_stage: bool = False) -> LossWeights:
    """Weights of a method on a published pair of domains.

    Plain pseudo-labelling is training on the source in its first stage.

    Args:
        method: One of `METHODS`.
        setting: A name in `SETTINGS`.
        second_stage: With pseudo-labels.

    Raises:
        ConfigError: Unknown names, or a second stage of a method that has none.
    """
    if setting not in SETTINGS:
        raise ConfigError(f'unknown setting {setting!r}', f'Choose one of {", ".join(SETTINGS)}')
    if method not in METHODS:
        raise ConfigError(f'unknown method {method!r}', f'Choose one of {", ".join(METHODS)}')
    if second_stage and method in ('min_entropy', 'source_only'):
        raise ConfigError(
            f'{method} has no second stage', "Choose 'ftd++', 'xmuda' or 'pseudo_labels'"
        )
    published = SETTINGS[setting]
    mode: PseudoLabelMode = 'plain'
    weights = LossWeights(modality_source=0, modality_target=0, domain=0)
    if method == 'ftd++':
        weights = published.weights
        mode = 'plain' if published.plain_second_stage else 'detached'
    elif method == 'xmuda':
        source, target = published.xmuda
        weights = replace(weights, modality_source=source, modality_target=target)
    elif method == 'min_entropy':
        # No weight was published with these comparisons; this one is ours.
        weights = replace(weights, entropy=0.001)
    if second_stage:
        weights = replace(weights, pseudo_label=1.0, pseudo_label_mode=mode)
    return weights
