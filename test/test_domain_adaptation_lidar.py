# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation of a LiDAR alone, few labels of the target, statistics, and answers at some points."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from camera_scenes import camera_batch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from toy_domains import TASK, write_toy_domains

from pointata_core.bundles.bundle import load_camera_bundle
from pointata_core.datasets.camera.class_maps import to_classes
from pointata_core.datasets.camera.exported import FrameWriter
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import CameraSamples
from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.camera.sparse_unet import VoxelNorm
from pointata_core.taxonomy import labels_from_semantickitti
from pointata_core.training.domain.batches import Pairs, collate, pair_key, with_loss_points
from pointata_core.training.domain.domains import Domains
from pointata_core.training.domain.export import export_run
from pointata_core.training.domain.losses import mixed_terms, modality_preserving, source_terms
from pointata_core.training.domain.published import LossWeights, StyleConfig
from pointata_core.training.domain.run import new_network, run_domain_adaptation
from pointata_core.training.domain.settings import Domain, DomainAdaptationConfig, DomainSettings
from pointata_core.training.domain.statistics import take_statistics
from pointata_core.training.domain.stylised import density_transfer, stylise
from pointata_core.training.engine.run_folder import SETTINGS, read_claim
from pointata_core.training.engine.settings import write_yaml

SAMPLES = SampleConfig(
    grid=256, voxel_m=0.1, resize=(32, 16), noise=0.0, flip_axis='y', rotate=False, jitter=0.0
)
SMALL = DomainAdaptationConfig(
    method='pseudo_labels', images=False, depth=18, width=8, planes=(16, 16, 16), steps=3,
    batch=2, checkpoint_steps=3, device='cpu', rate=1e-2, seed=3,
)  # fmt: skip


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('toy')
    write_toy_domains(folder)
    return folder


@pytest.fixture(scope='module')
def domains(root) -> Domains:
    names = ('day', 'night', 'night_test', 'night_test')
    parts = (Domain('exported', str(root / name), samples=SAMPLES) for name in names)
    return Domains.open(DomainSettings(TASK, *parts))


@pytest.fixture(scope='module')
def network() -> CameraLidarNetwork:
    torch.manual_seed(0)
    return CameraLidarNetwork(4, fusion=False, depth=18, width=8, planes=(16, 16), grid=64).eval()


def test_without_an_image_the_lidar_answers_as_it_does_with_one(network):
    batch = camera_batch(50, 30)
    with torch.no_grad():
        seeing, blind = network(batch), network(replace(batch, image=None))
    assert blind.image is None and blind.image_mimic is None
    assert torch.equal(blind.cloud, seeing.cloud)
    assert torch.equal(blind.ensemble, seeing.cloud.softmax(dim=1))


def test_frames_of_a_lidar_alone_come_from_our_own_format(root, tmp_path):
    points = np.random.default_rng(0).uniform(-5, 5, (40, 3))
    with FrameWriter(tmp_path, 'scans', 'one', 'semantickitti') as writer:
        writer.add('000000', points, np.zeros((40, 2)), np.full(40, 10), [])
    domain = Domain('exported', str(tmp_path), samples=SAMPLES)
    frames = Domains.open(DomainSettings(TASK, domain, domain)).source
    sample = CameraSamples(frames, SAMPLES.without_chance())[0]
    assert sample.image is None and len(sample.coordinates) == 40
    assert set(sample.labels.tolist()) == {frames.classes.index('car')}
    seeing = CameraSamples(
        Domains.open(
            DomainSettings(TASK, Domain('exported', str(root / 'day'), samples=SAMPLES), domain)
        ).source,
        SAMPLES,
    )
    with pytest.raises(ConfigError, match='images'):
        collate([sample, seeing[0]])


