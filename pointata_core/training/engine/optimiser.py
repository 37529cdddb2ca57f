# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optimiser, schedule and parameter groups of every training, and a plain loop for small ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

_FEWEST_ROWS = 24
"""Rows of a matrix from which on Muon takes it: there are fewer classes."""

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of torch's AdamW

Groups = Iterable[nn.Parameter] | Sequence[dict[str, Any]]
Schedule = Callable[[int], float]
"""Share of the learning rate at a step, counted from 0."""


def cosine(steps: int, warmup: float = 0.0) -> Schedule:
    """A linear rise over a share of the steps, then one cosine to zero.

    Args:
        steps: Of the whole run.
        warmup: Share of them with a rising rate, from 0 to below 1.
    """
    rise = round(warmup * steps)

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        done = (step - rise) / max(steps - rise, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return share


def constant(step: int) -> float:
    """The whole learning rate in every step."""
    return 1.0


def falling(milestones: Sequence[int]) -> Schedule:
    """A tenth of the rate after each milestone."""
    return lambda step: 0.1 ** sum(step >= milestone for milestone in milestones)


class Optimiser(NamedTuple):
    """An optimiser and its schedule, which steps with it."""

    optimizer: Optimizer
    schedule: LambdaLR

    def step(self) -> None:
        """Change the parameters, then the rate, and clear the gradients."""
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def for_lightning(self) -> OptimizerLRSchedulerConfig:
        """What ``configure_optimizers`` returns."""
        return {
            'optimizer': self.optimizer,
            'lr_scheduler': {'scheduler': self.schedule, 'interval': 'step'},
        }


def make_optimiser(
    groups: Groups,
    schedule: Schedule,
    *,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    decoupled: bool = True,
) -> Optimiser:
    """Set an optimiser up.

    Args:
        groups: Parameters, or groups of them with values of their own. With groups that
            :func:`with_muon` made, the optimiser is Muon, and AdamW for the others.
        schedule: Share of each group's rate, by step.
        learning_rate: Peak rate of groups that have none.
        weight_decay: Of groups that have none.
        decoupled: AdamW; else Adam, which adds the decay to the gradient.
    """
    given: list[Any] = list(groups)
    optimizer: Optimizer
    if any(isinstance(group, dict) and 'use_muon' in group for group in given):
        from pytorch_optimizer import Muon  # takes seconds to import

        optimizer = Muon(given, adamw_betas=_BETAS, adamw_eps=_EPSILON)
    else:
        kind = torch.optim.AdamW if decoupled else torch.optim.Adam
        optimizer = kind(given, lr=learning_rate, weight_decay=weight_decay)
    return Optimiser(optimizer, LambdaLR(optimizer, schedule))


def with_muon(
    groups: Sequence[dict[str, Any]], rate: float, learning_rate: float
) -> list[dict[str, Any]]:
    """Give matrices to Muon (Jordan, 2024), which makes the steps of a matrix orthogonal.

    Convolution kernels are matrices of one row for each output. Small matrices, such as those that
    give class logits, stay with AdamW.

    Args:
        groups: Of :func:`parameter_groups`.
        rate: Learning rate of the matrices; 0 leaves all to AdamW. Slow groups stay slow.
        learning_rate: That of the groups which are not slow.
    """
    if not rate:
        return list(groups)
    found = []
    for group in groups:
        for muon in (True, False):
            chosen = [p for p in group['params'] if _is_large(p) == muon]
            if chosen:
                own = {
                    'use_muon': muon,
                    **({'lr': rate * group['lr'] / learning_rate} if muon else {}),
                }
                found.append({**group, 'params': chosen, **own})
    return found


def _is_large(parameter: nn.Parameter) -> bool:
    return parameter.dim() > 1 and parameter.shape[0] >= _FEWEST_ROWS


def parameter_groups(
    network: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    slow: tuple[str, ...] = (),
    slow_share: float = 1.0,
    keep: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Group trained parameters by decay and rate.

    Matrices decay; biases, norms, gates and tokens (a single row) do not.

    Args:
        network: Parameters without gradients are left out.
        learning_rate: Rate of most.
        weight_decay: Of those that decay.
        slow: Names of parameters with a rate of their own begin so.
        slow_share: Their rate relative to the others'.
        keep: Names of further parameters that do not decay end so.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            matrix = parameter.dim() > 1 and parameter.shape[0] > 1
            decays = matrix and not name.endswith(keep)
            own = slow_share != 1 and name.startswith(slow)
            groups.setdefault((decays, own), []).append(parameter)
    return [
        {
            'params': parameters,
            'weight_decay': weight_decay if decays else 0.0,
            'lr': learning_rate * (slow_share if own else 1.0),
        }
        for (decays, own), parameters in sorted(groups.items(), key=lambda g: g[0], reverse=True)
    ]


def train_steps(
    optimiser: Optimiser,
    loss_of: Callable[[int], Tensor],
    steps: int,
    *,
    clip: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[float]:
    """Train a small network in this process, without checkpoints.

    Args:
        optimiser: Of what is trained.
        loss_of: Loss of a step, counted from 0.
        steps: How many.
        clip: Largest norm of the gradient.
        progress: Called with steps done and their number.

    Returns:
        The loss of every step.

    Raises:
        FloatingPointError: A loss is not finite.
    """
    trained = [p for group in optimiser.optimizer.param_groups for p in group['params']]
    losses = []
    for step in range(steps):
        loss = loss_of(step)
        require_finite(loss, step)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(trained, clip)
        optimiser.step()
        losses.append(loss.item())
        progress(step + 1, steps)
    return losses


def require_finite(loss: Tensor, step: int, terms: dict[str, Tensor] | None = None) -> None:
    """Stop a training whose loss is not finite.

    Args:
        loss: Scalar.
        step: Named in the message.
        terms: What the loss is the sum of, named as well.

    Raises:
        FloatingPointError: It is infinite or no number.
    """
    if not torch.isfinite(loss):
        found = {name: float(value.detach()) for name, value in (terms or {}).items()}
        raise FloatingPointError(
            f'the loss is {loss.item()} at step {step}{f" ({found})" if found else ""}: lower the '
            'learning rate or look for non-finite input'
        )
