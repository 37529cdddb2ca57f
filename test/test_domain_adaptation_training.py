# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training on two toy domains: batches, resume, stages, baselines and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from toy_domains import TASK, write_toy_domains

from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import CameraSamples
from pointata_core.errors import ConfigError
from pointata_core.models.camera.sparse_unet import PLANES
from pointata_core.training.domain.batches import Pairs, collate, pair_key
from pointata_core.training.domain.cross_modal import CrossModalModule
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.pseudo_labels import PseudoLabels
from pointata_core.training.domain.run import new_network, run_domain_adaptation
from pointata_core.training.domain.scoring import score_network
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings
from pointata_core.training.engine import trainer

SAMPLES = SampleConfig(
    grid=256, voxel_m=0.1, resize=(32, 16), noise=0.0, flip_axis='y', rotate=False, jitter=0.0
)
SMALL = DomainAdaptationConfig(
    setting='usa_to_singapore', depth=18, width=8, planes=(16, 16, 16), steps=4, batch=2,
    checkpoint_steps=2, device='cpu', image_rate=1e-3, rate=1e-2, seed=3,
)  # fmt: skip


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('toy')
    write_toy_domains(folder)
    return folder


@pytest.fixture(scope='module')
def domains(root) -> Domains:
    source, target, test = (
        Domain('exported', str(root / name), samples=SAMPLES)
        for name in ('day', 'night', 'night_test')
    )
    return Domains.open(DomainSettings(TASK, source, target, test))


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(0, 20),
)
def test_pairs_depend_on_the_draw_alone_and_take_all_frames_in_turn(frames, draws, cut):
    key = pair_key(frames, 5)
    whole = [key(draw) for draw in range(12 * draws)]
    again = pair_key(frames, 5)
    assert [again(draw) for draw in range(cut, 12 * draws)] == whole[cut:]
    assert [draw for draw, _, _ in whole] == list(range(12 * draws))
    for domain in (0, 1):
        seen = [key[1 + domain] for key in whole]
        sweeps = [seen[i : i + frames[domain]] for i in range(0, len(seen), frames[domain])]
        assert all(max(Counter(sweep).values()) == 1 for sweep in sweeps)


def test_a_pair_has_the_labels_of_the_source_only(domains):
    pairs = Pairs(CameraSamples(domains.source, SAMPLES), CameraSamples(domains.target, SAMPLES))
    pair = pairs.batch([(0, 1, 2), (1, 3, 0)])
    assert pair.source.labels is not None and pair.target.labels is None
    assert pair.source.coordinates[:, 3].tolist() == [0] * 160 + [1] * 160
    first = CameraSamples(domains.source, SAMPLES).draw(1, 0)
    assert np.array_equal(pair.source.pixels[0], first.pixels)
    assert np.array_equal(pair.source.coordinates[:160, :3], first.coordinates)
    assert pair.source.image.shape == (2, 3, 16, 32)


def test_images_of_different_sizes_are_refused(domains):
    wide = replace(SAMPLES, resize=(40, 20))
    samples = [CameraSamples(domains.source, config).draw(0, 0) for config in (SAMPLES, wide)]
    with pytest.raises(ConfigError, match='sizes'):
        collate(samples)


def one_pair(domains):
    pairs = Pairs(CameraSamples(domains.source, SAMPLES), CameraSamples(domains.target, SAMPLES))
    return pairs.batch([(0, 0, 0), (1, 1, 1)])


def module_for(method: str, **changes) -> CrossModalModule:
    config = replace(SMALL, method=method, **changes)
    torch.manual_seed(0)
    return CrossModalModule(config, new_network(config, 6, 256), config.weights(False))


METHODS = {
    'ftd++': {'modality_source', 'modality_target', 'domain_same', 'domain_fused'},
    'xmuda': {'modality_source', 'modality_target'},
    'min_entropy': {'entropy'},
    'source_only': set(),
}


