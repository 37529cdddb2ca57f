# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frozen features of prepared clips, computed once: what enters the first adapted block.

No trained weight lies before it, so every epoch would compute the same numbers again. They are
kept as float16 in one memory-mapped file beside the clips, shared by all runs on one backbone; in
another, the auxiliary token features, which depend on no weight at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.geometry import FrameGeometry
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.token_features import auxiliary_width
from pointata_core.safe_files import write_atomically
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.clips.clip_store import ClipStore

_BATCH = 8


class FrozenFeatures:
    """A clip store whose clips come with their prefix and without their points.

    Args:
        store: The prepared clips.
        prefix: ``(count, variants, T, 1 + G, D)`` float16, memory-mapped.
        auxiliary: ``(count, variants, T, G, C)`` likewise, for a network that has any.
    """

    def __init__(
        self, store: ClipStore, prefix: np.ndarray, auxiliary: np.ndarray | None = None
    ) -> None:
        self.store, self.prefix, self.auxiliary = store, prefix, auxiliary
        self.variants, self.classes = store.variants, store.classes
        self.videos, self.kinds, self.subjects = store.videos, store.kinds, store.subjects
        shape = (len(store), store.variants)
        layouts = [_layout(store.arrays(c, v)) for c, v in np.ndindex(*shape)]
        self._layout = {
            name: np.stack([one[name] for one in layouts]).reshape(*shape, *layouts[0][name].shape)
            for name in layouts[0]
        }

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.store)

    def __getitem__(self, pairs: Sequence[tuple[int, int]]) -> ClipBatch:
        """Collate clips, given as (number, variant)."""
        clips, variants = (np.array(column) for column in zip(*pairs, strict=True))
        rows = {name: values[clips, variants] for name, values in self._layout.items()}
        batch, frames = rows['action'].shape
        nothing = torch.empty(batch * frames, 0, dtype=torch.int64)

        def folded(name: str, kind: torch.dtype) -> Tensor:
            return torch.from_numpy(rows[name]).flatten(0, 1).to(kind)

        geometry = FrameGeometry(
            centre_index=folded('centre_index', torch.int64),
            centres=folded('centres', torch.float32),
            patch_index=nothing,
            context_index=folded('context_index', torch.int64),
            interpolation_index=nothing,
            interpolation_weight=nothing.float(),
            pillars=nothing,
        )

        def kept(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values[clips, variants]).flatten(0, 1).float()

        return ClipBatch(
            points=torch.empty(batch, frames, 0, 3),
            mask=torch.empty(batch, frames, 0, dtype=torch.bool),
            label=torch.empty(batch, frames, 0, dtype=torch.int64),
            action=torch.from_numpy(rows['action']),
            geometry=geometry,
            prefix=kept(self.prefix),
            auxiliary=None if self.auxiliary is None else kept(self.auxiliary),
            motion=torch.from_numpy(rows['motion']) if 'motion' in rows else None,
        )


def freeze_features(
    network: PointATA,
    store: ClipStore,
    device: torch.device,
    autocast: bool,
    progress: Callable[[int, int], None] | None = None,
) -> FrozenFeatures:
    """Compute or open the frozen features of a store.

    Args:
        network: Only its frozen part is run, in evaluation mode.
        store: Prepared clips, all of one length.
        device: Where to compute.
        autocast: Whether to compute in bfloat16.
        progress: Called with clips done and their number.
    """

    def prefix(batch: ClipBatch) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            return network.encode_prefix(
                batch.points, batch.features, batch.mask, batch.motion, batch.geometry
            )

    def auxiliary(batch: ClipBatch) -> Tensor:
        found = network.clip_auxiliary(
            batch.points, batch.features, batch.mask, batch.motion, batch.geometry
        )
        assert found is not None
        return found

    config, folder = network.config, store.folder
    path = folder / f'prefix_{prefix_key(network, autocast)}.npy'
    shape = (config.geometry.tokens + 1, config.backbone.width)
    _keep(network, store, prefix, path, shape, device, progress)
    features = np.load(path, mmap_mode='r')
    if not auxiliary_width(config):
        return FrozenFeatures(store, features)
    path = folder / f'auxiliary_{auxiliary_key(config)}.npy'
    shape = (config.geometry.tokens, auxiliary_width(config))
    _keep(network, store, auxiliary, path, shape, device, progress)
    return FrozenFeatures(store, features, np.load(path, mmap_mode='r'))


def prefix_key(network: PointATA, autocast: bool) -> str:
    """Name everything that the prefix depends on, weights included."""
    config = network.config
    facts = {
        'first': config.first_adapted,
        'features': config.features,
        'frames': config.embedder_frames,
        'style': [config.backbone.block_style, config.backbone.class_visible],
        'heads': config.backbone.heads,
        'autocast': autocast,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    parts = [network.embedder, network.backbone.position]
    parts += network.backbone.blocks[: config.first_adapted]
    for part in parts:
        for name, tensor in part.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
    for token in (network.backbone.class_token, network.backbone.class_position):
        digest.update(token.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def auxiliary_key(config: NetworkConfig) -> str:
    """Name everything that auxiliary token features depend on beside the prepared clips."""
    lags = '_'.join(map(str, config.motion_lags))
    fields = '_fields' if config.token_fields else ''
    return f'{auxiliary_width(config)}_{lags}_{config.motion_reach:g}{fields}'


@torch.no_grad()
def _keep(
    network: PointATA,
    store: ClipStore,
    compute: Callable[[ClipBatch], Tensor],
    path: Path,
    shape: tuple[int, int],
    device: torch.device,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write what ``compute`` gives for every frame, each of ``shape``, unless it is there."""
    if path.exists():
        return
    whole = (len(store), store.variants, store.frames, *shape)
    pairs = list(np.ndindex(*whole[:2]))

    def fill(stream: BinaryIO) -> None:
        out = np.lib.format.open_memmap(stream.name, mode='w+', dtype=np.float16, shape=whole)
        for start in range(0, len(pairs), _BATCH):
            chosen = pairs[start : start + _BATCH]
            found = compute(store[chosen].to(device)).float().cpu()
            # float16 has no room for what a wild residual stream may hold.
            values = found.clamp(-65504, 65504).numpy().astype(np.float16)
            clips, variants = (list(column) for column in zip(*chosen, strict=True))
            out[clips, variants] = values.reshape(len(chosen), *whole[2:])
            if progress is not None:
                progress(start + len(chosen), len(pairs))
        out.flush()

    was_training = network.training
    network.to(device).eval()
    try:
        write_atomically(path, fill)
    finally:
        network.train(was_training)


def _layout(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    index = arrays['centre_index'].astype(np.int64)
    rows = index.clip(0) + arrays['offsets'][:-1, None]
    points = arrays['points']
    if not len(points):
        points = np.zeros((1, 3), np.float32)
    centres = points[rows.clip(0, len(points) - 1)] * (index >= 0)[..., None]
    motion = {'motion': arrays['motion']} if 'motion' in arrays else {}
    return {
        **motion,
        'centre_index': arrays['centre_index'],
        'centres': centres.astype(np.float32),
        'context_index': arrays['context_index'],
        'action': arrays['action'],
    }
