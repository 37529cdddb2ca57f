# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Products in bfloat16: nearly the same answers, the same weights, and a way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_models_network import SMALL, moving_clip, stream, trained
from test_streaming_golden import BUNDLE, frozen_frames

from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.inference.device import choose_device
from pointata_core.inference.loading import open_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.models.linear import Linear, set_precision

# Above this, a float32 probability is no coin toss that rounding decides.
CLEAR = 0.6


def answers(precision: str) -> list:
    session = StreamingSession(load_bundle(BUNDLE, share_backbone=False, precision=precision))
    return [session.step(points, stamp) for points, stamp in frozen_frames()]


@pytest.mark.skipif(not BUNDLE.is_dir(), reason=f'{BUNDLE} is not part of this installation')
def test_the_shipped_skill_gives_nearly_the_same_labels():
    exact, reduced = answers('float32'), answers('bfloat16')
    same = np.concatenate([a.labels == b.labels for a, b in zip(exact, reduced, strict=True)])
    clear = np.concatenate([a.probabilities > CLEAR for a in exact])
    distance = max(
        np.abs(a.probabilities - b.probabilities)[a.labels == b.labels].max()
        for a, b in zip(exact, reduced, strict=True)
    )
    # Else float32 would have been compared with itself.
    assert distance > 0.0
    assert same[clear].all()
    assert same.mean() > 0.99
    assert distance < 0.1


def test_a_linear_layer_errs_by_the_rounding_of_bfloat16():
    torch.manual_seed(0)
    layer, x = Linear(192, 64), torch.randn(5, 192)
    exact = layer(x)
    layer.reduce(torch.bfloat16)
    reduced = layer(x)
    assert reduced.dtype == torch.float32
    # Inputs, weights and the result are rounded to 8 bits each; errors of a sum partly cancel.
    scale = (x.abs() @ layer.weight.abs().T + layer.bias.abs()).max()
    assert 0 < (reduced - exact).abs().max() < 3 * 2**-9 * scale


def test_weights_are_what_they_were_and_float32_comes_back_to_the_bit():
    network = trained(SMALL)
    clip = moving_clip(1, 3, 40, seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        exact = network(clip)
        set_precision(network, 'bfloat16')
        reduced = network(clip)
        assert network.state_dict().keys() == before.keys()
        assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
        set_precision(network, 'float32')
        again = network(clip)
    assert not torch.equal(reduced.segmentation, exact.segmentation)
    assert torch.equal(again.segmentation, exact.segmentation)
    assert torch.equal(again.action, exact.action)


def test_streams_equal_whole_clips_in_bfloat16_too():
    network = trained(SMALL)
    set_precision(network, 'bfloat16')
    clip = moving_clip(2, 6, 40, seed=1)
    with torch.no_grad():
        whole = network(clip)
        segmentation, action, _ = stream(network, clip)
    # Products of other shapes round elsewhere; a wrong frame or tube would be off by far more.
    scale = whole.segmentation.abs().max()
    assert (segmentation - whole.segmentation).abs().max() < 0.02 * scale
    assert (action - whole.action).abs().max() < 0.02 * whole.action.abs().max()


def test_an_unknown_precision_is_refused_by_name():
    with pytest.raises(ConfigError, match=r'int3.*float32, bfloat16'):
        set_precision(trained(SMALL), 'int3')


@pytest.mark.parametrize('fast', [False, True])
def test_auto_takes_bfloat16_on_a_processor_with_instructions_for_it(monkeypatch, fast):
    monkeypatch.setattr('torch.cpu._is_avx512_bf16_supported', lambda: fast)
    choice = choose_device('cpu')
    assert choice.precision('auto') == ('bfloat16' if fast else 'float32')
    assert choice.precision('float32') == 'float32'
    loaded = open_bundle(BUNDLE, 'cpu')
    assert loaded.precision == choice.precision('auto')
    layers = [m for m in loaded.bundle.network.modules() if isinstance(m, Linear)]
    assert {layer._reduced is not None for layer in layers} == {fast}
