# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a recording make a clip, and which points of a cloud are kept.

Random choices come from a generator keyed by (seed, epoch, number of the clip), so that a score can
be reproduced whatever the order or the number of processes in which clips are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class ClipSampling:
    """How recordings become clips.

    ============  ==============================================================================
    ``sliding``   ``frames`` frames, ``stride`` apart, from starts 0, ``hop``, 2 ``hop``, ... as
                  long as the clip ends within the recording
    ``causal``    the same number of frames up to and with frame 0, ``hop``, 2 ``hop``, ...; what
                  would lie before the first frame repeats it
    ``uniform``   one clip: one frame out of each of ``frames`` equal parts of the recording
    ``whole``     one clip: every frame
    ============  ==============================================================================

    Args:
        window: One of the above.
        frames: Frames per clip; unused by ``whole``.
        stride: Distance between frames of a clip.
        hop: Distance between clips.
        short: What becomes of windows for which a recording is too short: ``pad`` repeats its last
            frame (``sliding``) or its first (``causal``), ``drop`` leaves the window out, as public
            loaders do: such recordings vanish from the score.
        pick: Which frame of its part ``uniform`` takes: ``first``, ``middle``, ``random``, or
            ``shifted``: the same place in every part, drawn once a clip. Frames then lie evenly in
            time, and speeds stay what they are.
        points: Points per frame; None keeps all.
        seed: Seed of all random choices.

    Raises:
        ConfigError: A value is out of range.
    """

    window: Literal['sliding', 'causal', 'uniform', 'whole'] = 'sliding'
    frames: int = 24
    stride: int = 1
    hop: int = 1
    short: Literal['pad', 'drop'] = 'pad'
    pick: Literal['first', 'middle', 'random', 'shifted'] = 'first'
    points: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            'window': ('sliding', 'causal', 'uniform', 'whole'),
            'short': ('pad', 'drop'),
            'pick': ('first', 'middle', 'random', 'shifted'),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} is '{getattr(self, name)}'", f'Choose one of {", ".join(allowed)}'
                )
        for name in ('frames', 'stride', 'hop', 'points'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f'{name} is {value}, expected at least 1', 'Raise it')

    @property
    def span(self) -> int:
        """Frames from the first to the last of a clip, both counted."""
        return self.stride * (self.frames - 1) + 1

    def clips_in(self, length: int) -> int:
        """Number of clips of a recording of ``length`` frames."""
        if length < 1:
            return 0
        if self.window in ('whole', 'uniform'):
            return 1
        if self.window == 'causal' and self.short == 'pad':
            return -(-length // self.hop)
        if length < self.span:
            return int(self.short == 'pad')
        return (length - self.span) // self.hop + 1

    def frames_of(
        self, length: int, number: int, generator: np.random.Generator | None = None
    ) -> NDArray[np.int64]:
        """Frames of one clip.

        Args:
            length: Frames of the recording, at least 1.
            number: Which of its clips, in ``range(clips_in(length))``.
            generator: Needed by ``pick='random'`` and ``'shifted'`` only.

        Returns:
            (T,) int64 in order of time.
        """
        steps = np.arange(self.frames)
        if self.window == 'whole':
            return np.arange(length)
        if self.window == 'uniform':
            return self._one_of_each_part(length, generator)
        if self.window == 'causal':
            first_end = 0 if self.short == 'pad' else self.span - 1
            end = first_end + number * self.hop
            return np.maximum(end - self.stride * steps[::-1], 0)
        return np.minimum(number * self.hop + self.stride * steps, length - 1)

    def _one_of_each_part(
        self, length: int, generator: np.random.Generator | None
    ) -> NDArray[np.int64]:
        steps = np.arange(self.frames)
        edges = np.arange(self.frames + 1) * length // self.frames
        first, room = edges[:-1], np.maximum(np.diff(edges), 1)
        if self.pick == 'first':
            return first
        if self.pick == 'middle':
            return first + room // 2
        if generator is None:
            raise ValueError(f'pick={self.pick!r} needs a generator')
        if self.pick == 'shifted':
            return ((steps + generator.random()) * length / self.frames).astype(np.int64)
        return first + generator.integers(0, room)


def generator_for(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one clip in one epoch."""
    return np.random.default_rng((seed % 2**64, epoch, index))


def choose_points(available: int, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose exactly ``count`` of ``available`` points.

    As public loaders of point-cloud video do: without replacement where there are enough, else
    every point equally often plus a random remainder without replacement.

    Args:
        available: Number of points, at least 1.
        count: Number wanted.
        generator: Source of randomness.

    Returns:
        (count,) int64 indices.
    """
    if available > count:
        return generator.choice(available, count, replace=False)
    times, rest = divmod(count, available)
    remainder = generator.choice(available, rest, replace=False)
    return np.concatenate([np.tile(np.arange(available), times), remainder])


def nearest_filled(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every frame the frame to take points from: itself, or the last before it that has any.

    Empty frames at the beginning take the first filled one. If all are empty each takes itself.

    Args:
        counts: (T,) points per frame.

    Returns:
        (T,) int64.
    """
    filled = np.flatnonzero(counts)
    own = np.arange(len(counts))
    if not len(filled):
        return own
    last = np.searchsorted(filled, own, side='right') - 1
    return filled[np.maximum(last, 0)]