def test_a_lidar_alone_goes_through_both_stages_and_into_a_bundle(domains, tmp_path):
    config = replace(SMALL, second_stage=True, target_statistics=True)
    few = replace(domains, labelled=None)
    results = run_domain_adaptation(tmp_path, config, few)
    for stage in ('first', 'second'):
        assert 0 <= results[stage]['cloud']['miou'] <= 1
        assert not {'image', 'ensemble'} & set(results[stage])
    trained = load_file(tmp_path / 'second' / 'network.safetensors')
    assert all(torch.isfinite(value).all() for value in trained.values())
    bundle = export_run(tmp_path, config, few, results, 'none')
    network = load_camera_bundle(bundle).network
    seeing = collate([CameraSamples(domains.test, SAMPLES.without_chance())[0]])
    with torch.no_grad():
        output = network(seeing)
    # Nobody taught the camera's half, so an image must not matter.
    assert torch.equal(output.ensemble.argmax(1), output.cloud.argmax(1))


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'method': 'ftd++'}, 'images'),
        ({'method': 'xmuda'}, 'images'),
        ({'fusion': True}, 'images'),
        ({'loss_points': 1}, 'loss_points'),
    ],
)
def test_choices_that_need_an_image_are_refused_without(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        replace(SMALL, **changes)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)),
    st.sampled_from([2, 4, 6]),
    st.integers(0, 6),
)
def test_half_of_each_batch_is_of_the_labelled_target(frames, batch, cut):
    key = pair_key(frames, 5)
    whole = [key(draw) for draw in range(12 * batch)]
    again = pair_key(frames, 5)
    assert [again(draw) for draw in range(cut, 12 * batch)] == whole[cut:]
    for odd, domain in ((0, 0), (1, 2)):
        taken = [known for draw, known, _ in whole if draw % 2 == odd]
        sweeps = [taken[i : i + frames[domain]] for i in range(0, len(taken), frames[domain])]
        assert all(max(Counter(sweep).values()) == 1 for sweep in sweeps)
        assert set(taken) <= set(range(frames[domain]))


def test_labelled_frames_of_the_target_enter_at_odd_places(domains):
    parts = [CameraSamples(frames, SAMPLES) for frames in (domains.source, domains.target)]
    pairs = Pairs(*parts, CameraSamples(domains.labelled, SAMPLES))
    assert pairs.frames == (6, 5, 4)
    drawn = [pairs[0, 2, 1], pairs[1, 2, 1]]
    assert [known.name for known, _ in drawn] == ['day/2', 'night_test/2']
    pair = pairs.batch([(0, 2, 1), (1, 2, 1)])
    assert pair.mixed and pair.target.labels is None and len(pair.source.labels) == 320


def test_both_domains_weigh_alike_among_labelled_points(network):
    batch, weights = camera_batch(60, 20), LossWeights(modality_source=0.0)
    balances = torch.tensor([1.0, 2, 3, 4]), torch.tensor([2.0, 1, 1, 1])
    output, of_target = network(batch), batch.samples == 1
    found = mixed_terms(output, batch.labels, weights, of_target, balances)
    alone = [
        source_terms(output.rows(rows), batch.labels[rows], weights, balance)
        for rows, balance in zip((slice(0, 60), slice(60, 80)), balances)
    ]
    assert set(found) == {'image_segmentation', 'cloud_segmentation'}
    for name, value in found.items():
        assert value.item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2)


def test_modality_preserving_is_the_mean_over_the_points_of_both_domains(network):
    """As released: with 60 and 20 points, the mean of both domains' means is another number."""
    batch, weights = camera_batch(60, 20), LossWeights(modality_source=0.3)
    of_target = batch.samples == 1
    output = network(batch)
    # Surer predictions in the target, so that the terms of the domains are far apart.
    output = replace(output, cloud=output.cloud * (1 + 9 * of_target.float().unsqueeze(1)))
    found = mixed_terms(output, batch.labels, weights, of_target, (None, None))
    joint = 0.3 * modality_preserving(output).total
    halves = [modality_preserving(output.rows(rows)).total for rows in (~of_target, of_target)]
    assert found['modality_source'].item() == pytest.approx(joint.item())
    assert joint.item() != pytest.approx(0.3 * sum(halves).item() / 2, rel=1e-3)