@pytest.mark.parametrize('method', METHODS)
def test_each_method_trains_on_its_own_terms(domains, method):
    module = module_for(method)
    terms = module.terms(one_pair(domains))
    assert set(terms) == METHODS[method] | {'image_segmentation', 'cloud_segmentation'}
    torch.stack(list(terms.values())).sum().backward()
    used = method != 'ftd++'
    assert (module.network.fusion is None) == used == (module.teacher is None)
    trained = {
        name.split('.')[0] for name, p in module.network.named_parameters() if p.grad is not None
    }
    assert {'image_net', 'cloud_net', 'image_heads', 'cloud_main'} <= trained
    assert ('cloud_mimic' in trained) == (method in ('ftd++', 'xmuda'))


PARTS = {
    'modality': {'modality_source', 'modality_target'},
    'domain': {'domain_same', 'domain_fused'},
    'style': set(),
}


@pytest.mark.parametrize('part', PARTS)
def test_parts_of_the_method_can_be_left_out(domains, part):
    module = module_for('ftd++', without=(part,), setting='day_to_night')
    expected = METHODS['ftd++'] | {'image_segmentation', 'cloud_segmentation'}
    assert set(module.terms(one_pair(domains))) == expected - PARTS[part]
    assert (module.config.style.image == 'none') == (part == 'style')
    assert (module.config.style.student_share > 0) == (part != 'style')


def test_statistics_of_the_sparse_network_follow_at_the_rate_that_is_set(domains):
    def statistics(rate):
        module = module_for('source_only', statistics_rate=rate)
        module.terms(one_pair(domains))
        buffers = dict(module.network.cloud_net.named_buffers())
        return torch.cat([v.flatten() for n, v in buffers.items() if n.endswith('running_mean')])

    torch.testing.assert_close(statistics(0.5), 50 * statistics(0.01))
    assert statistics(0.01).abs().max() > 0


def test_half_precision_gives_nearly_the_same_terms(domains):
    pair, found = one_pair(domains), []
    for half in (False, True):
        module = module_for('ftd++')
        module.network.apply(
            lambda part: setattr(part, 'p', 0.0) if isinstance(part, torch.nn.Dropout) else None
        )
        torch.manual_seed(1)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
            terms = module.terms(pair)
        torch.stack([value.float() for value in terms.values()]).sum().backward()
        gradients = [p.grad for p in module.network.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() and g.dtype == torch.float32 for g in gradients)
        found.append({name: value.item() for name, value in terms.items()})
    for name in ('image_segmentation', 'cloud_segmentation', 'modality_source'):
        assert found[1][name] == pytest.approx(found[0][name], rel=0.05, abs=0.02)


def test_rates_and_milestones_are_those_of_the_setting():
    module = module_for('ftd++')
    optimizer = module.configure_optimizers()['optimizer']
    assert [group['lr'] for group in optimizer.param_groups] == [1e-3, 1e-2, 1e-2]
    night = DomainAdaptationConfig(setting='day_to_night')
    assert (night.schedule.steps, night.schedule.milestones) == (100_000, (80_000, 90_000))
    assert (night.schedule.image_rate, night.schedule.batch) == (1e-3, 8)
    assert replace(night, steps=1000).schedule.milestones == (800, 900)
    assert replace(night, steps=1000, milestones=(5,)).schedule.milestones == (5,)
    assert (
        night.style.student_share == 0.2 and replace(night, method='xmuda').style.student_share == 0
    )
    assert DomainAdaptationConfig().planes == PLANES


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'steps': 0}, 'steps'),
        ({'rate': -1.0}, 'rate'),
        ({'setting': 'moon'}, 'moon'),
        ({'without': ('everything',)}, 'modality, domain, style'),
        ({'statistics_rate': 0.0}, 'statistics_rate'),
        ({'method': 'source_only', 'second_stage': True}, 'second stage'),
    ],
)
def test_bad_choices_are_explained(change, reason):
    with pytest.raises(ConfigError, match=reason):
        replace(SMALL, **change)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(domains, tmp_path):
    config = replace(SMALL, steps=2, checkpoint_steps=1, batch=1)
    run_domain_adaptation(tmp_path / 'whole', config, domains)
    make = trainer.make_trainer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, 'make_trainer', lambda *a, steps, **k: make(*a, steps=1, **k))
        with pytest.raises(KeyboardInterrupt):
            run_domain_adaptation(tmp_path / 'parts', config, domains)
    run_domain_adaptation(tmp_path / 'parts', config, domains)
    whole, parts = (
        load_file(tmp_path / name / 'first' / 'network.safetensors') for name in ('whole', 'parts')
    )
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name
    with pytest.raises(ConfigError, match='training'):
        run_domain_adaptation(tmp_path / 'parts', replace(config, seed=9), domains)


