# SPDX-License-Identifier: Apache-2.0
"""Choices of the method as plain data: weights of the loss terms, and how the source is restyled.

Nothing here needs torch, so a command line can list them without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from pointata_core.errors import ConfigError

PseudoLabelMode = Literal['plain', 'release', 'detached', 'pointwise']
ImageStyle = Literal['fourier', 'mixup', 'either', 'none']
TeacherMode = Literal['train', 'eval']


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

    Raises:
        ConfigError: A negative weight or an unknown mode.
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

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == 'pseudo_label_mode':
                if value not in ('plain', 'release', 'detached', 'pointwise'):
                    raise ConfigError(f'unknown pseudo_label_mode {value!r}')
            elif not 0 <= value < float('inf'):
                raise ConfigError(
                    f'the loss weight {entry.name} is {value}', 'Give a number of 0 or more'
                )

    @property
    def needs_teacher(self) -> bool:
        """Whether any term asks for the teacher's answers on the stylised source."""
        return self.domain > 0 and (self.domain_same > 0 or self.domain_fused > 0)

    @property
    def needs_target(self) -> bool:
        """Whether any term asks for answers on the target."""
        return self.modality_target > 0 or self.pseudo_label > 0 or self.entropy > 0


@dataclass(frozen=True)
class StyleConfig:
    """How the stylised source is made.

    Args:
        image: ``fourier``, ``mixup``, a fair coin between the two for each batch, or ``none``.
        fourier_share: Edge of the exchanged low frequencies, as a share of the shorter image side.
        mixup_share: How much of the target's image is mixed in.
        cloud: Whether clouds take the target's density.
        student_share: How much of the target's image the *student's* source images get; 0 for none.

    Raises:
        ConfigError: A share outside of [0, 1] (0.5 for the frequencies), or an unknown style.
    """

    image: ImageStyle = 'either'
    fourier_share: float = 0.1
    mixup_share: float = 0.05
    cloud: bool = True
    student_share: float = 0.0

    def __post_init__(self) -> None:
        if self.image not in ('fourier', 'mixup', 'either', 'none'):
            raise ConfigError(f'unknown image style {self.image!r}')
        for name, top in (('fourier_share', 0.5), ('mixup_share', 1), ('student_share', 1)):
            if not 0 <= getattr(self, name) <= top:
                raise ConfigError(f'{name} is {getattr(self, name)}, expected 0 to {top}')
