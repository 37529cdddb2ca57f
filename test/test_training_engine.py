# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training engine: batches by step, optimiser, settings, run folder, resuming."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('lightning', reason='training needs the extra `train`')

import lightning

from pointata_core.errors import ConfigError
from pointata_core.training.engine.optimiser import (
    constant,
    cosine,
    falling,
    make_optimiser,
    parameter_groups,
    train_steps,
    with_muon,
)
from pointata_core.training.engine.options import RunOptions
from pointata_core.training.engine.provenance import provenance
from pointata_core.training.engine.run_folder import CHECKPOINT, SETTINGS, cache_lock, claim
from pointata_core.training.engine.sampler import SampleOrder, StepSampler
from pointata_core.training.engine.settings import read_settings, require, write_settings
from pointata_core.training.engine.trainer import StepData, chosen_device, train, uses_bf16


@given(
    samples=st.integers(1, 12),
    share=st.integers(1, 4),
    processes=st.integers(1, 3),
    cut=st.integers(0, 8),
)
def test_batches_depend_on_seed_and_step_alone(samples, share, processes, cut) -> None:
    def keys(steps: range) -> list[int]:
        parts = [
            StepSampler(
                SampleOrder(samples, 5).__getitem__, share * processes, steps, rank, processes
            )
            for rank in range(processes)
        ]
        assert all(len(part) == len(steps) for part in parts)
        assert all(len(keys) == share for part in parts for keys in part)
        return [key for step in zip(*parts, strict=True) for key in chain(*step)]

    whole = keys(range(8))
    alone = StepSampler(SampleOrder(samples, 5).__getitem__, share * processes, range(8))
    assert whole == list(chain(*alone)) == keys(range(cut)) + keys(range(cut, 8))
    passes = [whole[i : i + samples] for i in range(0, len(whole), samples)]
    assert all(max(Counter(one).values()) == 1 for one in passes)


@given(st.integers(2, 20), st.integers(0, 50))
def test_orders_of_other_seeds_and_passes_differ_and_are_found_again(samples, draw) -> None:
    order = SampleOrder(samples, (1, 2))
    first = [order[d] for d in range(3 * samples)]
    assert order[draw] == SampleOrder(samples, (1, 2))[draw]
    assert [order[d] for d in range(3 * samples)] == first
    assert sorted(first[:samples]) == list(range(samples))


def test_orders_of_two_seeds_are_independent() -> None:
    draws = range(60)
    first, second, third = (SampleOrder(20, seed) for seed in (0, 1, (0, 1)))
    orders = {tuple(order[d] for d in draws) for order in (first, second, third)}
    assert len(orders) == 3


@given(st.lists(st.floats(0, 5), min_size=2, max_size=6).filter(lambda w: sum(w) > 0.1))
@settings(max_examples=20)
def test_weighted_samples_are_drawn_as_often_as_their_weight(weights) -> None:
    order = SampleOrder(len(weights), 3, weights)
    found = np.bincount([order[d] for d in range(4000)], minlength=len(weights)) / 4000
    np.testing.assert_allclose(found, np.array(weights) / sum(weights), atol=0.05)
    assert all(found[np.array(weights) == 0] == 0)
    again = SampleOrder(len(weights), 3, weights)
    assert [again[d] for d in range(50, 60)] == [order[d] for d in range(50, 60)]


@pytest.mark.parametrize('arguments', [(0, 1), (3, 1, [0.0, 0.0, 0.0])])
def test_nothing_to_draw_is_refused(arguments) -> None:
    with pytest.raises(ConfigError, match='nothing to train on'):
        SampleOrder(*arguments)


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ConfigError, match='3 processes'):
        StepSampler(SampleOrder(20, 0).__getitem__, 4, range(2), 0, 3)


@given(st.integers(1, 200), st.floats(0, 0.9))
def test_the_cosine_rises_once_and_falls_to_nearly_nothing(steps, warmup) -> None:
    share = [cosine(steps, warmup)(step) for step in range(steps + 1)]
    rise = round(warmup * steps)
    assert all(0 <= value <= 1 for value in share)
    assert all(a < b for a, b in pairwise(share[:rise]))
    assert max(share) == share[max(rise - 1, 0)] == 1
    assert all(a >= b for a, b in pairwise(share[rise:]))
    assert share[-1] == pytest.approx(0, abs=1e-12) or rise == steps