def test_training_learns_what_its_source_looks_like(root, domains, tmp_path):
    config = replace(SMALL, method='xmuda', steps=60, checkpoint_steps=60)
    again = replace(domains, test=domains.source)
    untrained = score_network(new_network(config, 6, 256), again.test, SAMPLES)
    results = run_domain_adaptation(tmp_path, config, again)
    assert untrained['image']['accuracy'] < 0.5 < 0.75 < results['first']['image']['accuracy']
    # Four of the six classes of the task occur; the other two count as 0.
    assert untrained['image']['miou'] < 0.2 < 0.4 < results['first']['image']['miou'] < 0.67
    assert results['first']['points'] == 6 * 160


def test_scores_are_those_of_the_answers(domains):
    network = new_network(SMALL, 6, 256).eval()
    found = score_network(network, domains.test, SAMPLES)
    truth, answers = [], []
    for index in range(len(domains.test)):
        sample = CameraSamples(domains.test, SAMPLES.without_chance())[index]
        with torch.no_grad():
            output = network(collate([sample]))
        truth.append(sample.labels)
        answers.append((output.image.softmax(1) + output.cloud.softmax(1)).argmax(1).numpy())
    truth, answers = np.concatenate(truth), np.concatenate(answers)
    ious = [
        np.sum((truth == c) & (answers == c)) / max(np.sum((truth == c) | (answers == c)), 1)
        for c in range(6)
    ]
    assert found['ensemble']['accuracy'] == pytest.approx((truth == answers).mean())
    assert found['ensemble']['miou'] == pytest.approx(np.mean(ious))


def test_a_grid_that_is_too_small_is_said(domains):
    with pytest.raises(ConfigError, match='grid of 32'):
        score_network(new_network(SMALL, 6, 32), domains.test, replace(SAMPLES, grid=32))


def test_the_command_runs_both_stages(root, tmp_path):
    def domain(name):
        samples = {
            'grid': 256, 'voxel_m': 0.1, 'resize': [32, 16], 'noise': 0.0, 'rotate': False,
        }  # fmt: skip
        return {'dataset': 'exported', 'root': str(root / name), 'samples': samples}

    settings = {
        'task': TASK, 'source': domain('day'), 'target': domain('night'),
        'test': domain('night_test'),
        'training': {
            'device': 'cpu',
            'setting': 'day_to_night', 'second_stage': True, 'depth': 18, 'width': 8,
            'planes': [16, 16], 'steps': 2, 'batch': 2, 'checkpoint_steps': 2,
        },
    }  # fmt: skip
    (tmp_path / 'toy.yaml').write_text(yaml.safe_dump(settings))
    command = [sys.executable, '-m', 'pointata_core.cli.main', 'domain-adapt']
    command += ['--config', str(tmp_path / 'toy.yaml'), f'output={tmp_path / "run"}']
    done = subprocess.run([*command, '--json'], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results == json.loads((tmp_path / 'run' / 'results.json').read_text())
    for stage in ('first', 'second'):
        assert all(0 <= results[stage][k]['miou'] <= 1 for k in ('image', 'cloud', 'ensemble'))
        assert (tmp_path / 'run' / stage / 'network.safetensors').is_file()
    classes = ('vegetation_terrain', 'building', 'road', 'object', 'truck', 'car')
    labels = PseudoLabels(tmp_path / 'run' / 'pseudo_labels', classes)
    image, cloud = labels.labels('night/0', 160)
    assert (image >= 0).sum() > 0 and (cloud >= 0).sum() > 0
    settings['source']['dataset'] = 'mars'
    (tmp_path / 'toy.yaml').write_text(yaml.safe_dump(settings))
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 2 and 'mars' in done.stderr
