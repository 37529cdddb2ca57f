# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The second half of a frame: the heads, and their predictions for every point.

The blocks of the next frame do not depend on the heads of this one. So one thread may go on to the
next frame while another runs the heads of this one and spreads their predictions to the points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from pointata_core.inference.background import LazyValue
from pointata_core.inference.frames import FrameResult
from pointata_core.inference.label_memory import LabelMemory
from pointata_core.inference.precompute import PrecomputedFrame
from pointata_core.inference.time_rules import ResetReason
from pointata_core.models.point.heads.segmentation_head import class_probabilities
from pointata_core.models.point.network_output import EncodedFrame, NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.stream_state import HeadMemory
from pointata_core.stopwatch import Stopwatch
from pointata_core.taxonomy import UNLABELLED


class Memory(NamedTuple):
    """What the second half of a frame keeps for the next.

    Attributes:
        heads: Of the action head.
        labels: Of the labels; ``None`` where labels are of single frames.
    """

    heads: HeadMemory
    labels: LabelMemory | None = None


class HeadOutput(NamedTuple):
    """The predictions of the heads for a frame, and the memory after it.

    Attributes:
        output: Logits.
        memory: After the frame.
        ms: How long the heads took.
    """

    output: NetworkOutput
    memory: Memory
    ms: float


def lazy_heads(
    network: PointATA,
    encoded: EncodedFrame,
    precomputed: PrecomputedFrame,
    previous: LazyValue[HeadOutput] | Memory,
    motion: np.ndarray | None = None,
    decay: float = 0.0,
) -> LazyValue[HeadOutput]:
    """The output of the heads, computed when it is needed.

    Args:
        network: Whose heads.
        encoded: The frame after the blocks.
        precomputed: Of the same frame; closed once the heads have run.
        previous: Output of the heads for the frame before, which is computed first; or, where
            there is none, the memory.
        motion: ``(4, 4)`` from the last sensor frame into this one, normalised; ``None`` if it is
            not known.
        decay: See :meth:`LabelMemory.recall`.
    """

    def compute() -> HeadOutput:
        memory = previous if isinstance(previous, Memory) else previous.result().memory
        watch = Stopwatch(precomputed.voxels.device)
        described = None if precomputed.described is None else precomputed.described.result
        output, heads = network.predict_step(encoded, memory.heads, described)
        labels = memory.labels
        if labels is not None and output.segmentation is not None:
            scores, labels = labels.recall(
                precomputed.frame.points.numpy(), output.segmentation[0].float().cpu().numpy(),
                motion, precomputed.preparer.config.scale_m, decay,
            )  # fmt: skip
            output = replace(output, segmentation=torch.from_numpy(scores).unsqueeze(0))
        watch.lap('network')
        precomputed.close()
        return HeadOutput(output, Memory(heads, labels), watch.laps['network'])

    return LazyValue(compute)


def lazy_result(
    heads: LazyValue[HeadOutput],
    precomputed: PrecomputedFrame,
    laps: Mapping[str, float],
    stamp_ns: int,
    reset: ResetReason | None,
) -> LazyValue[FrameResult]:
    """The prediction for all points of a frame that has been through the blocks.

    Args:
        heads: Of this frame.
        precomputed: Of this frame.
        laps: Milliseconds by stage so far, that of the blocks under ``network``.
        stamp_ns: See :class:`FrameResult`.
        reset: See :class:`FrameResult`.
    """
    frame, device = precomputed.frame, precomputed.voxels.device

    def compute() -> FrameResult:
        found = heads.result()
        watch = Stopwatch(device, {**laps, 'network': laps['network'] + found.ms})
        labels, probabilities, non_finite = _propagate(found.output, frame.voxel_of_point)
        action = None
        if found.output.action is not None and len(frame.points):
            action = found.output.action[0].float().softmax(-1).cpu().numpy()
        watch.lap('propagate')
        return FrameResult(
            labels,
            probabilities,
            action,
            watch.timings_ms,
            stamp_ns,
            reset,
            len(frame.points),
            non_finite,
        )

    return LazyValue(compute)


def _propagate(
    output: NetworkOutput, voxel_of_point: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels and probabilities of all points from those of their voxels; how many are NaN."""
    if output.segmentation is None:
        count = len(voxel_of_point)
        return np.full(count, UNLABELLED, np.uint16), np.zeros(count, np.float32), 0
    probability, label = class_probabilities(output.segmentation.float())[0].max(dim=0)
    finite = torch.isfinite(probability)
    non_finite = int((~finite).sum())
    # One entry more: index -1, a point without a voxel, reads it.
    labels = np.full(len(label) + 1, UNLABELLED, np.uint16)
    probabilities = np.zeros(len(label) + 1, np.float32)
    labels[:-1] = torch.where(finite, label, UNLABELLED).cpu().numpy()
    probabilities[:-1] = torch.where(finite, probability, 0.0).cpu().numpy()
    return labels[voxel_of_point], probabilities[voxel_of_point], non_finite
