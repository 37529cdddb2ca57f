# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loss terms of xMUDA (Jaritz et al., TPAMI 2022) and FtD++ (Wu et al., TCSVT 2025).

The objective is their weighted sum, and a weight of zero switches a term off:
``L = L_seg + l_S MPD_S + l_T MPD_T + l_PL xDPL + d (h DPD_same + l_fm DPD_fused) + l_E entropy``.
xMUDA, minimal entropy, plain pseudo-labels and training on the source alone are the same sum with
other weights.

All take class scores before softmax, ``(N, K)``, and return a scalar: the mean over points, zero
where there are none. A *teacher* passes no gradient on; a *student* does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarOutput
from pointata_core.taxonomy import IGNORE
from pointata_core.training.domain.published import LossWeights, PseudoLabelMode


class SensorTerms(NamedTuple):
    """One loss for each sensor."""

    image: Tensor
    cloud: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.image + self.cloud


def balanced_class_weights(counts: Tensor) -> Tensor:
    """Weights ``log(5 sum(n) / n_c)``, scaled so that the smallest is 1.

    Args:
        counts: ``(K,)`` points of each class; a class without any weighs as one with one point.

    Raises:
        ValueError: No points at all.
    """
    counts = counts.double()
    if counts.dim() != 1 or not bool((counts >= 0).all()) or not bool(counts.sum() > 0):
        raise ValueError('counts must be non-negative numbers of points (K,), some above zero')
    weights = torch.log(5 * counts.sum() / counts.clamp(min=1))
    return (weights / weights.min()).float()


def segmentation_loss(
    scores: Tensor, labels: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy over labelled points, weighted by class; zero where none is labelled."""
    if not bool((labels != IGNORE).any()):
        return scores.sum() * 0
    return F.cross_entropy(scores, labels, class_weights, ignore_index=IGNORE)


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL divergence ``sum_k p_k log(p_k / q_k)`` of each point, ``(N,)``.

    Args:
        teacher: Probabilities p ``(N, K)``; they pass no gradient on.
        student: Scores whose softmax is q.
    """
    teacher = teacher.detach()
    return F.kl_div(F.log_softmax(student, dim=1), teacher, reduction='none').sum(dim=1)


def mean_over_points(values: Tensor) -> Tensor:
    """Mean of ``(N,)``; zero for no points, connected to the graph all the same."""
    return values.sum() / max(len(values), 1)


def modality_divergences(output: CameraLidarOutput) -> SensorTerms:
    """How far each mimic head is from the other sensor's prediction, ``(N,)`` each."""
    return SensorTerms(
        divergence(output.cloud.softmax(dim=1), _seen(output.image_mimic)),
        divergence(_seen(output.image).softmax(dim=1), output.cloud_mimic),
    )


def modality_preserving(output: CameraLidarOutput) -> SensorTerms:
    """MPD of one domain: each mimic head learns from the main head of the other sensor.

    Without a fusion this is xMUDA's cross-modal loss; with it the LiDAR learns from a camera head
    that has seen both.
    """
    return SensorTerms(*(mean_over_points(apart) for apart in modality_divergences(output)))


def same_modality(stylised: CameraLidarOutput, source: CameraLidarOutput) -> SensorTerms:
    """DPD within a sensor: the source's prediction learns from the stylised source's."""
    return SensorTerms(
        mean_over_points(divergence(_seen(stylised.image).softmax(dim=1), _seen(source.image))),
        mean_over_points(divergence(stylised.cloud.softmax(dim=1), source.cloud)),
    )


def fused_modality(stylised: CameraLidarOutput, source: CameraLidarOutput) -> SensorTerms:
    """DPD across sensors: both learn from one prediction of the stylised source.

    That prediction is ``softmax(p_2D + p_3D)`` of two *probabilities*, as published; it is flat (at
    most 0.60 for six classes), so the term also smooths labels.
    """
    image, cloud = _seen(stylised.image).softmax(dim=1), stylised.cloud.softmax(dim=1)
    joint = (image + cloud).softmax(dim=1)
    return SensorTerms(
        mean_over_points(divergence(joint, _seen(source.image))),
        mean_over_points(divergence(joint, source.cloud)),
    )


def pseudo_label_loss(
    output: CameraLidarOutput,
    image_labels: Tensor,
    cloud_labels: Tensor,
    mode: PseudoLabelMode = 'detached',
) -> SensorTerms:
    """Cross-entropy on pseudo-labels, damped by ``exp(-m)`` where the sensors disagree (xDPL).

    ``m`` are the terms of `modality_preserving` on the same output.

    Args:
        output: Predictions on the target.
        image_labels: ``(N,)`` int64 from the 2D branch, -100 where dropped.
        cloud_labels: The same from the 3D branch.
        mode: ``plain`` has no damping. ``release`` is the published form, in which ``m`` passes
            gradient on, so that the loss falls when disagreement grows. ``detached`` stops that.
            ``pointwise`` damps each point by its own disagreement, detached.

    Raises:
        ValueError: An unknown mode.
    """
    if mode not in ('plain', 'release', 'detached', 'pointwise'):
        raise ValueError(f'unknown mode of pseudo-labelling: {mode!r}')
    image, cloud = modality_divergences(output)
    return SensorTerms(
        _damped(_seen(output.image), image_labels, image, mode),
        _damped(output.cloud, cloud_labels, cloud, mode),
    )


def entropy(scores: Tensor) -> Tensor:
    """Entropy of the predictions relative to its maximum ``log K``, in [0, 1] (MinEnt)."""
    logs = F.log_softmax(scores, dim=1)
    return mean_over_points(-(logs.exp() * logs).sum(dim=1)) / math.log(scores.shape[1])


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
    """Weighted terms of a batch with labelled points of both domains.

    As released: cross-entropies are the mean of both domains', MPD is the mean over all points.

    Args:
        output: Predictions on the points of both domains.
        labels: ``(N,)`` int64.
        weights: Weights of the terms.
        of_target: ``(N,)`` bool, true for points of the target.
        class_weights: ``(K,)`` of the source's and of the target's cross-entropy.
    """
    labelled_only = replace(weights, modality_source=0.0)
    halves = [
        source_terms(output.rows(rows), labels[rows], labelled_only, balance)
        for rows, balance in zip((~of_target, of_target), class_weights)
    ]
    terms = {name: (value + halves[1][name]) / 2 for name, value in halves[0].items()}
    if weights.modality_source:
        terms['modality_source'] = weights.modality_source * modality_preserving(output).total
    return terms


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


def _seen(scores: Tensor | None) -> Tensor:
    if scores is None:
        raise ValueError('the term compares image and cloud, and the batch has no image')
    return scores


def _damped(scores: Tensor, labels: Tensor, apart: Tensor, mode: PseudoLabelMode) -> Tensor:
    if mode == 'pointwise':
        each = F.cross_entropy(scores, labels, ignore_index=IGNORE, reduction='none')
        known = (labels != IGNORE).sum().clamp(min=1)
        return (torch.exp(-apart.detach()) * each).sum() / known
    loss = segmentation_loss(scores, labels)
    if mode == 'plain':
        return loss
    mean = mean_over_points(apart)
    return torch.exp(-(mean if mode == 'release' else mean.detach())) * loss
