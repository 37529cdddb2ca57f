# SPDX-License-Identifier: Apache-2.0
"""Clips of a data set as the network sees them, prepared once and kept on disk.

Everything that no trained weight has a part in is done here: reading, choosing frames, augmenting,
voxels, tokens, patches. The folder is named by what it depends on, so a changed setting prepares
anew and an interrupted preparation goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import Clip, ClipDataset
from pointata_core.datasets.registry import dataset_info, open_dataset
from pointata_core.datasets.sampling import ClipSampling, generator_for
from pointata_core.datasets.single_frames import SingleFrames
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig
from pointata_core.training.clips.augmentation import (
    AugmentationConfig,
    augment_frames,
    draw_transform,
)
from pointata_core.training.clips.prepared_clips import (
    IGNORED,
    ClipBatch,
    LabelledFrame,
    collate,
    frame_of,
    prepare_clip,
    write_clip,
)
from pointata_core.training.skill.settings import Task, TrainingSettings

_FORMAT = 2
_MEMORY_BYTES = 6 << 30
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StoreRecipe:
    """What prepared clips depend on.

    Args:
        data: Name, root, split and options of the data set.
        sampling: How recordings become clips.
        variants: Copies of each clip; the first is not augmented.
        task: Which labels are kept.
        preparation: Voxels and normalisation.
        augmentation: How copies differ.
        geometry: Tokens and patches.
        limit: Largest number of clips; 0 for all.
        motion: Whether the sensor's motion is kept.
    """

    data: tuple[str, str, str, str]
    sampling: ClipSampling | None
    variants: int
    task: Task
    preparation: PreparationConfig
    augmentation: AugmentationConfig
    geometry: GeometryConfig
    limit: int = 0
    motion: bool = False

    @property
    def seed(self) -> int:
        """Of all random choices."""
        return 0 if self.sampling is None else self.sampling.seed

    @property
    def key(self) -> str:
        """Names the folder."""
        facts = {'format': _FORMAT, **asdict(self)}
        if not self.motion:  # nothing that clips without it depend on
            del facts['motion']
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class ClipStore:
    """Prepared clips by (number, variant).

    Args:
        folder: Where the files lie.
        count: Number of clips.
        variants: Copies of each.
        actions: ``(count,)`` class of each clip; ``IGNORED`` negative where it has none.
        videos: ``(count,)`` recording of each clip.
        classes: Class names.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        variants: int,
        actions: np.ndarray,
        videos: np.ndarray,
        classes: tuple[str, ...],
    ) -> None:
        self.folder, self.count, self.variants = folder, count, variants
        self.actions, self.videos, self.classes = actions, videos, classes
        self._kept: OrderedDict[tuple[int, int], dict[str, np.ndarray]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Number of clips."""
        return self.count

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return len(self.arrays(0, 0)['action'])

    def path(self, clip: int, variant: int) -> Path:
        """File of one prepared clip."""
        return self.folder / f'{clip:06d}_{variant:02d}.npz'

    def arrays(self, clip: int, variant: int) -> dict[str, np.ndarray]:
        """Read one prepared clip; kept in memory while there is room."""
        key = (clip, variant)
        if key not in self._kept:
            with np.load(self.path(clip, variant)) as archive:
                arrays = dict(archive)
            size = sum(a.nbytes for a in arrays.values())
            if self._bytes + size > _MEMORY_BYTES:
                return arrays
            self._kept[key] = arrays
            self._bytes += size
        return self._kept[key]

    def __getitem__(self, pairs: Sequence[tuple[int, int]]) -> ClipBatch:
        """Collate clips, given as (number, variant).

        Raises:
            ConfigError: They differ in length.
        """
        windows = []
        for clip, variant in pairs:
            arrays = self.arrays(clip, variant)
            found = len(arrays['action'])
            if found != self.frames:
                raise ConfigError(
                    f'clip {clip} has {found} frames, clip 0 has {self.frames}',
                    'Choose data.sampling with a fixed number of frames',
                )
            windows.append([frame_of(arrays, t) for t in range(found)])
        return collate(windows)


def recipe_for(settings: TrainingSettings, split: str, training: bool) -> StoreRecipe:
    """Say what to prepare of a split, for training or for scoring.

    Random choices follow ``data.sampling.seed``, not the seed of the run: runs that differ in the
    latter share one store.
    """
    data = settings.data
    uniform = data.sampling is not None and data.sampling.window == 'uniform'
    views = data.views if uniform else 1
    return StoreRecipe(
        data=(data.name, str(Path(data.root).resolve()), split, json.dumps(data.options)),
        sampling=data.sampling,
        variants=data.variants if training else views,
        task=settings.task,
        preparation=settings.preparation,
        augmentation=settings.augmentation
        if training
        else AugmentationConfig(settings.augmentation.up_axis),
        geometry=settings.network.geometry,
        limit=data.limit if training else 0,
        motion=data.motion,
    )


def open_store(
    recipe: StoreRecipe, options: dict, cache: str | Path, progress: Progress | None = None
) -> ClipStore:
    """Prepare what is missing and open the clips.

    Args:
        recipe: What to prepare.
        options: Whatever else the data set's loader takes.
        cache: Folder of all stores.
        progress: Called with clips done and their number.

    Raises:
        DataError: The data set cannot be read.
        ConfigError: It holds no labels for the task.
    """
    name, root, split, _ = recipe.data
    if recipe.sampling is not None:
        if dataset_info(name).kind == 'frames':
            raise ConfigError(
                f'{name} has single frames, of which data.sampling can make no clips',
                'Set data.sampling to null',
            )
        options = {**options, 'sampling': recipe.sampling}
    dataset = open_dataset(name, root, split, **options)
    if dataset_info(name).kind == 'frames':
        dataset = SingleFrames(dataset)
    chosen = _chosen(len(dataset), recipe.limit)
    folder = Path(cache) / 'clips' / recipe.key
    folder.mkdir(parents=True, exist_ok=True)
    actions = getattr(dataset, 'labels', None) if recipe.task == 'clip' else None
    videos = getattr(dataset, 'clip_recordings', np.arange(len(dataset)))
    if recipe.task == 'clip' and actions is None:
        raise ConfigError(
            f'{name} has no action per clip, which task clip needs', 'Choose frames or points'
        )
    store = ClipStore(
        folder,
        len(chosen),
        recipe.variants,
        np.full(len(chosen), -1) if actions is None else np.asarray(actions)[chosen],
        np.asarray(videos)[chosen],
        tuple(dataset.classes),
    )
    _prepare(store, dataset, chosen, recipe, progress)
    return store


def _chosen(available: int, limit: int) -> np.ndarray:
    if not limit or limit >= available:
        return np.arange(available)
    return np.arange(limit) * available // limit


def _prepare(
    store: ClipStore,
    dataset: ClipDataset,
    chosen: np.ndarray,
    recipe: StoreRecipe,
    progress: Progress | None,
) -> None:
    preparer = FramePreparer(recipe.preparation)
    classes = len(dataset.classes) if recipe.task == 'points' else 0
    for number, index in enumerate(chosen.tolist()):
        for variant in range(recipe.variants):
            path = store.path(number, variant)
            if path.exists():
                continue
            clip = _variant(dataset, index, variant, recipe)
            generator = generator_for(recipe.seed, variant + 1, index)
            frames = labelled_frames(
                clip,
                recipe.task,
                dataset.feature_names,
                recipe.augmentation if variant else None,
                generator,
                motion=recipe.motion,
            )
            write_clip(path, prepare_clip(frames, preparer, recipe.geometry, classes))
        if progress is not None:
            progress(number + 1, len(chosen))


def _variant(dataset: ClipDataset, index: int, variant: int, recipe: StoreRecipe) -> Clip:
    """Read a clip; copies of a ``uniform`` one are taken a moment earlier or later."""
    if not variant or recipe.sampling is None or recipe.sampling.window != 'uniform':
        return dataset[index]
    dataset.epoch, before = variant, dataset.sampling
    dataset.sampling = replace(before, pick='shifted')
    try:
        return dataset[index]
    finally:
        dataset.epoch, dataset.sampling = 0, before


def labelled_frames(
    clip: Clip,
    task: Task,
    feature_names: Sequence[str],
    augmentation: AugmentationConfig | None,
    generator: np.random.Generator,
    *,
    motion: bool = False,
) -> Iterator[LabelledFrame]:
    """Yield the frames of a clip with the labels of a task, augmented if asked for.

    Args:
        clip: The clip.
        task: Which labels.
        feature_names: Columns of its features.
        augmentation: How to change it; ``None`` for not at all.
        generator: Of everything random.
        motion: Also say how the sensor moved between frames.

    Raises:
        ConfigError: The clip has no such labels, or no poses to take the motion from.
    """
    held = {'clip': clip.action, 'frames': clip.actions, 'points': clip.labels}
    if held[task] is None:
        raise ConfigError(
            f'{clip.name} has no labels for task {task}',
            f'Choose one of: {", ".join(k for k, v in held.items() if v is not None)}',
        )
    points = list(clip.points)
    kept = [np.arange(len(cloud)) for cloud in points]
    matrix = np.eye(3)
    if augmentation is not None:
        matrix = draw_transform(augmentation, generator)
        points, kept = augment_frames(points, augmentation, generator, matrix)
    motions = sensor_motions(clip, matrix) if motion else [None] * len(points)
    for t, (cloud, rows) in enumerate(zip(points, kept, strict=True)):
        label = None
        if task == 'points':
            label = clip.labels[t][rows]
            label = np.where(label < 0, IGNORED, label)
        action = {'clip': clip.action, 'points': -100}.get(task)
        if task == 'frames':
            action = int(clip.actions[t])
        features = None
        if clip.features is not None:
            columns = clip.features[t][rows]
            features = {name: columns[:, c] for c, name in enumerate(feature_names)}
        yield LabelledFrame(cloud, label, action, features, motions[t])


def sensor_motions(clip: Clip, matrix: np.ndarray) -> np.ndarray:
    """How points of things at rest went from each frame of a clip to the next.

    Args:
        clip: With poses.
        matrix: ``(3, 3)``, what the points were augmented by.

    Returns:
        ``(T, 4, 4)`` metres, taking the frame before into each frame; the first is the identity.

    Raises:
        ConfigError: The clip has no poses.
    """
    if clip.poses is None:
        raise ConfigError(
            f'{clip.name} has no poses, which data.motion needs', 'Set data.motion to false'
        )
    before = clip.poses[[0, *range(len(clip.poses) - 1)]]
    around = np.eye(4)
    around[:3, :3] = matrix
    return around @ np.linalg.inv(clip.poses) @ before @ np.linalg.inv(around)
