# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of scenes that are simulated when they are read, with nothing kept on disk.

A split is a mix of scenes and sensors that the caller names, so a training recipe states its data
in its own file. A clip holds both the classes of points and the actions of frames. Recorded drives
with labels may be mixed in; their frames have no action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scan_clips import ScanClips, ScanRecording
from pointata_core.datasets.scenes.semantickitti_clips import semantickitti_clips
from pointata_core.errors import ConfigError
from pointata_core.simulation import Mount, SimulatedFrame, simulate
from pointata_core.taxonomy import ACTION_CLASSES, IGNORE, SEGMENTATION_CLASSES, or_ignored

WHOLE = ClipSampling('whole')


@dataclass(frozen=True)
class SceneMix:
    """Some scenes of one kind before one sensor.

    Args:
        scene: ``street``, ``traffic``, ``yard``, ``crowd`` or ``indoor``.
        sensor: Name of a sensor preset.
        seeds: The first seed, and the one behind the last; each seed is one recording.
        frames: Frames of a recording.
        rate_hz: Frames per second.
        mount: Height, pitch and roll of the sensor.
        turning: Spread the rays of a turn over the time between frames.

    Raises:
        ConfigError: There is no seed or no frame.
    """

    scene: str
    sensor: str
    seeds: tuple[int, int]
    frames: int
    rate_hz: float = 10.0
    mount: Mount = field(default_factory=Mount)
    turning: bool = False

    def __post_init__(self) -> None:
        if len(self.seeds) != 2 or self.seeds[1] <= self.seeds[0] or self.frames < 1:
            raise ConfigError(
                f'mix of {self.scene} and {self.sensor}: seeds {list(self.seeds)}, {self.frames} '
                'frames',
                'Give seeds as [first, behind the last] and at least one frame',
            )


@dataclass(frozen=True)
class DriveMix:
    """Recorded drives with labels.

    Args:
        recorded: Data set: ``semantickitti``.
        sequences: Those to take; empty for all below the root folder.
        without: Those to leave out.

    Raises:
        ConfigError: The data set is unknown.
    """

    recorded: str
    sequences: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.recorded != 'semantickitti':
            raise ConfigError(f"recorded is '{self.recorded}'", 'Give semantickitti')

    def open(self, root: Path, split: str, classes: int) -> list[RecordedDrive]:
        """The drives, with labels of so many classes.

        Raises:
            DataError: One is missing or damaged.
            ConfigError: None is left.
        """
        drives = semantickitti_clips(
            root, 'all', labels='pointata', sequences=self.sequences or None
        ).recordings
        taken = [
            RecordedDrive(one, split, classes) for one in drives if one.name not in self.without
        ]
        if not taken:
            raise ConfigError(f'{root}: no drive is left without {", ".join(self.without)}')
        return taken


class RecordedDrive:
    """One recorded drive; its frames have no action.

    Args:
        drive: With labels in our classes.
        split: Split that it is read for.
        classes: How many there are.
    """

    kind = 'recorded/hdl64'
    key = ''

    def __init__(
        self, drive: ScanRecording, split: str, classes: int = len(SEGMENTATION_CLASSES)
    ) -> None:
        self.drive, self.split, self.classes = drive, split, classes
        self.name, self.has_poses = f'{self.kind}/{drive.name}', drive.has_poses

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.drive)

    def scan(self, number: int) -> tuple[Frame, int]:
        """Read one scan."""
        frame, _ = self.drive.scan(number)
        labels = frame.labels
        if labels is not None:
            labels = np.where(labels < self.classes, labels, IGNORE)
        return replace(frame, labels=labels, sequence=self.name, split=self.split), IGNORE


