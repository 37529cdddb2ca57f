# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run: typed values with defaults, from YAML and the command line.

The resolved values are saved with every run and in every bundle, so that a run can be repeated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.models.point.config import GeometryConfig, Readout
from pointata_core.models.scene.config import SceneConfig
from pointata_core.training.clips.augmentation import AugmentationConfig, StepAugmentation
from pointata_core.training.clips.dropping import DropSettings
from pointata_core.training.clips.preparation import Task
from pointata_core.training.clips.store_recipe import StoreRecipe
from pointata_core.training.engine.options import RunOptions
from pointata_core.transport import OtddConfig

Section = TypeVar('Section', 'OptimiserSettings', 'TuningSettings')


@dataclass(frozen=True)
class DataSettings:
    """Where clips come from.

    Args:
        name: Data set, as ``pointata data list`` names it.
        root: Its folder.
        train: Split to learn from, where a stage names no other.
        validation: Split to score; it chooses nothing.
        stream: Score by streaming every recording frame by frame through the written bundle, on
            every input point and apart for every kind of recording; else on prepared clips.
        sampling: How recordings become clips; ``null`` where the data set comes in clips.
        views: Clips per recording at validation whose predictions are summed, for ``uniform``
            sampling.
        variants: Differently augmented copies of each training clip, prepared once.
        options: Whatever else the loader takes.
        motion: Give the network the sensor's motion between frames, by the data set's poses, as
            the node does with ``fixed_frame``; tubes then follow positions, not the sensor.
        limit: Use only so many training clips, evenly over the recordings; 0 for all.
        cache: Folder of prepared clips and frozen features; safe to delete.
        processes: Processes that prepare clips.
        ray: Address of a Ray cluster that prepares them instead, ``local`` for this machine.
    """

    name: str = 'utd_mhad'
    root: str = ''
    train: str = 'fit'
    validation: str = 'validation'
    stream: bool = False
    sampling: ClipSampling | None = field(
        default_factory=lambda: ClipSampling('uniform', frames=16, pick='middle')
    )
    views: int = 1
    variants: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    motion: bool = False
    limit: int = 0
    cache: str = 'runs/cache'
    processes: int = 1
    ray: str | None = None

    def __post_init__(self) -> None:
        _at_least(self, 1, 'views', 'variants', 'processes')
        _at_least(self, 0, 'limit')


@dataclass(frozen=True)
class NetworkSettings:
    """The skill's network; fields as in ``models.config.NetworkConfig`` unless described here.

    Args:
        backbone: A bundle's folder, a file of ``pointata pretrain`` or ``convert``, or
            ``random:PRESET``.
        start: A bundle whose skill has the same network: training goes on from its weights; empty
            for random ones.
        embedder: Result of an ``align`` stage, or a bundle whose skill's embedder is taken over
            (of a like sensor); empty for the backbone's own patch encoder.
        feature_scale: How strongly point features enter the embedder before any training: size of
            their random columns relative to those of the coordinates; 0 keeps the 3D embedder.
    """

    backbone: str = 'models/default'
    start: str = ''
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
    scene: SceneConfig | None = None
    segmentation_width: int = 96
    segmentation_blocks: tuple[int, ...] = (4, 8, 12)
    readout_width: int = 128
    readout_frames: int = 16
    readout: Readout = 'pooled'
    position_width: int = 0
    position_share: float = 0.5
    token_weight: float = 0.5
    actor_class: str = ''
    dropout: float = 0.3


@dataclass(frozen=True)
class TuningSettings:
    """What is trained.

    Args:
        mode: One of ``pointata_core.training.skill.tuning.MODES``.
        train_embedder: Train the align embedder in ``adapt`` stages as well.
        lora_rank: Rank of the ``lora`` mode.
    """

    mode: str = 'pointata'
    train_embedder: bool = False
    lora_rank: int = 8


