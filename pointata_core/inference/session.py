# SPDX-License-Identifier: Apache-2.0
"""One input's stream: frames in, an answer for every point out, with nothing recomputed.

Node, bag evaluation and training validation all call this class. Same frames, same labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import torch

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.inference.background import Aside, NotAside, Once
from pointata_core.inference.frame_result import (
    STAGES,
    FrameResult,
    Heads,
    Skipped,
    Unfinished,
    ask_heads,
)
from pointata_core.inference.precompute import Groundwork
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.time_rules import Reset, ResetReason, Skip, TimeGuard, TimeState
from pointata_core.models.point.stream_state import StreamState
from pointata_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from pointata_core.bundles.bundle import Bundle

__all__ = ['STAGES', 'FrameResult', 'Skipped', 'StreamingSession', 'Unfinished']


class StreamingSession:
    """The streaming state of one input over a bundle.

    Not thread-safe: one thread owns a session; only :meth:`look_ahead` may be called by another.

    Args:
        bundle: Skill and backbone, as :func:`~pointata_core.bundles.bundle.load_bundle` gives.
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
        self._heads: Once[Heads] | None = None  # of the frame before, if there was one
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
        unfinished = self.begin(points, stamp_ns, features, frame_id, transform, groundwork)
        return unfinished if isinstance(unfinished, Skipped) else unfinished()

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
        unfinished = self.begin(points, stamp_ns, features, frame_id, transform, groundwork)
        if isinstance(unfinished, Skipped):
            return unfinished
        self._heads()
        return None

    @torch.inference_mode()
    def begin(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        transform: np.ndarray | None = None,
        groundwork: Groundwork | None = None,
    ) -> Skipped | Unfinished:
        """Take a frame through the blocks and leave the rest to whoever wants the answer.

        Another thread may call what this gives, while this one is at the next frame; that one is
        taken through the blocks at once, and then waits for the heads of this one. If those fail,
        they fail here once more; :meth:`reset` helps.

        Args:
            points: These and the rest as for :meth:`step`.
            stamp_ns: See there.
            features: See there.
            frame_id: See there.
            transform: See there.
            groundwork: See there.

        Returns:
            Called, it gives the answer; or :class:`Skipped`.
        """
        with ExitStack() as undo:
            if groundwork is not None:
                undo.callback(groundwork.close)
            decision = self.guard.check(stamp_ns, frame_id)
            if isinstance(decision, Skip):
                return Skipped(decision.reason, stamp_ns)
            reset = decision.reason if isinstance(decision, Reset) else None
            if reset is not None:
                self._forget()
            laid = self._fitting(groundwork, points, features)
            undo.callback(laid.close)
            watch = self._move_on(laid, transform)
            undo.pop_all()  # the heads need it
        return Unfinished(self._heads, laid, watch.laps, stamp_ns, reset)

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

    def _fitting(
        self,
        groundwork: Groundwork | None,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None,
    ) -> Groundwork:
        """The groundwork, if it is what would be laid now, else a new one."""
        if groundwork is not None:
            if groundwork.fits(points, self._origin, self.preparer, self.network):
                return groundwork
            groundwork.close()
        return self.look_ahead(points, features)

    def _move_on(self, groundwork: Groundwork, transform: np.ndarray | None) -> Stopwatch:
        """Take the frame through the blocks, and the state with it."""
        frame = groundwork.frame
        if len(frame.points):
            self._origin = frame.origin
        watch = Stopwatch(self.device, groundwork.laps)
        motion = None
        if transform is not None and self.frames_in_history:
            motion = self.preparer.motion(transform, frame.origin).to(self.device)
        encoded, state = self.network.encode_step(
            groundwork.voxels,
            self._state,
            groundwork.columns,
            motion=motion,
            geometry=groundwork.geometry,
            tokens=groundwork.tokens and groundwork.tokens(),
        )
        watch.lap('network')
        before = self._heads
        if before is not None:
            before()  # in order, and never more than two frames unanswered
        heads = ask_heads(self.network, encoded, groundwork, before or self._state.readout_memory)
        self._state, self._heads = state, heads
        self.frames_in_history += 1
        return watch

    def _settled_state(self) -> StreamState:
        """The state after the last frame, its heads asked."""
        if self._heads is None:
            return self._state
        return self._state.with_readout(self._heads().memory)

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
        state = self._settled_state()
        tensors = {f'network.{k}': v.cpu().clone() for k, v in state.tensors().items()}
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
        self.guard.restore(state)
        self.frames_in_history = int(tensors['frames'])
        origin = tensors.get('origin')
        self._origin = None if origin is None else origin.numpy().copy()


def _shape(tensor: torch.Tensor, free: int | None) -> tuple[int, ...]:
    return tuple(-1 if axis == free else size for axis, size in enumerate(tensor.shape))
