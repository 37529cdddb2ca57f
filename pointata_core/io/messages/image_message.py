# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decode ``sensor_msgs/Image`` and ``CompressedImage`` of rclpy and rosbags.

A malformed message raises nothing: the functions return an image, or a reason. Sizes are checked in
Python's integers before a byte is read.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENCODINGS = {
    'rgb8': (3, (0, 1, 2)),
    'bgr8': (3, (2, 1, 0)),
    'rgba8': (4, (0, 1, 2)),
    'bgra8': (4, (2, 1, 0)),
    'mono8': (1, (0, 0, 0)),
}
"""Encoding -> channels, and which of them are red, green and blue."""
MAX_PIXELS = 64 << 20
_FORMATS = ('JPEG', 'PNG')


class ImageRejectReason(str, Enum):
    """Why an image cannot be used."""

    EMPTY = 'empty'  # no pixels
    TOO_LARGE = 'too_large'
    UNSUPPORTED_ENCODING = 'unsupported_encoding'
    BAD_STEP = 'bad_step'  # a row is shorter than its pixels
    TRUNCATED = 'truncated'  # fewer bytes than the header announces
    DAMAGED = 'damaged'  # a compressed image that cannot be unpacked

    __str__ = str.__str__


@dataclass(frozen=True)
class RejectedImage:
    """An image that cannot be used, and why."""

    reason: ImageRejectReason
    detail: str

    def __str__(self) -> str:
        return f'{self.reason}: {self.detail}'


def decode_image(message: Any) -> NDArray[np.uint8] | RejectedImage:
    """Pixels (H, W, 3) uint8, red green blue, of a ``sensor_msgs/Image``.

    The pixels may be a read-only view into the message.
    """
    if message.encoding not in ENCODINGS:
        return RejectedImage(
            ImageRejectReason.UNSUPPORTED_ENCODING,
            f"encoding '{message.encoding}', expected one of {', '.join(ENCODINGS)}",
        )
    channels, order = ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if refused := _refused_size(height, width):
        return refused
    if step < width * channels:
        return RejectedImage(
            ImageRejectReason.BAD_STEP,
            f'step {step} for {width} pixels of {channels} bytes',
        )
    needed = step * (height - 1) + width * channels
    data = np.frombuffer(memoryview(message.data).cast('B'), np.uint8)
    if data.size < needed:
        return RejectedImage(ImageRejectReason.TRUNCATED, f'{data.size} bytes, expected {needed}')
    pixels = np.lib.stride_tricks.as_strided(
        data, (height, width, channels), (step, channels, 1), writeable=False
    )
    return pixels if order == (0, 1, 2) and channels == 3 else pixels[..., order]


def decode_compressed_image(message: Any) -> NDArray[np.uint8] | RejectedImage:
    """Pixels (H, W, 3) uint8, red green blue, of a ``sensor_msgs/CompressedImage``.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
    """
    from PIL import Image

    data = memoryview(message.data).cast('B').tobytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            # Untrusted bytes reach two decoders only; the size is checked before they unpack.
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                width, height = image.size
                if refused := _refused_size(height, width):
                    return refused
                return np.asarray(image.convert('RGB'))
    except Exception as error:  # decoders raise anything on damaged bytes
        return RejectedImage(
            ImageRejectReason.DAMAGED,
            f'no {" or ".join(_FORMATS)}: {type(error).__name__}: {error}',
        )


def _refused_size(height: int, width: int) -> RejectedImage | None:
    if height < 1 or width < 1:
        return RejectedImage(ImageRejectReason.EMPTY, f'{width} x {height} pixels')
    if height * width > MAX_PIXELS:
        return RejectedImage(
            ImageRejectReason.TOO_LARGE, f'{width} x {height} pixels, at most {MAX_PIXELS}'
        )
    return None
