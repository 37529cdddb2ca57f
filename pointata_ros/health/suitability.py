# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a skill fits: what changes with another one, and clouds unlike those of its training.

This module does not import ROS.
"""

from __future__ import annotations

from collections.abc import Mapping

from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.io.cloud import Cloud

# A scan of 120,000 points has about 20 points for each voxel of the default bundle.
_POINTS_PER_VOXEL = 100


def changes(old: Mapping[str, tuple[str, ...]], new: Mapping[str, tuple[str, ...]]) -> str:
    """What readers of the results must know when other classes are published; may be empty.

    Args:
        old: Classes by task.
        new: The same of the skill that replaces it.
    """
    return '; '.join(
        f'the classes of {task} were {_listed(old[task])} and are now {_listed(new[task])}'
        for task in old
        if old[task] != new[task]
    )


def unlike_training(manifest: ManifestBase, cloud: Cloud) -> str:
    """Why the skill can hardly have been trained on clouds like this one; empty if it can.

    Args:
        manifest: Of the skill.
        cloud: A cloud with points.
    """
    reasons = []
    absent = [name for name in manifest.features if name not in cloud.features]
    if absent:
        reasons.append(f'the skill reads {_listed(absent)}, which the clouds do not have')
    voxels = manifest.preparation.get('max_voxels') if isinstance(manifest, Manifest) else None
    if voxels and len(cloud) > _POINTS_PER_VOXEL * voxels:
        reasons.append(
            f'the clouds have {len(cloud)} points, and the skill distinguishes {voxels} places'
        )
    return '; '.join(reasons)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ', '.join(names) or 'none'
