# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from dataclasses import replace

import numpy as np
import public_checkpoints as public
import pytest
import safetensors.torch
import torch

from pointata_core.models.checkpoints.conversion import (
    convert_checkpoint,
    load_backbone,
    save_backbone,
)
from pointata_core.models.checkpoints.files import CheckpointError, require_safe_torch
from pointata_core.models.point.config import preset_config

HEADS = public.Sizes().heads
MAKERS = {
    'point_mae': public.point_mae,
    'point_bert': public.point_bert,
    'recon': public.recon,
}
PREFIX = {'point_mae': 'MAE_encoder.', 'point_bert': 'transformer_q.', 'recon': 'MAE_encoder.'}


def save_pth(folder, weights, name='pretrain.pth', module=True, **others):
    """A file as the public training codes write it, parallel wrapper and metrics included."""
    named = {f'module.{key}' if module else key: value for key, value in weights.items()}
    path = folder / name
    torch.save({'base_model': named, 'optimizer': {'state': {}}, 'epoch': 300, **others}, path)
    return path


def some_patches(seed=0, frames=2, tokens=10, points=6):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(frames, tokens, points, 3, generator=generator)
    return patches, torch.randn(frames, tokens, 3, generator=generator)


def run(converted, patches, centres):
    mask = torch.ones(centres.shape[:2], dtype=torch.bool)
    with torch.no_grad():
        return converted.build()(patches, centres, mask)


@pytest.mark.parametrize('family', MAKERS)
def test_converted_weights_compute_what_the_public_network_computes(tmp_path, family):
    weights = MAKERS[family]()
    converted = convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)
    patches, centres = some_patches()
    expected = public.forward(
        weights, PREFIX[family], patches, centres, HEADS, replace=family == 'recon'
    )
    found = run(converted, patches, centres)
    assert converted.family == family
    torch.testing.assert_close(found[:, -expected.shape[1] :], expected, rtol=1e-4, atol=1e-5)


def test_a_class_token_is_converted_where_there_is_one(tmp_path):
    weights = public.point_mae_fine_tuned()
    converted = convert_checkpoint(save_pth(tmp_path, weights, module=False), heads=HEADS)
    patches, centres = some_patches()
    expected = public.forward(weights, '', patches, centres, HEADS, replace=False)
    assert expected.shape[1] == centres.shape[1] + 1
    torch.testing.assert_close(run(converted, patches, centres), expected, rtol=1e-4, atol=1e-5)
    assert converted.report.must_train == ()


@pytest.mark.parametrize('family', ['point_mae', 'recon'])
def test_a_missing_class_token_is_reported_and_no_patch_sees_it(tmp_path, family):
    converted = convert_checkpoint(save_pth(tmp_path, MAKERS[family]()), heads=HEADS)
    assert converted.report.must_train == ('class_token', 'class_position')
    patches, centres = some_patches()
    before = run(converted, patches, centres)
    other = {**converted.state_dict, 'class_token': torch.linspace(-1, 1, 32).view(1, 1, -1)}
    after = run(replace(converted, state_dict=other), patches, centres)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.allclose(before[:, 0], after[:, 0])


def test_recon_runs_in_ordinary_blocks_on_request(tmp_path):
    weights = public.recon()
    path = save_pth(tmp_path, weights)
    ordinary = convert_checkpoint(path, heads=HEADS, ordinary_blocks=True)
    patches, centres = some_patches()
    expected = public.forward(weights, 'MAE_encoder.', patches, centres, HEADS, replace=False)
    found = run(ordinary, patches, centres)[:, 1:]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_public_shape_is_the_small_preset(tmp_path):
    path = save_pth(tmp_path, public.point_mae(public.PUBLIC))
    converted = convert_checkpoint(path)
    assert converted.preset == 'small'
    assert replace(converted.config, class_visible=True) == preset_config('small').backbone
    # The sizes in the paper's code: 21,825,024 without the class token and its position.
    assert converted.report.parameters == 21_825_024 + 2 * 384
    assert converted.report.converted == len(converted.state_dict) - 2


