# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training runs: batches by step, resuming, freezing, export, and the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('embreex', reason='images need the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
pytest.importorskip('lightning', reason='training needs the extra `train`')

import lightning

from pointata_core.errors import ConfigError
from pointata_core.models import PointATA, preset_config
from pointata_core.models.camera.resnet import ResNet, load_resnet_weights
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.shapes.rendering import RenderSettings, procedural_sources, write_renderings
from pointata_core.training.engine import trainer
from pointata_core.training.engine.run_folder import CHECKPOINT
from pointata_core.training.pretrain import run as pretraining_run
from pointata_core.training.pretrain.batches import ImageClouds, split_shapes
from pointata_core.training.pretrain.export import BACKBONE, export_checkpoint
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import FrozenImageEncoder, ResNetEncoder
from pointata_core.training.pretrain.pic_point import (
    CollapseWarning,
    PicPointModule,
    cells_of_regions,
)
from pointata_core.training.pretrain.run import pretrain_backbone
from pointata_core.training.pretrain.settings import PretrainingConfig, TeacherConfig
from pointata_core.training.pretrain.teacher import save_teacher, train_teacher

ROOT = Path(__file__).resolve().parents[1]
SMALL = PretrainingConfig(
    points=96, tokens=12, patch_size=8, views=2, latent=16, map_stride=8, batch=4, steps=4,
    checkpoint_steps=2, device='cpu', masked_weight=1.0, held_back=5,
)  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('pretraining')


@pytest.fixture(scope='module')
def bank(folder) -> ImageBank:
    sources = procedural_sources(20, 0, ('chair', 'rocket', 'mug', 'snake'))
    settings = RenderSettings(views=6, size=32, points=200)
    return ImageBank.read(write_renderings(folder / 'images', sources, settings, progress=False))


@pytest.fixture(scope='module')
def teacher(folder, bank) -> Path:
    path = folder / 'teacher.safetensors'
    save_teacher(path, *train_teacher(bank, TeacherConfig(steps=2, batch=8, held_back=5)))
    return path


@pytest.fixture(scope='module')
def finished(folder, bank, teacher) -> Path:
    return pretrain_backbone(folder / 'whole', SMALL, bank, teacher)


def network(teacher: Path) -> FrozenImageEncoder:
    trunk = ResNet(18, classes=0)
    load_resnet_weights(trunk, teacher)
    return ResNetEncoder(trunk, 8)


def a_batch(bank: ImageBank, config: PretrainingConfig = SMALL) -> dict[str, torch.Tensor]:
    items = [ImageClouds(bank, config)[draw, shape] for draw, shape in enumerate(range(4))]
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def test_moved_clouds_project_to_the_pixels_that_were_recorded(bank):
    """V T^-1 of the turned and scaled cloud gives the pixels of the cloud as it was."""
    config = dataclasses.replace(SMALL, jitter=0.0)
    item = ImageClouds(bank, config)[3, 7]
    homogeneous = torch.cat([item['points'], torch.ones(96, 1)], dim=1).double()
    clip = torch.einsum(
        'wij,nj->wni', item['projection'].double() @ item['view'].double(), homogeneous
    )
    place = clip[..., :2] / clip[..., 3:]
    column = ((place[..., 0] + 1) / 2 * 4).floor().long()
    row = ((1 - place[..., 1]) / 2 * 4).floor().long()
    seen = item['cell'] >= 0
    assert 0.2 < float(seen.float().mean()) < 0.9
    agree = (row * 4 + column == item['cell'])[seen].float().mean()
    assert float(agree) > 0.98  # the rest lies on a border, within rounding


def test_a_batch_is_a_function_of_its_step(bank):
    clouds = ImageClouds(bank, SMALL)
    for name, value in clouds[5, 3].items():
        assert torch.equal(value, clouds[5, 3][name])
    assert not torch.equal(clouds[5, 3]['points'], clouds[6, 3]['points'])


def test_shapes_held_back_are_not_trained_on():
    training, held = split_shapes(23, 5)
    assert held.tolist() == [4, 9, 14, 19]
    assert sorted([*training, *held]) == list(range(23))


def test_regions_take_the_cell_of_their_centre():
    cell = torch.tensor([[[5, 6, -1, 8]]])
    index = torch.tensor([[3, 0, 2, -1]])
    assert cells_of_regions(index, cell).tolist() == [[[8, 5, -1, -1]]]


