# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped person skill: what it gives, and people that it never learned from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pointata_core.bundles.bundle import load_person_bundle
from pointata_core.bundles.verify import verify_bundle
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.simulation import simulate
from pointata_core.taxonomy import PERSON_ACTIONS, SEGMENTATION_CLASSES

SKILL = Path(__file__).resolve().parents[1] / 'models' / 'people'


@pytest.fixture(scope='module')
def skill():
    return load_person_bundle(SKILL)


def test_it_is_whole_and_its_name_is_enough(skill, tmp_path, monkeypatch):
    assert verify_bundle(SKILL).ok
    assert skill.manifest.action_classes == PERSON_ACTIONS
    assert skill.manifest.licence == 'Apache-2.0'
    monkeypatch.chdir(tmp_path)
    assert load_person_bundle('people').hash == skill.hash


@pytest.mark.parametrize('sensor', ['vlp16', 'kinect'])
def test_people_who_walk_are_known_and_those_who_sit_or_lie_are_not_upright(skill, sensor):
    pytest.importorskip('embreex', reason='people with a skin need the extra `simulate`')
    names, found = skill.manifest.action_classes, {}
    for seed in (995_001,):
        session = PeopleSession(skill, SEGMENTATION_CLASSES)
        for frame in simulate('stage', sensor, seed, 4.0):
            people = session.step(frame.points, frame.label, frame.stamp_ns, frame.pose)
            for one in people:
                if len(one.person.rows) and one.person.distance < 10:
                    owner = np.bincount(frame.instance[one.person.rows]).argmax()
                    doing = next((p.doing for p in frame.people if p.instance == owner), None)
                    mean = names[int(one.scores.argmax())] if len(one.scores) else None
                    found.setdefault(doing, Counter())[mean] += 1
    assert found['walk'].most_common(1)[0][0] == 'walk', found
    down = sum((found.get(doing, Counter()) for doing in ('sit', 'lie')), Counter())
    assert down['sit'] + down['lie'] >= 0.5 * down.total(), found
    assert found['walk'].total() >= 20
