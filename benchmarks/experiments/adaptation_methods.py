# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is compared: each method is a few settings on top of those all methods share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pointata_core.errors import ConfigError
from pointata_core.training.clips.preparation import Task

_ACTIONS: tuple[Task, ...] = ('clip',)
_ALL: tuple[Task, ...] = ('clip', 'points')


@dataclass(frozen=True)
class Method:
    """One method of the comparison.

    Args:
        summary: What is trained.
        overrides: Settings of :mod:`pointata_core.training.skill.settings` that differ.
        own_network: The network is P4Transformer instead of ours.
        tasks: Where it makes sense.
        longer: More passes over the clips: :data:`PASSES` for every one of the others.
    """

    summary: str
    overrides: tuple[str, ...] = ()
    own_network: bool = False
    tasks: tuple[Task, ...] = _ALL
    longer: bool = False


_NO_STAGE_1 = 'stages=[adapt]'
# Whoever changes pre-trained weights goes slower there: at 5e-4, as the fine-tuning recipe of
# Point-MAE does, a quarter of what adapters and heads get.
_GENTLE = 'optimiser.backbone_rate=0.25'

# Without the token-position stream of the head: what the tokens tell by themselves.
_TOKENS = 'network.position_width=0'

METHODS: dict[str, Method] = {
    'pointata': Method('OTDD alignment, then adapters, context encoder, class token and head'),
    'no-align': Method('pointata without alignment', (_NO_STAGE_1,)),
    'full': Method(
        'everything that pointata has, backbone included',
        ('tuning.mode=full', _NO_STAGE_1, _GENTLE),
    ),
    'head': Method('the temporal head on frozen features', ('tuning.mode=head', _NO_STAGE_1)),
    'probe': Method(
        'a linear layer on mean frozen features', ('tuning.mode=probe', _NO_STAGE_1), tasks=_ACTIONS
    ),
    'random-backbone': Method(
        'pointata without alignment on a frozen backbone of random weights',
        ('network.backbone=random:tiny', _NO_STAGE_1),
    ),
    'scratch': Method(
        'everything that pointata has, from random weights', ('tuning.mode=scratch', _NO_STAGE_1)
    ),
    'p4transformer': Method(
        'P4Transformer as wide as our backbone, from random weights',
        (_NO_STAGE_1, 'optimiser.learning_rate=1e-3'),
        own_network=True,
        tasks=_ACTIONS,
    ),
    'own-embedder': Method(
        'pointata without alignment, the embedder trained too',
        ('tuning.train_embedder=true', _NO_STAGE_1),
        tasks=('points',),
    ),
    'pointata-tokens': Method(
        'pointata without the token-position stream in the head', (_TOKENS,), tasks=_ACTIONS
    ),
    'lora': Method(
        'low-rank updates of the attention, and the head', ('tuning.mode=lora', _NO_STAGE_1)
    ),
    'head-tokens': Method(
        'the temporal head without the token-position stream on frozen features',
        ('tuning.mode=head', _NO_STAGE_1, _TOKENS),
        tasks=_ACTIONS,
    ),
    'full-plain': Method(
        'backbone and head, no adapters', ('tuning.mode=full_plain', _NO_STAGE_1, _GENTLE)
    ),
    'align-extent': Method(
        'pointata, of the alignment only the scale of the patches', ('align.epochs=0',)
    ),
    'align-unscaled': Method('pointata, OTDD without that scale', ('align.match_extent=false',)),
    'align-mmd': Method('pointata, MMD in place of OTDD', ('align.objective=mmd',)),
    'align-l2': Method('pointata, distance of means in place of OTDD', ('align.objective=l2',)),
    'bitfit': Method('biases and the head', ('tuning.mode=bitfit', _NO_STAGE_1)),
}
"""In the order in which they are run: the most telling first."""

METHODS |= {
    f'{name}-longer': replace(METHODS[name], summary=f'{name} with more passes', longer=True)
    for name in ('pointata', 'no-align', 'random-backbone', 'head', 'full')
}

PASSES: dict[Task, float] = {'clip': 3.0, 'points': 5 / 3}
"""Passes of a method that goes on for longer, for every one of the others, so that those of a
frozen backbone take about as long as ``full``. Where frozen features are kept, a pass costs a third
of one of ``full`` or less; where they are not, about 0.6 of it."""

DESIGNS: dict[str, Method] = {
    f'design-{name}': Method(f'no-align with {summary}', (override, _NO_STAGE_1), tasks=tasks)
    for name, summary, override, tasks in (
        ('narrow', 'adapters 16 wide', 'network.adapter_width=16', _ALL),
        ('wide', 'adapters 128 wide', 'network.adapter_width=128', _ALL),
        ('one-block', 'the last block adapted', 'network.adapted_blocks=1', _ALL),
        ('four-blocks', 'four blocks adapted', 'network.adapted_blocks=4', _ALL),
        ('all-blocks', 'all blocks adapted', 'network.adapted_blocks=-1', _ALL),
        ('no-context', 'no context encoder', 'network.context_width=0', _ALL),
        ('no-tubes', 'adapters that look at one frame', 'network.adapter_kernel=1', _ALL),
        ('long-tubes', 'adapters that look at five frames', 'network.adapter_kernel=5', _ALL),
        ('far-tubes', 'tubes of radius 1.2', 'network.geometry.tube_radius=1.2', _ACTIONS),
        ('no-displacements', 'no displacements beside the tokens', 'network.motion_lags=[]', _ALL),
        ('late-readout', 'the last answer alone', 'network.readout=convolution', _ACTIONS),
        ('light-tokens', 'tokens counting a quarter', 'network.token_weight=0.25', _ACTIONS),
    )
}
"""PointATA otherwise; not run unless named, and to be judged where nothing else is."""

CURVE_METHODS = ('pointata', 'pointata-longer', 'full', 'probe', 'p4transformer')
"""Those that are also run with fewer labels."""


def method(name: str) -> Method:
    """Look a method up.

    Raises:
        ConfigError: There is none of that name.
    """
    known = {**METHODS, **DESIGNS}
    if name not in known:
        raise ConfigError(f"method is '{name}'", f'Choose among {", ".join(known)}')
    return known[name]


def methods_for(task: Task, names: Sequence[str] | None = None) -> list[str]:
    """Names of the methods that make sense for a task.

    Args:
        task: What is learned.
        names: Asked for; ``None`` for all there are.

    Raises:
        ConfigError: One that was asked for does not.
    """
    if names is None:
        return [name for name, one in METHODS.items() if task in one.tasks]
    for name in names:
        if task not in method(name).tasks:
            raise ConfigError(f"method '{name}' is not made for task {task}", 'Leave it out')
    return list(names)
