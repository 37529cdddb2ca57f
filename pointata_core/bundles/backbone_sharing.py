# SPDX-License-Identifier: Apache-2.0
"""One backbone in memory for all skills that were trained on it.

Skills refer to their backbone by the hash of its file. When a network with that backbone is alive,
the next one takes over its tensors instead of keeping a second copy. Tensors are shared, modules
are not: moving one network to another device leaves the others where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from weakref import WeakSet

import torch
from torch import Tensor, nn

_lock = threading.Lock()
_alive: dict[str, WeakSet[nn.Module]] = {}


def fill_shared(backbone: nn.Module, sha256: str, tensors: Mapping[str, Tensor]) -> None:
    """Give a backbone its tensors, or equal ones that another network already holds.

    A backbone that was trained since it was loaded is no longer equal to its file; it is
    not shared. Neither is one on another device or of another type.

    Args:
        backbone: Any module with tensors of those names, also one on the meta device.
        sha256: Hash of the file the tensors come from.
        tensors: Its whole state, on the wanted device and of the wanted type.
    """
    with _lock:
        for key in [key for key, modules in _alive.items() if not len(modules)]:
            del _alive[key]
        relatives = _alive.setdefault(sha256, WeakSet())
        for relative in list(relatives):
            held = relative.state_dict()
            if _equal(held, tensors):
                tensors = held
                break
        backbone.load_state_dict(tensors, assign=True)
        relatives.add(backbone)


def _equal(held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return held.keys() == wanted.keys() and all(
        held[name].device == tensor.device
        and held[name].dtype == tensor.dtype
        and torch.equal(held[name], tensor)
        for name, tensor in wanted.items()
    )
