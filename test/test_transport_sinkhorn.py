# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Entropic transport: closed forms, marginals, padding, and honest reports of residuals."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm
from transport_sets import TIGHT, entropic_cost, labelled_set

from pointata_core.transport import sinkhorn
from pointata_core.transport.labelled import squared_distances
from pointata_core.transport.sinkhorn import (
    ConvergenceWarning,
    SinkhornConfig,
    couple,
    entropic_costs,
    self_plan,
    transport_to_itself,
)

pytestmark = pytest.mark.filterwarnings('error:.*Sinkhorn')


def normal_quantiles(mean, deviation, count=400):
    """A normal distribution as equally heavy points."""
    return torch.from_numpy(norm.ppf((torch.arange(count) + 0.5) / count) * deviation + mean)[
        :, None
    ]


def entropic_cost_of_normals(mean, deviation, other_mean, other_deviation, regularisation):
    """Closed form in one dimension for the cost ½(x − y)².

    Janati, Muzellec, Peyré and Cuturi, Entropic Optimal Transport between Unbalanced Gaussian
    Measures has a Closed Form, NeurIPS 2020, theorem 1, with σ² = ε.
    """
    a, b, e = deviation**2, other_deviation**2, regularisation
    d = math.sqrt(4 * a * b + e**2)
    bures = a + b - d + e * (1 - math.log(2 * e)) + e * math.log(d + e)
    return ((mean - other_mean) ** 2 + bures) / 2


def equal(count):
    return torch.full((1, count), -math.log(count), dtype=torch.float64)


@pytest.mark.parametrize('regularisation', [0.1, 1.0])
def test_normals_cost_what_their_closed_form_says(regularisation):
    config = SinkhornConfig(regularisation, tolerance=1e-9, max_iterations=5000)
    one, other = normal_quantiles(0.0, 1.0), normal_quantiles(1.5, 2.0)
    across = couple(squared_distances(one, other) / 2, config, 'normals')
    expected = entropic_cost_of_normals(0.0, 1.0, 1.5, 2.0, regularisation)
    assert float(across.value) == pytest.approx(expected, rel=0.02)
    own = transport_to_itself(squared_distances(one, one)[None] / 2, equal(400), config, 'normal')
    expected = entropic_cost_of_normals(0.0, 1.0, 0.0, 1.0, regularisation)
    assert float(own.value) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize('regularisation', [2.0, 8.0])
def test_all_solvers_agree_with_each_other_and_with_numpy(regularisation):
    features, _ = labelled_set(0, 12, 3)
    cost = squared_distances(features, features)
    config = SinkhornConfig(regularisation, **TIGHT)
    expected = pytest.approx(entropic_cost(cost.numpy(), regularisation), abs=1e-8)
    assert float(couple(cost, config, '').value) == expected
    assert float(transport_to_itself(cost[None], equal(12), config, '').value) == expected
    assert float(entropic_costs(cost[None], equal(12), equal(12), config, '')) == expected


def test_couplings_have_the_marginals_that_were_asked_for():
    (features, _), (other, _) = labelled_set(0, 12, 3), labelled_set(1, 7, 2)
    config = SinkhornConfig(1.0, **TIGHT)
    plan = couple(squared_distances(features, other), config, '').plan
    torch.testing.assert_close(plan.sum(0), torch.full((7,), 1 / 7, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(1), torch.full((12,), 1 / 12, dtype=torch.float64))
    cost = squared_distances(features, features)
    own = self_plan(cost, transport_to_itself(cost[None], equal(12), config, ''), config)
    torch.testing.assert_close(own.sum(0), torch.full((12,), 1 / 12, dtype=torch.float64))
    torch.testing.assert_close(own, own.T)


def test_costs_a_thousand_times_the_regularisation_converge():
    (features, _), (other, _) = labelled_set(0, 30, 3), labelled_set(1, 20, 3)
    cost = 100 * squared_distances(features, other)
    assert couple(cost, SinkhornConfig(max_iterations=100_000), '').residual <= 1e-4


def test_padding_counts_nothing():
    features, _ = labelled_set(0, 9, 3)
    other, _ = labelled_set(1, 5, 2)
    config = SinkhornConfig(0.5, **TIGHT)
    cost = torch.full((2, 9, 7), 3.0, dtype=torch.float64)
    cost[0, :, :5] = squared_distances(features, other)
    cost[1, :4, :] = squared_distances(features, features)[:4, 2:]
    log_a, log_b = (torch.full((2, n), -math.inf, dtype=torch.float64) for n in (9, 7))
    log_a[0], log_a[1, :4] = -math.log(9), -math.log(4)
    log_b[0, :5], log_b[1] = -math.log(5), -math.log(7)
    values = entropic_costs(cost, log_a, log_b, config, '')
    assert float(values[0]) == pytest.approx(entropic_cost(cost[0, :, :5].numpy(), 0.5), abs=1e-8)
    assert float(values[1]) == pytest.approx(entropic_cost(cost[1, :4].numpy(), 0.5), abs=1e-8)


def test_padding_counts_nothing_in_transport_to_itself():
    features, _ = labelled_set(0, 6, 3)
    config = SinkhornConfig(2.0, **TIGHT)
    padded = torch.zeros(2, 6, 3, dtype=torch.float64)
    padded[0], padded[1, :4] = features, features[:4] * 1e4
    log_weight = torch.full((2, 6), -math.inf, dtype=torch.float64)
    log_weight[0], log_weight[1, :4] = -math.log(6), -math.log(4)
    cost = squared_distances(padded, padded)
    values = transport_to_itself(cost, log_weight, config, '').value
    assert float(values[0]) == pytest.approx(entropic_cost(cost[0].numpy(), 2.0), abs=1e-8)
    # So far apart that every point stays where it is: the cost of the coupling's entropy alone.
    assert float(values[1]) == pytest.approx(2.0 * math.log(4))


def test_blocks_of_rows_change_nothing(monkeypatch):
    features, _ = labelled_set(0, 12, 3)
    cost, config = squared_distances(features, features)[None], SinkhornConfig()
    whole = transport_to_itself(cost, equal(12), config, '')
    monkeypatch.setattr(sinkhorn, 'BLOCK_ELEMENTS', 30)
    blocks = transport_to_itself(cost, equal(12), config, '')
    torch.testing.assert_close(blocks.potential, whole.potential)


def solve_briefly(solver):
    (features, _), (other, _) = labelled_set(0, 12, 3), labelled_set(1, 7, 2)
    config = SinkhornConfig(1.0, tolerance=1e-9, max_iterations=2)
    if solver == 'couple':
        coupling = couple(squared_distances(features, other), config, 'the problem')
        missing = (coupling.plan.sum(0) - 1 / 7).abs().sum()
        return float(missing)
    if solver == 'itself':
        cost = squared_distances(features, features)[None]
        return transport_to_itself(cost, equal(12), config, 'the problem').residual
    entropic_costs(
        squared_distances(features, other)[None], equal(12), equal(7), config, 'the problem'
    )
    return None


@pytest.mark.parametrize('solver', ['couple', 'itself', 'batch'])
def test_stopping_early_is_a_warning_that_carries_the_residual(solver):
    with pytest.warns(ConvergenceWarning, match='the problem.*2 iterations') as caught:
        residual = solve_briefly(solver)
    (warning,) = caught
    assert warning.message.residual > 1e-9
    if residual is not None:
        assert warning.message.residual == pytest.approx(residual)
