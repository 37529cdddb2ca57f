# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that the label page works with: the folder, the bundle, and what learns from both."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import SkillBundle
from pointata_core.errors import ConfigError
from pointata_core.resources import resource_path
from pointata_core.teaching.jobs import Jobs
from pointata_core.teaching.learning import RESULT, recipe_of
from pointata_core.teaching.predictions import has_predictions
from pointata_core.teaching.project import Project
from pointata_core.teaching.serving import publish_bundle


@dataclass
class Desk:
    """A folder that is being worked on.

    Args:
        project: Open.
        bundle: That labels its scans, and from which learning begins.
        config: Recipe of the learning; see :func:`recipe_of` where empty.
        overrides: Values in place of those of the recipe, as ``name=value``.
        jobs: Long work.
    """

    project: Project
    bundle: SkillBundle
    config: str = ''
    overrides: tuple[str, ...] = ()
    jobs: Jobs = field(default_factory=Jobs)

    @property
    def labelled(self) -> bool:
        """Whether all scans have labels of the bundle."""
        return has_predictions(self.project, self.bundle)

    def look(self) -> None:
        """Begin to label all scans, if that was not done with this bundle."""
        if not self.labelled:
            self.jobs.start('look', folder=str(self.project.folder), bundle=str(self.bundle.path))

    def learn(self) -> None:
        """Begin to learn.

        Raises:
            ConfigError: Another job runs, or scans have no labels yet.
        """
        if not self.labelled:
            raise ConfigError(
                'the scans have no labels of the bundle yet', 'Wait until all are labelled'
            )
        self.jobs.start(
            'learn',
            folder=str(self.project.folder),
            bundle=str(self.bundle.path),
            config=self.config or str(resource_path(recipe_of(self.project))),
            output=str(self._runs / f'{self._last_number() + 1:04d}'),
            overrides=list(self.overrides),
        )

    def learned(self) -> dict[str, Any] | None:
        """What the last finished run of learning found; ``None`` before the first."""
        run = self._last_run()
        return None if run is None else json.loads((run / RESULT).read_text())

    def labels_after(self, number: int) -> NDArray[np.uint16] | None:
        """Labels that the last run's bundle gives to a scan; ``None`` where it did not label it."""
        run = self._last_run()
        path = None if run is None else run / 'after' / f'{self.project.name(number)}.npy'
        return np.load(path, allow_pickle=False) if path is not None and path.is_file() else None

    def serve(self, although_worse: bool) -> Path:
        """Write the bundle of the last run to ``FOLDER/bundle``, and let nodes load it.

        Args:
            although_worse: Also if it became worse.

        Raises:
            ConfigError: Nothing was learned, it became worse, or another job runs.
            OutputError: It cannot be written.
        """
        facts = self.learned()
        if facts is None:
            raise ConfigError('nothing was learned yet', 'Learn first')
        if facts['worse'] and not although_worse:
            raise ConfigError(
                f'the bundle became worse: {"; ".join(facts["worse"])}',
                'Correct more segments and learn again, or serve it all the same',
            )
        target = publish_bundle(Path(facts['bundle']), self.project.folder.resolve() / 'bundle')
        self.jobs.start('serve', bundle=str(target))
        return target

    def state(self) -> dict[str, Any]:
        """Of the last job, as JSON values."""
        return {**asdict(self.jobs.state), 'labelled': self.labelled}

    @property
    def _runs(self) -> Path:
        return self.project.folder.resolve() / 'runs'

    def _last_number(self) -> int:
        return max((int(path.name) for path in self._runs.glob('[0-9]*')), default=0)

    def _last_run(self) -> Path | None:
        return max((path.parent for path in self._runs.glob(f'*/{RESULT}')), default=None)
