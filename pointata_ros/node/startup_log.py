# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is logged when the node becomes active: what runs where, and all topics."""

from __future__ import annotations

from collections.abc import Sequence

from pointata_ros.dds import profile_in_use
from pointata_ros.node.skill import Skill
from pointata_ros.node.stream import Stream
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import describe


def startup_text(skill: Skill, settings: NodeSettings, streams: Sequence[Stream]) -> str:
    """Several lines for the log.

    Args:
        skill: What serves.
        settings: Parameters.
        streams: The inputs, subscribed.
    """
    bundle, device = skill.loaded.bundle, skill.loaded.device
    manifest = bundle.manifest
    compensation = f"to '{settings.fixed_frame}'" if settings.fixed_frame else 'off'
    features = ', '.join(manifest.features) or 'none'
    rows = {
        'bundle': f'{manifest.name} {bundle.short_hash} ({bundle.path})',
        'licence': manifest.licence,
        'device': f'{device.device} ({device.reason})',
        'products': _products(skill),
        'segmentation': _listed(manifest.segmentation_classes),
        'action': _listed(manifest.action_classes),
        **({'people': _people(skill)} if skill.follows_people else {}),
        **{f'input {one.name}'.rstrip(): _subscription(one) for one in streams},
        **{
            f'camera {one.name}'.rstrip(): ', '.join(one.camera.topics)
            for one in streams
            if one.camera
        },
        'point fields': f'x, y, z; beyond these, if present: {features}',
        'policy': f'{settings.policy}, queue {settings.queue_size}, max gap {settings.max_gap:g} s',
        'ego motion': compensation,
        **{f'outputs {one.name}'.rstrip(): _outputs(one) for one in streams},
        'DDS profile': profile_in_use() or 'none: clouds of some 100 kB and more may get lost',
    }
    width = max(map(len, rows))
    return 'ready\n' + '\n'.join(f'  {name:<{width}}  {text}' for name, text in rows.items())


def _subscription(stream: Stream) -> str:
    source = stream.input
    if source is None:
        return 'none'
    count = source.count_publishers()
    return f'{source.topic} ({describe(source.profile)}; publishers now: {count})'


def _people(skill: Skill) -> str:
    if skill.person is None:
        return 'followed, what they do is unknown'
    name, path = skill.person.manifest.name, skill.person.path
    return f'{name} {skill.person.short_hash} ({path}); {_listed(skill.person_actions)}'


def _outputs(stream: Stream) -> str:
    people = stream.people.topics if stream.people else []
    return ', '.join([*stream.outputs.topics, *people])


def _products(skill: Skill) -> str:
    taken = skill.loaded.precision
    faster = taken == 'float32' and skill.loaded.device.has_fast_bfloat16
    return taken + (' (bfloat16 is faster on this device)' if faster else '')


def _listed(classes: tuple[str, ...]) -> str:
    return f'{len(classes)} classes: {", ".join(classes)}' if classes else 'no such head'