class SimulatedRecording:
    """One recording; ``kind`` names its scene and sensor.

    Args:
        mix: Where it belongs.
        seed: Of scene and sensor noise.
    """

    has_poses = True

    def __init__(self, mix: SceneMix, seed: int) -> None:
        self.mix, self.seed = mix, seed
        self.kind = f'{mix.scene}/{mix.sensor}'
        self.name = f'{self.kind}/{seed:06d}'

    @property
    def key(self) -> str:
        """A name for what the mix and the seed give."""
        facts = repr(replace(self.mix, seeds=(self.seed, self.seed + 1)))
        return hashlib.sha256(facts.encode()).hexdigest()[:24]

    def __len__(self) -> int:
        """Number of frames."""
        return self.mix.frames

    def scan(self, number: int) -> tuple[Frame, int]:
        """Simulate one frame; return it with the action of the nearest person."""
        frame = _frames(self.mix, self.seed)[number]
        scan = Frame(
            points=frame.points,
            name=f'{self.name}/{number:06d}',
            features=frame.intensity[:, None],
            labels=or_ignored(frame.label),
            sequence=self.name,
            time_s=number / self.mix.rate_hz,
            pose=frame.pose,
        )
        return scan, frame.action


class SimulatedScenes(ScanClips):
    """Simulated clips of one mix; ``action_classes`` names the actions of their frames."""

    action_classes = ACTION_CLASSES

    @property
    def clip_kinds(self) -> tuple[str, ...]:
        """Scene and sensor of every clip."""
        return tuple(self.recordings[number].kind for number in self.clip_recordings)

    @property
    def clip_keys(self) -> tuple[str, ...]:
        """Of every clip a name that tells all that it depends on; empty for recorded ones."""
        if self.sampling.window != 'whole' or self.sampling.points is not None:
            return ('',) * len(self)
        return tuple(self.recordings[number].key for number in self.clip_recordings)


def simulated_scenes(
    root: str | Path,
    split: str,
    *,
    mixes: Mapping[str, Sequence[Mapping[str, Any]]],
    extra_classes: Sequence[str] = (),
    sampling: ClipSampling = WHOLE,
) -> SimulatedScenes:
    """Open a mix of simulated scenes.

    Args:
        root: Folder of recorded drives, where a mix has any.
        split: Name of the mix.
        mixes: Fields of :class:`SceneMix` or :class:`DriveMix` by name of the split.
        extra_classes: Classes behind those of the simulator, which only recorded drives have.
        sampling: Which frames make a clip; by default each recording is one.

    Raises:
        ConfigError: There is no such mix, or a field of it is unknown or out of range.
    """
    if split not in mixes:
        raise ConfigError(
            f"data.options.mixes has no '{split}'", f'It has {", ".join(mixes) or "none"}'
        )
    classes = (*SEGMENTATION_CLASSES, *extra_classes)
    recordings: list[SimulatedRecording | RecordedDrive] = []
    for fields in mixes[split]:
        if 'recorded' in fields:
            recordings += _drives(fields).open(Path(root), split, len(classes))
            continue
        try:
            mix = SceneMix(**{**fields, 'seeds': tuple(fields['seeds']), 'mount': _mount(fields)})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"mix '{split}': {error}", 'Give scene, sensor, seeds and frames'
            ) from error
        recordings += [SimulatedRecording(mix, seed) for seed in range(*mix.seeds)]
    return SimulatedScenes(
        'simulated_scenes',
        split,
        classes,
        recordings,
        sampling,
        feature_names=('intensity',),
    )


def _drives(fields: Mapping[str, Any]) -> DriveMix:
    names = {name: tuple(map(str, fields[name])) for name in fields if name != 'recorded'}
    try:
        return DriveMix(str(fields['recorded']), **names)
    except TypeError as error:
        raise ConfigError(
            f'mix of recorded drives: {error}', 'Give sequences or without'
        ) from error


@lru_cache(maxsize=1)
def _frames(mix: SceneMix, seed: int) -> list[SimulatedFrame]:
    """All frames of the recording that is read at the moment."""
    duration_s = mix.frames / mix.rate_hz
    return list(
        simulate(
            mix.scene,
            mix.sensor,
            seed,
            duration_s,
            mix.rate_hz,
            mount=mix.mount,
            turning=mix.turning,
        )
    )


def _mount(fields: Mapping[str, Any]) -> Mount:
    given = dict(fields.get('mount') or {})
    if given.get('height') is not None:
        low, high = given['height']
        given['height'] = (float(low), float(high))
    return Mount(**given)
