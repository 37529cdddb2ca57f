# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps of a frozen image encoder, computed once and kept on disk in half precision.

They lie in one ``.npy`` for each stride, which training maps into memory. A stopped computation
goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from pointata_core.safe_files import write_json
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import FrozenImageEncoder

_STATE = 'features.json'
_TOGETHER = 8  # shapes between two notes of what is done


def kept_features(
    folder: Path,
    encoder: FrozenImageEncoder,
    bank: ImageBank,
    identity: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[NDArray[np.float16]]:
    """Compute what is missing and open all maps of a bank.

    Args:
        folder: Where they lie.
        encoder: The frozen encoder.
        bank: S shapes with V images each.
        identity: Of the encoder's weights. Features of others are computed again.
        progress: Called with shapes done and their number.

    Returns:
        Arrays ``(S, V, C, h, h)``, the finest map first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        shapes = [tuple(stage.shape[1:]) for stage in encoder.used_stages(_images(bank, 0)[:1])]
    maps = [(len(bank), bank.views, *shape) for shape in shapes]
    wanted = {'encoder': identity, 'bank': bank.checksum, 'maps': [list(shape) for shape in maps]}
    paths = [folder / f'stage_{number}.npy' for number in range(len(maps))]
    state = folder / _STATE
    found = json.loads(state.read_text()) if state.is_file() else {}
    done = found.get('done', 0) if {**found, 'done': 0} == {**wanted, 'done': 0} else 0
    mode = 'r+' if done and all(path.is_file() for path in paths) else 'w+'
    done = done if mode == 'r+' else 0
    if done < len(bank):
        stores = [
            open_memmap(path, mode=mode, dtype=np.float16, shape=shape)
            for path, shape in zip(paths, maps, strict=True)
        ]
        while done < len(bank):
            last = min(done + _TOGETHER, len(bank))
            for index in range(done, last):
                with torch.inference_mode():
                    stages = encoder.used_stages(_images(bank, index))
                for store, stage in zip(stores, stages, strict=True):
                    store[index] = stage.half().numpy()
            done = last
            for store in stores:
                store.flush()
            write_json(state, {**wanted, 'done': done})
            progress(done, len(bank))
    return [np.load(path, mmap_mode='r') for path in paths]


def _images(bank: ImageBank, index: int) -> torch.Tensor:
    return torch.from_numpy(bank.images[index])
