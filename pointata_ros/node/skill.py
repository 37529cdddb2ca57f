# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads a skill (a bundle that has run on its device) for the node. May run on any thread."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pointata_core.bundles.bundle import PersonBundle
from pointata_core.inference.device import DeviceChoice
from pointata_core.inference.loading import FOLLOW, LoadedBundle, open_bundle, open_person_skill
from pointata_core.inference.people.people_session import PeopleSession
from pointata_ros.parameters.table import NodeSettings


@dataclass(frozen=True, eq=False)
class Skill:
    """A bundle that has run on its device, and what the log must show of it.

    Args:
        loaded: The bundle.
        notes: Warnings from its loading.
        substitute_for: Why it does not run where it was asked to, empty if it does.
        follows_people: Whether people are followed.
        person: What gives their actions; ``None`` where they are followed only.
    """

    loaded: LoadedBundle
    notes: tuple[str, ...] = ()
    substitute_for: str = ''
    follows_people: bool = False
    person: PersonBundle | None = None

    def people(self) -> PeopleSession | None:
        """A new stream of people; ``None`` where nobody is followed."""
        return self.loaded.people(self.person) if self.follows_people else None

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Names of what is published, by task."""
        manifest = self.loaded.bundle.manifest
        actions = self.person_actions or manifest.action_classes
        return {'segmentation': manifest.segmentation_classes, 'action': actions}

    @property
    def person_actions(self) -> tuple[str, ...]:
        """Classes of the person skill, if there is one."""
        return self.person.manifest.action_classes if self.person else ()


def load_skill(settings: NodeSettings) -> Skill:
    """Load, verify and warm up the bundle and the person skill that the parameters name.

    Args:
        settings: The parameters.

    Raises:
        PointataError: The bundle or the device cannot be used; the text gives the reason and what
            to do.
    """
    # In a thread of its own: one that has computed in parallel keeps its helpers while it lives.
    # Where they and those of the worker are more than there are processors, OpenMP puts all of them
    # to sleep after every operation.
    with ThreadPoolExecutor(1, 'load_skill') as executor:
        return executor.submit(_load, settings).result()


def load_skill_on_cpu(skill: Skill, settings: NodeSettings, reason: str) -> Skill:
    """The same skill on the CPU, read from disk again: the device's memory may be gone.

    Args:
        skill: What ran on the device that failed.
        settings: The parameters.
        reason: How it failed.

    Raises:
        PointataError: It cannot be loaded any more.
    """
    failed = skill.loaded.device.device
    text = f'running on the CPU instead of {failed}, because device_failure is cpu: {reason}'
    people = FOLLOW if skill.follows_people else ''
    if skill.person is not None:
        people = str(skill.person.path)
    bundle = str(skill.loaded.bundle.path)
    again = load_skill(replace(settings, bundle=bundle, people=people, device='cpu'))
    device = DeviceChoice(again.loaded.device.device, text)
    return replace(again, loaded=replace(again.loaded, device=device), substitute_for=text)


def _load(settings: NodeSettings) -> Skill:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        loaded = open_bundle(settings.bundle, settings.device, settings.precision, num_threads=None)
        person = open_person_skill(settings.people, loaded) if settings.people else None
    notes = tuple(str(one.message) for one in caught)
    return Skill(loaded, notes, follows_people=bool(settings.people), person=person)
