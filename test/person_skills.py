# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small person skill with weights of no meaning."""

from __future__ import annotations

from pathlib import Path

import torch

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest_fields import Task
from pointata_core.bundles.person_manifest import PersonManifest, PersonPreparation
from pointata_core.models.person.person_network import PersonConfig, PersonNetwork

ACTIONS = ('stand', 'walk', 'wave')
SMALL = PersonConfig(ACTIONS, width=16, point_widths=(8, 16), dilations=(1, 2))


def write_person_skill(folder: Path) -> Path:
    """Write it as a bundle; it is sure of itself from the first frame on."""
    torch.manual_seed(0)
    network = PersonNetwork(SMALL)
    manifest = PersonManifest(
        'toy', SMALL.to_dict(), {'action': Task(ACTIONS)}, PersonPreparation(least_score=0.0)
    )
    save_bundle(folder, network, manifest)
    return folder
