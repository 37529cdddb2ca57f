# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Light, weather and the sensor's faults: from colours under white light to an image.

Flat shading: brightness depends on the normal, the sun (or the lamps) and the distance; nothing
casts a shadow. All random choices come from the generator of the frame, those of the scene
(where the sun stands, which windows are lit) from its seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter

from pointata_core.errors import ConfigError
from pointata_core.simulation.camera.materials import POLE, ROAD, SIDEWALK, hashed, noise
from pointata_core.simulation.camera.model import CameraModel, upright
from pointata_core.simulation.camera.surfaces import GROUND, Surfaces
from pointata_core.simulation.solids import ShapeKind, Shapes


@dataclass(frozen=True)
class Style:
    """A time of day and a weather.

    Attributes:
        sun: Brightness of direct sunlight.
        sky: Brightness and colour of what comes from the whole sky.
        horizon: Colour of the sky at the horizon, and of haze.
        zenith: Colour of the sky overhead.
        clouds: 0..1, how much clouds whiten the sky.
        haze_m: Distance at which haze hides two thirds of a colour.
        lamps: Brightness of street lamps and of our headlights; lit windows, too.
        wet: 0..1, how much ground is darkened and mirrors the sky.
        streaks: Rain streaks per thousand pixels.
        noise: Standard deviation of the sensor's noise at mid-grey.
        blur: Standard deviation of blur, as a share of the image's width.
    """

    sun: float
    sky: tuple[float, float, float]
    horizon: tuple[float, float, float]
    zenith: tuple[float, float, float]
    clouds: float = 0.3
    haze_m: float = 400.0
    lamps: float = 0.0
    wet: float = 0.0
    streaks: float = 0.0
    noise: float = 0.01
    blur: float = 0.0012


STYLES = MappingProxyType(
    {
        'day': Style(0.75, (0.42, 0.45, 0.52), (0.80, 0.86, 0.94), (0.36, 0.56, 0.88)),
        'night': Style(
            0.0, (0.025, 0.028, 0.045), (0.05, 0.045, 0.05), (0.01, 0.012, 0.03),
            haze_m=250.0, lamps=1.0, noise=0.05, blur=0.004,
        ),
        'rain': Style(
            0.0, (0.46, 0.48, 0.51), (0.62, 0.64, 0.66), (0.50, 0.52, 0.55), clouds=0.1,
            haze_m=70.0, wet=1.0, streaks=3.0, noise=0.02, blur=0.003,
        ),
    }
)  # fmt: skip
"""Styles by name."""

_WARM, _WHITE = np.array([1.0, 0.72, 0.42]), np.array([1.0, 0.95, 0.88])


def get_style(style: str | Style) -> Style:
    """A style by name, or the style itself; ``ConfigError`` for an unknown name."""
    if isinstance(style, Style):
        return style
    if style not in STYLES:
        raise ConfigError(f'style is {style!r}, expected one of {", ".join(STYLES)}')
    return STYLES[style]


