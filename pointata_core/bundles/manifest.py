# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a skill for point clouds and its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.bundles.manifest_fields import (
    FieldError,
    Task,
    is_number,
    plain_mapping,
    tuples,
)

TASKS = ('segmentation', 'action')


@dataclass(frozen=True)
class Manifest(ManifestBase):
    """Everything about a bundle for clouds but the weights; see also :class:`ManifestBase`.

    Args:
        network: Plain values of ``models.point.config.NetworkConfig``.
        tasks: ``segmentation`` and/or ``action``; the classes must equal those of ``network``.
        preparation: Plain values of ``preparation_config.PreparationConfig``.
        preset: Network preset the configuration started from, for display.
        features: Per-point fields the network takes beside x, y, z, in the order of its columns.
        statistics: What the training input looked like, ``{'range': {'p50': 12.3, ...}, ...}``, so
            that a sensor unlike it can be recognised.
    """

    preparation: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ''
    features: tuple[str, ...] = ()
    statistics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    kind = 'point_transformer'
    file_names = ('backbone', 'skill')

    def __post_init__(self) -> None:
        self._set('features', tuples(self.features))
        super().__post_init__()
        for name in ('preparation', 'statistics'):
            self._set(name, plain_mapping(name, getattr(self, name)))
        for name, values in self.statistics.items():
            if not isinstance(values, dict) or not all(map(is_number, values.values())):
                raise FieldError(f'statistics.{name}', values, 'an object of numbers')
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown:
            raise FieldError('tasks', unknown[0], f'only {" and ".join(TASKS)}')
        for name, found, key in (
            ('features', self.features, 'features'),
            *((f'tasks.{t}.classes', self._classes(t), f'{t}_classes') for t in TASKS),
        ):
            expected = _names_in(self.network, key)
            if list(found) != expected:
                raise FieldError(name, list(found), f'those of network.{key}: {expected}')

    @classmethod
    def for_network(cls, name: str, network: Mapping[str, Any], **fields: Any) -> Manifest:
        """Describe a network; tasks and features are taken from its configuration.

        Args:
            name: Name of the bundle.
            network: ``NetworkConfig.to_dict()``.
            fields: Any other field of the manifest. ``colours={'segmentation': [...]}`` adds
                display colours.
        """
        network = plain_mapping('network', network)
        colours = fields.pop('colours', {})
        tasks = {
            task: Task(tuple(classes), tuple(map(tuple, colours.get(task, ()))))
            for task in TASKS
            if (classes := _names_in(network, f'{task}_classes'))
        }
        features = tuple(_names_in(network, 'features'))
        return cls(name, network, tasks, features=features, **fields)


def _names_in(network: Mapping[str, Any], key: str) -> list[str]:
    names = network.get(key, [])
    if not isinstance(names, list):
        raise FieldError(f'network.{key}', names, 'a list')
    return names
