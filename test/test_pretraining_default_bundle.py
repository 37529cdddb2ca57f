# SPDX-License-Identifier: Apache-2.0
"""The default bundle can start from a pre-trained backbone, keep it, and says so."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip('lightning', reason='training needs the extra `train`')

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tools'))

import train_default_bundle as tool
from bundle_start import Start, claim

from benchmarks.experiments import default_start
from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run
from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import GeometryConfig, preset_config
from pointata_core.training.clips.prepared_clips import prepare_clip, write_clip
from pointata_core.training.clips.simulated_clips import simulated_frames
from pointata_core.training.pretrain.export import export_encoder
from pointata_core.training.pretrain.settings import PretrainingConfig
from pointata_core.training.skill.actor_training import ActorTrainingConfig
from pointata_core.training.skill.supervised import SupervisedConfig

MIX = (tool.Mix('yard', 'vlp16', 2, 4),)
TINY = tool.Recipe(
    mixes=MIX, clip_mixes=MIX, found_mixes=MIX, held_out=(tool.Mix('yard', 'vlp16', 1, 2),),
    preparation=replace(tool.PREPARATION, max_voxels=192),
    network=replace(tool.NETWORK, geometry=GeometryConfig(tokens=8, patch_size=8, range_knee=1.0)),
    frames=SupervisedConfig(stage='full', steps=2), frames_batch=2,
    clips=SupervisedConfig(stage='adapt', steps=2), clips_frames=4,
    actors=ActorTrainingConfig(steps=1, points=16, window=4, batch=2),
    found_actors=ActorTrainingConfig(steps=1, points=16, window=4, batch=2),
)  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('bundles')


@pytest.fixture(scope='module')
def pretrained(folder) -> Path:
    """A backbone file of ``pointata pretrain`` with weights of no meaning."""
    torch.manual_seed(3)
    backbone = Backbone(TINY.network.backbone)
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    path = folder / 'backbone.safetensors'
    facts = {'data': 'procedural shapes and their rendered images', 'licence': 'Apache-2.0',
             'step': 7}  # fmt: skip
    export_encoder(path, PretrainingConfig(), state, facts)
    return path


@pytest.fixture(scope='module')
def clips(folder) -> Path:
    """All scenes of the recipe, prepared here: the tool then starts no processes."""
    place = folder / 'clips'
    place.mkdir()
    seeds = (tool.CLIPS_SEED, tool.FOUND_SEED, 0)
    for job in (job for seed in seeds for job in tool.jobs_of(MIX, seed)):
        preparer = FramePreparer(TINY.preparation)
        clip = prepare_clip(
            simulated_frames(job), preparer, TINY.network.geometry, len(tool.SEGMENTATION_CLASSES)
        )
        write_clip(place / f'{job.name}.npz', clip)
    return place


def build(folder: Path, clips: Path, name: str, start: Start):
    """Train with the tiny recipe; the bundle and its provenance."""
    run = folder / name
    run.mkdir()
    # The phase on clips keeps its checkpoint beside them, so every run has a folder of its own.
    (run / 'clips').mkdir()
    for clip in clips.iterdir():
        (run / 'clips' / clip.name).symlink_to(clip)
    tool.train(TINY, start, run, folder / f'{name}_bundle')
    bundle = load_bundle(folder / f'{name}_bundle', share_backbone=False)
    manifest = json.loads((folder / f'{name}_bundle' / 'manifest.json').read_text())
    return bundle.network, manifest['provenance']


def changed(network, pretrained: Path) -> list[str]:
    """Tensors of the backbone that are not those of the file, as stored in half."""
    from pointata_core.models.checkpoints.conversion import load_backbone

    expected, found = load_backbone(pretrained).state_dict, network.backbone.state_dict()
    return [
        name
        for name, value in expected.items()
        if not torch.equal(found[name].float(), value.half().float())
    ]


def test_a_frozen_backbone_is_that_of_the_file_and_named_in_the_manifest(folder, clips, pretrained):
    from pointata_core.models.checkpoints.files import sha256_of

    network, provenance = build(folder, clips, 'frozen', Start(pretrained, freeze=True))
    assert changed(network, pretrained) == []
    # The skill brings an embedder of its own, and the manifest says how it was trained.
    own, kept = network.embedder.patch_encoder, network.backbone.patch_encoder
    assert not torch.equal(own.point_in.weight, kept.point_in.weight)
    assert provenance['recipe']['frames']['train_embedder'] is True
    assert provenance['recipe']['frames']['stage'] == 'adapt'
    assert provenance['started_from'] == 'a pre-trained backbone, frozen'
    assert provenance['backbone'] == {
        'sha256': sha256_of(pretrained), 'family': 'pic_point', 'frozen': True, 'step': 7,
        'data': 'procedural shapes and their rendered images', 'licence': 'Apache-2.0',
    }  # fmt: skip
    assert provenance['data'].endswith('before: procedural shapes and their rendered images')


def test_a_backbone_that_is_not_frozen_is_trained_on(folder, clips, pretrained):
    network, provenance = build(folder, clips, 'free', Start(pretrained))
    assert 'class_token' in changed(network, pretrained)
    assert provenance['backbone']['frozen'] is False


def test_a_run_goes_on_from_the_same_weights_only(tmp_path, pretrained):
    claim(tmp_path, Start(pretrained))
    claim(tmp_path, Start(pretrained))
    with pytest.raises(ConfigError, match='a pre-trained backbone, frozen'):
        claim(tmp_path, Start(pretrained, freeze=True))
    older = tmp_path / 'older'
    older.mkdir()
    (older / 'frames.pt').touch()
    claim(older, Start())
    (older / 'start.json').unlink()
    with pytest.raises(ConfigError, match='began from scratch'):
        claim(older, Start(pretrained))


def test_backbones_of_another_shape_are_refused(folder, pretrained):
    small = replace(TINY.network, backbone=preset_config('small').backbone)
    with pytest.raises(ConfigError, match=r'backbone\.safetensors has the shape'):
        Start(pretrained).network(small)


def test_the_command_refuses_to_freeze_nothing(tmp_path, monkeypatch, capsys):
    words = ['train_default_bundle.py', '--freeze', '--run', str(tmp_path / 'run')]
    monkeypatch.setattr(sys, 'argv', words)
    assert tool.main() == 2
    assert '--freeze lacks --backbone' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_starts_of_the_comparison_train_and_keep_what_they_say(
    clips, pretrained, tmp_path, monkeypatch
):
    from pointata_core.models.checkpoints.conversion import load_backbone

    monkeypatch.setattr(tool, 'Recipe', lambda: TINY)
    arguments = argparse.Namespace(
        backbone=pretrained, steps=2, every=1, work=tmp_path, clips=clips
    )
    file = load_backbone(pretrained).state_dict
    kept, trained = {}, {}
    for start in default_start.STARTS:
        measured = default_start.carry_out(Run('simulated', 1.0, start, 0), arguments)
        bundle = tmp_path / f'{start.replace(", ", "-")}-2-0' / 'bundle'
        found = load_bundle(bundle, share_backbone=False).network.backbone.state_dict()
        kept[start] = all(torch.equal(found[name], value) for name, value in file.items())
        trained[start] = measured['trained_parameters']
    assert kept == {name: name == 'pre-trained, frozen' for name in default_start.STARTS}
    assert trained['random, frozen'] == trained['pre-trained, frozen']
    assert trained['random, frozen'] < trained['random, trained'] / 3


def test_the_table_of_starts_gives_mean_and_range_over_seeds(tmp_path):
    store = ResultStore(tmp_path / 'results.json')
    store.require_settings('simulated', {'steps': 300, 'batch': 8, 'scenes': 154})
    for seed, miou in enumerate((0.2, 0.4)):
        scores = {'yard/vlp16': {'miou': miou}, 'indoor/rs16': {'miou': 0.5}}
        measured = {'scores': scores, 'processor_s': 100 + seed, 'trained_parameters': 800_000}
        store.add(Run('simulated', 1.0, 'random, frozen', seed), measured)
    row = default_start.table(store).splitlines()[-1]
    assert row == (
        '| random, frozen | 2 | 0.80 M | 30.0 (20.0 to 40.0) | 50.0 (50.0 to 50.0) '
        '| 40.0 (35.0 to 45.0) | 100 s |'
    )