def develop(
    surfaces: Surfaces,
    colours: np.ndarray,
    directions: np.ndarray,
    shapes: Shapes,
    pose: np.ndarray,
    camera: CameraModel,
    style: Style,
    seed: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Light a scene and take its image.

    Args:
        surfaces: Hits of the camera's rays.
        colours: (M, 3) their colours under white light.
        directions: (rays, 3) unit directions of all rays in the map frame.
        shapes: All shapes in the map frame; lamps are found among them.
        pose: (4, 4) body of the camera -> map.
        camera: The camera.
        style: The light.
        seed: Of the scene.
        rng: Of the frame.

    Returns:
        (height, width, 3) uint8.
    """
    sky = _sky(directions, style, seed)
    light = _daylight(surfaces, style, seed)
    if style.lamps:
        light = light + _lamplight(surfaces, shapes, pose, style)
    lit = colours * light
    if style.lamps:
        lit = lit + _glow(surfaces, colours, style, seed)
    if style.wet:
        lit = _wetted(lit, surfaces, style, seed)
    haze = np.exp(-surfaces.distance / style.haze_m)[:, None]
    image = sky
    image[surfaces.ray] = lit * haze + np.array(style.horizon) * (1 - haze)
    image = upright(image.reshape(camera.height, camera.width, 3))
    return _exposed(image, style, rng)


def _sky(directions: np.ndarray, style: Style, seed: int) -> np.ndarray:
    up = np.clip(directions[:, 2].astype(np.float64), 0, 1)
    share = np.sqrt(up)[:, None]
    sky = np.array(style.horizon) * (1 - share) + np.array(style.zenith) * share
    if style.clouds and not style.lamps:
        # Clouds lie on a plane overhead, so they grow smaller towards the horizon.
        spot = directions / np.maximum(up, 0.06)[:, None]
        cover = 0.6 * noise(spot, 0.7, seed + 5) + 0.4 * noise(spot, 0.25, seed + 6)
        sky = sky + (style.clouds * np.clip(2 * cover - 0.8, 0, 1))[:, None] * (1 - sky)
    return sky


def _daylight(surfaces: Surfaces, style: Style, seed: int) -> np.ndarray:
    """Light from the sky, more from above, and from the sun; (M, 3)."""
    above = 0.65 + 0.35 * surfaces.normal[:, 2:]
    light = np.array(style.sky) * above * np.ones((1, 3))
    if style.sun:
        turn = 2 * np.pi * hashed(seed, np.array([11]))
        height = 0.5 + 0.7 * hashed(seed, np.array([12]))
        sun = np.stack(
            [np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)], -1
        )[0]
        facing = np.maximum(surfaces.normal @ sun, 0)
        facing = np.where(surfaces.leaf, 0.5, facing)  # leaves face everywhere
        light = light + style.sun * facing[:, None] * _WHITE
    return light


def _lamplight(surfaces: Surfaces, shapes: Shapes, pose: np.ndarray, style: Style) -> np.ndarray:
    """Headlights ahead of us and pools of light under the street lamps; (M, 3)."""
    ahead = np.maximum(surfaces.direction @ pose[:3, 0], 0) ** 24
    facing = np.abs((surfaces.normal * surfaces.direction).sum(1)) ** 0.5
    facing = np.where(surfaces.leaf, 0.6, facing)
    beam = 0.9 * ahead * facing / (1 + (surfaces.distance / 14) ** 2)
    light = style.lamps * beam[:, None] * _WHITE
    for lamp in _lamp_places(shapes, pose[:3, 3]):
        toward = lamp - surfaces.place
        away = np.linalg.norm(toward, axis=1)
        # Shades throw light downwards only.
        down = np.clip(toward[:, 2] / np.maximum(away, 1e-3), 0, 1)
        cosine = np.maximum((surfaces.normal * toward).sum(1) / np.maximum(away, 1e-3), 0)
        pool = 0.8 * down * np.where(surfaces.leaf, 0.5, cosine) / (1 + (away / 5) ** 2)
        light = light + style.lamps * pool[:, None] * _WARM
    return light


def _lamp_places(shapes: Shapes, viewer: np.ndarray, reach: float = 70.0) -> np.ndarray:
    """(L, 3) heads of the street lamps around: flat boxes high up on a pole."""
    head = (shapes.label == POLE) & (shapes.kind == ShapeKind.BOX)
    head &= (np.abs(shapes.half[:, 0] - 0.35) < 1e-6) & (np.abs(shapes.half[:, 2] - 0.07) < 1e-6)
    places = shapes.centre[head]
    return places[np.linalg.norm(places - viewer, axis=1) < reach]


def _glow(surfaces: Surfaces, colours: np.ndarray, style: Style, seed: int) -> np.ndarray:
    """What shines by itself: some windows of houses, and signs in our headlights."""
    storey = np.floor(surfaces.place[:, 2] / 2.9).astype(int)
    room = np.floor((surfaces.place[:, 0] + surfaces.place[:, 1]) / 3.0).astype(int)
    lit = surfaces.pane & (surfaces.label != ROAD)
    lit &= (surfaces.reflectivity > 0.1) & (hashed(seed, surfaces.instance, storey, room) < 0.25)
    glow = 0.7 * lit[:, None] * _WARM
    foil = (surfaces.label == POLE) & (surfaces.reflectivity > 0.9)
    return style.lamps * (glow + 0.8 * foil[:, None] * colours)


def _wetted(lit: np.ndarray, surfaces: Surfaces, style: Style, seed: int) -> np.ndarray:
    """Wet ground is darker and mirrors the sky, most in puddles and at grazing angles."""
    paved = (surfaces.shape == GROUND) & np.isin(surfaces.label, (ROAD, SIDEWALK))
    puddle = np.clip(3 * noise(surfaces.place, 2.2, seed + 9) - 1.2, 0, 1)
    grazing = 1 - np.abs((surfaces.normal * surfaces.direction).sum(1))
    mirror = np.clip(0.1 + 0.75 * grazing**5 * (0.3 + 0.7 * puddle), 0, 0.85)
    mirror = np.where(paved, style.wet * mirror, 0)[:, None]
    darker = np.where(surfaces.shape == GROUND, 1 - 0.45 * style.wet, 1 - 0.15 * style.wet)
    return lit * darker[:, None] * (1 - mirror) + np.array(style.horizon) * mirror


def _exposed(image: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    if style.lamps:  # a longer exposure, within limits: lamps burn out
        image = 1 - np.exp(-2.2 * image)
    image = gaussian_filter(image, (style.blur * width, style.blur * width, 0))
    if style.streaks:
        image = _with_streaks(image, round(style.streaks * height * width / 1000), rng)
    grain = rng.standard_normal((height, width, 1)) + 0.7 * rng.standard_normal(image.shape)
    image = image + style.noise * grain * np.sqrt(np.clip(image, 0, 1) + 0.1)
    return (np.clip(image, 0, 1) ** (1 / 1.4) * 255 + 0.5).astype(np.uint8)


def _with_streaks(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Short bright lines, a little aslant, drawn pixel by pixel."""
    height, width = image.shape[:2]
    veil = np.zeros((height, width))
    length = rng.uniform(0.02, 0.09, count) * height
    row, column = rng.uniform(0, height, count), rng.uniform(0, width, count)
    slant = 0.15 + 0.05 * rng.standard_normal()
    strength = rng.uniform(0.08, 0.3, count)
    for step in np.linspace(0, 1, 12):
        r = (row + step * length).astype(int)
        c = (column + slant * step * length).astype(int)
        seen = (r < height) & (c >= 0) & (c < width)
        np.maximum.at(veil, (r[seen], c[seen]), strength[seen])
    veil = gaussian_filter(veil, 0.5)[..., None]
    return image * (1 - veil) + 0.85 * veil