@dataclass(frozen=True)
class OptimiserSettings:
    """How ``adapt`` and ``actors`` stages are trained.

    Args:
        epochs: Passes over the training clips.
        steps: Steps in all, in place of ``epochs``; 0 for that many passes.
        batch: Clips per step, over all processes together.
        learning_rate: Peak of AdamW's cosine.
        muon_rate: Peak of Muon's, which then trains the matrices; 0 for AdamW alone.
        backbone_rate: Learning rate of the backbone's own parameters, where they are trained,
            relative to the others.
        weight_decay: On matrices; never on biases, norms and tokens.
        warmup: Share of the steps with a rising rate.
        clip: Largest norm of the gradient.
        label_smoothing: Of the cross-entropy.
        class_weight_power: 0 for equal weights, 1 for classes balanced by frequency.
        lovasz: Weight of the Lovasz-softmax loss beside the cross-entropy of points.
    """

    epochs: int = 30
    steps: int = 0
    batch: int = 16
    learning_rate: float = 1e-3
    muon_rate: float = 0.0
    backbone_rate: float = 1.0
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 10.0
    label_smoothing: float = 0.1
    class_weight_power: float = 0.0
    lovasz: float = 0.0

    def __post_init__(self) -> None:
        _at_least(self, 1, 'epochs', 'batch')
        _at_least(self, 0, 'steps', 'muon_rate')
        if not 0 <= self.warmup < 1:
            raise ConfigError(f'optimiser.warmup is {self.warmup}, expected 0 to below 1')


