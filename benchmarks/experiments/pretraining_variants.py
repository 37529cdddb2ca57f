# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is compared in pre-training: each variant differs in one choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Variant:
    """One row of the comparison.

    Attributes:
        changes: Settings that differ from the base; ``None`` trains nothing.
        group: What it is compared with.
        depth: Of an image encoder of its own, trained shortly; 0 takes the common one.
        views: Of images of its own; 0 takes the common ones.
    """

    changes: dict[str, Any] | None
    group: str = 'parts'
    depth: Literal[0, 18, 34] = 0
    views: int = 0


VARIANTS = {
    'untrained': Variant(None),
    'local + overall': Variant({}),
    'overall': Variant({'local_weight': 0.0}),
    'local': Variant({'overall_weight': 0.0}),
    'without pose': Variant({'pose_join': 'none'}),
    'masked': Variant({'local_weight': 0.0, 'overall_weight': 0.0, 'masked_weight': 1.0}),
    'masked + local + overall': Variant({'masked_weight': 1.0}),
    'pose at the input': Variant({'pose_join': 'input'}),
    'own image negatives': Variant({'negatives': 'image'}),
    '5 of 20 views': Variant({'view_pool': 5}),
    '10 of 20 views': Variant({'view_pool': 10}),
    'short ResNet-18': Variant({}, 'teacher', depth=18),
    'short ResNet-34': Variant({}, 'teacher', depth=34),
    '6 rendered views': Variant({}, 'views', views=6),
    '12 rendered views': Variant({}, 'views', views=12),
    '20 rendered views': Variant({}, 'views', views=20),
    '30 rendered views': Variant({}, 'views', views=30),
}
GROUPS = {
    'parts': 'Parts of the method',
    'teacher': 'A deeper image encoder: equal steps of teaching',
    'views': 'Rendered views: small folders of their own, the same shapes',
}
"""Groups of variants, and what each asks."""
