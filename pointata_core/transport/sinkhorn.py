# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Entropic optimal transport: POT's log-domain Sinkhorn, and a symmetric one for a set with itself.

The value of every problem is ``min ⟨P, C⟩ + ε KL(P | a ⊗ b)`` over couplings P of the weights a and
b, read off the dual potentials. (Cuturi, Sinkhorn Distances, NeurIPS 2013; Feydy et al.,
Interpolating between Optimal Transport and MMD using Sinkhorn Divergences, AISTATS 2019.)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from ot.batch import bregman_log_projection_batch
from ot.bregman import sinkhorn_log
from torch import Tensor

from pointata_core.errors import ConfigError

# Elements of one temporary: 32 MiB in float64.
BLOCK_ELEMENTS = 2**22

# The regularisation comes down from the spread of the costs in steps of this factor, each solved
# roughly from the potentials of the one before: far fewer iterations than from nothing.
_ANNEALING = 0.25
_ITERATIONS_PER_STEP = 10


class ConvergenceWarning(UserWarning):
    """Sinkhorn stopped before both marginals held.

    Args:
        problem: Which transport it was.
        residual: Sum of what is missing or too much in the marginals, as a share of all mass.
        config: The limits that it ran under.
    """

    def __init__(self, problem: str, residual: float, config: SinkhornConfig) -> None:
        super().__init__(
            f'{problem}: Sinkhorn stopped after {config.max_iterations} iterations with a residual '
            f'of {residual:.2e} (tolerance {config.tolerance:.0e}). Standardise the features, or '
            f'raise max_iterations or the regularisation (now {config.regularisation:g}).'
        )
        self.problem = problem
        self.residual = residual


@dataclass(frozen=True)
class SinkhornConfig:
    """When to stop, and how smooth the coupling is.

    Args:
        regularisation: ε, in units of the cost.
        tolerance: Largest residual that counts as converged: sum over samples of the marginals'
            error, as a share of all mass.
        max_iterations: Limit of iterations at the final regularisation.

    Raises:
        ConfigError: A value is not positive.
    """

    regularisation: float = 0.1
    tolerance: float = 1e-4
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        for name in ('regularisation', 'tolerance', 'max_iterations'):
            if not getattr(self, name) > 0:
                raise ConfigError(f'{name} is {getattr(self, name)}', 'Give a positive number')

    def check(self, residual: Tensor, problem: str) -> float:
        """Return the worst residual as a number; warn if it is above the tolerance."""
        worst = float(residual.max())
        if not worst <= self.tolerance:
            warnings.warn(ConvergenceWarning(problem, worst, self), stacklevel=3)
        return worst


@dataclass(frozen=True, eq=False)
class Coupling:
    """Solution of one transport problem.

    Args:
        value: () entropic cost.
        plan: (n, m) mass between samples, 1 in all.
        residual: Error of the marginals as a share of all mass.
    """

    value: Tensor
    plan: Tensor
    residual: float


@torch.no_grad()
def couple(cost: Tensor, config: SinkhornConfig, problem: str) -> Coupling:
    """Transport n samples of equal weight to m of equal weight.

    Args:
        cost: (n, m) finite, float64 where the device has it.
        config: Regularisation and limits.
        problem: Name for the warning.

    Warns:
        ConvergenceWarning: The residual stayed above the tolerance.
    """
    rows, columns = cost.shape
    a, b = cost.new_full((rows,), 1 / rows), cost.new_full((columns,), 1 / columns)
    potential = torch.zeros_like(a)
    # POT stops by the Euclidean norm of the error; its sum is at most √m times that.
    threshold = config.tolerance / columns**0.5
    steps = _annealed(cost, config.regularisation)
    for regularisation in steps:
        final = regularisation == steps[-1]
        plan, log = sinkhorn_log(
            a,
            b,
            cost,
            regularisation,
            numItermax=config.max_iterations if final else _ITERATIONS_PER_STEP,
            stopThr=threshold,
            log=True,
            warn=False,
            warmstart=(potential / regularisation + a.log(), torch.zeros_like(b)),
        )
        potential = regularisation * (log['log_u'] - a.log())
    other = config.regularisation * (log['log_v'] - b.log())
    residual = config.check((plan.sum(0) - b).abs().sum(), problem)
    return Coupling(potential.mean() + other.mean(), plan, residual)


