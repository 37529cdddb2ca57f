# SPDX-License-Identifier: Apache-2.0
"""Clips of scenes that are simulated when they are read, with nothing kept on disk.

A split is a mix of scenes and sensors that the caller names, so a training recipe states its data
in its own file. A clip holds both the classes of points and the actions of frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scan_clips import ScanClips
from pointata_core.errors import ConfigError
from pointata_core.simulation import Mount, SimulatedFrame, simulate
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, or_ignored

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


def simulated_scenes(
    root: str | Path,
    split: str,
    *,
    mixes: Mapping[str, Sequence[Mapping[str, Any]]],
    sampling: ClipSampling = WHOLE,
) -> SimulatedScenes:
    """Open a mix of simulated scenes.

    Args:
        root: Unused: nothing is on disk.
        split: Name of the mix.
        mixes: Fields of :class:`SceneMix` by name of the split.
        sampling: Which frames make a clip; by default each recording is one.

    Raises:
        ConfigError: There is no such mix, or a field of it is unknown or out of range.
    """
    if split not in mixes:
        raise ConfigError(
            f"data.options.mixes has no '{split}'", f'It has {", ".join(mixes) or "none"}'
        )
    recordings = []
    for fields in mixes[split]:
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
        SEGMENTATION_CLASSES,
        recordings,
        sampling,
        feature_names=('intensity',),
    )


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
