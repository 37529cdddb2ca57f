# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A served bundle trained further on a recording without labels.

In every round the bundle labels the recording, and training goes on from it with these labels and
simulated streets in turn, sectors of both in one scan. The simulated half keeps what the bundle
knew. At the end the bundle has to pass its own checks on scans that it did not learn from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pointata_core.bundles.bundle import SkillBundle, load_bundle, save_bundle
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.safe_files import make_output_folder, write_json
from pointata_core.taxonomy import SEGMENTATION_CLASSES
from pointata_core.training.domain.pseudo_scans import write_pseudo_labels
from pointata_core.training.domain.recorded_scans import RecordedScan
from pointata_core.training.domain.self_checks import SelfCheck, check_bundle
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

Run = list[RecordedScan]
_OF_THE_BUNDLE = (
    *('geometry', 'embedder_frames', 'motion_lags', 'motion_reach', 'token_fields'),
    *('adapter_width', 'adapter_kernel', 'adapted_blocks', 'context_width'),
    *('scene', 'segmentation_width', 'segmentation_blocks'),
)  # fields of its network that a recipe does not choose
_RUN = 5  # scans in a row, so that time can be learned from
_CHECKED = 4  # every so many runs, one is kept for the checks


@dataclass(frozen=True)
class AdaptationResult:
    """What became of a bundle.

    Attributes:
        bundle: The bundle; ``None`` if it is worse than before.
        before: Checks of the bundle that it began with.
        after: Checks of the outcome.
        worse: Why it is not written, as sentences.
        scans: Learned from, checked on.
    """

    bundle: Path | None
    before: SelfCheck
    after: SelfCheck
    worse: tuple[str, ...]
    scans: tuple[int, int]


def adapt_bundle(
    start: str | Path,
    scans: Iterable[RecordedScan],
    settings: TrainingSettings,
    *,
    most_scans: int = 200,
    share: float = 0.5,
    rounds: int = 2,
    **training: Any,
) -> AdaptationResult:
    """Train a bundle further on scans without labels.

    Args:
        start: Bundle, by folder or name.
        scans: In order.
        settings: Of each round; data and start are filled in.
        most_scans: Scans to take, in runs of consecutive ones spread over the recording.
        share: See :func:`write_pseudo_labels`.
        rounds: How often the bundle labels the recording anew.
        training: See :func:`run_train`.

    Raises:
        ConfigError: The bundle has other classes, or the recording no usable scan.
        PointataError: Bundle or recording cannot be read.
    """
    bundle = load_start(start)
    output = make_output_folder(settings.output)
    learned, checked = _divided(spread_runs(scans, most_scans))
    if not learned:
        raise ConfigError('the recording has no scans', 'Give one with clouds')
    before = check_bundle(bundle, checked)
    for number in range(1, rounds + 1):
        folder = output / f'round_{number}'
        write_pseudo_labels(bundle, learned, folder / 'scans', share)
        result = run_train(
            going_on(replace(settings, output=str(folder)), bundle, folder / 'scans'), **training
        )
        assert result is not None and result.bundle is not None
        bundle = load_bundle(result.bundle)
    after = check_bundle(bundle, checked)
    worse = tuple(after.worse_than(before))
    written = None if worse else _written(output / 'bundle', bundle, settings.name, before, after)
    found = AdaptationResult(written, before, after, worse, (_scans(learned), _scans(checked)))
    write_json(output / 'adaptation.json', {**asdict(found), 'bundle': written and str(written)})
    return found


def load_start(start: str | Path, classes: tuple[str, ...] = SEGMENTATION_CLASSES) -> SkillBundle:
    """Load a bundle that recorded streets can train further.

    Args:
        start: By folder or name.
        classes: The bundle has the first of these, at least those of the default bundle.

    Raises:
        ConfigError: It has classes of its own.
        PointataError: It cannot be read.
    """
    bundle = load_bundle(start)
    known = tuple(bundle.manifest.segmentation_classes)
    if len(known) < len(SEGMENTATION_CLASSES) or known != classes[: len(known)]:
        raise ConfigError(
            f'bundle {bundle.manifest.name} labels points with classes of its own',
            'Start from a bundle with the classes of the default one',
        )
    return bundle


def going_on(settings: TrainingSettings, bundle: SkillBundle, scans: Path) -> TrainingSettings:
    """The same training, from a bundle, with scans in the layout of SemanticKITTI.

    Network and preparation are those of the bundle, whatever the recipe says.
    """
    config = bundle.network.config
    same = {name: getattr(config, name) for name in _OF_THE_BUNDLE}
    return replace(
        settings,
        data=replace(settings.data, root=str(scans)),
        preparation=PreparationConfig.from_dict(bundle.manifest.preparation),
        network=replace(settings.network, start=str(bundle.path), **same),
        licence=bundle.manifest.licence,
    )


def _written(
    path: Path, bundle: SkillBundle, name: str, before: SelfCheck, after: SelfCheck
) -> Path:
    checks = {'before': asdict(before), 'after': asdict(after)}
    provenance = {**bundle.manifest.provenance, 'self_checks': checks}
    manifest = replace(bundle.manifest, name=name, provenance=provenance)
    save_bundle(path, bundle.network, manifest, half=True, self_contained=True)
    return path


def spread_runs(scans: Iterable[RecordedScan], most: int) -> list[Run]:
    """Runs of consecutive scans from all of a recording, however long it is.

    Args:
        scans: In order; no more than about ``most`` are kept in memory.
        most: Scans in all.
    """
    runs: list[Run] = []
    source, number, step = iter(scans), 0, 1
    while run := list(islice(source, _RUN)):
        if number % step == 0:
            runs.append(run)
        if len(runs) > max(1, most // _RUN):
            runs, step = runs[::2], 2 * step
        number += 1
    return runs


def _divided(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """Runs to learn from and runs to check on; those of a short recording serve for both."""
    if len(runs) < _CHECKED:
        return runs, runs
    return [run for n, run in enumerate(runs) if n % _CHECKED], runs[::_CHECKED]


def _scans(runs: list[Run]) -> int:
    return sum(map(len, runs))
