# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PointATA: a frozen 3D transformer that understands point-cloud video.

Two ways to run one set of weights: :meth:`PointATA.forward` on whole clips, vectorised over time,
and :meth:`PointATA.step` on one frame and the state of its stream. They give the same numbers:
attention stays inside a frame, and the adapters look only at the past of a tube.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pointata_core.models.point.align_embedder import EarlierFrame
from pointata_core.models.point.clip_tubes import clip_parents, clip_patches_before, clip_steps
from pointata_core.models.point.frame_passes import (
    describe_frames,
    describe_points,
    patches_before,
    read_action,
    run_blocks,
    segment,
    token_positions,
)
from pointata_core.models.point.geometry import (
    Centres,
    FrameGeometry,
    TokenGeometry,
    clip_geometry,
    frame_geometry,
    frames_with_points,
    tube_parents,
)
from pointata_core.models.point.heads.segmentation_head import DescribedPoints, map_of
from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import EncodedFrame, NetworkOutput
from pointata_core.models.point.network_parts import NetworkParts
from pointata_core.models.point.stream_state import (
    HeadMemory,
    StreamState,
    empty_state,
    last_points,
    newest_latents,
)
from pointata_core.models.point.token_features import clip_auxiliary, step_auxiliary
from pointata_core.models.point.tubes import (
    ancestors,
    clip_ancestors,
    follow,
    moved_points,
    parent_slots,
    shift_frames,
    tube_steps,
)
from pointata_core.models.scene.map_history import clip_maps, remembered


