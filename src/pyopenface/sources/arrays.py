"""Frames that a program already has: arrays, iterables and generators, checked one by one."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pyopenface._options import real_number
from pyopenface.errors import InputError, SourceError
from pyopenface.sources.base import Frame, Image, RawFrame, Selection, Source


def is_picture(array: npt.NDArray[Any]) -> bool:
    """Whether an array is one picture, rather than several frames."""
    return array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))


class ArraySource(Source):
    """A numpy array of frames (N, H, W, 3) or (N, H, W), or one picture (H, W, 3), (H, W)."""

    def __init__(
        self,
        frames: npt.NDArray[Any],
        selection: Selection | None = None,
        *,
        fps: float | None = None,
        timestamps: Sequence[float] | npt.NDArray[Any] | None = None,
        rgb: bool = False,
    ) -> None:
        super().__init__(selection or Selection())
        self.is_images = is_picture(frames)
        self._frames = frames[np.newaxis] if self.is_images else frames
        if self._frames.ndim not in (3, 4) or 0 in self._frames.shape:
            raise InputError(
                f"array of shape {frames.shape}: expected frames of shape (N, height, width, 3) or "
                "(N, height, width), or one picture of shape (height, width, 3) or (height, width)"
            )
        self._rgb = rgb
        self._check_dtype(frames.dtype)
        self._times = _Times(fps, timestamps, len(self._frames))
        self.fps = self._times.fps
        if self.selection.needs_times and not self._times.known:
            raise InputError("start= and end= need times: give fps= or timestamps= for the array")

    @staticmethod
    def _check_dtype(dtype: np.dtype[Any]) -> None:
        if dtype != np.uint8:
            raise InputError(f"array of dtype {dtype}: {_EXPECTED_DTYPE}")

    @property
    def full_size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self._frames.shape[2], self._frames.shape[1]

    @property
    def total(self) -> int | None:
        """Number of frames of the whole input, as far as it is known before reading."""
        return len(self._frames)

    def _raw(self) -> Generator[RawFrame, None, None]:
        for number, frame in enumerate(self._frames, start=1):
            yield (
                number,
                self._times.time(number),
                partial(_as_bgr, frame, number, self._rgb),
                None,
            )


class IterableSource(Source):
    """Frames from any iterable or generator: arrays, (array, seconds) pairs, or `Frame` records.

    Nothing is kept, so endless generators run in bounded memory. A generator can be iterated once, a list
    again and again. The generator may reuse its array for the next frame: `volatile` is set.
    """

    volatile = True

    def __init__(
        self,
        frames: Iterable[Any],
        selection: Selection | None = None,
        *,
        fps: float | None = None,
        timestamps: Sequence[float] | npt.NDArray[Any] | None = None,
        rgb: bool = False,
    ) -> None:
        super().__init__(selection or Selection())
        self._frames = frames
        count = len(frames) if isinstance(frames, Sequence) else None
        self._count = count
        self._times = _Times(fps, timestamps, count)
        self.fps = self._times.fps
        self._rgb = rgb
        self._waiting: tuple[Iterator[Any], Any] | None = None
        self._first_size: tuple[int, int] | None = None

    @property
    def full_size(self) -> tuple[int, int]:
        """(width, height) of the first frame, which is fetched from the iterable if need be."""
        if self._first_size is None:
            iterator, item = self._begin()
            if isinstance(self._frames, Iterator):
                self._waiting = iterator, item
            self._first_size = self._size_of(item)
        return self._first_size

    def _size_of(self, item: Any) -> tuple[int, int]:
        image, _, number = self._unpack(item, 1)
        height, width, _ = _as_bgr(image, number, self._rgb).shape
        return width, height

    @property
    def total(self) -> int | None:
        """Number of frames of the whole input, as far as it is known before reading."""
        return self._count

    def _begin(self) -> tuple[Iterator[Any], Any]:
        if self._waiting is not None:
            begun, self._waiting = self._waiting, None
            return begun
        iterator = iter(self._frames)
        for item in iterator:
            return iterator, item
        raise SourceError("the iterable yields no frame")

    def _unpack(self, item: Any, number: int) -> tuple[Any, float, int]:
        if isinstance(item, Frame):
            return item.image, item.timestamp, item.number
        if not isinstance(item, tuple):
            if self.selection.needs_times and not self._times.known:
                raise InputError("start= and end= need times: give fps= or (frame, seconds) pairs")
            return item, self._times.time(number), number
        if len(item) != 2 or not isinstance(item[1], int | float | np.number):
            raise InputError(f"frame {number}: expected an array or a pair (array, seconds)")
        return item[0], float(item[1]), number

    def _raw(self) -> Generator[RawFrame, None, None]:
        iterator, first = self._begin()
        # Noted now, because asking for the size later must not take another frame from the iterable.
        self._first_size = self._size_of(first)
        last = -math.inf
        try:
            for index, item in enumerate(itertools.chain([first], iterator), start=1):
                image, timestamp, number = self._unpack(item, index)
                if not math.isfinite(timestamp):
                    raise InputError(f"frame {number}: time {timestamp}, expected seconds")
                if timestamp < last:
                    raise InputError(f"frame {number}: time {timestamp} s after one of {last} s")
                last = timestamp
                yield (
                    number,
                    timestamp,
                    partial(_as_bgr, image, number, self._rgb),
                    None,
                )
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()


class _Times:
    """Times of frames that come as arrays: from a rate, from a list, or none (all 0)."""

    def __init__(
        self,
        fps: float | None,
        timestamps: Sequence[float] | npt.NDArray[Any] | None,
        count: int | None,
    ) -> None:
        rate = "frames per second, more than 0"
        self.fps = 0.0 if fps is None else real_number("fps", fps, rate, above=True)
        self._list = None if timestamps is None else _seconds(timestamps)
        if self._list is not None and count is not None and len(self._list) != count:
            raise InputError(f"timestamps: {len(self._list)} times for {count} frames")
        self.known = fps is not None or timestamps is not None

    def time(self, number: int) -> float:
        if self._list is not None:
            if number > len(self._list):
                raise InputError(f"frame {number}: timestamps= has only {len(self._list)} times")
            return float(self._list[number - 1])
        return (number - 1) * (1.0 / self.fps) if self.fps else 0.0


def _seconds(timestamps: Sequence[float] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    try:
        times = np.asarray(timestamps, dtype=np.float64)
        good = times.ndim == 1 and np.isfinite(times).all() and (np.diff(times) >= 0).all()
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError("timestamps: expected a list of seconds in rising order")
    return times


_EXPECTED_DTYPE = (
    "expected uint8 (0 to 255); convert floats in 0 to 1 with (255 * a).round().astype('uint8') "
    "and 16-bit samples with (a >> 8).astype('uint8')"
)


def _as_bgr(frame: Any, number: int, rgb: bool) -> Image:
    """Check one array given by the user and bring it into the form (height, width, 3), BGR, contiguous."""
    if not isinstance(frame, np.ndarray):
        hint = "; files go in a list" if isinstance(frame, str | bytes | os.PathLike) else ""
        kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
        raise InputError(f"frame {number} is a {kind}: expected a numpy array{hint}")
    if frame.dtype != np.uint8:
        raise InputError(f"frame {number} has dtype {frame.dtype}: {_EXPECTED_DTYPE}")
    if frame.ndim not in (2, 3) or 0 in frame.shape or (frame.ndim == 3 and frame.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"frame {number} has shape {frame.shape}: expected (height, width, 3) or (height, width)"
        )
    if frame.ndim == 2 or frame.shape[2] == 1:
        grey = frame.reshape(frame.shape[:2])
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    colour = frame[:, :, 2::-1] if rgb else frame[:, :, :3]
    return np.ascontiguousarray(colour)
