# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People are cut out, disturbed, learned and scored; the recipe runs to a bundle that streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.bundles.bundle import load_person_bundle
from pointata_core.bundles.person_manifest import PersonPreparation
from pointata_core.errors import ConfigError
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.models.person.person_network import PersonConfig, PersonNetwork
from pointata_core.simulation import simulate
from pointata_core.simulation.scanning import PersonTruth
from pointata_core.taxonomy import SEGMENTATION_CLASSES
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.people.crop_store import (
    CLASSES,
    PersonClip,
    cut_out,
    is_held_out,
    read_clips,
    thinned,
)
from pointata_core.training.people.run import SkillModule
from pointata_core.training.people.scoring import fit_temperature, score_clips
from pointata_core.training.people.settings import Disturbances, PeopleMix, PeopleSettings
from pointata_core.training.people.windows import draw

ROOT = Path(__file__).resolve().parents[1]
STILL = Disturbances(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)


def clip(frames: int = 6, seed: int = 0) -> PersonClip:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 20, frames)
    points = rng.normal([0, 0, 0.9], [0.2, 0.2, 0.5], (sizes.sum(), 3)).astype(np.float16)
    return PersonClip(
        points,
        np.concatenate([[0], np.cumsum(sizes)]),
        rng.normal(0, 1, (frames, 4)).astype(np.float32),
        rng.integers(0, len(CLASSES), frames),
        np.full(frames, 5, np.float32),
        np.arange(frames) == 2,
        'vlp16',
    )


def test_windows_hold_the_clip_and_leave_out_what_is_held_out() -> None:
    one = clip()
    window = draw([one], [(0, 1)], 8, 32, STILL, np.random.default_rng(1))
    expected = [*np.where(one.unseen, -1, one.action)[1:].tolist(), -1, -1, -1]
    assert window.action[0].tolist() == expected
    for t in range(5):
        mine = one.points[one.first[t + 1] : one.first[t + 2]].astype(np.float32)
        found = window.points[0, t][window.mask[0, t]].numpy()
        np.testing.assert_allclose(
            np.sort(np.abs(found), axis=0), np.sort(np.abs(mine), axis=0), atol=1e-6
        )
    assert not window.mask[0, 5:].any()


def test_people_on_the_spot_have_no_velocity() -> None:
    one, still = replace(clip(), motion=np.full((6, 4), 2.0, np.float32)), replace(STILL, still=1.0)
    windows = [draw([one], [(0, 0)], 6, 32, d, np.random.default_rng(1)) for d in (STILL, still)]
    speeds = [window.motion[0, :, 2].mean() for window in windows]
    assert speeds[0] > 2 and speeds[1] < 0.3
    assert (windows[1].motion[0, :, 3] == 2.0).all()


def test_a_batch_in_which_nothing_is_learned_has_no_loss() -> None:
    settings = PeopleSettings(
        train=(PeopleMix('crowd', 'vlp16', (0, 1)),),
        held_out=(PeopleMix('crowd', 'vlp16', (1, 2)),),
    )
    module = SkillModule(
        PersonNetwork(PersonConfig(CLASSES, 8)), settings, torch.ones(len(CLASSES))
    )
    one = replace(clip(), unseen=np.ones(6, bool))
    window = draw([one], [(0, 0)], 6, 32, STILL, np.random.default_rng(1))
    assert module.loss(window).item() == 0.0
    seen = draw([clip()], [(0, 0)], 6, 32, STILL, np.random.default_rng(1))
    assert 1.0 < module.loss(seen).item() < 4.0


