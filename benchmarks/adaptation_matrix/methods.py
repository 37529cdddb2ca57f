# SPDX-License-Identifier: Apache-2.0
"""What is compared: each method is a few settings on top of those all methods share."""

from __future__ import annotations

from dataclasses import dataclass

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class Method:
    """One column of the comparison.

    Args:
        summary: What is trained.
        overrides: Settings of :mod:`pointata_core.adaptation.settings` that differ.
        own_network: The network is P4Transformer instead of ours.
    """

    summary: str
    overrides: tuple[str, ...] = ()
    own_network: bool = False


_NO_STAGE_1 = 'align.objective=none'
# Whoever changes pre-trained weights goes slower, as the fine-tuning recipe of Point-MAE does
# (AdamW at 5e-4, half of what adapters and heads get here).
_GENTLE = 'optimiser.learning_rate=5.0e-4'

# A stream of the head that reads where token centres lie, past the backbone: it would blur what the
# methods differ in, so only rows of its own have it.
_PLACES = ('network.place_width=192', 'network.place_share=0.5')

METHODS: dict[str, Method] = {
    'pointata': Method('OTDD alignment, then adapters, context encoder, class token and head'),
    'full': Method(
        'everything that pointata has, backbone included',
        ('tuning.mode=full', _NO_STAGE_1, _GENTLE),
    ),
    'probe': Method('a linear layer on mean frozen features', ('tuning.mode=probe', _NO_STAGE_1)),
    'no-align': Method('pointata without stage 1', (_NO_STAGE_1,)),
    'random-backbone': Method(
        'pointata without stage 1 on a frozen backbone of random weights',
        ('network.backbone=random:tiny', _NO_STAGE_1),
    ),
    'scratch': Method(
        'everything that pointata has, from random weights', ('tuning.mode=scratch', _NO_STAGE_1)
    ),
    'p4transformer': Method(
        'P4Transformer as wide as our backbone, from random weights', (_NO_STAGE_1,), True
    ),
    'pointata-places': Method('pointata, and a stream of places in the head', _PLACES),
    'lora': Method(
        'low-rank updates of the attention, and the head',
        ('tuning.mode=lora', _NO_STAGE_1),
    ),
    'head': Method('the temporal head on frozen features', ('tuning.mode=head', _NO_STAGE_1)),
    'head-places': Method(
        'the temporal head with a stream of places on frozen features',
        ('tuning.mode=head', _NO_STAGE_1, *_PLACES),
    ),
    'full-plain': Method(
        'backbone and head, no adapters', ('tuning.mode=full_plain', _NO_STAGE_1, _GENTLE)
    ),
    'align-mmd': Method('pointata, MMD in place of OTDD', ('align.objective=mmd',)),
    'align-l2': Method('pointata, distance of means in place of OTDD', ('align.objective=l2',)),
    'bitfit': Method('biases and the head', ('tuning.mode=bitfit', _NO_STAGE_1)),
}
"""In the order in which they are run: the most telling first."""

CURVE_METHODS = ('pointata', 'full', 'probe', 'p4transformer')
"""Those that are also run with fewer labels."""


def method(name: str) -> Method:
    """Look a method up.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"method is '{name}'", f'Choose among {", ".join(METHODS)}')
    return METHODS[name]