class PointATA(NetworkParts):
    """The network: its parts, run on clips or on streams of frames.

    Args:
        config: Sizes, classes and geometry.
    """

    # ------------------------------------------------------------------ time

    @property
    def receptive_field(self) -> int:
        """Frames that a prediction can depend on, the newest included.

        Each block looks ``k - 1`` frames back; the segmentation's field is that of the blocks, the
        action head's readout comes on top, and points of earlier frames where they are looked at.
        Followed centres are taken as given: they depend on all frames since the history began.
        """
        config = self.config
        blocks = len(self.adapters) * (config.adapter_kernel - 1)
        if isinstance(self.action_head, TwoStreamHead):
            blocks = max(blocks, 1)  # the step along a tube
        readout = self.action_head.receptive_field - 1 if self.action_head else 0
        maps = max(config.scene.lags, default=0) if config.scene is not None else 0
        return 1 + max(blocks, maps) + readout + config.frames_kept

    def initial_state(self, batch: int = 1) -> StreamState:
        """Return the state of ``batch`` streams before their first frame."""
        weight = self.backbone.class_token
        head = self.action_head
        readout = (head.receptive_field - 1, head.descriptor_width) if head else (0, 0)
        return empty_state(self.config, readout, batch, weight.device, weight.dtype)

    def embed(
        self,
        points: Tensor,
        features: Tensor | None,
        geometry: TokenGeometry,
        previous: EarlierFrame | None = None,
    ) -> Tensor:
        """Patch tokens ``(F, G, D)`` of single frames, zero in empty slots.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            geometry: Of these frames.
            previous: The frames before, for a two-frame embedder.
        """
        if not geometry.centres.shape[1]:
            return points.new_zeros((len(points), 0, self.config.backbone.width))
        tokens = self.embedder(points, features, geometry.centres, geometry.patch_index, previous)
        return tokens * geometry.token_mask.unsqueeze(-1)

    # ------------------------------------------------------------------ whole clips

    def forward(
        self,
        points: Tensor,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        geometry: FrameGeometry | None = None,
        prefix: Tensor | None = None,
        auxiliary: Tensor | None = None,
    ) -> NetworkOutput:
        """Run whole clips.

        Args:
            points: ``(B, T, N, 3)`` normalised.
            features: ``(B, T, N, C)`` or ``None``.
            mask: ``(B, T, N)``, false for padding; ``None`` when every slot holds a point. A frame
                without points leaves a gap in every tube.
            motion: ``(B, T, 4, 4)`` taking the frame before into each frame, in normalised
                units; ``None`` for a sensor at rest.
            geometry: Of the ``B * T`` frames, when computed before.
            prefix: What :meth:`encode_prefix` gave for the same clips; needs ``geometry``, and
                no segmentation head that taps the prefix.
            auxiliary: What :meth:`clip_auxiliary` gives for the same clips, when computed before.

        Returns:
            Logits for every frame.
        """
        batch, frames = points.shape[:2]
        flat, flat_features, flat_mask = points.flatten(0, 1), _fold(features), _fold(mask)
        if geometry is None:
            geometry = clip_geometry(points, mask, motion, self.config.geometry)
        if prefix is None:
            patches = self._embed_clips(points, features, mask, motion, geometry)
        else:
            patches = prefix[:, 1:]
        parents = clip_parents(geometry, motion, batch, self.config.geometry)
        chain = clip_ancestors(parents, self.config.adapter_kernel - 1)

        def past(block: int, latents: Tensor) -> list[Tensor]:
            clip = latents.unflatten(0, (batch, frames))
            return [follow(shift_frames(clip, j + 1).flatten(0, 1), a) for j, a in enumerate(chain)]

        if auxiliary is None:
            auxiliary = self.clip_auxiliary(points, features, mask, motion, geometry)
        taps = run_blocks(self, patches, geometry, past, prefix, auxiliary)
        present = frames_with_points(geometry, flat, flat_mask)
        described = describe_points(self, flat, flat_features, flat_mask, geometry)
        earlier = None
        if self.config.scene is not None and (fine := map_of(described)) is not None:
            maps = remembered(fine, present).unflatten(0, (batch, frames))
            earlier = clip_maps(maps, motion, self.config.scene)
        logits, actor = segment(self, flat, flat_mask, described, taps, auxiliary, earlier)
        steps = clip_steps(geometry, motion, parents) if auxiliary is None else auxiliary
        descriptors = describe_frames(self, taps, geometry, actor, steps)
        action = None
        if descriptors is not None and self.action_head is not None:
            action = self.action_head(
                descriptors.unflatten(0, (batch, frames)),
                present.view(batch, frames),
            )
        return NetworkOutput(
            None if logits is None else logits.unflatten(0, (batch, frames)), action
        )

    @torch.no_grad()
    def encode_prefix(
        self,
        points: Tensor,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        geometry: FrameGeometry | None = None,
    ) -> Tensor:
        """Run what lies before the first adapted block; arguments as :meth:`forward`.

        Returns:
            ``(B * T, 1 + G, D)``: class token and tokens where the adapted blocks begin.
        """
        if geometry is None:
            geometry = clip_geometry(points, mask, motion, self.config.geometry)
        tokens = self._embed_clips(points, features, mask, motion, geometry)
        x, position = self.backbone.with_class(tokens, geometry.centres)
        attention_mask = self.backbone.attention_mask(geometry.token_mask)
        for block in self.backbone.blocks[: self.config.first_adapted]:
            x = block(x + position, attention_mask)
        return x

    @torch.no_grad()
    def clip_auxiliary(
        self,
        points: Tensor,
        features: Tensor | None,
        mask: Tensor | None,
        motion: Tensor | None,
        geometry: FrameGeometry,
    ) -> Tensor | None:
        """Auxiliary features of the tokens; arguments as :meth:`forward`.

        Returns:
            ``(B * T, G, C)``: displacements of the patches, then sensor fields; ``None`` without
            either.
        """
        fields = _fold(features)
        return clip_auxiliary(self.config, points, fields, mask, motion, geometry)

    def _embed_clips(
        self,
        points: Tensor,
        features: Tensor | None,
        mask: Tensor | None,
        motion: Tensor | None,
        geometry: FrameGeometry,
    ) -> Tensor:
        previous = None
        if self.config.embedder_frames > 1:
            previous = clip_patches_before(self, points, features, mask, motion, geometry)
        return self.embed(points.flatten(0, 1), _fold(features), geometry, previous)

    def predict_from_positions(
        self,
        geometry: FrameGeometry,
        batch: int,
        motion: Tensor | None = None,
        auxiliary: Tensor | None = None,
    ) -> Tensor:
        """Predict whole clips by the head's token-position stream alone; no token is computed.

        Args:
            geometry: Of the ``B * T`` frames.
            batch: B.
            motion: See :meth:`forward`.
            auxiliary: From :meth:`clip_auxiliary`, for a network with auxiliary features.

        Returns:
            Action logits ``(B, T, classes)``.

        Raises:
            TypeError: The head has no such stream.
        """
        if not isinstance(self.action_head, TwoStreamHead):
            raise TypeError('the action head has no token-position stream')
        mask = geometry.token_mask
        frames = len(mask) // batch
        if auxiliary is None:
            parents = clip_parents(geometry, motion, batch, self.config.geometry)
            auxiliary = clip_steps(geometry, motion, parents)
        positions = token_positions(geometry, auxiliary)
        return self.action_head.predict_from_positions(
            positions, mask, mask.any(1).view(batch, frames)
        )

    # ------------------------------------------------------------------ streams

    def step(
        self,
        points: Tensor,
        state: StreamState,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        geometry: TokenGeometry | None = None,
        tokens: Tensor | None = None,
        described: Callable[[], DescribedPoints] | None = None,
    ) -> tuple[NetworkOutput, StreamState]:
        """Run one frame of B streams: :meth:`encode_step`, then :meth:`predict_step`.

        Returns:
            Logits of this frame, and the state after it.
        """
        encoded, state = self.encode_step(points, state, features, mask, motion, geometry, tokens)
        output, memory = self.predict_step(encoded, state.head_memory, described)
        return output, state.with_heads(memory)

    def encode_step(
        self,
        points: Tensor,
        state: StreamState,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        geometry: TokenGeometry | None = None,
        tokens: Tensor | None = None,
    ) -> tuple[EncodedFrame, StreamState]:
        """Take one frame of B streams through the blocks.

        The next frame needs only the returned state, so the heads of this frame may run on another
        thread meanwhile.

        Args:
            points: ``(B, N, 3)`` normalised.
            state: Of the streams before this frame; not modified.
            features: ``(B, N, C)`` or ``None``.
            mask: ``(B, N)`` or ``None``.
            motion: ``(B, 4, 4)`` taking the frame before into this one; ``None`` at rest.
            geometry: Of these frames, when computed before; that of the tokens is enough where
                :meth:`predict_step` is given ``described``, or without a segmentation head.
            tokens: What :meth:`embed` gives for these frames, when computed before; a two-frame
                embedder needs the state for that.

        Returns:
            The frame for the heads, and the state after it without the readout's new memory.
        """
        before = moved_points(state.centres, motion)
        if geometry is None:
            centres = Centres(before, state.token_mask)
            geometry = frame_geometry(points, mask, self.config.geometry, centres)
        if tokens is None:
            previous = None
            if self.config.embedder_frames > 1 and state.points.shape[1]:
                seen = moved_points(state.points, motion)
                previous = patches_before(self, geometry, seen, state.features, state.point_mask)
            tokens = self.embed(points, features, geometry, previous)
        token_mask = geometry.token_mask
        config = self.config.geometry
        follow_on = tube_parents(
            geometry.centres,
            token_mask,
            before,
            state.token_mask,
            config.tube_radius,
            config.follows,
        )
        parents = parent_slots(follow_on, token_mask.any(dim=1), state.token_mask.any(dim=1))
        taps_back = self.config.adapter_kernel - 1
        chain = ancestors([parents, *state.parents])[:taps_back]
        latents_now: list[Tensor] = []

        older = [follow(state.latents[:, j], a) for j, a in enumerate(chain)]

        def past(block: int, latents: Tensor) -> list[Tensor]:
            latents_now.append(latents)
            return [tap[block] for tap in older]

        auxiliary, state = step_auxiliary(
            self.config, points, features, mask, motion, geometry, state
        )
        taps = run_blocks(self, tokens, geometry, past, auxiliary=auxiliary)
        steps = tube_steps(geometry.centres, before, parents) if auxiliary is None else auxiliary
        state = replace(
            state,
            centres=geometry.centres,
            token_mask=token_mask,
            parents=torch.cat([parents.unsqueeze(0), state.parents])[: max(taps_back - 1, 0)],
            latents=newest_latents(latents_now, state.latents),
        )
        if self.config.embedder_frames > 1:
            state = replace(state, **last_points(points, features, mask))
        return EncodedFrame(points, features, mask, motion, geometry, taps, steps), state

    def predict_step(
        self,
        encoded: EncodedFrame,
        memory: HeadMemory,
        described: Callable[[], DescribedPoints] | None = None,
    ) -> tuple[NetworkOutput, HeadMemory]:
        """Run the heads on a frame.

        Args:
            encoded: The frame.
            memory: The action head's memory of the frames before it; not modified.
            described: Called for the result of the segmentation head's ``describe``, where
                another thread computes it.

        Returns:
            Logits of the frame, and the memory after it.
        """
        frame = encoded
        present = frames_with_points(frame.geometry, frame.points, frame.mask)
        known = (
            described()
            if described is not None
            else describe_points(self, frame.points, frame.features, frame.mask, frame.geometry)
        )
        earlier = None
        if self.config.scene is not None and (fine := map_of(known)) is not None:
            maps = memory.maps.advance(frame.motion)
            earlier = maps.lagged(self.config.scene)
            memory = memory._replace(maps=maps.push(remembered(fine, present)))
        logits, actor = segment(
            self, frame.points, frame.mask, known, frame.taps, frame.steps, earlier
        )
        descriptor = describe_frames(self, frame.taps, frame.geometry, actor, frame.steps)
        action, memory = read_action(self, descriptor, present, memory)
        return NetworkOutput(logits, action), memory


def _fold(values: Tensor | None) -> Tensor | None:
    """Turn ``(B, T, ...)`` into ``(B*T, ...)``, where there is something."""
    return None if values is None else values.flatten(0, 1)
