# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tuning modes: each trains what it says, and whatever is frozen stays as it is, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import BACKBONE, GEOMETRY

from pointata_core.errors import ConfigError
from pointata_core.models.point.backbone import Attention
from pointata_core.models.point.clip_tubes import clip_parents, clip_steps
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.engine.optimiser import parameter_groups
from pointata_core.training.skill.settings import (
    OptimiserSettings,
    StageSettings,
    TrainingSettings,
)
from pointata_core.training.skill.stages import train_on_clips
from pointata_core.training.skill.tuning import (
    MODES,
    apply_mode,
    merge_and_freeze,
    prefix_is_frozen,
    tuning_mode,
)

CONFIG = NetworkConfig(
    backbone=BACKBONE,
    geometry=GEOMETRY,
    adapter_width=6,
    adapted_blocks=2,
    class_offset=True,
    context_width=4,
    segmentation_blocks=(3,),
    action_classes=('a', 'b', 'c'),
    readout_width=8,
    readout_frames=3,
    dropout=0.0,
)


def network_for(name: str, positions: int = 0) -> PointATA:
    mode = MODES[name]
    config = replace(CONFIG, readout=mode.readout or 'pooled', position_width=positions)
    if not mode.adapters:
        config = replace(
            config, adapter_width=0, adapter_kernel=1, context_width=0, class_offset=False
        )
    torch.manual_seed(0)
    network = PointATA(config)
    apply_mode(network, mode, lora_rank=2)
    return network.train()


def clip(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 5, 30, 3, generator=torch.Generator().manual_seed(seed)) * 0.3


def train_a_step(network: PointATA, steps: int = 2) -> None:
    groups = parameter_groups(network, learning_rate=0.05, weight_decay=0.05)
    optimizer = torch.optim.AdamW(groups)
    for _ in range(steps):
        loss = network(clip()).action[:, -1].square().sum() + network(clip()).action.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize('name', sorted(MODES))
def test_only_trained_parameters_change(name: str) -> None:
    network = network_for(name)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    trained = {k for k, p in network.named_parameters() if p.requires_grad}
    train_a_step(network)
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    statistics = {k for k in changed if 'running_' in k or k.endswith('num_batches_tracked')}
    assert changed - statistics <= trained
    # A full tuning also moves the statistics of the embedder; nothing else moves any.
    assert not statistics or MODES[name].stage == 'full'
    assert changed, 'nothing was learned'


@pytest.mark.parametrize('name', ['pointata', 'head', 'probe'])
def test_backbone_and_embedder_stay_byte_for_byte(name: str) -> None:
    network = network_for(name)
    frozen = (network.backbone, network.embedder)
    before = [{k: v.numpy().tobytes() for k, v in part.state_dict().items()} for part in frozen]
    train_a_step(network)
    after = [{k: v.numpy().tobytes() for k, v in part.state_dict().items()} for part in frozen]
    assert after == before


