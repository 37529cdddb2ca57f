# SPDX-License-Identifier: Apache-2.0
"""One input's stream: frames in, an answer for every point out, with nothing recomputed.

Node, bag evaluation and training validation all call this class. Same frames, same labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pointata_core.errors import ConfigError
from pointata_core.models.segmentation_head import class_probabilities
from pointata_core.models.stream_state import StreamState
from pointata_core.streaming.aside import Aside, NotAside
from pointata_core.streaming.groundwork import Groundwork
from pointata_core.streaming.preparation import UNLABELLED, FramePreparer, PreparationConfig
from pointata_core.streaming.stopwatch import Stopwatch
from pointata_core.streaming.time_rules import (
    Reset,
    ResetReason,
    Skip,
    SkipReason,
    TimeGuard,
    TimeState,
)

if TYPE_CHECKING:
    from pointata_core.models.pointata import NetworkOutput
    from pointata_core.streaming.bundle import Bundle

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
        cells: Cells that the network saw.
        non_finite: Cells whose answer was not a number and became unlabelled.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    action: np.ndarray | None
    timings_ms: Mapping[str, float]
    stamp_ns: int
    reset: ResetReason | None = None
    cells: int = 0
    non_finite: int = 0


@dataclass(frozen=True)
class Skipped:
    """A frame that got no answer, and why; it left no trace in the stream."""

    reason: SkipReason
    stamp_ns: int


class StreamingSession:
    """The streaming state of one input over a bundle.

    Not thread-safe: one thread owns a session; only :meth:`look_ahead` may be called by another.

    Args:
        bundle: Skill and backbone, as :func:`~pointata_core.streaming.bundle.load_bundle` gives.
        device: Where to run; the bundle's network is moved there.
        max_gap_s: A longer pause between two stamps starts a new history.
        tolerance_s: A stamp at most this much behind is disorder (skipped), not a jump.
        overlap: Leave to a second thread what needs no history: of this frame while the first
            thread is at the tokens, of the next one (:meth:`look_ahead`) while it is at this one.
            The same answers sooner, where operations themselves have one thread each.

    Attributes:
        aside: The second thread, or that there is none.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device | str = 'cpu',
        max_gap_s: float = 1.0,
        tolerance_s: float = 0.25,
        *,
        overlap: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.aside = Aside() if overlap else NotAside()
        self.guard = TimeGuard(round(max_gap_s * 1e9), round(tolerance_s * 1e9))
        self._use(bundle)

    def _use(self, bundle: Bundle) -> None:
        preparation = PreparationConfig.from_dict(bundle.manifest.preparation)
        network = bundle.network
        wanted = tuple(network.config.features)
        if tuple(preparation.features) != wanted:
            raise ConfigError(
                f'bundle {bundle.manifest.name}: preparation.features are '
                f'{tuple(preparation.features)}, the network expects {wanted}'
            )
        network = network.to(self.device).eval()
        # Nothing above changed this session: a bundle that fails leaves the old one serving.
        self.bundle, self.network = bundle, network
        self.preparer = FramePreparer(preparation)
        self._forget()

    def _forget(self) -> None:
        self._state = self.network.initial_state()
        self._origin: np.ndarray | None = None
        self.frames_in_history = 0

    @property
    def can_look_ahead(self) -> bool:
        """Whether there is a second thread for what is begun before its turn."""
        return isinstance(self.aside, Aside)

    # ------------------------------------------------------------------ frames

    @torch.inference_mode()
    def step(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        transform: np.ndarray | None = None,
        groundwork: Groundwork | None = None,
    ) -> FrameResult | Skipped:
        """Answer one frame.

        Args:
            points: ``(N, 3)`` metres in the sensor frame; NaN, infinity and N = 0 are fine.
            stamp_ns: When the frame was taken, nanoseconds; strictly increasing in a stream.
            features: Sensor fields by name, each ``(N,)``.
            frame_id: Coordinate frame; another one starts a new history.
            transform: ``(4, 4)`` taking the sensor frame of the last answered frame into this one;
                ``None`` for no ego-motion compensation.
            groundwork: What :meth:`look_ahead` gave for these points and features. It is closed,
                and done again where it does not fit what has happened since.

        Returns:
            The answer, or :class:`Skipped` for a duplicate or out-of-order stamp.
        """
        output = self._advance(points, stamp_ns, features, frame_id, transform, groundwork)
        if isinstance(output, Skipped):
            return output
        result, output, cell_of_point, watch = output
        labels, probabilities, bad = self._propagate(output, cell_of_point)
        action = None
        if output.action is not None:
            action = output.action[0].float().softmax(-1).cpu().numpy()
        watch.lap('propagate')
        return replace(
            result,
            labels=labels,
            probabilities=probabilities,
            action=action,
            non_finite=bad,
            timings_ms=watch.timings_ms,
        )

    @torch.inference_mode()
    def ingest(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        transform: np.ndarray | None = None,
        groundwork: Groundwork | None = None,
    ) -> Skipped | None:
        """Take a frame into the temporal state without spreading an answer to its points."""
        output = self._advance(points, stamp_ns, features, frame_id, transform, groundwork)
        return output if isinstance(output, Skipped) else None

    @torch.inference_mode()
    def look_ahead(
        self, points: np.ndarray, features: Mapping[str, np.ndarray] | None = None
    ) -> Groundwork:
        """Do for a frame what needs no history, before its turn; on any thread.

        Args:
            points: As for :meth:`step`, which must be given the same array.
            features: As for :meth:`step`.

        Returns:
            For :meth:`step` or :meth:`ingest`. Part of it may still be under way on the second
            thread; ``close`` it if the frame never has its turn.
        """
        groundwork = Groundwork.lay(
            points, features, self._origin, self.preparer, self.network, self.device
        )
        self.aside.begin(*groundwork.rest)
        return groundwork

    def _advance(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None,
        frame_id: str,
        transform: np.ndarray | None,
        groundwork: Groundwork | None,
    ) -> Skipped | tuple[FrameResult, NetworkOutput, np.ndarray, Stopwatch]:
        try:
            decision = self.guard.check(stamp_ns, frame_id)
            if isinstance(decision, Skip):
                return Skipped(decision.reason, stamp_ns)
            reset = decision.reason if isinstance(decision, Reset) else None
            if reset is not None:
                self._forget()
            groundwork = self._fitting(groundwork, points, features)
            output, watch = self._move_on(groundwork, transform)
        finally:
            if groundwork is not None:
                groundwork.close()
        frame, nothing = groundwork.frame, np.empty(0)
        result = FrameResult(nothing, nothing, None, {}, stamp_ns, reset, len(frame.points))
        return result, output, frame.cell_of_point, watch

    def _fitting(
        self,
        groundwork: Groundwork | None,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None,
    ) -> Groundwork:
        """The groundwork, if it is what would be laid now, else a new one."""
        if groundwork is not None:
            if (
                groundwork.points is points
                and groundwork.origin is self._origin
                and groundwork.preparer is self.preparer
                and groundwork.network is self.network
            ):
                return groundwork
            groundwork.close()
        return self.look_ahead(points, features)

    def _move_on(
        self, groundwork: Groundwork, transform: np.ndarray | None
    ) -> tuple[NetworkOutput, Stopwatch]:
        """Take the frame through the network, and the state with it."""
        frame = groundwork.frame
        if len(frame.points):
            self._origin = frame.origin
        watch = Stopwatch(self.device, groundwork.laps)
        motion = None
        if transform is not None and self.frames_in_history:
            motion = self.preparer.motion(transform, frame.origin).to(self.device)
        output, self._state = self.network.step(
            groundwork.cells,
            self._state,
            groundwork.columns,
            motion=motion,
            geometry=groundwork.geometry,
            tokens=groundwork.tokens and groundwork.tokens(),
            described=groundwork.described,
        )
        self.frames_in_history += 1
        watch.lap('network')
        return output, watch

    def _propagate(
        self, output: NetworkOutput, cell_of_point: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Give every point its cell's answer."""
        if output.segmentation is None:
            count = len(cell_of_point)
            return np.full(count, UNLABELLED, np.uint16), np.zeros(count, np.float32), 0
        probability, label = class_probabilities(output.segmentation.float())[0].max(dim=0)
        finite = torch.isfinite(probability)
        bad = int((~finite).sum())
        # One entry more: index -1, a point without a cell, reads it.
        labels = np.full(len(label) + 1, UNLABELLED, np.uint16)
        probabilities = np.zeros(len(label) + 1, np.float32)
        labels[:-1] = torch.where(finite, label, UNLABELLED).cpu().numpy()
        probabilities[:-1] = torch.where(finite, probability, 0.0).cpu().numpy()
        return labels[cell_of_point], probabilities[cell_of_point], bad

    # ------------------------------------------------------------------ state

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Drop the history; the next frame's result names the reason."""
        self.guard.reset(reason)
        self._forget()

    def swap(self, bundle: Bundle) -> None:
        """Serve another bundle from the next frame on; on an error the old one stays."""
        self._use(bundle)
        self.guard.reset(ResetReason.BUNDLE_CHANGED)

    @property
    def resets(self) -> Counter[ResetReason]:
        """Histories dropped so far, by reason."""
        return self.guard.resets

    @property
    def state_bytes(self) -> int:
        """Bytes that this stream keeps between frames."""
        return self._state.nbytes

    def save_state(self) -> dict[str, torch.Tensor]:
        """Return the stream's whole state as named CPU tensors, ready for safetensors."""
        tensors = {f'network.{k}': v.cpu().clone() for k, v in self._state.tensors().items()}
        tensors['time'] = torch.frombuffer(
            bytearray(self.guard.save().to_bytes()), dtype=torch.uint8
        ).clone()
        tensors['frames'] = torch.tensor(self.frames_in_history)
        if self._origin is not None:
            tensors['origin'] = torch.from_numpy(self._origin.copy())
        return tensors

    def restore_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Continue where :meth:`save_state` left off, with the same bundle.

        Raises:
            ConfigError: The tensors are not a state of this bundle's network; nothing changes.
        """
        empty = self.network.initial_state().tensors()
        for name, expected in empty.items():
            found = tensors.get(f'network.{name}')
            # A two-frame embedder keeps the last frame's points, however many they were.
            free = 1 if name in ('points', 'features', 'point_mask') else None
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
        self.guard.restore(state)
        self.frames_in_history = int(tensors['frames'])
        origin = tensors.get('origin')
        self._origin = None if origin is None else origin.numpy().copy()


def _shape(tensor: torch.Tensor, free: int | None) -> tuple[int, ...]:
    return tuple(-1 if axis == free else size for axis, size in enumerate(tensor.shape))
