# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import BundleWarning
from pointata_core.bundles.manifest_fields import Task, TensorFile
from pointata_core.bundles.preparation_config import FeatureSpec, PreparationConfig
from pointata_core.errors import BundleError
from pointata_core.models.point.config import preset_config

NETWORK = preset_config(
    'tiny',
    features=('ring', 'intensity'),
    segmentation_classes=('road', 'car', 'person'),
    action_classes=('stand', 'walk'),
).to_dict()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def make_manifest(**fields: Any) -> Manifest:
    preparation = PreparationConfig(features={'ring': FeatureSpec(), 'intensity': FeatureSpec()})
    values = {
        'preset': 'tiny',
        'preparation': preparation.to_dict(),
        'statistics': {'range': {'p50': 12.5, 'p95': 60.0}},
        'provenance': {'seed': 7, 'metrics': {'miou': 0.5}},
        'colours': {'segmentation': [(1, 2, 3), (4, 5, 6), (7, 8, 9)]},
    }
    manifest = Manifest.for_network('street-1.0', NETWORK, **{**values, **fields})
    return manifest.sealed(
        backbone=TensorFile('a' * 64, 1000, 'float32'), skill=TensorFile('b' * 64, 500, 'float16')
    )


def seal(document: dict[str, Any]) -> str:
    """Add the checksum that the format's description asks for."""
    document = {key: value for key, value in document.items() if key != 'checksum'}
    text = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return json.dumps({**document, 'checksum': hashlib.sha256(text.encode()).hexdigest()})


def changed(change: Callable[[dict[str, Any]], None]) -> str:
    document = json.loads(make_manifest().to_json())
    change(document)
    return seal(document)


def test_a_manifest_equals_itself_after_writing_and_reading() -> None:
    manifest = make_manifest()
    again = Manifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.to_json() == manifest.to_json()
    assert again.checksum == manifest.checksum


@given(st.dictionaries(st.text(max_size=6), json_values, max_size=4))
@settings(max_examples=60, deadline=None)
def test_provenance_is_free(provenance: dict[str, Any]) -> None:
    manifest = make_manifest(provenance=provenance)
    assert Manifest.from_json(manifest.to_json()).provenance == provenance


def test_the_order_of_features_survives() -> None:
    again = Manifest.from_json(make_manifest().to_json())
    assert again.fields == ('x', 'y', 'z', 'ring', 'intensity')
    assert list(again.preparation['features']) == ['ring', 'intensity']


def test_classes_are_those_of_the_network() -> None:
    manifest = make_manifest()
    assert manifest.segmentation_classes == ('road', 'car', 'person')
    assert manifest.action_classes == ('stand', 'walk')
    silent = Manifest.for_network('silent', preset_config('tiny').to_dict())
    assert silent.segmentation_classes == silent.action_classes == ()


def test_later_changes_to_the_callers_values_do_not_reach_a_manifest() -> None:
    provenance = {'metrics': {'miou': 0.5}}
    manifest = make_manifest(provenance=provenance)
    provenance['metrics']['miou'] = 0.9
    assert manifest.provenance['metrics']['miou'] == 0.5


@pytest.mark.parametrize(
    'change', [{'licence': 'MIT'}, {'provenance': {'seed': 8}}, {'statistics': {}}]
)
def test_the_checksum_covers_every_field(change: dict[str, Any]) -> None:
    manifest = make_manifest()
    assert replace(manifest, **change).checksum != manifest.checksum