@pytest.mark.parametrize('name', ['pointata', 'full', 'scratch', 'lora', 'bitfit'])
def test_every_trained_parameter_is_reached_by_a_gradient(name: str) -> None:
    network = network_for(name)
    train_a_step(network, 1)  # what sits behind a zero gets a gradient from the second step on
    network.zero_grad()
    network(clip()).action[:, -1].square().sum().backward()
    untouched = [
        k
        for k, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    # Softmax does not see a constant added to every key or logit before the last layer's max.
    assert [k for k in untouched if not k.endswith('.bias')] == []


def test_modes_train_less_than_full_tuning_does() -> None:
    counts = {name: network_for(name).parameter_summary()['trainable'] for name in sorted(MODES)}
    assert counts['probe'] < counts['head'] < counts['lora'] < counts['full']
    assert counts['pointata'] < counts['full'] == counts['scratch']
    assert counts['head'] < counts['bitfit'] < counts['full_plain'] < counts['full']


def test_the_prefix_is_frozen_unless_something_in_it_is_trained() -> None:
    assert {n for n in MODES if not prefix_is_frozen(network_for(n))} == {
        'full', 'full_plain', 'scratch',
    }  # fmt: skip
    network = network_for('pointata')
    apply_mode(network, MODES['pointata'], train_embedder=True)
    assert not prefix_is_frozen(network)


def test_low_rank_updates_merge_into_the_weights() -> None:
    network = network_for('lora')
    start = network_for('head')(clip()).action
    torch.testing.assert_close(network(clip()).action, start)
    train_a_step(network)
    served = merge_and_freeze(network)
    assert not any('parametrizations' in name for name in served.state_dict())
    network.eval()
    torch.testing.assert_close(served(clip()).action, network(clip()).action)
    assert not torch.allclose(served(clip()).action, start)
    assert any(p.requires_grad for p in network.parameters()), 'the trained one was changed'


def test_biases_norms_and_tokens_do_not_decay() -> None:
    network = network_for('pointata')
    groups = parameter_groups(network, learning_rate=0.1, weight_decay=0.05, keep=('class_offset',))
    decays, keeps = ({id(p) for p in group['params']} for group in groups)
    names = {id(p): n for n, p in network.named_parameters()}
    assert {names[i] for i in keeps} >= {
        'class_offset', 'context.gates', 'adapters.0.norm.weight', 'adapters.0.down.bias',
    }  # fmt: skip
    assert {names[i] for i in decays} >= {'adapters.0.down.weight', 'action_head.hidden.weight'}
    assert decays | keeps == {id(p) for p in network.parameters() if p.requires_grad}


def test_frozen_features_replace_the_points() -> None:
    network = network_for('pointata').eval()
    with torch.no_grad():
        # No constants: LayerNorm would take them out again.
        own = (network.class_offset, *network.adapters.parameters(), *network.context.parameters())
        for parameter in own:
            parameter += 0.1 * torch.randn_like(parameter)
    points = clip()
    prefix = network.encode_prefix(points)
    geometry = frame_geometry(points.flatten(0, 1), None, GEOMETRY)
    expected = network(points).action
    torch.testing.assert_close(
        network(points[:, :, :0], geometry=geometry, prefix=prefix).action, expected
    )
    assert not torch.allclose(
        network(points[:, :, :0], geometry=geometry, prefix=prefix.flip(-1)).action, expected
    )


def test_a_class_offset_starts_silent_and_streams_exactly() -> None:
    without = replace(CONFIG, class_offset=False)
    torch.manual_seed(0)
    plain = PointATA(without).eval()
    own = PointATA(CONFIG).eval()
    own.load_state_dict(plain.state_dict(), strict=False)
    points = clip()
    torch.testing.assert_close(own(points).action, plain(points).action)
    with torch.no_grad():
        own.class_offset += torch.randn_like(own.class_offset)
    whole = own(points).action
    assert not torch.allclose(whole, plain(points).action)
    state, frames = own.initial_state(2), []
    for t in range(points.shape[1]):
        output, state = own.step(points[:, t], state)
        frames.append(output.action)
    torch.testing.assert_close(torch.stack(frames, 1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('name', 'positions'), [('probe', 0), ('head', 0), ('head', 5)])
def test_skills_without_adapters_stream_exactly(name: str, positions: int) -> None:
    network = network_for(name, positions).eval()
    with torch.no_grad():
        for parameter in network.action_head.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    points = clip()
    state, frames = network.initial_state(2), []
    for t in range(points.shape[1]):
        output, state = network.step(points[:, t], state)
        frames.append(output.action)
    torch.testing.assert_close(torch.stack(frames, 1), network(points).action, atol=1e-5, rtol=1e-4)


def test_a_trained_backbone_may_go_slower_than_what_is_new() -> None:
    network = network_for('full')
    groups = parameter_groups(
        network,
        learning_rate=0.1,
        weight_decay=0.05,
        slow=('backbone.', 'embedder.'),
        slow_share=0.25,
    )
    rates = {id(p): group['lr'] for group in groups for p in group['params']}
    trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
    assert len(rates) == len(trained) == sum(len(group['params']) for group in groups)
    for name, parameter in trained.items():
        old = name.startswith(('backbone.', 'embedder.'))
        assert rates[id(parameter)] == pytest.approx(0.025 if old else 0.1), name


@pytest.mark.parametrize('weight', [0.0, 0.25, 0.5, 1.0])
def test_tokens_answer_in_training_and_both_streams_afterwards(weight: float) -> None:
    torch.manual_seed(0)
    network = PointATA(replace(CONFIG, position_width=5, token_weight=weight)).eval()
    points = clip()
    both = network(points).action
    network.action_head.train()
    tokens = network(points).action
    network.action_head.eval()
    geometry = frame_geometry(points.flatten(0, 1), None, GEOMETRY)
    positions = network.predict_from_positions(geometry, len(points))
    assert not torch.allclose(positions, tokens, atol=1e-3)
    expected = (1 - weight) * positions.log_softmax(-1) + weight * tokens.log_softmax(-1)
    torch.testing.assert_close(both, expected)
    if weight:
        alone = network.action_head.token_logits(both, positions)
        torch.testing.assert_close(alone, tokens.log_softmax(-1), atol=1e-5, rtol=1e-4)
    else:
        with pytest.raises(ValueError, match='token_weight is 0'):
            network.action_head.token_logits(both, positions)
    with pytest.raises(ConfigError, match='token_weight is'):
        replace(CONFIG, token_weight=weight + 1.5)


class TwelveClips:
    """Clips of noise, held whole; rows of a batch are (clip, variant)."""

    variants, whole = 1, torch.randn(12, 5, 12, 3, generator=torch.Generator().manual_seed(4)) * 0.3

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, pairs) -> ClipBatch:
        points = self.whole[[clip for clip, _ in pairs]]
        return ClipBatch(
            points=points,
            mask=torch.ones(points.shape[:3], dtype=torch.bool),
            label=torch.zeros(points.shape[:3], dtype=torch.int64),
            action=torch.zeros(points.shape[:2], dtype=torch.int64),
            geometry=frame_geometry(points.flatten(0, 1), None, GEOMETRY),
        )


@pytest.mark.parametrize(('share', 'expected'), [(0.0, 8), (0.25, 6), (0.75, 2), (0.99, 1)])
def test_all_clips_train_the_positions_and_a_share_of_them_the_tokens(
    tmp_path, share, expected
) -> None:
    network = PointATA(replace(CONFIG, position_width=5, position_share=share))
    rows: dict[str, int] = {}
    for name in ('positions', 'tokens'):
        getattr(network.action_head, name).register_forward_pre_hook(
            lambda _, inputs, name=name: rows.__setitem__(name, len(inputs[0]))
        )
    settings = TrainingSettings(device='cpu', optimiser=OptimiserSettings(batch=8, epochs=1))
    train_on_clips(settings, StageSettings('adapt'), network, TwelveClips(), {}, tmp_path)
    assert rows == {'positions': 8, 'tokens': expected}


@pytest.mark.parametrize('share', [-0.1, 1.0])
def test_a_share_below_0_or_that_leaves_the_tokens_nothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f'position_share is {share}'):
        replace(CONFIG, position_share=share)


