# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run trains: PointATA's adapters, or one of the baselines it is compared with.

A mode is an entry of :data:`MODES`: which parts the network has, and which of its parameters get
gradients. Everything else (data, schedule, evaluation, bundle) is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pointata_core.errors import ConfigError
from pointata_core.models.point.config import Readout
from pointata_core.models.point.network_parts import Stage
from pointata_core.models.point.pointata import PointATA

# The embedder took its place: the backbone's own is kept for the next skill, and is never run.
_UNUSED = ('backbone.patch_encoder.', 'backbone.reduce.')
_HEADS = ('segmentation_head.', 'actor.', 'action_head.')
_SKILL = ('adapters.', 'context.', 'auxiliary.', 'class_offset', *_HEADS)
_LORA_SCALE = 2.0


@dataclass(frozen=True)
class TuningMode:
    """One way to tune.

    Args:
        summary: What it does.
        trains: Tells by its name whether a parameter is trained.
        adapters: Whether the network has video adapters, context encoder and a class offset.
        stage: Which modules train their statistics, see :meth:`PointATA.set_stage`.
        readout: Readout of the action head; ``None`` for that of the settings.
        pretrained: False to throw the backbone's weights away.
        lora: Whether low-rank updates are put on the attention of the adapted blocks.
        biases: Whether the adapted blocks' biases are trained.
    """

    summary: str
    trains: Callable[[str], bool]
    adapters: bool = False
    stage: Stage = 'adapt'
    readout: Readout | None = None
    pretrained: bool = True
    lora: bool = False
    biases: bool = False

    @property
    def touches_blocks(self) -> bool:
        """Whether anything inside the adapted blocks is trained."""
        return self.adapters or self.lora or self.biases or self.stage == 'full'


def _everything(name: str) -> bool:
    return True


def _heads(name: str) -> bool:
    return name.startswith(_HEADS)


def _skill(name: str) -> bool:
    return name.startswith(_SKILL)


def _biases(name: str) -> bool:
    return _heads(name) or name.endswith('.bias')


def _lora(name: str) -> bool:
    return _heads(name) or ('.parametrizations.' in name and not name.endswith('.original'))


MODES: dict[str, TuningMode] = {
    'pointata': TuningMode('adapters, context encoder, class token, heads', _skill, adapters=True),
    'full': TuningMode('everything, from pre-trained weights', _everything, True, 'full'),
    'scratch': TuningMode(
        'everything, from random weights', _everything, True, 'full', pretrained=False
    ),
    'full_plain': TuningMode('backbone and heads, no adapters', _everything, stage='full'),
    'head': TuningMode('the temporal head on frozen features', _heads),
    'probe': TuningMode('a linear layer on mean frozen features', _heads, readout='linear'),
    'bitfit': TuningMode('biases and heads', _biases, biases=True),
    'lora': TuningMode('low-rank updates of the attention, heads', _lora, lora=True),
}


def tuning_mode(name: str) -> TuningMode:
    """Look a mode up.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in MODES:
        raise ConfigError(f"tuning.mode is '{name}'", f'Choose one of {", ".join(MODES)}')
    return MODES[name]


def apply_mode(
    network: PointATA, mode: TuningMode, *, train_embedder: bool = False, lora_rank: int = 8
) -> None:
    """Choose what gradients reach; adds the low-rank updates if the mode has them.

    Args:
        network: As built for this mode.
        mode: The mode.
        train_embedder: Train the align embedder, too (its BatchNorm statistics stay).
        lora_rank: Rank of the updates.
    """
    network.set_stage(mode.stage)
    if mode.lora and not any('.parametrizations.' in n for n, _ in network.named_parameters()):
        for block in network.backbone.blocks[network.config.first_adapted :]:
            attention: Any = block.attn
            for linear in (attention.qkv, attention.proj):
                parametrize.register_parametrization(
                    linear, 'weight', LowRank(linear.weight, lora_rank)
                )
    for name, parameter in network.named_parameters():
        wanted = mode.trains(name) and not (mode.stage != 'full' and _in_prefix(name, network))
        wanted |= train_embedder and name.startswith('embedder.')
        parameter.requires_grad_(wanted and not name.startswith(_UNUSED))
    network.train(network.training)


def prefix_is_frozen(network: PointATA) -> bool:
    """Whether nothing that gets gradients lies before the first adapted block."""
    named = network.named_parameters()
    return not any(p.requires_grad and _in_prefix(name, network) for name, p in named)


def _in_prefix(name: str, network: PointATA) -> bool:
    if name.startswith('backbone.blocks.'):
        return int(name.split('.')[2]) < network.config.first_adapted
    return name.startswith(('embedder.', 'backbone.')) and not name.startswith('backbone.norm.')


class LowRank(nn.Module):
    """``W + s B A`` (LoRA, Hu et al., ICLR 2022), B zero at the start; s = 2.

    Args:
        weight: ``(out, in)``, what is updated.
        rank: Rank of the update.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.a = nn.Parameter(torch.empty(rank, columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the updated weight."""
        return weight + _LORA_SCALE * (self.b @ self.a)


def merge_and_freeze(network: PointATA) -> PointATA:
    """Return a copy as it is served: low-rank updates merged, no gradients, evaluating."""
    state = {k: v for k, v in network.state_dict().items() if '.parametrizations.' not in k}
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module, 'weight'):
            state[f'{name}.weight'] = module.weight
    # Not a deep copy: torch lets copies share the class that holds a parametrization.
    done = PointATA(network.config)
    done.load_state_dict({k: v.detach().clone() for k, v in state.items()})
    return done.requires_grad_(False).eval()
