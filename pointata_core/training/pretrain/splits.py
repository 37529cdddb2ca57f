# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which procedural families train and which are kept away for probing.

An image encoder trained on family names passes these names on to the point encoder, so probes on
the same families would overstate the backbone. Fourteen families, two of each group, are never
trained on.
"""

from __future__ import annotations

from pointata_core.shapes.procedural.generator import FAMILIES

HELD_OUT_FAMILIES = (
    *('knot', 'crystal', 'stool', 'sofa', 'helicopter', 'motorcycle', 'wrench', 'axe'),
    *('teapot', 'guitar', 'bird', 'robot_arm', 'cactus', 'tower'),
)
"""Two families of every group, for probes alone."""

TRAINING_FAMILIES = tuple(name for name in FAMILIES if name not in HELD_OUT_FAMILIES)
"""All others, in the generator's order."""

PROBE_SEED = 1_000_000
"""Seeds of probe shapes start here, out of reach of training plans, which count from zero."""