def test_the_way_along_tubes_reaches_a_frame_farther_back() -> None:
    network = network_for('head', 5).eval()
    field = network.receptive_field
    assert field == network_for('head').receptive_field + 1
    points = torch.randn(1, field + 1, 30, 3, generator=torch.Generator().manual_seed(2)) * 0.3
    points.requires_grad_()
    last = network(points).action[:, -1]
    last.square().sum().backward()
    reached = [bool(frame.any()) for frame in points.grad[0]]
    assert reached == [False] + [True] * field


def test_the_way_along_tubes_is_that_of_the_points() -> None:
    torch.manual_seed(0)
    shape = clip()[:1, :1]
    there = shape + torch.linspace(0, 0.2, 5).view(1, 5, 1, 1)
    seen = []
    for points in (there, there.flip(1)):
        geometry = frame_geometry(points.flatten(0, 1), None, GEOMETRY)
        parents = clip_parents(geometry, None, 1, GEOMETRY)
        seen.append(clip_steps(geometry, None, parents))
    first, later = seen[0][0], seen[0][1:]
    assert not first.any(), 'tubes begin in the first frame'
    torch.testing.assert_close(later[..., :3], torch.full_like(later[..., :3], 0.05))
    torch.testing.assert_close(seen[1][1:, :, :3], -later[..., :3])
    assert (later[..., 3] == 1).all()


def test_two_pooled_streams_stream_exactly() -> None:
    torch.manual_seed(0)
    network = PointATA(replace(CONFIG, position_width=5, readout='pooled')).eval()
    points = torch.randn(2, 9, 20, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    whole = network(points).action
    state, frames = network.initial_state(2), []
    for t in range(points.shape[1]):
        output, state = network.step(points[:, t], state)
        frames.append(output.action)
    torch.testing.assert_close(torch.stack(frames, 1), whole, atol=1e-5, rtol=1e-4)
    # The pooled readout really looks back: without the first frames the last answer is another.
    assert not torch.allclose(network(points[:, 4:]).action[:, -1], whole[:, -1], atol=1e-4)


def test_attention_learns_the_same_in_bfloat16() -> None:
    torch.manual_seed(0)
    attention = Attention(12, 2)
    tokens = torch.randn(3, 7, 12)
    seen = torch.rand(3, 1, 1, 7) < 0.7
    seen[..., 0] = True
    found = []
    for half in (False, True):
        x = tokens.clone().requires_grad_()
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            answer = attention(x, seen)
        answer.float().square().sum().backward()
        found.append((answer.float(), x.grad))
    (answer, gradient), (half_answer, half_gradient) = found
    largest = float(answer.detach().abs().max())
    torch.testing.assert_close(half_answer, answer, atol=0.03 * largest, rtol=0)
    worst = float(gradient.abs().max())
    torch.testing.assert_close(half_gradient, gradient, atol=0.03 * worst, rtol=0)


def test_an_unknown_mode_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match='prompt'):
        tuning_mode('prompt')
