# SPDX-License-Identifier: Apache-2.0
"""What the log says when the node starts: what runs where, and which topics it listens to."""

from __future__ import annotations

from collections.abc import Sequence

from pointata_ros.dds import profile_in_use
from pointata_ros.node.skill import Skill
from pointata_ros.node.stream import Stream
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import describe


def banner(skill: Skill, settings: NodeSettings, streams: Sequence[Stream]) -> str:
    """Several lines for the log.

    Args:
        skill: What answers.
        settings: Parameters.
        streams: The inputs; they listen already.
    """
    bundle = skill.bundle
    manifest = bundle.manifest
    compensation = f"to '{settings.fixed_frame}'" if settings.fixed_frame else 'off'
    features = ', '.join(manifest.features) or 'none'
    rows = {
        'bundle': f'{manifest.name} {bundle.short_hash} ({bundle.path})',
        'device': f'{skill.device.device} ({skill.device.reason})',
        'products': _products(skill, settings),
        'segmentation': _listed(manifest.segmentation_classes),
        'action': _listed(manifest.action_classes),
        **{f'input {one.name}'.rstrip(): _heard_on(one) for one in streams},
        **{
            f'camera {one.name}'.rstrip(): ', '.join(one.camera.topics)
            for one in streams
            if one.camera
        },
        'point fields': f'x, y, z; beyond these, if present: {features}',
        'policy': f'{settings.policy}, queue {settings.queue_size}, max gap {settings.max_gap:g} s',
        'ego motion': compensation,
        **{f'outputs {one.name}'.rstrip(): ', '.join(one.outputs.topics) for one in streams},
        'DDS profile': profile_in_use() or 'none: clouds of some 100 kB and more may get lost',
    }
    width = max(map(len, rows))
    return 'ready\n' + '\n'.join(f'  {name:<{width}}  {text}' for name, text in rows.items())


def _heard_on(stream: Stream) -> str:
    source = stream.input
    count = source.count_publishers()
    return f'{source.topic} ({describe(source.profile)}; publishers now: {count})'


def _products(skill: Skill, settings: NodeSettings) -> str:
    faster = settings.precision == 'float32' and skill.device.has_fast_bfloat16
    return settings.precision + (' (bfloat16 is faster on this device)' if faster else '')


def _listed(classes: tuple[str, ...]) -> str:
    return f'{len(classes)} classes: {", ".join(classes)}' if classes else 'no such head'
