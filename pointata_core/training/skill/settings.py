# SPDX-License-Identifier: Apache-2.0
"""What a training run is told: typed values with defaults, from YAML and the command line.

The resolved values are saved with every run and in every bundle, so that a run can be repeated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.models.point.config import GeometryConfig, Readout
from pointata_core.training.clips.augmentation import AugmentationConfig
from pointata_core.training.engine.options import RunOptions
from pointata_core.transport import OtddConfig

Task = Literal['clip', 'frames', 'points']


@dataclass(frozen=True)
class DataSettings:
    """Where clips come from.

    Args:
        name: Data set, as ``pointata data list`` names it.
        root: Its folder.
        train: Split to learn from.
        validation: Split to score; it chooses nothing.
        sampling: How recordings become clips; ``null`` where the data set comes in clips.
        views: Clips per recording at validation whose answers are summed, for ``uniform`` sampling.
        variants: Differently augmented copies of each training clip, prepared once.
        options: Whatever else the loader takes.
        motion: Tell the network how the sensor moved between frames, by the data set's poses, as
            the node does with ``fixed_frame``; tubes then follow places, not the sensor.
        limit: Use only so many training clips, evenly over the recordings; 0 for all.
        cache: Folder of prepared clips and frozen features; safe to delete.
    """

    name: str = 'utd_mhad'
    root: str = ''
    train: str = 'fit'
    validation: str = 'validation'
    sampling: ClipSampling | None = field(
        default_factory=lambda: ClipSampling('uniform', frames=16, pick='middle')
    )
    views: int = 1
    variants: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    motion: bool = False
    limit: int = 0
    cache: str = 'runs/cache'

    def __post_init__(self) -> None:
        _at_least(self, 1, 'views', 'variants')
        _at_least(self, 0, 'limit')


@dataclass(frozen=True)
class NetworkSettings:
    """The skill's network; fields as in ``models.config.NetworkConfig`` unless described here.

    Args:
        backbone: A bundle's folder, a file of ``pointata convert``, or ``random:PRESET``.
        embedder: File of ``pointata align``, or a bundle whose skill's embedder is taken over
            (of a like sensor); empty for the backbone's own patch encoder.
        feature_scale: How strongly point features enter the embedder before any training: size of
            their random columns relative to those of the coordinates; 0 keeps the 3D embedder.
    """

    backbone: str = 'models/default'
    embedder: str = ''
    feature_scale: float = 0.0
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    embedder_frames: int = 1
    motion_lags: tuple[int, ...] = ()
    motion_reach: float = 0.3
    token_fields: bool = False
    adapter_width: int = 48
    adapter_kernel: int = 3
    adapted_blocks: int = -1
    context_width: int = 32
    segmentation_width: int = 96
    segmentation_blocks: tuple[int, ...] = (4, 8, 12)
    readout_width: int = 128
    readout_frames: int = 16
    readout: Readout = 'pooled'
    position_width: int = 0
    position_share: float = 0.5
    token_weight: float = 0.5
    dropout: float = 0.3


@dataclass(frozen=True)
class TuningSettings:
    """What is trained.

    Args:
        mode: One of ``pointata_core.training.skill.tuning.MODES``.
        train_embedder: Train the align embedder in stage 2 as well.
        lora_rank: Rank of the ``lora`` mode.
    """

    mode: str = 'pointata'
    train_embedder: bool = False
    lora_rank: int = 8


@dataclass(frozen=True)
class OptimiserSettings:
    """How stage 2 is trained.

    Args:
        epochs: Passes over the training clips.
        batch: Clips per step, over all processes together.
        learning_rate: Peak of AdamW's cosine.
        backbone_rate: Learning rate of the backbone's own parameters, where they are trained,
            relative to the others.
        weight_decay: On matrices; never on biases, norms and tokens.
        warmup: Share of the steps with a rising rate.
        clip: Largest norm of the gradient.
        label_smoothing: Of the cross-entropy.
        centre_rotation_deg: Rotation of the token centres (and of the points, where features are
            not frozen) about the vertical in every step, either way; on top of the prepared copies.
        centre_scale: Largest change of their scale, for every axis by itself.
        centre_shift: Standard deviation of their shift, normalised units.
        time_warp: Largest change of a clip's speed in every step, relative: frames are taken twice
            or left out. Not where the sensor's motion is known.
        class_weight_power: 0 for equal weights, 1 for classes balanced by frequency.
    """

    epochs: int = 30
    batch: int = 16
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 10.0
    label_smoothing: float = 0.1
    centre_rotation_deg: float = 0.0
    centre_scale: float = 0.0
    centre_shift: float = 0.0
    time_warp: float = 0.0
    class_weight_power: float = 0.0

    def __post_init__(self) -> None:
        _at_least(self, 1, 'epochs', 'batch')
        if not 0 <= self.warmup < 1:
            raise ConfigError(f'optimiser.warmup is {self.warmup}, expected 0 to below 1')
        if not 0 <= self.time_warp < 1:
            raise ConfigError(f'optimiser.time_warp is {self.time_warp}, expected 0 to below 1')


@dataclass(frozen=True)
class AlignSettings:
    """Stage 1.

    Args:
        objective: ``otdd``, ``mmd``, ``l2``, or ``none`` to skip the stage.
        source: Labelled 3D shapes: ``procedural`` or a data set of shapes by name.
        root: Folder of that data set.
        shapes: Shapes of the source, at most, dealt out evenly over its classes.
        points: Points of each shape.
        match_extent: First scale the embedder's columns of offsets so that the clips' patches look
            as large as the shapes' on average; not in an embedder that was trained before.
        epochs: Passes; each takes ``batch`` clips of every class. 0 for the scale alone.
        per_class: One class at a time, weighted by frequency; else mixed batches.
        batch: Frames per class (``per_class``) or per mixed step.
        learning_rate: Of AdamW.
        otdd: Settings of the distance.
    """

    objective: Literal['otdd', 'mmd', 'l2', 'none'] = 'otdd'
    source: str = 'procedural'
    root: str = ''
    shapes: int = 2000
    points: int = 1024
    match_extent: bool = True
    epochs: int = 20
    per_class: bool = True
    batch: int = 128
    learning_rate: float = 3e-4
    otdd: OtddConfig = field(default_factory=OtddConfig)

    def __post_init__(self) -> None:
        _at_least(self, 1, 'shapes', 'points')
        _at_least(self, 0, 'epochs')
        _at_least(self, 2, 'batch')


@dataclass(frozen=True)
class TrainingSettings(RunOptions):
    """A whole run; seed, device, precision and checkpoints as in :class:`RunOptions`.

    Args:
        name: Name of the skill; letters, digits, dot, dash, underscore.
        output: Folder of the run: checkpoint, logs, report and ``bundle``.
        task: ``clip`` (one action per clip), ``frames`` (one per frame), ``points`` (semantics).
        half: Store the bundle as float16.
        licence: Licence of the weights; depends on the data they were trained on.
    """

    name: str = 'skill'
    output: str = 'runs/skill'
    task: Task = 'clip'
    half: bool = False
    licence: str = 'Apache-2.0'
    data: DataSettings = field(default_factory=DataSettings)
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    align: AlignSettings = field(default_factory=AlignSettings)

    def __post_init__(self) -> None:
        if self.optimiser.time_warp and self.data.motion:
            raise ConfigError(
                f'optimiser.time_warp is {self.optimiser.time_warp} and data.motion is on: frames '
                "that change places no longer follow the sensor's motion",
                'Leave optimiser.time_warp at 0 where data.motion is on',
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)


def _at_least(settings: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise ConfigError(
                f'{type(settings).__name__}.{name} is {value}, expected at least {least}'
            )
