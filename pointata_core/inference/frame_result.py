# SPDX-License-Identifier: Apache-2.0
"""The answer to a frame, and a frame whose answer is still to come.

The blocks of the next frame need nothing that the heads say of this one. So a thread may go on to
the next frame while another lets the heads answer, spreads the answer to the points and sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from pointata_core.inference.background import Once
from pointata_core.inference.precompute import Groundwork
from pointata_core.inference.time_rules import ResetReason, SkipReason
from pointata_core.models.point.heads.segmentation_head import class_probabilities
from pointata_core.models.point.network_output import EncodedFrame, NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.stream_state import ReadoutMemory
from pointata_core.stopwatch import Stopwatch
from pointata_core.taxonomy import UNLABELLED

STAGES = ('prepare', 'geometry', 'network', 'propagate', 'total')
"""Keys of :attr:`FrameResult.timings_ms`, in order."""


@dataclass(frozen=True)
class FrameResult:
    """The answer to one frame.

    Attributes:
        labels: ``(N,)`` uint16 class ids in input order; ``UNLABELLED`` without an answer.
        probabilities: ``(N,)`` float32 of the label; 0 where unlabelled.
        action: ``(A,)`` float32 probabilities; ``None`` without an action head.
        timings_ms: Wall time by stage, see ``STAGES``.
        stamp_ns: The frame's stamp.
        reset: Why the history was dropped before this frame, if it was.
        voxels: Voxels that the network saw.
        non_finite: Voxels whose answer was not a number and became unlabelled.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    action: np.ndarray | None
    timings_ms: Mapping[str, float]
    stamp_ns: int
    reset: ResetReason | None = None
    voxels: int = 0
    non_finite: int = 0


@dataclass(frozen=True)
class Skipped:
    """A frame that got no answer, and why; it left no trace in the stream."""

    reason: SkipReason
    stamp_ns: int


class Heads(NamedTuple):
    """What the heads say of a frame, and what they remember after it.

    Attributes:
        output: Logits.
        memory: Of the action head.
        ms: How long the heads took.
    """

    output: NetworkOutput
    memory: ReadoutMemory
    ms: float


class Unfinished:
    """A frame that has been through the blocks; calling it gives its answer, on any thread.

    Args:
        heads: Of this frame.
        groundwork: Of this frame.
        laps: Milliseconds by stage so far, that of the blocks under ``network``.
        stamp_ns: See :class:`FrameResult`.
        reset: See :class:`FrameResult`.
    """

    def __init__(
        self,
        heads: Once[Heads],
        groundwork: Groundwork,
        laps: Mapping[str, float],
        stamp_ns: int,
        reset: ResetReason | None,
    ) -> None:
        self._heads = heads
        self._frame = groundwork.frame
        self._device = groundwork.voxels.device
        self._laps = laps
        self._stamp_ns = stamp_ns
        self._reset = reset

    @torch.inference_mode()
    def __call__(self) -> FrameResult:
        """The answer; the heads are asked once, however often this is called."""
        heads = self._heads()
        laps = {**self._laps, 'network': self._laps['network'] + heads.ms}
        watch = Stopwatch(self._device, laps)
        labels, probabilities, bad = _spread(heads.output, self._frame.voxel_of_point)
        action = None
        if heads.output.action is not None:
            action = heads.output.action[0].float().softmax(-1).cpu().numpy()
        watch.lap('propagate')
        return FrameResult(
            labels,
            probabilities,
            action,
            watch.timings_ms,
            self._stamp_ns,
            self._reset,
            len(self._frame.points),
            bad,
        )


def ask_heads(
    network: PointATA,
    encoded: EncodedFrame,
    groundwork: Groundwork,
    before: Once[Heads] | ReadoutMemory,
) -> Once[Heads]:
    """The heads of a frame, once somebody asks.

    Args:
        network: Whose heads.
        encoded: The frame after the blocks.
        groundwork: Of the same frame; what it knows of the voxels is used and let go.
        before: The heads of the frame before, which are asked first; or, where these have nothing
            to wait for, what they remember.
    """

    def ask() -> Heads:
        memory = before if isinstance(before, ReadoutMemory) else before().memory
        watch = Stopwatch(groundwork.voxels.device)
        output, memory = network.answer_step(encoded, memory, groundwork.described)
        watch.lap('network')
        groundwork.close()
        return Heads(output, memory, watch.laps['network'])

    return Once(ask)


def _spread(
    output: NetworkOutput, voxel_of_point: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Give every point its voxel's answer."""
    if output.segmentation is None:
        count = len(voxel_of_point)
        return np.full(count, UNLABELLED, np.uint16), np.zeros(count, np.float32), 0
    probability, label = class_probabilities(output.segmentation.float())[0].max(dim=0)
    finite = torch.isfinite(probability)
    bad = int((~finite).sum())
    # One entry more: index -1, a point without a voxel, reads it.
    labels = np.full(len(label) + 1, UNLABELLED, np.uint16)
    probabilities = np.zeros(len(label) + 1, np.float32)
    labels[:-1] = torch.where(finite, label, UNLABELLED).cpu().numpy()
    probabilities[:-1] = torch.where(finite, probability, 0.0).cpu().numpy()
    return labels[voxel_of_point], probabilities[voxel_of_point], bad
