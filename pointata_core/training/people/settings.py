# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the training of a person skill."""

from __future__ import annotations

from dataclasses import dataclass, field

from pointata_core.bundles.person_manifest import PersonPreparation
from pointata_core.training.engine.options import RunOptions
from pointata_core.training.engine.settings import require


@dataclass(frozen=True)
class PeopleMix:
    """Some simulated recordings.

    Args:
        scene: Kind of scene.
        sensor: Name of a sensor preset.
        seeds: The first seed, and the one behind the last.
        seconds: Length of a recording.
    """

    scene: str
    sensor: str
    seeds: tuple[int, int]
    seconds: float = 8.0

    def __post_init__(self) -> None:
        rules = (
            ('seeds', self.seeds[0] < self.seeds[1], 'two numbers, the second larger'),
            ('seconds', self.seconds > 0, 'more than 0'),
        )
        require(self, rules, 'data.')


@dataclass(frozen=True)
class Disturbances:
    """What happens to the crops of a window in training.

    Args:
        drop: Largest share of the points that a window loses.
        hide: Share of windows in which everything below or beside a plane is hidden.
        lose: Share of frames without any point.
        jitter_m: Metres, standard deviation of noise on every point.
        shift_m: Metres, standard deviation of the place of a crop, the same for a whole window.
        floor_m: Metres, standard deviation of the floor.
        scale: Largest share by which a body grows or shrinks.
        intruders: Most points of somebody or something else in a frame.
        still: Share of windows without velocity, as of those who walk or run on the spot.
    """

    drop: float = 0.6
    hide: float = 0.3
    lose: float = 0.03
    jitter_m: float = 0.015
    shift_m: float = 0.08
    floor_m: float = 0.06
    scale: float = 0.1
    intruders: int = 8
    still: float = 0.25


@dataclass(frozen=True)
class PeopleSettings(RunOptions):
    """A whole run.

    Args:
        name: Of the skill.
        output: Folder of the run.
        recipe: File that the settings were read from; filled in on reading.
        licence: Of the weights.
        train: Recordings to learn from.
        held_out: Recordings to score on. Scored are bodies and captured motions that the training
            leaves out: every fourth phenotype, and every fourth clip.
        cache: Folder of crops; safe to delete.
        range_m: Metres within which people are learned and scored.
        window: Frames of a sample.
        steps: Of the optimiser.
        batch: Windows of a step.
        learning_rate: Peak of AdamW's cosine.
        muon_rate: Peak of Muon's, which then trains the matrices; 0 for AdamW alone.
        weight_decay: On matrices.
        label_smoothing: Of the cross-entropy.
        class_weight_power: 0 for equal weights, 1 for classes balanced by frequency.
        width: Width of the description of a crop.
        preparation: How people are cut out and decided on; the temperature is fitted.
        disturbances: What happens to the crops.
    """

    name: str = 'people'
    output: str = 'runs/people'
    recipe: str = ''
    licence: str = 'Apache-2.0'
    train: tuple[PeopleMix, ...] = ()
    held_out: tuple[PeopleMix, ...] = ()
    cache: str = 'runs/cache/people'
    range_m: float = 15.0
    window: int = 48
    steps: int = 3000
    batch: int = 32
    learning_rate: float = 2e-3
    muon_rate: float = 0.0
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    class_weight_power: float = 0.5
    width: int = 128
    preparation: PersonPreparation = field(default_factory=PersonPreparation)
    disturbances: Disturbances = field(default_factory=Disturbances)

    def __post_init__(self) -> None:
        rules = (
            ('train', bool(self.train), 'recordings to learn from'),
            ('held_out', bool(self.held_out), 'recordings to score on'),
            ('steps', self.steps >= 1, '1 or more'),
            ('batch', self.batch >= 1, '1 or more'),
            ('window', self.window >= 2, '2 or more'),
        )
        require(self, rules)
