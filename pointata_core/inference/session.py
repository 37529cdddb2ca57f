# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One input's stream: frames in, a prediction for every point out, with nothing recomputed.

Node, bag evaluation and training validation all use this class. Same frames, same labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.inference.background import LazyValue
from pointata_core.inference.frames import STAGES, Frame, FrameResult, PendingResult, Skipped
from pointata_core.inference.heads import HeadOutput, Memory, lazy_heads, lazy_result
from pointata_core.inference.label_memory import DECAY, LabelMemory
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.precompute import PrecomputedFrame, precompute
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session_base import Session
from pointata_core.inference.time_rules import Reset, ResetReason, Skip, TimeState
from pointata_core.models.point.stream_state import StreamState
from pointata_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from pointata_core.bundles.bundle import SkillBundle

__all__ = ['STAGES', 'Frame', 'FrameResult', 'Skipped', 'StreamingSession']

_FEWEST_VOXELS = 8


class StreamingSession(Session):
    """The temporal state of one input over a bundle.

    Args:
        bundle: Skill and backbone, as :func:`~pointata_core.bundles.bundle.load_bundle` returns.
        device: Where to run; the bundle's network is moved there.
        max_gap_s: See :class:`~pointata_core.inference.session_base.Session`.
        tolerance_s: See there.
        overlap: Leave to a second thread what needs no history: of this frame while the first
            thread is at the tokens, of the next one (:meth:`precompute`) while it is at this one.
        label_memory: How much a frame counts for labels against the one after it, 0..1, where the
            motion of the sensor is given; 0 for labels of single frames. See
            :mod:`.label_memory`.
        max_voxels: Voxels per frame at most, for less work; 0 for as many as the bundle allows.
    """

    def __init__(
        self,
        bundle: SkillBundle,
        device: torch.device | str = 'cpu',
        max_gap_s: float = 1.0,
        tolerance_s: float = 0.25,
        *,
        overlap: bool = False,
        label_memory: float = DECAY,
        max_voxels: int = 0,
    ) -> None:
        super().__init__(device, max_gap_s, tolerance_s, overlap)
        self.label_memory = label_memory
        preparation = PreparationConfig.from_dict(bundle.manifest.preparation)
        voxels = min(max_voxels or preparation.max_voxels, preparation.max_voxels)
        preparation = replace(preparation, max_voxels=max(_FEWEST_VOXELS, voxels))
        self._most_voxels = preparation.max_voxels
        wanted = tuple(bundle.network.config.features)
        if tuple(preparation.features) != wanted:
            raise ConfigError(
                f'bundle {bundle.manifest.name}: preparation.features are '
                f'{tuple(preparation.features)}, the network expects {wanted}'
            )
        self.bundle = bundle
        self.network = bundle.network.to(self.device).eval()
        self.preparer = FramePreparer(preparation)
        self._forget()

    def _forget(self) -> None:
        self._state = self.network.initial_state()
        self._heads: LazyValue[HeadOutput] | None = None  # of the frame before, if there was one
        classes = len(self.network.config.segmentation_classes)
        self._labels = LabelMemory.empty(classes) if classes and self.label_memory else None
        self._origin: np.ndarray | None = None
        self._placement = UNPLACED  # of the frame before
        self.frames_in_history = 0

    # ------------------------------------------------------------------ frames

    @torch.inference_mode()
    def submit(self, frame: Frame) -> PendingResult | Skipped:
        """Take a frame through the blocks; its heads run when the result is asked for."""
        with ExitStack() as undo:
            if frame.precomputed is not None:
                undo.callback(frame.precomputed.close)
            decision = self.guard.check(frame.stamp_ns, frame.frame_id)
            if isinstance(decision, Skip):
                return Skipped(decision.reason, frame.stamp_ns)
            reset = decision.reason if isinstance(decision, Reset) else None
            if reset is not None:
                self._forget()
            precomputed = self._matching(frame)
            undo.callback(precomputed.close)
            heads, laps = self._advance(precomputed, frame.transform)
            self._placement = frame.placement
            undo.pop_all()  # the heads need it
        return lazy_result(heads, precomputed, laps, frame.stamp_ns, reset)

    def ingest(self, frame: Frame) -> Skipped | None:
        """Take a frame into the history without spreading predictions to its points."""
        pending = self.submit(frame)
        if isinstance(pending, Skipped):
            return pending
        self._settled_state()
        return None

    @property
    def can_precompute(self) -> bool:
        """Whether there is a second thread."""
        return self.overlap

    @torch.inference_mode()
    def precompute(
        self,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None = None,
        placement: Placement = UNPLACED,
    ) -> PrecomputedFrame:
        """Compute voxels, tokens and descriptions; see :meth:`Session.precompute`."""
        precomputed = precompute(
            points, features, self._origin, self.preparer, self.network, self.device, placement
        )
        if self.overlap:
            for part in precomputed.lazy_parts:
                part.start()
        return precomputed

    def _matching(self, frame: Frame) -> PrecomputedFrame:
        """The precomputed frame, if it is what would be computed now, else a new one."""
        precomputed = frame.precomputed
        if precomputed is not None:
            if precomputed.matches(
                frame.points, frame.placement, self._origin, self.preparer, self.network
            ):
                return precomputed
            precomputed.close()
        return self.precompute(frame.points, frame.features, frame.placement)

    def _advance(
        self, precomputed: PrecomputedFrame, transform: np.ndarray | None
    ) -> tuple[LazyValue[HeadOutput], Mapping[str, float]]:
        """Take the frame through the blocks, and the state with it."""
        frame = precomputed.frame
        if len(frame.points):
            self._origin = frame.origin
        watch = Stopwatch(self.device, precomputed.laps)
        motion = None
        if transform is not None and self.frames_in_history:
            seen = precomputed.placement.motion(transform, self._placement)
            motion = self.preparer.motion(seen, frame.origin).to(self.device)
        encoded, state = self.network.encode_step(
            precomputed.voxels,
            self._state,
            precomputed.columns,
            motion=motion,
            geometry=precomputed.geometry,
            tokens=None if precomputed.tokens is None else precomputed.tokens.result(),
        )
        watch.lap('network')
        previous = self._heads
        if previous is not None:
            previous.result()  # in order, and at most two frames have pending heads
        heads = lazy_heads(
            self.network, encoded, precomputed,
            previous or Memory(self._state.head_memory, self._labels),
            None if motion is None else motion[0].cpu().numpy(), self.label_memory,
        )  # fmt: skip
        self._state, self._heads = state, heads
        self.frames_in_history += 1
        return heads, watch.laps

    def _settled_state(self) -> tuple[StreamState, LabelMemory | None]:
        """The states after the last frame and its heads."""
        if self._heads is None:
            return self._state, self._labels
        memory = self._heads.result().memory
        return self._state.with_heads(memory.heads), memory.labels

    # ------------------------------------------------------------------ state

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Drop the history; the result of the next frame gives the reason."""
        self.guard.reset(reason)
        self._forget()

    @property
    def state_bytes(self) -> int:
        """Bytes that this stream keeps between frames; any thread may ask, at any time."""
        labels = self._labels
        heads = self._heads  # another thread may replace it
        found = None if heads is None else heads.peek()
        if found is not None:
            labels = found.memory.labels
        return self._state.nbytes + (0 if labels is None else labels.nbytes)

    @property
    def window_frames(self) -> int:
        """Frames from which the network predicts; label memory holds a fading mean of more."""
        return self.network.receptive_field

    @property
    def voxel_limit(self) -> int:
        """Voxels per frame that are allowed now."""
        return self.preparer.config.max_voxels

    @property
    def bundle_voxel_limit(self) -> int:
        """Voxels per frame that bundle and ``max_voxels`` allow."""
        return self._most_voxels

    def halve_voxel_limit(self) -> bool:
        """Halve the voxels per frame unless that was done before; every point is still labelled."""
        if self.voxel_limit < self.bundle_voxel_limit:
            return False
        voxels = max(_FEWEST_VOXELS, self.voxel_limit // 2)
        self.preparer = FramePreparer(replace(self.preparer.config, max_voxels=voxels))
        return True

    def save_state(self) -> dict[str, torch.Tensor]:
        """Return the stream's whole state as named CPU tensors, ready for safetensors."""
        state, labels = self._settled_state()
        tensors = {f'network.{k}': v.cpu().clone() for k, v in state.tensors().items()}
        if labels is not None:
            tensors |= {k: torch.from_numpy(v.copy()) for k, v in labels.arrays().items()}
        tensors['time'] = torch.frombuffer(
            bytearray(self.guard.save().to_bytes()), dtype=torch.uint8
        ).clone()
        tensors['frames'] = torch.tensor(self.frames_in_history)
        if self._origin is not None:
            tensors['origin'] = torch.from_numpy(self._origin.copy())
        if self._placement is not UNPLACED:
            tensors['pose'] = torch.from_numpy(self._placement.pose.copy())
        return tensors

    def restore_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Continue where :meth:`save_state` left off, with the same bundle.

        Raises:
            ConfigError: The tensors are not a state of this bundle's network; nothing changes.
        """
        empty = self.network.initial_state().tensors()
        for name, expected in empty.items():
            found = tensors.get(f'network.{name}')
            # Points are kept of some networks' last frames, however many they were.
            free = {'history_points': 2, 'history_mask': 2}.get(name)
            if name in ('points', 'features', 'point_mask'):
                free = 1
            if found is None or _shape(found, free) != _shape(expected, free):
                raise ConfigError(
                    f"saved stream: tensor '{name}' is "
                    f'{"missing" if found is None else tuple(found.shape)}, expected '
                    f'{tuple(expected.shape)} for bundle {self.bundle.manifest.name}',
                    'Restore a state only into a session with the bundle it was saved from',
                )
        state = TimeState.from_bytes(bytes(tensors['time'].tolist()))
        self._state = StreamState(**{n: tensors[f'network.{n}'].clone() for n in empty}).to(
            self.device
        )
        self._heads = None
        if self._labels is not None:
            arrays = {k: v.numpy().copy() for k, v in tensors.items() if k.startswith('labels.')}
            classes = len(self.network.config.segmentation_classes)
            self._labels = LabelMemory.of(arrays) if arrays else LabelMemory.empty(classes)
        self.guard.restore(state)
        self.frames_in_history = int(tensors['frames'])
        origin = tensors.get('origin')
        self._origin = None if origin is None else origin.numpy().copy()
        pose = tensors.get('pose')
        self._placement = UNPLACED if pose is None else Placement(pose=pose.numpy().copy())


def _shape(tensor: torch.Tensor, free: int | None) -> tuple[int, ...]:
    return tuple(-1 if axis == free else size for axis, size in enumerate(tensor.shape))
