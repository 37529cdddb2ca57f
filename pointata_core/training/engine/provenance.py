# SPDX-License-Identifier: Apache-2.0
"""Where weights come from: what is written into every bundle and result."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from pointata_core.evaluation import environment
from pointata_core.training.skill.settings import TrainingSettings


def commit() -> str:
    """Commit of the running source tree; ``unknown`` for an installed package."""
    command = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return 'unknown'
    return done.stdout.strip() or 'unknown'


def provenance(settings: TrainingSettings, **facts: Any) -> dict[str, Any]:
    """Plain values: settings, commit, versions, machine and whatever else is known."""
    versions = environment.versions()
    versions['lightning'] = metadata.version('lightning')
    values = settings.to_dict()
    # Folders are this machine's business.
    values['data'] = {**values['data'], 'root': Path(settings.data.root).name, 'cache': ''}
    values['output'] = ''
    values['align']['root'] = Path(settings.align.root).name
    document = {'settings': values, 'commit': commit(), 'versions': versions, **facts}
    return json.loads(json.dumps(document))