def test_disturbed_windows_are_a_function_of_the_seed() -> None:
    starts = [(0, 0), (0, 2)]
    first, again, other = (
        draw([clip()], starts, 4, 32, Disturbances(), np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert all(torch.equal(one, two) for one, two in zip(first, again))
    assert not torch.equal(first.points, other.points)


def test_a_quarter_of_bodies_and_of_clips_is_held_out() -> None:
    bodies = [is_held_out(PersonTruth(1, (0, 0, 0), 1, 9, n, '')) for n in range(100)]
    assert sum(bodies) == 25
    clips = [is_held_out(PersonTruth(1, (0, 0, 0), 1, 9, 0, f'{n:02}_01')) for n in range(99)]
    assert 12 < sum(clips) < 38


def test_the_temperature_undoes_what_made_scores_too_sure() -> None:
    torch.manual_seed(0)
    logits = 2 * torch.randn(4000, 3)
    truth = torch.multinomial(logits.softmax(-1), 1)[:, 0].numpy()
    assert fit_temperature([3 * logits], [truth]) == pytest.approx(3, rel=0.15)


def test_only_held_out_frames_are_scored() -> None:
    one = replace(clip(30), unseen=np.arange(30) >= 20)
    logits = 9 * torch.nn.functional.one_hot(torch.from_numpy(one.action), len(CLASSES)).float()
    logits[:20] = 0.0
    plain = PersonPreparation(smoothing=1.0, margin=0.0, least_score=0.0)
    scores = score_clips([logits], [one], plain)
    assert scores['all']['accuracy'] == 1.0
    assert scores['all'] == scores['vlp16']
    assert scores['all']['frames'] == 10


def test_held_out_bodies_are_not_before_the_sensor_in_training():
    mix, preparation = PeopleMix('stage', 'vlp16', (7, 8), 0.5), PersonPreparation()
    scored = cut_out(mix, 7, preparation)
    learned = cut_out(mix, 7, preparation, held_out=False)
    assert 0 < len(learned) < len(scored)
    assert any(one.unseen.all() for one in scored) and not any(o.unseen.all() for o in learned)


def test_thinned_crops_are_some_of_their_points_in_order() -> None:
    one = clip()
    few = thinned(one, 7)
    assert np.diff(few.first).tolist() == np.minimum(np.diff(one.first), 7).tolist()
    for t in range(6):
        mine, kept = (c.points[c.first[t] : c.first[t + 1]] for c in (one, few))
        rows = [int(np.flatnonzero((mine == point).all(1))[0]) for point in kept]
        assert rows == sorted(set(rows))
    assert thinned(one, 20) is one


def test_muon_takes_the_matrices():
    mixes = (PeopleMix('stage', 'vlp16', (0, 1)),)
    settings = PeopleSettings(train=mixes, held_out=mixes, muon_rate=0.02)
    module = SkillModule(PersonNetwork(PersonConfig(CLASSES)), settings, torch.ones(len(CLASSES)))
    groups = module.configure_optimizers()['optimizer'].param_groups
    assert {tuple(p.shape) for g in groups if g['use_muon'] for p in g['params']} >= {(128, 64)}


def test_settings_name_what_is_wrong(tmp_path) -> None:
    with pytest.raises(ConfigError, match='seeds'):
        PeopleMix('crowd', 'vlp16', (3, 3))
    with pytest.raises(ConfigError, match='held_out'):
        PeopleSettings(train=(PeopleMix('crowd', 'vlp16', (0, 1)),))


def test_the_recipe_reads_and_keeps_recordings_apart() -> None:
    settings = read_settings(PeopleSettings, ROOT / 'config/training/people.yaml')
    seeds = [set(range(*mix.seeds)) for mix in (*settings.train, *settings.held_out)]
    assert len(set().union(*seeds)) == sum(map(len, seeds))
    assert settings.recipe == 'config/training/people.yaml'


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_recipe_runs_from_nothing_to_a_skill_that_streams(tmp_path) -> None:
    mixes = [{'scene': 'crowd', 'sensor': 'kinect', 'seeds': [950_002, 950_003], 'seconds': 1.2}]
    words = [
        sys.executable, '-m', 'pointata_core.cli.main', 'train-people', '--json', '--config',
        'config/training/people.yaml', f'output={tmp_path / "run"}', f'cache={tmp_path / "cache"}',
        f'train={json.dumps(mixes)}', f'held_out={json.dumps(mixes)}', 'steps=2', 'batch=2',
        'window=8', 'device=cpu', 'width=16', 'preparation.least_score=0.0',
    ]  # fmt: skip
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    runs = [
        subprocess.run(
            words, capture_output=True, text=True, timeout=600, check=False, env=environment
        )
        for _ in range(2)
    ]
    assert runs[0].returncode == runs[1].returncode == 0, runs[0].stderr
    assert json.loads(runs[0].stdout) == json.loads(runs[1].stdout), 'a finished run was repeated'
    bundle = load_person_bundle(tmp_path / 'run' / 'bundle')
    assert bundle.manifest.provenance['recipe'] == 'config/training/people.yaml'
    assert bundle.manifest.action_classes == CLASSES
    session = PeopleSession(bundle, SEGMENTATION_CLASSES)
    for frame in simulate('crowd', 'kinect', 950_002, 0.8):
        people = session.step(frame.points, frame.label, frame.stamp_ns, frame.pose)
    assert people and all(one.scores.sum() == pytest.approx(1, abs=1e-4) for one in people)


def test_crops_are_cut_once_and_hold_people_at_a_persons_size(tmp_path) -> None:
    mixes = [PeopleMix('crowd', 'kinect', (950_004, 950_005), 0.8)]
    clips = read_clips(mixes, PersonPreparation(), tmp_path)
    (file,) = tmp_path.glob('*.npz')
    stamp = file.stat().st_mtime_ns
    again = read_clips(mixes, PersonPreparation(), tmp_path)
    assert file.stat().st_mtime_ns == stamp
    assert len(clips) == len(again) > 1
    points = np.concatenate([one.points for one in clips]).astype(float)
    assert np.abs(points[:, :2]).max() <= 1.41
    assert -0.4 < np.quantile(points[:, 2], 0.02) < np.quantile(points[:, 2], 0.98) < 2.4
    assert any((one.action >= 0).any() for one in clips)
