# SPDX-License-Identifier: Apache-2.0
"""The training objective: each term with its weight, and a weight of zero switches it off.

``L = L_seg + l_S MPD_S + l_T MPD_T + l_PL xDPL + d (h DPD_same + l_fm DPD_fused) + l_E entropy``
(FtD++, Wu et al., TCSVT 2025). xMUDA, minimal entropy, plain pseudo-labels and training on the
source alone are the same sum with other weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarOutput
from pointata_core.training.domain.losses import (
    entropy,
    fused_modality,
    modality_preserving,
    pseudo_label_loss,
    same_modality,
    segmentation_loss,
)
from pointata_core.training.domain.published import LossWeights


def source_terms(
    output: CameraLidarOutput,
    labels: Tensor,
    weights: LossWeights,
    class_weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """Weighted terms of a batch with labels ``(N,)``, by name; without an image, the LiDAR's.

    ``class_weights`` ``(K,)`` are those of the cross-entropy.
    """
    terms = {}
    if output.image is not None:
        terms['image_segmentation'] = segmentation_loss(output.image, labels, class_weights)
    if weights.cloud:
        loss = segmentation_loss(output.cloud, labels, class_weights)
        terms['cloud_segmentation'] = weights.cloud * loss
    if weights.modality_source:
        terms['modality_source'] = weights.modality_source * modality_preserving(output).total
    return terms


def mixed_terms(
    output: CameraLidarOutput,
    labels: Tensor,
    weights: LossWeights,
    of_target: Tensor,
    class_weights: tuple[Tensor | None, Tensor | None],
) -> dict[str, Tensor]:
    """Weighted terms of a batch with labelled points of both domains: the mean of both domains'.

    ``of_target`` ``(N,)`` bool tells points of the target; each domain has its class weights.
    """
    halves = [
        source_terms(output.rows(rows), labels[rows], weights, balance)
        for rows, balance in zip((~of_target, of_target), class_weights)
    ]
    return {name: (value + halves[1][name]) / 2 for name, value in halves[0].items()}


def domain_terms(
    stylised: CameraLidarOutput, source: CameraLidarOutput, weights: LossWeights
) -> dict[str, Tensor]:
    """Weighted DPD terms, by name: teacher on the stylised source, student on the same points."""
    terms = {}
    if same := weights.domain * weights.domain_same:
        terms['domain_same'] = same * same_modality(stylised, source).total
    if fused := weights.domain * weights.domain_fused:
        terms['domain_fused'] = fused * fused_modality(stylised, source).total
    return terms


def target_terms(
    output: CameraLidarOutput,
    weights: LossWeights,
    pseudo_labels: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Weighted terms of a batch with pseudo-labels ``(N,)`` of both branches or none, by name.

    Raises:
        ConfigError: Pseudo-labels have a weight but the batch has none.
    """
    terms = {}
    if weights.modality_target:
        terms['modality_target'] = weights.modality_target * modality_preserving(output).total
    if weights.pseudo_label:
        if pseudo_labels is None:
            raise ConfigError(
                'the loss weight pseudo_label is set, but the target has no pseudo-labels',
                'Write pseudo-labels with a network of the first stage, or set the weight to 0',
            )
        if output.image is None:
            loss = segmentation_loss(output.cloud, pseudo_labels[1])
        else:
            loss = pseudo_label_loss(output, *pseudo_labels, mode=weights.pseudo_label_mode).total
        terms['pseudo_label'] = weights.pseudo_label * loss
    if weights.entropy:
        heads = [scores for scores in (output.image, output.cloud) if scores is not None]
        terms['entropy'] = weights.entropy * torch.stack([entropy(head) for head in heads]).sum()
    return terms
