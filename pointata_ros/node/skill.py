# SPDX-License-Identifier: Apache-2.0
"""Loads a skill (a bundle that has run on its device) for the node. May run on any thread."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pointata_core.inference.device import DeviceChoice
from pointata_core.inference.loading import LoadedBundle, open_bundle


@dataclass(frozen=True, eq=False)
class Skill:
    """A bundle that has run on its device, and what the log must show of it.

    Args:
        loaded: The bundle.
        notes: Warnings from its loading.
        substitute_for: Why it does not run where it was asked to, empty if it does.
    """

    loaded: LoadedBundle
    notes: tuple[str, ...] = ()
    substitute_for: str = ''


def load_skill(path: str, device: str, precision: str) -> Skill:
    """Load, verify and warm up a bundle.

    Args:
        path: Folder of the bundle; empty for the default one of this package.
        device: Parameter ``device``.
        precision: Parameter ``precision``.

    Raises:
        PointataError: The bundle or the device cannot be used; the text gives the reason and what
            to do.
    """
    # In a thread of its own: one that has computed in parallel keeps its helpers while it lives.
    # Where they and those of the worker are more than there are processors, OpenMP puts all of them
    # to sleep after every operation.
    with ThreadPoolExecutor(1, 'load_skill') as executor:
        return executor.submit(_load, path, device, precision).result()


def load_skill_on_cpu(skill: Skill, precision: str, reason: str) -> Skill:
    """The same bundle on the CPU, read from disk again: the device's memory may be gone.

    Args:
        skill: What ran on the device that failed.
        precision: Parameter ``precision``.
        reason: How it failed.

    Raises:
        PointataError: It cannot be loaded any more.
    """
    failed = skill.loaded.device.device
    text = f'running on the CPU instead of {failed}, because device_failure is cpu: {reason}'
    again = load_skill(str(skill.loaded.bundle.path), 'cpu', precision)
    device = DeviceChoice(again.loaded.device.device, text)
    return replace(again, loaded=replace(again.loaded, device=device), substitute_for=text)


def _load(path: str, device: str, precision: str) -> Skill:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        loaded = open_bundle(path, device, precision, num_threads=None)
    return Skill(loaded, tuple(str(one.message) for one in caught))
