# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small labelled sets, and OTDD by plain loops over POT's NumPy functions: no cache, no padding."""

from __future__ import annotations

import numpy as np
import ot
import torch

TIGHT = {'tolerance': 1e-9, 'max_iterations': 20_000}


def labelled_set(seed, count, classes, width=3, shift=0.0):
    """Clusters around random means; every class occurs, sizes differ."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, count - classes)])
    means = generator.normal(size=(classes, width))
    features = means[labels] + 0.5 * generator.normal(size=(count, width)) + shift
    return torch.from_numpy(features), torch.from_numpy(labels)


def entropic_cost(cost, regularisation):
    rows, columns = cost.shape
    a, b = np.full(rows, 1 / rows), np.full(columns, 1 / columns)
    plan = ot.sinkhorn(
        a, b, cost, regularisation, method='sinkhorn_log', numItermax=20_000, stopThr=1e-11
    )
    with np.errstate(divide='ignore', invalid='ignore'):
        divergence = np.where(plan > 0, plan * np.log(plan / np.outer(a, b)), 0).sum()
    return (plan * cost).sum() + regularisation * divergence


def class_distance(first, second, kind, regularisation, debiased):
    if kind == 'gaussian':
        covariance, other_covariance = (
            np.atleast_2d(np.cov(cloud.T, bias=True)) for cloud in (first, second)
        )
        # POT takes square roots of both, which small classes' singular covariances do not have.
        coupled = np.linalg.eigvals(covariance @ other_covariance).real.clip(0)
        bures = np.trace(covariance + other_covariance) - 2 * np.sqrt(coupled).sum()
        return ((first.mean(0) - second.mean(0)) ** 2).sum() + bures
    between, own, other = (
        entropic_cost(ot.dist(x, y), regularisation)
        for x, y in ((first, second), (first, first), (second, second))
    )
    return between - (own + other) / 2 if debiased else between


def reference_otdd(source, target, config):
    sets = [[part.numpy() for part in labelled] for labelled in (source, target)]

    def side(first, second):
        (x, x_labels), (y, y_labels) = first, second
        cost = config.feature_weight * ot.dist(x, y) / 2
        if config.label_distance == 'none':
            return entropic_cost(cost, config.regularisation)
        for label in np.unique(x_labels):
            for other in np.unique(y_labels):
                distance = class_distance(
                    x[x_labels == label],
                    y[y_labels == other],
                    config.label_distance,
                    config.regularisation,
                    config.debiased,
                )
                pairs = np.ix_(x_labels == label, y_labels == other)
                cost[pairs] += config.label_weight * distance / 2
        return entropic_cost(cost, config.regularisation)

    cross = side(*sets)
    if not config.debiased:
        return cross
    return cross - (side(sets[0], sets[0]) + side(sets[1], sets[1])) / 2