def test_few_labels_need_an_even_batch(domains, tmp_path):
    with pytest.raises(ConfigError, match='even'):
        run_domain_adaptation(tmp_path, replace(SMALL, batch=3), domains)
    results = run_domain_adaptation(tmp_path, SMALL, domains)
    assert 'cloud' in results['first']
    data = read_claim(tmp_path)['data']
    assert data['labelled']['frames'] == 4


def test_a_run_begun_before_a_choice_was_known_goes_on(domains, tmp_path):
    config = replace(SMALL, images=True)
    run_domain_adaptation(tmp_path, config, domains)
    path = tmp_path / SETTINGS
    facts = read_claim(tmp_path)
    for name in ('images', 'target_statistics', 'loss_points'):
        del facts['training'][name]
    write_yaml(facts, path)
    run_domain_adaptation(tmp_path, config, domains)
    with pytest.raises(ConfigError, match='training'):
        run_domain_adaptation(tmp_path, replace(config, target_statistics=True), domains)


def test_statistics_are_those_of_the_target_and_weights_stay(domains):
    network = new_network(SMALL, 6, 256).cloud_net
    before = {name: p.clone() for name, p in network.named_parameters()}
    take_statistics(network, domains.target, SAMPLES)
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert not network.training
    first = next(part for part in network.modules() if isinstance(part, VoxelNorm))
    entered = []
    first.register_forward_hook(lambda _, inputs, __: entered.append(inputs[0].detach()))
    samples = CameraSamples(domains.target, SAMPLES.without_chance())
    for number in range(len(samples)):
        batch = collate([samples[number]])
        with torch.no_grad():
            network(batch.coordinates, batch.features)
    means = torch.stack([values.mean(0) for values in entered])
    spreads = torch.stack([values.var(0) for values in entered])
    torch.testing.assert_close(first.running_mean, means.mean(0))
    torch.testing.assert_close(first.running_var, spreads.mean(0))
    assert first.momentum == SMALL.statistics_rate


@given(st.integers(2, 60), st.integers(0, 1000))
def test_fewer_answers_are_the_same_answers(network, most, seed):
    batch = camera_batch(50, 30)
    torch.manual_seed(seed)
    asked = with_loss_points(batch, most)
    assert [len(rows) for rows in asked.pixels] == [min(most, 50), min(most, 30)]
    with torch.no_grad():
        some, whole = network(asked), network(batch)
    assert torch.equal(asked.labels, batch.labels[asked.selected])
    assert torch.equal(torch.cat(asked.pixels), torch.cat(batch.pixels)[asked.selected])
    torch.testing.assert_close(some.cloud, whole.cloud[asked.selected])
    torch.testing.assert_close(some.image, whole.image[asked.selected])
    assert asked.samples.tolist() == [0] * min(most, 50) + [1] * min(most, 30)


def test_a_stylised_cloud_keeps_which_of_its_points_are_asked_for():
    source, target = camera_batch(50, 30), camera_batch(20, 10, seed=1)
    torch.manual_seed(0)
    asked = with_loss_points(source, 12)
    batch, kept = stylise(asked, target, StyleConfig(image='none'), 64)
    places, inside = density_transfer(source.coordinates, target.coordinates, 64)
    assert len(kept) == 24 and torch.equal(kept, inside[asked.selected])
    rows = asked.selected[kept]
    assert torch.equal(batch.coordinates[batch.selected], places[rows])
    assert torch.equal(torch.cat(batch.pixels), torch.cat(source.pixels)[rows])


def test_the_street_task_agrees_with_our_taxonomy():
    raw = np.arange(300)
    ours = labels_from_semantickitti(raw)
    task = 'simulated_semantickitti'
    assert np.array_equal(
        to_classes(raw, task, 'semantickitti'), to_classes(ours, task, 'simulated')
    )
    assert set(to_classes(raw, task, 'semantickitti')) == {-100, *range(6)}