@pytest.mark.parametrize('family', MAKERS)
def test_everything_in_the_file_is_accounted_for(tmp_path, family):
    weights = MAKERS[family]()
    report = convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS).report
    assert report.converted + sum(report.left_behind.values()) == len(weights)
    assert report.source == 'pretrain.pth'


def test_the_student_of_point_bert_is_taken_not_its_momentum_copy(tmp_path):
    weights = public.point_bert()
    state = convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS).state_dict
    assert torch.equal(state['reduce.weight'], weights['transformer_q.reduce_dim.weight'])
    assert not torch.equal(state['reduce.weight'], weights['transformer_k.reduce_dim.weight'])


@pytest.mark.parametrize('family', MAKERS)
@pytest.mark.parametrize('claimed', MAKERS)
def test_a_wrong_family_is_detected_and_named(tmp_path, family, claimed):
    path = save_pth(tmp_path, MAKERS[family]())
    if claimed == family:
        assert convert_checkpoint(path, claimed, heads=HEADS).family == family
        return
    titles = {'point_mae': 'Point-MAE', 'point_bert': 'Point-BERT', 'recon': 'ReCon'}
    with pytest.raises(CheckpointError, match=f'found a {titles[family]}.*expected'):
        convert_checkpoint(path, claimed, heads=HEADS)


@pytest.mark.parametrize(
    ('prefix', 'title'), [('ACT_encoder', 'ACT'), ('GPT_Transformer', 'PointGPT')]
)
def test_related_families_are_named_and_refused(tmp_path, prefix, title):
    weights = {
        name.replace('MAE_encoder', prefix): tensor for name, tensor in public.point_mae().items()
    }
    with pytest.raises(CheckpointError, match=title):
        convert_checkpoint(save_pth(tmp_path, weights))


def test_names_of_something_else_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r'layer1\.weight'):
        convert_checkpoint(save_pth(tmp_path, {'layer1.weight': torch.zeros(2, 2)}))


@pytest.mark.parametrize('family', MAKERS)
def test_an_unexpected_tensor_is_an_error_that_names_it(tmp_path, family):
    weights = {**MAKERS[family](), f'{PREFIX[family]}surprise.weight': torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r'surprise\.weight'):
        convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)


@pytest.mark.parametrize(
    ('missing', 'named'),
    [
        ('encoder.second_conv.1.running_var', 'patch_encoder.patch_norm.running_var'),
        ('blocks.blocks.1.attn.proj.bias', 'blocks.1.attn.proj.bias'),
        ('norm.weight', 'norm.weight'),
        ('pos_embed.2.weight', 'position.2.weight'),
    ],
)
def test_a_missing_tensor_is_an_error_that_names_it(tmp_path, missing, named):
    weights = public.point_mae()
    del weights[f'MAE_encoder.{missing}']
    with pytest.raises(CheckpointError, match=named):
        convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)


def test_half_a_class_token_is_an_error(tmp_path):
    weights = public.point_mae_fine_tuned()
    del weights['cls_pos']
    with pytest.raises(CheckpointError, match='class_position'):
        convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)


def test_a_missing_block_is_an_error(tmp_path):
    weights = {n: t for n, t in public.point_mae().items() if 'encoder.blocks.blocks.1.' not in n}
    with pytest.raises(CheckpointError, match=r'blocks\.'):
        convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda t: t[:, :-1], 'expected .*torch.float32'),
        (lambda t: torch.full_like(t, torch.nan), 'not finite'),
        (lambda t: t.to(torch.int64), 'int64'),
    ],
)
def test_a_tensor_of_another_kind_is_an_error_that_names_it(tmp_path, change, reason):
    weights = public.point_mae()
    name = 'MAE_encoder.blocks.blocks.1.mlp.fc1.weight'
    weights[name] = change(weights[name]).clone()
    with pytest.raises(CheckpointError, match=rf'{name}.*{reason}'):
        convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS)


