# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The example policy for secured graphs is neither wider nor narrower than what the node does."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from node_harness import Bench

from benchmarks.robustness.ros_graph import wait_until

pytestmark = pytest.mark.ros
ROOT = Path(__file__).resolve().parent.parent
POLICY = ROOT / 'config/sros2/perception_node.policy.xml'
# Made by rclpy on some distributions only.
OPTIONAL = {('reply', 'get_type_description')}


def allowed(node: str) -> set[tuple[str, str]]:
    """What the policy allows a node: (publish | subscribe | reply | request, resolved name)."""
    root = ElementTree.parse(POLICY).getroot()
    (profile,) = [one for one in root.iter('profile') if one.get('node') == node]
    namespace = profile.get('ns').rstrip('/')
    permissions = set()
    for group in profile:
        for action, verdict in group.attrib.items():
            assert verdict == 'ALLOW'
            for expression in group:
                name = expression.text.strip()
                name = f'{namespace}/{node}{name[1:]}' if name.startswith('~') else name
                assert name.startswith('/'), f'{name} depends on where it is read'
                assert '*' not in name, f'{name} allows what nobody has looked at'
                assert (action, name) not in permissions, f'{name} stands there twice'
                permissions.add((action, name))
    return permissions


def used(bench: Bench) -> set[tuple[str, str]]:
    """What the live node has on the graph."""
    observer, namespace, name = bench._client.node, '/', 'perception_node'
    found = {
        'publish': observer.get_publisher_names_and_types_by_node(name, namespace),
        'subscribe': observer.get_subscriber_names_and_types_by_node(name, namespace),
        'reply': observer.get_service_names_and_types_by_node(name, namespace),
        'request': observer.get_client_names_and_types_by_node(name, namespace),
    }
    return {(action, topic) for action, rows in found.items() for topic, _ in rows}


def required(permissions: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {
        (action, name)
        for action, name in permissions
        if (action, name.rpartition('/')[2]) not in OPTIONAL
    }


def test_the_policy_is_exactly_what_an_active_node_needs(untrained_bundle):
    permissions = allowed('perception_node')
    with Bench('perception_node', bundle=str(untrained_bundle), use_sim_time=True) as bench:
        bench.wait_for_state('active')
        wait_until(
            lambda: ('subscribe', '/perception_node/input/points') in used(bench),
            'the graph to be known',
        )
        wait_until(lambda: used(bench) >= required(permissions), 'everything that is allowed')
        assert used(bench) - permissions == set()


def test_the_listener_for_transforms_may_only_listen():
    permissions = allowed('perception_node_transforms')
    assert {name for action, name in permissions if action == 'subscribe'} == {
        '/tf',
        '/tf_static',
        '/clock',
    }
    assert {name for action, name in permissions if action == 'publish'} == {
        '/rosout',
        '/parameter_events',
    }


def test_the_documented_trust_boundary_names_the_policy_and_the_audit():
    security = (ROOT / 'SECURITY.md').read_text(encoding='utf-8')
    assert str(POLICY.relative_to(ROOT)) in security
    assert 'pip-audit' in (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
