"""What all sources share: the frame, the choice of a part of the input, and the walk over it."""

from __future__ import annotations

import contextlib
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pyopenface._options import real_number, whole_number
from pyopenface.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

Image: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes
    ----------
    image
        uint8 array of shape (height, width, 3), channels in the order blue, green, red, C-contiguous.
    timestamp
        Time in seconds from the beginning of the input; 0 where the input has no times.
    number
        Number of the frame in the input, from 1. It is the same whether all or some frames are read.
    path
        The picture's file, for sources made of image files.
    """

    image: Image
    timestamp: float
    number: int
    path: Path | None = None


def default_camera(width: int, height: int) -> tuple[float, float, float, float]:
    """Guess a camera's intrinsics from the picture size, as OpenFace does (tracking.md, section 10.3).

    Parameters
    ----------
    width, height
        Size of the whole picture in pixels.

    Returns
    -------
    fx, fy, cx, cy
        Focal lengths and principal point in pixels, rounded to single precision.

    Examples
    --------
    >>> default_camera(640, 480)
    (500.0, 500.0, 320.0, 240.0)
    """
    # In single precision, 500 w/640 added unrounded: the last bit of the focal length shows in the gaze.
    single = np.float32
    down = single(500.0) * (single(height) / single(480.0))
    both = single(500.0 * float(single(width) / single(640.0)) + float(down))
    focal = float(both / single(2.0))
    return focal, focal, float(np.float32(width / 2.0)), float(np.float32(height / 2.0))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which frames of an input to yield, and which part of them. Times in seconds, `roi` in pixels."""

    start: float | None = None
    end: float | None = None
    every: int = 1
    fps: float | None = None
    roi: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        check_times(self.start, self.end)
        object.__setattr__(self, "every", whole_number("every", self.every))
        if self.fps is not None:
            real_number("fps", self.fps, "frames per second, more than 0", above=True)
        if self.fps is not None and self.every != 1:
            raise InputError("every= and fps= can't be combined: both choose frames")
        if self.roi is not None:
            object.__setattr__(self, "roi", check_roi(self.roi))

    @property
    def needs_times(self) -> bool:
        """Whether the choice can only be made among frames that have times."""
        return self.start is not None or self.end is not None or self.fps is not None

    def filter(self) -> Callable[[float], bool]:
        """Return a function that is told each frame's time, in order, and says whether to yield the frame."""
        start = self.start or 0.0
        taken = itertools.count()
        due = start

        def wanted(timestamp: float) -> bool:
            nonlocal due
            if timestamp < start - 1e-9:
                return False
            if self.fps is None:
                return next(taken) % self.every == 0
            if timestamp < due - 1e-9:
                return False
            due = start + (math.floor((timestamp - start) * self.fps + 1e-6) + 1) / self.fps
            return True

        return wanted

    def estimate(self, count: int | None, fps: float) -> int | None:
        """Estimate how many of `count` frames at `fps` frames per second are yielded."""
        if fps > 0:
            if self.end is not None and math.isfinite(self.end):
                last = math.ceil(self.end * fps - 1e-6)
                count = last if count is None else min(count, last)
            if count is not None and self.start is not None:
                count = max(0, count - math.ceil(self.start * fps - 1e-6))
            if count is not None and self.fps is not None:
                return min(count, math.ceil(count * self.fps / fps - 1e-6))
        return None if count is None else -(-count // self.every)


def check_times(start: Any, end: Any) -> None:
    """Check the seconds between which a source is read; an end of infinity is none."""
    if start is not None:
        real_number("start", start, "seconds, 0 or more")
    if end is not None and end != math.inf:
        first = start or 0
        real_number("end", end, f"seconds, more than start={first}", least=first, above=True)


def check_roi(roi: Sequence[int]) -> tuple[int, int, int, int]:
    """Check a region of interest and return it as x, y, width, height."""
    try:
        x, y, width, height = (int(value) for value in roi)
        exact = tuple(roi) == (x, y, width, height)
    except (TypeError, ValueError):
        exact = False
    if not exact or x < 0 or y < 0 or width < 1 or height < 1:
        raise InputError(f"roi={roi!r}: expected x, y, width, height in whole pixels inside the picture")
    return x, y, width, height


def crop(image: Image, roi: tuple[int, int, int, int] | None, what: str) -> Image:
    """Cut a region of interest out of an image; `what` names the image in the error message."""
    if roi is None:
        return image
    x, y, width, height = roi
    if x + width > image.shape[1] or y + height > image.shape[0]:
        raise InputError(f"roi={roi}: outside {what}, which is {image.shape[1]} x {image.shape[0]} pixels")
    return np.ascontiguousarray(image[y : y + height, x : x + width])


#: What a kind of source knows about a frame before its pixels are asked for: number, time, pixels, file.
RawFrame: TypeAlias = tuple[int, float, Callable[[], Image], Path | None]


class Source(ABC):
    """Frames from somewhere: a context manager, iterable, that yields `Frame` records.

    Attributes
    ----------
    name
        Base name for output files: the file's name without its last extension, or the folder's name.
    path
        The file or folder, where there is one.
    fps
        Frames per second of the input; 0 for pictures and for arrays without a given rate.
    is_images
        True for still pictures, which have no times and may differ in size.
    decoder
        What turned bytes into pixels, for the record: ``"OpenCV 5.0.0, FFmpeg (avcodec 62.28.101)"``.
    volatile
        True if the memory of a frame may be overwritten when the next one is asked for.
    decoding_threads
        How many threads may decode; set before the first frame is asked for.
    truncated
        True once the input has ended clearly before the length that its container announces.
    """

    name: str = "frames"
    path: Path | None = None
    fps: float = 0.0
    is_images: bool = False
    decoder: str = "frames given as arrays"
    volatile: bool = False
    decoding_threads: int = 1
    truncated: bool = False

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    @abstractmethod
    def _raw(self) -> Generator[RawFrame, None, None]:
        """Walk over all frames in order."""

    @property
    @abstractmethod
    def full_size(self) -> tuple[int, int]:
        """(width, height) of the whole picture, before `roi`."""

    @property
    def total(self) -> int | None:
        """Number of frames of the whole input, as far as it is known before reading."""
        return None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the frames that are yielded, after `roi` has been cut out."""
        roi = self.selection.roi
        return self.full_size if roi is None else roi[2:]

    @property
    def offset(self) -> tuple[int, int]:
        """(x, y) of `roi` in the whole picture; add it to positions to map them back."""
        roi = self.selection.roi
        return (0, 0) if roi is None else roi[:2]

    @property
    def frame_count(self) -> int | None:
        """Estimated number of frames that will be yielded, or None (camera, generator)."""
        return self.selection.estimate(self.total, self.fps)

    def camera(self) -> tuple[float, float, float, float]:
        """Give the default intrinsics fx, fy, cx, cy in pixels of the frames that are yielded."""
        fx, fy, cx, cy = default_camera(*self.full_size)
        return fx, fy, cx - self.offset[0], cy - self.offset[1]

    def close(self) -> None:  # noqa: B027  (most kinds hold nothing open between iterations)
        """Release the file or device, unless an iteration is reading it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Generator[Frame, None, None]:
        wanted = self.selection.filter()
        end = math.inf if self.selection.end is None else self.selection.end - 1e-9
        size: tuple[int, ...] | None = None
        with contextlib.closing(self._raw()) as raw:
            for number, timestamp, pixels, path in raw:
                if timestamp >= end:
                    return
                if not wanted(timestamp):
                    continue
                image = pixels()
                if not self.is_images:
                    size = size or image.shape
                    if image.shape != size:
                        raise InputError(
                            f"frame {number} is {image.shape[1]} x {image.shape[0]} pixels, "
                            f"those before it {size[1]} x {size[0]}"
                        )
                image = crop(image, self.selection.roi, str(path or f"frame {number}"))
                yield Frame(image, timestamp, number, path)