@dataclass(frozen=True)
class AlignSettings:
    """``align`` stages.

    Args:
        objective: ``otdd``, ``mmd`` or ``l2``.
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

    objective: Literal['otdd', 'mmd', 'l2'] = 'otdd'
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
class ActorSettings:
    """Points of ``actors`` stages.

    Args:
        labelled: Splits whose labelled points of the actor class are trained on.
        found: Splits in whose recordings the network itself looks for the actor, mistakes
            included; their windows are drawn twice as often.
        points: Points kept per frame.
        drop: Largest share of the actor's points that a window loses.
        intruders: Largest number of other points mixed into a frame.
        jitter: Standard deviation of noise on every point, normalised units.
    """

    labelled: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    points: int = 96
    drop: float = 0.4
    intruders: int = 6
    jitter: float = 0.001


StageKind = Literal['align', 'adapt', 'actors']


@dataclass(frozen=True)
class StageSettings:
    """One stage of a run.

    Args:
        kind: ``align`` brings the embedder's features close to those of shapes; ``adapt`` trains
            what ``tuning.mode`` names on clips; ``actors`` trains actor pooling and action readout
            on the points of actors alone.
        name: Of its folder; the kind where left out.
        split: Split to learn from; ``data.train`` where left out.
        window: Cut clips into windows of so many frames; 0 takes them whole.
        hop: Frames between the starts of two windows.
        tuning: Values in place of those of ``tuning``.
        optimiser: Values in place of those of ``optimiser``.
        loss_weights: Weight of each task's loss; 1 where left out.
        sample_shares: Share of the samples that come from recordings whose kind begins so; all
            others share the rest. Empty draws every window once a pass.
        logit_adjustment: How much of the class weights is taken back out of the segmentation logits
            afterwards, from 0 to 1.
        keep: Weight of the difference from what ``network.start`` makes of the same points, among
            the classes that it has; 0 for none.
        actors: Of an ``actors`` stage.
    """

    kind: StageKind
    name: str = ''
    split: str = ''
    window: int = 0
    hop: int = 1
    tuning: dict[str, Any] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    loss_weights: dict[str, float] = field(default_factory=dict)
    sample_shares: dict[str, float] = field(default_factory=dict)
    logit_adjustment: float = 0.0
    keep: float = 0.0
    actors: ActorSettings = field(default_factory=ActorSettings)

    def __post_init__(self) -> None:
        _at_least(self, 0, 'window', 'keep')
        _at_least(self, 1, 'hop')
        if sum(self.sample_shares.values()) > 1 or min(self.sample_shares.values(), default=1) < 0:
            raise ConfigError(f'sample_shares are {self.sample_shares}, expected at most 1 in all')

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.name or self.kind


@dataclass(frozen=True)
class TrainingSettings(RunOptions):
    """A whole run.

    Args:
        name: Name of the skill, and of its bundle.
        output: Folder of the run.
        recipe: File that the settings were read from, for provenance; filled in on reading.
        tasks: What is learned, a head for each: ``clip`` (an action for the clip) or ``frames`` (an
            action for each frame), and ``points`` (a class for each point).
        stages: What is trained one after the other; a name alone stands for such a stage with
            default values.
        half: Store the bundle as float16.
        licence: Licence of the weights; depends on the data they were trained on.
        step_augmentation: What changes in every step.
        drop: What is left out in every step.
    """

    name: str = 'skill'
    output: str = 'runs/skill'
    recipe: str = ''
    tasks: tuple[Task, ...] = ('clip',)
    stages: tuple[StageSettings | StageKind, ...] = ('align', 'adapt')
    half: bool = False
    licence: str = 'Apache-2.0'
    data: DataSettings = field(default_factory=DataSettings)
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    step_augmentation: StepAugmentation = field(default_factory=StepAugmentation)
    drop: DropSettings = field(default_factory=DropSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    align: AlignSettings = field(default_factory=AlignSettings)

    def __post_init__(self) -> None:
        if not self.tasks or {'clip', 'frames'} <= set(self.tasks):
            raise ConfigError(
                f'tasks are {list(self.tasks)}', 'Give points, and clip or frames, or one of them'
            )
        names = [stage.folder for stage in self.plan]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f'the stages are called {names}', 'Give at least one, and each a name of its own'
            )
        for stage in self.plan:
            self.of_stage(stage)
        if self.step_augmentation.time_warp and self.data.motion:
            raise ConfigError(
                f'step_augmentation.time_warp is {self.step_augmentation.time_warp} and '
                'data.motion is on: frames in another order no longer follow the sensor',
                'Leave step_augmentation.time_warp at 0 where data.motion is on',
            )

    @property
    def plan(self) -> tuple[StageSettings, ...]:
        """The stages, those given by name alone with their default values."""
        return tuple(
            StageSettings(stage) if isinstance(stage, str) else stage for stage in self.stages
        )

    @property
    def trains_heads(self) -> bool:
        """Whether a stage trains a head: only then there is a skill to score."""
        return any(stage.kind != 'align' for stage in self.plan)

    def of_stage(self, stage: StageSettings) -> tuple[OptimiserSettings, TuningSettings]:
        """The optimiser and tuning of one stage."""
        where = f'stage {stage.folder}: '
        return (
            _changed(self.optimiser, stage.optimiser, f'{where}optimiser'),
            _changed(self.tuning, stage.tuning, f'{where}tuning'),
        )

    def store_recipe(self, split: str, training: bool) -> StoreRecipe:
        """What to prepare of a split, for training or for scoring.

        Random choices follow ``data.sampling.seed``, not the seed of the run: runs that differ in
        the latter share one store.
        """
        data = self.data
        uniform = data.sampling is not None and data.sampling.window == 'uniform'
        views = data.views if uniform else 1
        plain = AugmentationConfig(self.augmentation.up_axis)
        return StoreRecipe(
            name=data.name,
            root=data.root,
            split=split,
            sampling=data.sampling,
            variants=data.variants if training else views,
            tasks=self.tasks,
            preparation=self.preparation,
            augmentation=self.augmentation if training else plain,
            geometry=self.network.geometry,
            options=data.options,
            limit=data.limit if training else 0,
            motion=data.motion,
            scored='points' in self.tasks and not training,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)


def _changed(section: Section, changes: dict[str, Any], where: str) -> Section:
    """A section with some of its values replaced."""
    types = {one.name: type(getattr(section, one.name)) for one in fields(section)}
    for name, value in changes.items():
        if name not in types:
            raise ConfigError(f"{where} has no '{name}'", f'It has {", ".join(types)}')
        kinds = (int, float) if types[name] is float else (types[name],)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ConfigError(f'{where}.{name} is {value!r}, expected {types[name].__name__}')
    return replace(section, **changes)


def _at_least(settings: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise ConfigError(
                f'{type(settings).__name__}.{name} is {value}, expected at least {least}'
            )
