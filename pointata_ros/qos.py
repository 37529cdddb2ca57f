# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service by purpose, and the checked overrides that users may give."""

from __future__ import annotations

from rcl_interfaces.msg import SetParametersResult
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions


def input_profile(policy: str, queue_size: int) -> QoSProfile:
    """Quality of service of the cloud subscription.

    Live, best effort matches both kinds of publisher. Under ``block`` no cloud may be lost, which
    only a reliable connection that keeps everything can promise.
    """
    if policy == 'block':
        return QoSProfile(
            history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE
        )
    return QoSProfile(depth=queue_size, reliability=QoSReliabilityPolicy.BEST_EFFORT)


def output_profile() -> QoSProfile:
    """Results: reliable, because such a publisher matches subscribers of either kind."""
    return QoSProfile(depth=5, reliability=QoSReliabilityPolicy.RELIABLE)


def small_profile() -> QoSProfile:
    """Diagnostics: small and reliable."""
    return QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)


def latched_profile() -> QoSProfile:
    """Label tables: late subscribers still get the last one. Not overridable."""
    return QoSProfile(
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )


def overrides() -> QoSOverridingOptions:
    """Let ``qos_overrides.*`` change history, depth and reliability, within reason."""
    return QoSOverridingOptions.with_default_policies(callback=_judge)


def _judge(profile: QoSProfile) -> SetParametersResult:
    if profile.history == QoSHistoryPolicy.KEEP_LAST and profile.depth < 1:
        return SetParametersResult(
            successful=False, reason=f'depth is {profile.depth}, expected at least 1'
        )
    return SetParametersResult(successful=True)


def describe(profile: QoSProfile) -> str:
    """A profile in a few words, as the log shows it."""
    history = 'keep all'
    if profile.history != QoSHistoryPolicy.KEEP_ALL:
        history = f'keep last {profile.depth}'
    reliability = profile.reliability.name.lower().replace('_', ' ')
    durability = profile.durability.name.lower().replace('_', ' ')
    return f'{reliability}, {durability}, {history}'