def test_every_trained_part_gets_a_gradient_and_the_image_encoder_none(bank, teacher):
    torch.manual_seed(0)
    module = PicPointModule(SMALL, network(teacher), 2.5)
    before = {name: value.clone() for name, value in module.images.state_dict().items()}
    loss, facts = module.objectives(a_batch(bank), watch=True)
    loss.backward()
    silent = [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert silent == []
    assert all(parameter.grad is None for parameter in module.images.parameters())
    assert all(torch.equal(v, before[n]) for n, v in module.images.state_dict().items())
    parts = facts['overall_loss'] + facts['local_loss'] + facts['masked_loss']
    torch.testing.assert_close(loss.detach(), parts)


def test_leaving_out_the_pose_changes_the_local_loss_alone(bank, teacher):
    batch, facts = a_batch(bank), {}
    for join in ('none', 'mid'):
        torch.manual_seed(0)
        config = dataclasses.replace(SMALL, pose_join=join, masked_weight=0.0)
        module = PicPointModule(config, network(teacher), 2.5)
        facts[join] = module.objectives(batch)[1]
    assert torch.equal(facts['none']['overall_loss'], facts['mid']['overall_loss'])
    assert not torch.equal(facts['none']['local_loss'], facts['mid']['local_loss'])


def test_training_lowers_the_loss_and_raises_retrieval(bank, teacher):
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, masked_weight=0.0)
    module = PicPointModule(config, network(teacher), 2.5)
    optimizer = torch.optim.Adam(module.parameters(), 2e-3)
    batch, history = a_batch(bank), []
    for _ in range(12):
        loss, facts = module.objectives(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((float(loss.detach()), float(facts['overall_retrieval'])))
    assert history[-1][0] < 0.8 * history[0][0]
    assert history[-1][1] == 1.0


@pytest.mark.parametrize('steps', [1, 3, 10])
def test_a_teacher_may_take_any_number_of_steps(bank, steps):
    config = TeacherConfig(steps=steps, batch=2, held_back=21)
    network, facts = train_teacher(bank, config)
    assert facts['accuracy'] is None  # no shape is held back
    assert facts['costs']['images'] == 2 * steps
    assert not network.training


def test_dgcnn_trains_behind_the_same_interface(bank, teacher):
    config = dataclasses.replace(SMALL, encoder='dgcnn', masked_weight=0.0)
    module = PicPointModule(config, network(teacher), 2.5)
    loss, _ = module.objectives(a_batch(bank))
    loss.backward()
    assert float(module.encoder.edges[0].linear.weight.grad.abs().sum()) > 0


class Killed(Exception):
    """Stands for the end of a process."""


class Stop(lightning.Callback):
    """Raises before the batch of a step, or after that step."""

    def __init__(self, before: int = -1, after: int = -1, error: type = Killed) -> None:
        self.before, self.after, self.error = before, after, error

    def on_train_batch_start(self, trainer, module, batch, number):
        if trainer.global_step == self.before:
            raise self.error

    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        if trainer.global_step == self.after:
            raise self.error


def stopped(stop: Stop, error: type, *arguments) -> None:
    """Start a run that comes to an early end."""
    make = trainer.make_trainer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trainer,
            'make_trainer',
            lambda *a, callbacks, **k: make(*a, callbacks=[*callbacks, stop], **k),
        )
        with pytest.raises(error):
            pretrain_backbone(*arguments)


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(folder, bank, teacher, finished):
    stopped(Stop(before=3), Killed, folder / 'killed', SMALL, bank, teacher)
    assert (folder / 'killed' / CHECKPOINT).is_file()
    assert not (folder / 'killed' / BACKBONE).exists()
    halfway = load_backbone(export_checkpoint(folder / 'killed')).state_dict['class_token']
    resumed = pretrain_backbone(folder / 'killed', SMALL, bank, teacher)
    assert_same_weights(finished, resumed)
    assert not torch.equal(halfway, load_backbone(resumed).state_dict['class_token'])
    names = sorted(path.name for path in (folder / 'killed').glob('step-*'))
    assert names == ['step-000002.json', 'step-000002.safetensors']


def test_a_run_may_be_stopped_at_every_boundary(folder, bank, teacher):
    """Before any checkpoint, by Ctrl-C, between epochs, in a last short epoch, before export."""
    config = dataclasses.replace(SMALL, steps=5)  # epochs of 2, 2 and 1 steps
    whole = pretrain_backbone(folder / 'five', config, bank, teacher)
    run = (folder / 'stopped', config, bank, teacher)
    stopped(Stop(before=1), Killed, *run)
    with kept_signals():
        stopped(Stop(before=3, error=KeyboardInterrupt), KeyboardInterrupt, *run)
    stopped(Stop(before=2), Killed, *run)
    stopped(Stop(after=4), Killed, *run)
    stopped(Stop(after=5), Killed, *run)
    with pytest.MonkeyPatch.context() as patch:

        def fail(*arguments):
            raise Killed

        patch.setattr(pretraining_run, 'export_encoder', fail)
        with pytest.raises(Killed):
            pretrain_backbone(*run)
    resumed = pretrain_backbone(*run)
    assert_same_weights(whole, resumed)
    expected, found = (
        json.loads(path.with_suffix('.json').read_text()) for path in (whole, resumed)
    )
    assert found['step'] == 5
    for name in ('loss', 'held_back_loss', 'masked_loss', 'alignment'):
        assert found['measured'][name] == expected['measured'][name]
    assert found['costs']['training']['shapes'] == expected['costs']['training']['shapes'] == 20
    assert found['costs']['training']['sessions'] > 1