def test_milestones_take_a_tenth_each() -> None:
    share = falling((3, 5))
    assert [round(share(step), 6) for step in range(7)] == [1, 1, 1, 0.1, 0.1, 0.01, 0.01]


def test_matrices_decay_and_single_rows_do_not() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    network.token = torch.nn.Parameter(torch.zeros(1, 1, 4))
    network[1].weight.requires_grad_(False)
    groups = parameter_groups(
        network, learning_rate=0.1, weight_decay=0.5, slow=('0.',), slow_share=0.5
    )
    found = {
        (group['weight_decay'], group['lr']): [tuple(p.shape) for p in group['params']]
        for group in groups
    }
    assert found == {(0.5, 0.05): [(4, 3)], (0.0, 0.05): [(4,)], (0.0, 0.1): [(1, 1, 4), (4,)]}


def test_muon_takes_the_large_matrices_and_kernels() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.Conv2d(32, 10, 1)
    )
    groups = parameter_groups(network, learning_rate=0.1, weight_decay=0.5)
    assert with_muon(groups, 0.0, 0.1) == groups
    found = [
        (group['use_muon'], group['lr'], group['weight_decay'], [len(p) for p in group['params']])
        for group in with_muon(groups, 0.02, 0.1)
    ]
    assert found == [
        (True, 0.02, 0.5, [32]),
        (False, 0.1, 0.5, [10]),
        (False, 0.1, 0.0, [32, 32, 32, 10]),
    ]


def test_muon_keeps_slow_groups_slow() -> None:
    network = torch.nn.ModuleDict({'old': torch.nn.Linear(9, 32), 'new': torch.nn.Linear(9, 32)})
    groups = parameter_groups(
        network, learning_rate=0.1, weight_decay=0.0, slow=('old.',), slow_share=0.25
    )
    rates = [group['lr'] for group in with_muon(groups, 0.02, 0.1) if group['use_muon']]
    assert sorted(rates) == pytest.approx([0.005, 0.02])


def test_a_step_of_muon_is_orthogonal_and_the_rest_steps_as_with_adamw() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 32, 3)
    alone = torch.nn.Parameter(network.bias.detach().clone())
    before = network.weight.detach().clone()
    groups = parameter_groups(network, learning_rate=0.1, weight_decay=0.0)
    optimiser = make_optimiser(with_muon(groups, 0.02, 0.1), constant)
    expected = make_optimiser([alone], constant, learning_rate=0.1)
    for _ in range(3):
        network.weight.grad = torch.randn_like(network.weight)
        network.bias.grad = alone.grad = torch.randn(32)
        before = network.weight.detach().clone()
        optimiser.step()
        expected.step()
    change = (network.weight.detach() - before).flatten(1)
    # 32 rows of 27: their root is the factor of tall matrices. Muon's own iteration is rough.
    values = torch.linalg.svdvals(change) / (0.02 * (32 / 27) ** 0.5)
    assert values.min() > 0.5 and values.max() < 1.35
    torch.testing.assert_close(network.bias, alone)


def test_the_plain_loop_learns_and_reports() -> None:
    torch.manual_seed(0)
    network, told = torch.nn.Linear(2, 1), []
    data = torch.randn(32, 2)
    losses = train_steps(
        make_optimiser(network.parameters(), cosine(60, 0.1), learning_rate=0.1),
        lambda step: (network(data) - data.sum(1, keepdim=True)).square().mean(),
        60,
        clip=5.0,
        progress=lambda done, total: told.append((done, total)),
    )
    assert losses[-1] < 0.01 * losses[0]
    assert told == [(step, 60) for step in range(1, 61)]


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    network = torch.nn.Linear(2, 1)
    optimiser = make_optimiser(network.parameters(), constant)
    with pytest.raises(FloatingPointError, match='nan at step 1'):
        train_steps(
            optimiser,
            lambda step: network(torch.ones(1, 2)).sum() * (float('nan') if step else 1.0),
            3,
        )


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    names: tuple[str, ...] = ('a',)

    def __post_init__(self) -> None:
        require(self, [('rate', self.rate > 0, 'more than 0')], 'inner.')


@dataclass(frozen=True)
class Outer(RunOptions):
    output: str = 'runs/x'
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None


