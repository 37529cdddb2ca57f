# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network is made of: frozen dataclasses, checked once, saved with every bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from pointata_core.errors import ConfigError
from pointata_core.models.scene.config import SceneConfig

BlockStyle = Literal['pre_norm', 'replace_norm']
Anchors = Literal['sampled', 'followed']
Readout = Literal['convolution', 'pooled', 'linear']


@dataclass(frozen=True)
class BackboneConfig:
    """The frozen 3D transformer (Point-MAE layout, Pang et al., ECCV 2022).

    Attributes:
        width: Token width D.
        depth: Number of blocks L.
        heads: Attention heads.
        mlp_ratio: Hidden width of a block's MLP over ``width``.
        encoder_hidden: Widths of the patch encoder's first stage (per point, then pooled).
        encoder_width: Output width of the patch encoder; when it differs from ``width`` a linear
            map follows (Point-BERT: 256 -> 384).
        block_style: ``pre_norm`` for ``x + f(LN(x))``; ``replace_norm`` for ReCon's patch stream,
            where the normalised value replaces the stream before the residual.
        class_visible: Whether patch tokens attend to the class token (ReCon: they do not).
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_ratio: int = 4
    encoder_hidden: tuple[int, int] = (64, 128)
    encoder_width: int = 192
    block_style: BlockStyle = 'pre_norm'
    class_visible: bool = True

    def __post_init__(self) -> None:
        _positive(self, 'width', 'depth', 'heads', 'mlp_ratio', 'encoder_width')
        if self.width % self.heads:
            raise ConfigError(
                f'backbone.width {self.width} is not a multiple of backbone.heads {self.heads}',
                'Choose heads that divide the width',
            )
        if self.block_style not in ('pre_norm', 'replace_norm'):
            raise ConfigError(
                f"backbone.block_style is '{self.block_style}', expected pre_norm or replace_norm"
            )


@dataclass(frozen=True)
class GeometryConfig:
    """How a frame becomes tokens. Lengths are in normalised units (metres / scale).

    Attributes:
        tokens: Tokens per frame G; 0 leaves the transformer out.
        patch_size: Points per patch K.
        range_knee: Where range compression of the centre sampling sets in; 0 samples centres
            uniformly in space, as object models do.
        anchors: ``sampled`` anew in every frame; or ``followed``: they stay on what they lie on, as
            far as ``tube_radius``, see :mod:`.anchors`.
        tube_radius: A token continues the nearest token of the frame before within this distance;
            a followed one continues itself.
        context_neighbours: Neighbours per token in the context encoder.
        pillar_sizes: Ground-plane voxels of the segmentation head's local feature.
    """

    tokens: int = 64
    patch_size: int = 32
    range_knee: float = 0.0
    anchors: Anchors = 'sampled'
    tube_radius: float = 0.2
    context_neighbours: int = 8
    pillar_sizes: tuple[float, ...] = (0.05, 0.15, 0.45)

    def __post_init__(self) -> None:
        _positive(self, 'patch_size', 'tube_radius', 'context_neighbours')
        if self.tokens < 0:
            raise ConfigError(f'geometry.tokens is {self.tokens}, expected >= 0')
        if self.range_knee < 0:
            raise ConfigError(f'geometry.range_knee is {self.range_knee}, expected >= 0')
        if self.anchors not in get_args(Anchors):
            raise ConfigError(
                f"geometry.anchors is '{self.anchors}', expected one of {get_args(Anchors)}"
            )

    @property
    def follows(self) -> bool:
        """Whether token centres depend on the frame before."""
        return self.anchors == 'followed' and self.tokens > 0


@dataclass(frozen=True)
class NetworkConfig:
    """Backbone, adapters and heads of one skill.

    Attributes:
        backbone: The frozen transformer.
        geometry: Tokens, patches and tubes.
        features: Names of the per-point features beside x, y, z.
        embedder_frames: 1 groups a patch from its own frame; 2 adds the frame before (causal).
        motion_lags: How many frames back each patch is compared with earlier points, as input of
            adapters and heads. Empty for none; the position stream of the action head then reads
            the displacement along tubes.
        motion_reach: Unit and upper limit of these displacements, in normalised units.
        token_fields: Whether adapters and heads also read the features of the point at each
            token's centre.
        adapter_width: Bottleneck r of the video adapters; 0 switches them off.
        adapted_blocks: How many of the last blocks carry an adapter and context; -1 for all. What
            lies before them is frozen and can be computed once for a whole training.
        class_offset: Whether the skill has a class token of its own, as an offset to the
            backbone's where the adapted blocks begin.
        adapter_kernel: Frames in a tube k; 1 switches time off.
        context_width: Bottleneck of the shared context encoder; 0 switches it off.
        segmentation_classes: Names; empty for no segmentation head.
        action_classes: Names; empty for no action head.
        scene: Describes points by a scene encoder in place of the statistics of their pillars.
        segmentation_width: Hidden width of the per-point head.
        segmentation_blocks: Blocks whose tokens feed the per-point head (1-based).
        readout_width: Width of the action head's temporal readout.
        readout_frames: Frames of the readout's mean.
        readout: ``convolution``; ``pooled`` to also take mean and max of its output over
            ``readout_frames``, for clips whose action may be over at their end; or ``linear``, a
            plain linear classifier of the mean.
        position_width: Width of the action head's position stream; 0 for no such stream.
        position_share: Share of every training batch that only the position stream predicts. From
            0, where all clips go through the adapted blocks, to below 1.
        token_weight: Weight of the token stream in the prediction, from 0 to 1; the position stream
            has the rest.
        actor_class: Segmentation class whose points form an extra descriptor for the action head
            ('' for none).
        dropout: Dropout in the heads.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    features: tuple[str, ...] = ()
    embedder_frames: int = 1
    motion_lags: tuple[int, ...] = ()
    motion_reach: float = 0.3
    token_fields: bool = False
    adapter_width: int = 48
    adapter_kernel: int = 3
    adapted_blocks: int = -1
    class_offset: bool = False
    context_width: int = 32
    segmentation_classes: tuple[str, ...] = ()
    action_classes: tuple[str, ...] = ()
    scene: SceneConfig | None = None
    segmentation_width: int = 96
    segmentation_blocks: tuple[int, ...] = (4, 8, 12)
    readout_width: int = 128
    readout_frames: int = 16
    readout: Readout = 'convolution'
    position_width: int = 0
    position_share: float = 0.5
    token_weight: float = 0.5
    actor_class: str = ''
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, 'adapter_kernel', 'readout_width', 'readout_frames')
        if self.adapter_width < 0:
            raise ConfigError(f'adapter_width is {self.adapter_width}, expected >= 0')
        if not -1 <= self.adapted_blocks <= self.backbone.depth:
            raise ConfigError(
                f'adapted_blocks is {self.adapted_blocks}, expected -1 to {self.backbone.depth}',
                'Give at most the depth of the backbone; -1 stands for all blocks',
            )
        if self.readout not in get_args(Readout):
            raise ConfigError(
                f"readout is '{self.readout}', expected one of {', '.join(get_args(Readout))}"
            )
        if self.position_width < 0:
            raise ConfigError(f'position_width is {self.position_width}, expected 0 or more')
        if not 0 <= self.position_share < 1:
            raise ConfigError(f'position_share is {self.position_share}, expected 0 to below 1')
        if not 0 <= self.token_weight <= 1:
            raise ConfigError(f'token_weight is {self.token_weight}, expected 0 to 1')
        if self.embedder_frames not in (1, 2):
            raise ConfigError(f'embedder_frames is {self.embedder_frames}, expected 1 or 2')
        if (
            list(self.motion_lags) != sorted({*self.motion_lags})
            or min(self.motion_lags, default=1) < 1
        ):
            raise ConfigError(
                f'motion_lags are {list(self.motion_lags)}, expected rising numbers from 1'
            )
        if self.token_fields and not self.features:
            raise ConfigError(
                'token_fields is on, but there are no features',
                'Name sensor fields in preparation.features, or leave token_fields off',
            )
        if not self.motion_reach > 0:
            raise ConfigError(f'motion_reach is {self.motion_reach}, expected > 0')
        bad = [b for b in self.segmentation_blocks if not 1 <= b <= self.backbone.depth]
        if bad:
            raise ConfigError(
                f'segmentation_blocks names block {bad[0]}, the backbone has {self.backbone.depth}'
            )
        if self.actor_class and self.actor_class not in self.segmentation_classes:
            raise ConfigError(
                f"actor_class '{self.actor_class}' is not one of the segmentation classes",
                'Name a class of segmentation_classes, or leave actor_class empty',
            )
        self._check_tokens()
        for name in ('segmentation_classes', 'action_classes'):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ConfigError(f'{name} has a name twice: {values}')

    def _check_tokens(self) -> None:
        """Without tokens there is nothing for the parts that read them."""
        if self.geometry.tokens:
            return
        for name in (
            'segmentation_blocks', 'adapter_width', 'context_width', 'position_width',
            'motion_lags', 'token_fields',
        ):  # fmt: skip
            if getattr(self, name):
                raise ConfigError(
                    f'{name} is {getattr(self, name)!r}, but geometry.tokens is 0',
                    f'Set {name} to nothing, or give the network tokens',
                )

    @property
    def frames_kept(self) -> int:
        """How many frames back points are looked at."""
        return max(self.embedder_frames - 1, *self.motion_lags, 0)

    @property
    def first_adapted(self) -> int:
        """Index of the first block with an adapter; the blocks before it are the prefix."""
        adapted = self.backbone.depth if self.adapted_blocks < 0 else self.adapted_blocks
        return self.backbone.depth - adapted

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Build from plain values; unknown or missing-typed fields raise :class:`ConfigError`."""
        values = dict(values)
        values['backbone'] = build_config(BackboneConfig, values.get('backbone', {}), 'backbone')
        values['geometry'] = build_config(GeometryConfig, values.get('geometry', {}), 'geometry')
        if values.get('scene') is not None:
            values['scene'] = build_config(SceneConfig, values['scene'], 'scene')
        return build_config(cls, values, 'network')


def build_config(cls: type, values: Any, where: str) -> Any:
    """Build a dataclass from plain values, with tuples for lists.

    Args:
        cls: The dataclass; an instance of it is returned as it is.
        values: Its fields by name.
        where: Name of the configuration, for messages.

    Raises:
        ConfigError: A field is unknown, missing or mistyped.
    """
    if isinstance(values, cls):
        return values
    if not isinstance(values, Mapping):
        raise ConfigError(f'{where} is a {type(values).__name__}, expected a mapping of fields')
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"{where} has the unknown field '{unknown[0]}'", f'Known fields: {sorted(known)}'
        )
    tupled = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**tupled)
    except TypeError as error:
        raise ConfigError(f'{where} has a value of the wrong type: {error}') from error


def _positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ConfigError(f'{type(config).__name__}.{name} is {value}, expected > 0')


_BACKBONES = {
    'tiny': BackboneConfig(),
    'small': BackboneConfig(width=384, heads=6, encoder_hidden=(128, 256), encoder_width=384),
}
_ADAPTER_WIDTH = {'tiny': 48, 'small': 64}
PRESETS = tuple(_BACKBONES)


def preset_config(preset: str, **changes: Any) -> NetworkConfig:
    """Return the preset's :class:`NetworkConfig` with ``changes`` applied.

    ``tiny``: D=192, 12 blocks, 3 heads, patch encoder at half width. ``small``: D=384, 12 blocks,
    6 heads, the shape of the public Point-MAE checkpoints.
    """
    if preset not in _BACKBONES:
        raise ConfigError(f"preset '{preset}' is unknown", f'Known presets: {", ".join(PRESETS)}')
    base = NetworkConfig(backbone=_BACKBONES[preset], adapter_width=_ADAPTER_WIDTH[preset])
    return replace(base, **changes)