@pytest.mark.parametrize(
    'text',
    [
        '',
        '{',
        '[]',
        'null',
        b'\xff\xfe',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": ' + '9' * 5000 + '}',
        '[' * 100_000,
        '{"a":' * 40 + '1' + '}' * 40,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_text_that_is_no_strict_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r'street/manifest\.json: found'):
        Manifest.from_json(text, 'street/manifest.json')


def _delete(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


def _set(*path_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = path_and_value

    def change(document: dict[str, Any]) -> None:
        for key in path:
            document = document[key]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        (_delete('network'), 'network'),
        (_delete('preparation'), 'preparation'),
        (_set('format_version', 0), 'format_version'),
        (_set('format_version', True), 'format_version'),
        (_set('format_version', '1'), 'format_version'),
        (_set('format_minor', -1), 'format_minor'),
        (_set('kind', 'oracle'), 'kind'),
        (_set('kind', []), 'kind'),
        (_set('name', '../street'), 'name'),
        (_set('name', ''), 'name'),
        (_set('name', 3), 'name'),
        (_set('preset', None), 'preset'),
        (_set('network', []), 'network'),
        (_set('network', 'features', 'ring'), 'network.features'),
        (_set('features', ['intensity', 'ring']), 'features'),
        (_set('features', ['ring', 'ring']), 'features'),
        (_set('tasks', 'detection', {'classes': ['a'], 'colours': []}), 'tasks'),
        (_set('tasks', 'action', []), 'tasks.action'),
        (_delete('tasks', 'action'), 'tasks.action.classes'),
        (_set('tasks', 'action', 'classes', ['walk', 'stand']), 'tasks.action.classes'),
        (_set('tasks', 'action', 'classes', ['stand', 'stand']), 'tasks.action.classes'),
        (_set('tasks', 'action', 'classes', ['stand', '\x1b[2J']), 'tasks.action.classes'),
        (_set('tasks', 'action', 'classes', []), 'tasks.action.classes'),
        (_set('tasks', 'action', 'classes', [['stand'], 'walk']), 'tasks.action.classes'),
        (_set('tasks', 'action', 'colours', [[1, 2, 3]]), 'tasks.action.colours'),
        (_set('tasks', 'action', 'colours', [[1, 2, 3], [1, 2, 256]]), 'tasks.action.colours'),
        (_set('statistics', {'range': 3}), 'statistics.range'),
        (_set('statistics', {'range': {'p50': 'far'}}), 'statistics.range'),
        (_delete('files', 'skill'), 'files'),
        (_set('files', 'backbone', 'sha256', '../../../etc/passwd'), 'files.backbone.sha256'),
        (_set('files', 'backbone', 'sha256', 'A' * 64), 'files.backbone.sha256'),
        (_set('files', 'backbone', 'size', -1), 'files.backbone.size'),
        (_set('files', 'backbone', 'size', 1.5), 'files.backbone.size'),
        (_set('files', 'skill', 'dtype', 'float64'), 'files.skill.dtype'),
        (_set('files', 'skill', 'path', 'elsewhere'), 'files.skill'),
        (_set('comment', 'hello'), 'comment'),
    ],
)
def test_a_wrong_field_is_named(change: Callable[[dict[str, Any]], None], field: str) -> None:
    with pytest.raises(BundleError, match=f"field '{field}': found .*, expected ") as caught:
        Manifest.from_json(changed(change), 'street/manifest.json')
    assert caught.value.message.startswith('street/manifest.json: ')
    assert caught.value.fix


def test_a_newer_format_asks_for_an_upgrade() -> None:
    with pytest.raises(BundleError, match='Upgrade'):
        Manifest.from_json(changed(_set('format_version', 2)))


def test_a_camera_bundle_is_no_skill() -> None:
    with pytest.raises(BundleError, match='camera bundle'):
        Manifest.from_json(changed(_set('kind', 'camera_lidar')))


def test_additions_of_a_newer_minor_version_are_kept_with_a_warning() -> None:
    def newer(document: dict[str, Any]) -> None:
        document['format_minor'] = 7
        document['calibration'] = {'temperature': 1.5}

    text = changed(newer)
    with pytest.warns(BundleWarning, match='calibration'):
        manifest = Manifest.from_json(text)
    assert manifest.unknown == {'calibration': {'temperature': 1.5}}
    assert manifest.checksum == json.loads(text)['checksum']


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    manifest = make_manifest()
    text = bytearray(manifest.to_json().encode())
    position = data.draw(st.integers(0, len(text) - 1))
    text[position] ^= data.draw(st.integers(1, 255))
    try:
        read = Manifest.from_json(bytes(text))
    except BundleError:
        return
    assert read == manifest, 'only white space may differ'


PATHS = [
    ('format_version',),
    ('format_minor',),
    ('kind',),
    ('name',),
    ('preset',),
    ('licence',),
    ('network',),
    ('network', 'segmentation_classes'),
    ('tasks',),
    ('tasks', 'segmentation'),
    ('tasks', 'segmentation', 'colours'),
    ('features',),
    ('preparation',),
    ('statistics',),
    ('files',),
    ('files', 'skill'),
    ('files', 'skill', 'size'),
    ('provenance',),
]


@given(st.sampled_from(PATHS), json_values)
@settings(max_examples=200, deadline=None)
@pytest.mark.filterwarnings('ignore::pointata_core.bundles.manifest_base.BundleWarning')
def test_any_value_in_any_field_is_read_or_refused(path: tuple[str, ...], value: Any) -> None:
    text = changed(_set(*path, value))
    try:
        manifest = Manifest.from_json(text)
    except BundleError:
        return
    # What was accepted is what was written.
    assert manifest.checksum == json.loads(text)['checksum']


@pytest.mark.parametrize('classes', [(), ('a', 'a'), ('',), ('a' * 65,), (' ',), ['a']])
def test_a_task_needs_distinct_printable_names(classes: Any) -> None:
    with pytest.raises(BundleError, match="field 'classes'"):
        Task(classes)


def test_values_that_json_cannot_hold_are_refused() -> None:
    for value in (float('nan'), float('inf'), object(), {1: 2}, b'x'):
        with pytest.raises(BundleError, match="field 'provenance'"):
            make_manifest(provenance={'x': value})