def test_overrides_beat_the_file_and_the_file_beats_the_defaults(tmp_path) -> None:
    path = tmp_path / 'some.yaml'
    path.write_text('seed: 3\ninner: {rate: 0.25}\n')
    found = read_settings(Outer, path, ['inner.names=[b, c]', 'device=cpu', 'seed=4'])
    assert found == Outer(seed=4, device='cpu', inner=Inner(0.25, ('b', 'c')))
    write_settings(replace(found, maybe=Inner(0.1)), tmp_path / 'again.yaml')
    assert read_settings(Outer, tmp_path / 'again.yaml') == replace(found, maybe=Inner(0.1))
    assert read_settings(Outer, None) == Outer()


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        (['inner.speed=1'], 'speed'),
        (['inner.rate=fast'], 'inner.rate'),
        (['inner.rate=0'], 'inner.rate is 0.0, expected more than 0'),
        (['device=tpu'], 'device'),
        (['seed'], 'name.of.field=value'),
    ],
)
def test_wrong_settings_are_named(words, named) -> None:
    with pytest.raises(ConfigError, match=named):
        read_settings(Outer, None, words)


def test_a_missing_file_of_settings_is_named() -> None:
    with pytest.raises(ConfigError, match=r'absent\.yaml'):
        read_settings(Outer, 'absent.yaml')


def test_a_folder_is_claimed_by_one_run(tmp_path) -> None:
    mine = Outer(inner=Inner(0.25))
    folder = claim(tmp_path / 'run', asdict(mine))
    before = (folder / SETTINGS).read_bytes()
    moved = replace(mine, output='elsewhere', device='cpu', workers=2, checkpoint_steps=7)
    assert claim(tmp_path / 'run', asdict(moved)) == folder
    assert (folder / SETTINGS).read_bytes() == before
    assert read_settings(Outer, folder / SETTINGS) == mine
    with pytest.raises(ConfigError, match=r'inner\.rate is 0\.25, now 0\.5; seed is 0, now 1'):
        claim(folder, {'inner': asdict(Inner()), **asdict(replace(Outer(), seed=1))})


def test_a_run_begun_before_a_setting_existed_has_its_default(tmp_path) -> None:
    old = asdict(Outer())
    del old['inner']['rate'], old['precision']
    claim(tmp_path, old)
    claim(tmp_path, asdict(Outer()), asdict(Outer()))
    with pytest.raises(ConfigError, match=r'precision is .auto., now .32.'):
        claim(tmp_path, asdict(replace(Outer(), precision='32')), asdict(Outer()))


def test_a_cache_is_prepared_by_one_at_a_time(tmp_path) -> None:
    inside, most = [0], [0]

    def prepare() -> None:
        for _ in range(20):
            with cache_lock(tmp_path / 'cache'):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_provenance_keeps_no_folders_of_this_machine() -> None:
    facts = provenance({'data': {'root': '/mnt/me/sets/RadHAR', 'name': 'radhar'}}, extra=(1, 2))
    assert facts['settings'] == {'data': {'root': 'RadHAR', 'name': 'radhar'}}
    assert facts['extra'] == [1, 2] and facts['versions']['lightning']
    json.dumps(facts)


