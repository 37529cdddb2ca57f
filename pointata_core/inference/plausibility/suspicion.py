# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What seems to be wrong with a cloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suspicion:
    """One thing that seems to be wrong.

    Attributes:
        kind: The same suspicion keeps its kind, whatever its figures.
        text: What was found, what it may mean and what to do; for people.
        is_fact: True for what is certain and may be normal: a remark, no warning.
    """

    kind: str
    text: str
    is_fact: bool = False