@contextlib.contextmanager
def kept_signals():
    """Lightning ignores Ctrl-C for good once it has seen one."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def assert_same_weights(first: Path, second: Path) -> None:
    expected, found = load_backbone(first), load_backbone(second)
    for name, value in expected.state_dict.items():
        torch.testing.assert_close(found.state_dict[name], value, rtol=0, atol=0)


def test_a_finished_run_is_left_as_it_is(folder, bank, teacher, finished):
    before = {path: path.read_bytes() for path in finished.parent.glob('*.*')}
    assert pretrain_backbone(finished.parent, SMALL, bank, teacher) == finished
    assert {path: path.read_bytes() for path in finished.parent.glob('*.*')} == before


def test_a_folder_of_other_settings_is_refused(bank, teacher, finished):
    other = dataclasses.replace(SMALL, temperature=0.2)
    with pytest.raises(ConfigError, match=r'training\.temperature is 0\.1, now 0\.2'):
        pretrain_backbone(finished.parent, other, bank, teacher)


def test_the_backbone_fits_a_skill_and_tells_where_it_is_from(finished, teacher):
    converted = load_backbone(finished)
    assert (converted.family, converted.preset) == ('pic_point', 'tiny')
    skill = PointATA(preset_config('tiny', segmentation_classes=('a', 'b')))
    skill.load_backbone(converted.state_dict)
    assert torch.equal(skill.backbone.class_token, converted.state_dict['class_token'])
    manifest = json.loads(finished.with_suffix('.json').read_text())
    assert manifest['training']['steps'] == 4
    assert manifest['images']['families'] == ['chair', 'mug', 'rocket', 'snake']
    assert manifest['image_encoder']['name'] == teacher.name
    assert manifest['measured']['shapes_per_second'] > 0


def test_collapse_is_warned_of(bank, teacher):
    module = PicPointModule(SMALL, network(teacher), 2.5)
    module._watch(-0.01)  # the very beginning: nothing is said yet
    with pytest.warns(CollapseWarning, match='nearly the same'):
        type(module).global_step = property(lambda self: 3)
        try:
            module._watch(-3.0)
            module._watch(-0.01)
        finally:
            del type(module).global_step


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'batch': 1}, 'training.batch'),
        ({'temperature': 0.0}, 'training.temperature'),
        ({'encoder': 'dgcnn'}, 'masked_weight'),
        ({'overall_weight': 0, 'local_weight': 0, 'masked_weight': 0}, 'an objective'),
        ({'points': 4}, 'training.points'),
    ],
)
def test_settings_that_make_no_sense_are_named(values, reason):
    with pytest.raises(ConfigError, match=reason):
        dataclasses.replace(SMALL, **values)


@pytest.mark.parametrize(
    ('values', 'reason'),
    [({'points': 201}, 'points'), ({'views': 7}, 'views'), ({'map_stride': 5}, 'map_stride')],
)
def test_images_that_do_not_suffice_are_named(bank, values, reason):
    with pytest.raises(ConfigError, match=reason):
        ImageClouds(bank, dataclasses.replace(SMALL, **values))


def test_commands_pretrain_and_probe(folder, bank, teacher):
    settings = folder / 'small.yaml'
    values = dataclasses.asdict(SMALL) | {'masked_weight': 0.0}
    lines = [f'  {name}: {json.dumps(value)}' for name, value in values.items()]
    settings.write_text('training:\n' + '\n'.join(lines) + '\n')
    words = (
        'pretrain', '--config', settings, f'output={folder / "cli"}',
        f'images.folder={folder / "images"}', f'image_encoder={teacher}', 'training.steps=2',
        '--json',
    )  # fmt: skip
    run = command(*words)
    assert run.returncode == 0, run.stderr
    facts = json.loads(run.stdout)
    assert facts['training']['steps'] == 2
    words = ('--per-family', '4', '--points', '96', '--tokens', '12', '--patch-size', '8')
    run = command('probe', facts['backbone'], *words, '--json')
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)
    assert scores['train'] == scores['test'] == 14 * 4
    for name in ('backbone', 'untrained'):
        assert scores[name]['linear']['accuracy'] > 2 * scores[name]['linear']['chance']


def test_command_names_missing_weights(folder, bank):
    run = command(
        'pretrain', f'output={folder / "none"}', f'images.folder={folder / "images"}',
        f'image_encoder={folder / "absent.safetensors"}', 'training.map_stride=8',
        'training.points=96',
    )  # fmt: skip
    assert run.returncode == 2
    assert 'absent.safetensors' in run.stderr and 'pretrain-image' in run.stderr


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'pointata_core.cli.main', *map(str, words)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