def test_half_precision_weights_become_float32(tmp_path):
    weights = {n: t.half() if t.is_floating_point() else t for n, t in public.point_mae().items()}
    state = convert_checkpoint(save_pth(tmp_path, weights), heads=HEADS).state_dict
    floats = [tensor for tensor in state.values() if tensor.is_floating_point()]
    assert all(tensor.dtype == torch.float32 for tensor in floats)


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ['POINTATA_TEST_TRACE'],)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    trace = tmp_path / 'code ran'
    monkeypatch.setenv('POINTATA_TEST_TRACE', str(trace))
    path = save_pth(tmp_path, public.point_mae(), metrics=Malicious())
    with pytest.raises(CheckpointError, match=r'not loaded.*mkdir'):
        convert_checkpoint(path, heads=HEADS)
    assert not trace.exists()


def test_numpy_numbers_among_the_metrics_do_no_harm(tmp_path):
    path = save_pth(tmp_path, public.point_mae(), best_metrics={'acc': np.float64(93.5)})
    assert convert_checkpoint(path, heads=HEADS).family == 'point_mae'


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 broken'])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'broken.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'broken\.pth'):
        convert_checkpoint(path)


def test_a_cut_off_checkpoint_is_refused(tmp_path):
    path = save_pth(tmp_path, public.point_mae())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r'pretrain\.pth'):
        convert_checkpoint(path)


@pytest.mark.parametrize('content', [[1, 2], {}, {'base_model': {}}, {'base_model': {'a': 1}}])
def test_a_checkpoint_without_weights_is_refused(tmp_path, content):
    path = tmp_path / 'odd.pth'
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r'odd\.pth'):
        convert_checkpoint(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='no file'):
        convert_checkpoint(tmp_path / 'nowhere.pth')


@pytest.mark.parametrize('version', ['2.5.1', '2.9.1+cu126', '1.13.0'])
def test_a_torch_with_known_holes_is_refused_unless_forced(version):
    with pytest.raises(CheckpointError, match='CVE-2026-24747'):
        require_safe_torch(version, forced=False)
    require_safe_torch(version, forced=True)


@pytest.mark.parametrize('version', ['2.10.0', '2.13.0+cpu', '3.0.0a1'])
def test_a_torch_without_known_holes_is_accepted(version):
    assert require_safe_torch(version, forced=False) is None


@pytest.mark.parametrize('family', MAKERS)
def test_a_saved_backbone_comes_back_the_same(tmp_path, family):
    converted = convert_checkpoint(save_pth(tmp_path, MAKERS[family]()), heads=HEADS)
    save_backbone(tmp_path / 'backbone.safetensors', converted)
    loaded = load_backbone(tmp_path / 'backbone.safetensors')
    assert (loaded.config, loaded.family, loaded.report) == (
        converted.config,
        converted.family,
        converted.report,
    )
    patches, centres = some_patches()
    assert torch.equal(run(loaded, patches, centres), run(converted, patches, centres))


def test_saving_leaves_one_readable_file(tmp_path):
    converted = convert_checkpoint(save_pth(tmp_path, public.point_mae()), heads=HEADS)
    target = tmp_path / 'made'
    target.mkdir()
    for _ in range(2):
        save_backbone(target / 'backbone.safetensors', converted)
    assert [file.name for file in target.iterdir()] == ['backbone.safetensors']
    assert stat.S_IMODE((target / 'backbone.safetensors').stat().st_mode) == 0o644


def test_a_damaged_backbone_file_is_refused(tmp_path):
    converted = convert_checkpoint(save_pth(tmp_path, public.point_mae()), heads=HEADS)
    path = tmp_path / 'backbone.safetensors'
    save_backbone(path, converted)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r'backbone\.safetensors'):
        load_backbone(path)


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'other.safetensors'
    safetensors.torch.save_file({'a': torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match='pointata-backbone'):
        load_backbone(path)


def test_a_backbone_file_lacking_a_tensor_is_refused(tmp_path):
    converted = convert_checkpoint(save_pth(tmp_path, public.point_mae()), heads=HEADS)
    state = {name: t for name, t in converted.state_dict.items() if name != 'norm.bias'}
    path = tmp_path / 'backbone.safetensors'
    save_backbone(path, replace(converted, state_dict=state))
    with pytest.raises(CheckpointError, match=r'norm\.bias'):
        load_backbone(path)
