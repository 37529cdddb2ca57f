# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The street bundle: marked as not for commercial use wherever a person may meet it."""

from __future__ import annotations

import json
from pathlib import Path

from pointata_core.bundles.bundle import load_bundle
from pointata_core.bundles.verify import verify_bundle
from pointata_core.cli.main import main
from pointata_core.inference.loading import open_bundle
from pointata_core.taxonomy import SEGMENTATION_CLASSES

ROOT = Path(__file__).resolve().parents[1]
LICENCE = 'CC-BY-NC-SA-4.0'


def test_it_loads_by_its_name_and_is_never_the_default():
    bundle = load_bundle('street')
    assert verify_bundle('street').ok
    assert bundle.manifest.segmentation_classes == SEGMENTATION_CLASSES
    assert bundle.manifest.provenance['recipe'] == 'config/training/street.yaml'
    assert open_bundle(None, 'cpu').bundle.manifest.name == 'default'


def test_its_licence_is_told_by_manifest_command_and_notice(capsys):
    assert load_bundle('street').manifest.licence == LICENCE
    assert load_bundle('default').manifest.licence == 'Apache-2.0'
    assert main(['bundle', 'street', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['licence'] == LICENCE
    notice = (ROOT / 'NOTICE').read_text()
    assert 'models/street' in notice
    assert 'SemanticKITTI' in notice


def test_it_was_scored_on_what_the_default_is_scored_on():
    def kinds(name: str) -> set[str]:
        validation = load_bundle(name).manifest.provenance['validation']
        return {score['kind'] for score in validation['scores'] if score['task'] == 'points'}

    assert kinds('street') <= kinds('default')