@torch.no_grad()
def entropic_costs(
    cost: Tensor, log_a: Tensor, log_b: Tensor, config: SinkhornConfig, problem: str
) -> Tensor:
    """Values of many small problems at once, padded to one size.

    Args:
        cost: (K, n, m) finite, padding included.
        log_a: (K, n) logarithms of weights that sum to 1; -inf is padding.
        log_b: (K, m) likewise.
        config: Regularisation and limits.
        problem: Name for the warning.

    Returns:
        Tensor: (K,) entropic costs.
    """
    kernel = -cost / config.regularisation
    solved = bregman_log_projection_batch(
        kernel,
        log_a.exp(),
        log_b.exp(),
        max_iter=config.max_iterations,
        tol=config.tolerance / cost.shape[1] ** 0.5,
    )
    log_u, log_v = solved['potentials']
    row_mass = (log_u + torch.logsumexp(kernel + log_v.unsqueeze(1), 2)).exp()
    config.check((row_mass - log_a.exp()).abs().sum(1), problem)
    return config.regularisation * (_expected(log_u, log_a) + _expected(log_v, log_b))


@dataclass(frozen=True, eq=False)
class SelfTransport:
    """Solutions of K problems of a set with itself.

    Args:
        value: (K,) entropic costs.
        potential: (K, n) the one dual potential of both sides.
        residual: Worst error of the marginals.
    """

    value: Tensor
    potential: Tensor
    residual: float


@torch.no_grad()
def transport_to_itself(
    cost: Tensor, log_weight: Tensor, config: SinkhornConfig, problem: str
) -> SelfTransport:
    """Transport sets to themselves.

    Both potentials are the same here, and the mean of one and its update converges in some ten
    iterations where alternating updates need hundreds (Feydy et al. 2019, section 3.3); POT has
    no such solver.

    Args:
        cost: (K, n, n) symmetric, finite, padding included; of any floating type.
        log_weight: (K, n) logarithms of weights that sum to 1; -inf is padding.
        config: Regularisation and limits.
        problem: Name for the warning.

    Warns:
        ConvergenceWarning: The residual stayed above the tolerance.
    """
    weight, potential = log_weight.exp(), torch.zeros_like(log_weight)
    for regularisation in _annealed(cost, config.regularisation)[:-1]:
        potential = (potential + _soft_minimum(cost, potential, log_weight, regularisation)) / 2
    for _ in range(config.max_iterations):
        update = _soft_minimum(cost, potential, log_weight, config.regularisation)
        # What a row of the coupling sums to, next to its weight; 50 keeps padding from 0 · inf.
        excess = ((potential - update) / config.regularisation).clamp_max(50).expm1()
        residual = (weight * excess.abs()).sum(1)
        if residual.max() <= config.tolerance:
            break
        potential = (potential + update) / 2
    # One potential with its exact update is a feasible pair: the error of its value is quadratic.
    value = (weight * (potential + update)).sum(1)
    return SelfTransport(value, potential, config.check(residual, problem))


def self_plan(cost: Tensor, solved: SelfTransport, config: SinkhornConfig) -> Tensor:
    """Coupling (n, n) of a single set of equal weights with itself; symmetric.

    Args:
        cost: (n, n) cost that ``solved`` belongs to.
        solved: Solution with K = 1.
        config: The regularisation it was solved with.
    """
    (potential,) = solved.potential
    exponent = (potential.unsqueeze(1) + potential - cost) / config.regularisation
    return exponent.exp() / len(cost) ** 2


def _annealed(cost: Tensor, regularisation: float) -> list[float]:
    """Regularisations from the spread of the costs down to the requested one."""
    low, high = cost.aminmax()
    start, steps = float(high - low), [regularisation]
    while steps[0] < start * _ANNEALING:
        steps.insert(0, steps[0] / _ANNEALING)
    return steps


def _soft_minimum(
    cost: Tensor, potential: Tensor, log_weight: Tensor, regularisation: float
) -> Tensor:
    """Update (K, n) of the potential of the rows, in blocks of rows to bound the memory."""
    columns = (potential / regularisation + log_weight).unsqueeze(1)
    rows = max(1, BLOCK_ELEMENTS // columns.numel())
    sums = [
        torch.logsumexp(columns - block.to(columns.dtype) / regularisation, dim=2)
        for block in cost.split(rows, dim=1)
    ]
    return -regularisation * torch.cat(sums, dim=1)


def _expected(log_scaling: Tensor, log_weight: Tensor) -> Tensor:
    """Mean (K,) over the weights of ``log_scaling - log_weight``; padding counts nothing."""
    present = log_weight.isfinite()
    difference = torch.where(present, log_scaling, 0) - torch.where(present, log_weight, 0)
    return (log_weight.exp() * difference).sum(1)