def test_the_device_and_precision_are_those_asked_for(monkeypatch) -> None:
    assert chosen_device(RunOptions(device='cpu')).type == 'cpu'
    assert uses_bf16(RunOptions(precision='bf16'), torch.device('cpu'))
    assert not uses_bf16(RunOptions(precision='32'), torch.device('cpu'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ConfigError, match='device is gpu'):
        chosen_device(RunOptions(device='gpu'))


class Line(lightning.LightningModule):
    """A line through points, with noise that depends on the step."""

    def __init__(self, steps: int, muon_rate: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.steps, self.seen = torch.nn.Linear(1, 1), steps, []
        self.muon_rate = muon_rate
        if muon_rate:
            self.layer = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Linear(32, 1))

    def training_step(self, batch, number):
        self.seen.append((self.global_step, batch['key'].tolist()))
        loss = (self.layer(batch['x']) - 2 * batch['x']).square().mean()
        self.log('loss', loss)
        return loss

    def configure_optimizers(self):
        groups = parameter_groups(self, learning_rate=0.1, weight_decay=0.01)
        groups = with_muon(groups, self.muon_rate, 0.1)
        return make_optimiser(groups, cosine(self.steps, 0.2)).for_lightning()


def fetch(keys: list[int]) -> dict[str, torch.Tensor]:
    key = torch.tensor(keys)
    return {'key': key, 'x': key.float().unsqueeze(1) / 10}


class Stop(lightning.Callback):
    """Ends the process before the batch of a step."""

    def __init__(self, step: int, error: type[BaseException]) -> None:
        self.step, self.error = step, error

    def on_train_batch_start(self, trainer, module, batch, number):
        if trainer.global_step == self.step:
            raise self.error


def run(
    folder: Path,
    stop: Stop | None = None,
    every: int = 3,
    workers: int = 0,
    muon_rate: float = 0.0,
) -> Line:
    options = RunOptions(device='cpu', checkpoint_steps=every, workers=workers)
    module = Line(11, muon_rate)
    data = StepData(fetch, SampleOrder(7, 1).__getitem__, 2, options)
    callbacks = () if stop is None else (stop,)
    try:
        trainer = train(module, data, folder, steps=11, clip=1.0, callbacks=callbacks)
    except (RuntimeError, KeyboardInterrupt):
        assert stop is not None
    else:
        assert trainer.global_step == 11
    return module


@pytest.mark.parametrize('every', [1, 3, 11, 50])
@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(
    tmp_path, monkeypatch, every, error
) -> None:
    import signal

    whole = run(tmp_path / 'whole', every=every)
    assert [step for step, _ in whole.seen] == list(range(11))
    for step in (2, 6, 10):
        run(tmp_path / 'parts', Stop(step, error), every)
        # Lightning ignores Ctrl-C for good once it has seen one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    resumed = run(tmp_path / 'parts', every=every)
    begun = resumed.seen[0][0]
    assert begun == 10 // every * every
    assert resumed.seen == whole.seen[begun:]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert len(list((tmp_path / 'parts' / 'logs' / 'csv').iterdir())) == 4
    assert not list((tmp_path / 'parts').glob(f'.{CHECKPOINT}*'))
    # Once more: nothing is left to train.
    assert run(tmp_path / 'parts', every=every).seen == []


def test_a_stopped_run_of_muon_ends_with_the_same_weights_too(tmp_path) -> None:
    whole = run(tmp_path / 'whole', muon_rate=0.02)
    run(tmp_path / 'parts', Stop(7, RuntimeError), muon_rate=0.02)
    resumed = run(tmp_path / 'parts', muon_rate=0.02)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_batches_of_other_processes_are_those_of_this_one(tmp_path) -> None:
    here, there = run(tmp_path / 'here'), run(tmp_path / 'there', workers=1)
    assert here.seen == there.seen


def test_broken_last_checkpoint_gives_way_to_the_one_before(tmp_path, caplog) -> None:
    whole = run(tmp_path / 'whole', every=3)
    run(tmp_path / 'parts', Stop(10, RuntimeError), every=3)
    (tmp_path / 'parts' / CHECKPOINT).write_bytes(b'')
    resumed = run(tmp_path / 'parts', every=3)
    assert resumed.seen == whole.seen[6:]
    assert f'{CHECKPOINT} cannot be read (0 bytes' in caplog.text
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_run_whose_checkpoints_are_all_broken_names_them_and_what_to_do(tmp_path) -> None:
    run(tmp_path / 'parts', Stop(10, RuntimeError), every=3)
    for path in (tmp_path / 'parts').glob('*.ckpt'):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigError, match=CHECKPOINT) as caught:
        run(tmp_path / 'parts', every=3)
    assert 'Delete' in caught.value.fix


def test_paths_in_another_spelling_are_the_same_settings(tmp_path, monkeypatch) -> None:
    (tmp_path / 'data').mkdir()
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path)
    claim('run', {'data': {'root': 'data'}, 'output': 'run', 'rate': 1})
    monkeypatch.chdir(tmp_path / 'other')
    for root in ('../data', f'{tmp_path}/data/', f'{tmp_path}/other/../data'):
        claim('../run', {'data': {'root': root}, 'output': '../run', 'rate': 1.0})
    with pytest.raises(ConfigError, match=r'data\.root'):
        claim('../run', {'data': {'root': '.'}, 'rate': 1})
