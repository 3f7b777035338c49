"""Video files, decoded by the FFmpeg inside OpenCV, and their frames' clock (tracking.md, section 10.1)."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from pyopenface.errors import InputError, SourceError
from pyopenface.sources.base import Image, RawFrame, Selection, Source
from pyopenface.sources.files import (
    check_readable,
    decoder_name,
    guess_content,
    name_for_opencv,
    quiet_opencv,
)

logger = logging.getLogger("pyopenface")

DEFAULT_FPS = 30.0
#: Where the times of frames come from, see `VideoSource`.
TIME_RULES = ("auto", "openface", "container")
#: How many frame periods the container's clock may differ from (n - 1) / fps before it is trusted instead.
CLOCK_TOLERANCE = 1.5
#: Pixels of a frame above which several threads decode faster than one; below it they only cost more.
LARGE_FRAME = 1_000_000
#: How many frames decide whether the rate varies: three minutes.
PACKETS = 5400


class VideoSource(Source):
    """A video file, decoded by the FFmpeg inside OpenCV.

    Parameters
    ----------
    path
        The file.
    selection
        Which frames to yield.
    timestamps
        ``"openface"``: (number - 1) / fps, OpenFace's rule. ``"container"``: the time stored with the frame.
        ``"auto"``: OpenFace's rule if the stored times agree with it within 1.5 frames, else the stored
        times, which is the case in videos of varying rate (phones, screen recordings). The first minutes
        decide; if the rate begins to vary later, the stored times count from there on.
    shift
        Seconds that lie before the first frame of the file, if the file is a section of something longer.

    Raises
    ------
    SourceError
        If the file is missing, no video, or no frame of it can be decoded.
    """

    def __init__(
        self, path: Path, selection: Selection | None = None, *, timestamps: str = "auto", shift: float = 0.0
    ) -> None:
        super().__init__(selection or Selection())
        if timestamps not in TIME_RULES:
            raise InputError(f"timestamps={timestamps!r}: expected 'auto', 'openface' or 'container'")
        self.path = path
        self.name = path.stem
        self.timestamps = timestamps
        self._capture: _Capture | None = _Capture(path)
        self.fps = self._capture.fps
        self._announced = self._capture.count
        self._size = self._capture.size
        self._shift = shift
        self._skipped = round(shift * self.fps)
        self.decoder = decoder_name()

    @property
    def full_size(self) -> tuple[int, int]:
        """(width, height) of the whole picture, turned upright if the container says so."""
        return self._size

    @property
    def total(self) -> int | None:
        """Number of frames of the whole input, as far as it is known before reading."""
        return None if self._announced is None else self._announced + self._skipped

    @cached_property
    def _rate_varies(self) -> bool:
        return _rate_varies(cast(Path, self.path), self.fps)

    def close(self) -> None:
        """Close the file if no iteration has begun; an iteration closes the file itself."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _raw(self) -> Generator[RawFrame, None, None]:
        capture = self._take_capture()
        rule = "container" if self.timestamps == "auto" and self._rate_varies else self.timestamps
        clock = _Clock(self.fps, rule)
        count, began, reached = 0, capture.stored_time(), 0.0
        try:
            while capture.grab():
                count += 1
                stored = capture.stored_time()
                reached = max(reached, stored - began)
                timestamp = clock.time(count, stored) + self._shift
                yield count + self._skipped, timestamp, capture.retrieve, None
            self._note_length(count, reached)
        except _DecodingEndedError:
            self._note_length(count - 1, reached)
        finally:
            capture.release()

    def _take_capture(self) -> _Capture:
        """Give the open file away, or the file opened again; large frames are decoded by several threads."""
        capture, self._capture = self._capture, None
        width, height = self._size
        threads = self.decoding_threads if width * height > LARGE_FRAME else 1
        if capture is not None and capture.threads == threads:
            return capture
        if capture is not None:
            capture.release()
        return _Capture(cast(Path, self.path), threads)

    def _note_length(self, decoded: int, seconds: float) -> None:
        announced = self._announced or 0
        # Without a count of frames what is announced is duration times rate: too many where the rate varies.
        reached = max(decoded, seconds * self.fps)
        if announced - reached > max(5.0, self.fps, 0.01 * announced):
            self.truncated = True
            logger.warning(
                "%s breaks off after %d frames; its container announces %d", self.path, decoded, announced
            )


def _rate_varies(path: Path, fps: float) -> bool:
    """Whether stored times of the first minutes leave those that are counted; packets are read, not decoded.

    It has to be known before the first frame: the rate that mp4 files announce is the mean of a varying one,
    so that counted times can run ahead of the stored ones, and time can't go back.
    """
    import cv2

    with quiet_opencv(), name_for_opencv(path) as name:
        packets = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    stored: list[float] = []
    while len(stored) < PACKETS and packets.grab():
        stored.append(float(packets.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0)
    packets.release()
    times = np.sort(stored)  # packets come in the order of decoding
    if len(times) < 2 or times[1] <= 0:  # containers without times of their own; OpenCV before 4.10
        return False
    counted = np.arange(len(times)) / fps
    return bool(np.abs(times - times[0] - counted).max() > CLOCK_TOLERANCE / fps)


class _DecodingEndedError(Exception):
    """A frame was announced by the decoder but has no pixels: the video ends before it."""


class _Capture:
    """An open cv2.VideoCapture that stands on its first frame."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import cv2

        self.threads = threads
        check_readable(path)
        # OpenCV before 4.7 has no such property and takes no file with one that it doesn't know.
        choice = [cv2.CAP_PROP_N_THREADS, threads] if hasattr(cv2, "CAP_PROP_N_THREADS") else []
        with quiet_opencv(), name_for_opencv(path) as name:
            self._video = cv2.VideoCapture(name, cv2.CAP_FFMPEG, choice)
        if not self._video.isOpened():
            raise SourceError(f"{path}: can't be opened as a video: {guess_content(path)}")
        self._ahead = self._video.grab()
        if not self._ahead:
            self._video.release()
            raise SourceError(f"{path}: no frame of this video can be decoded (empty or damaged file)")
        fps = float(self._video.get(cv2.CAP_PROP_FPS))
        self.fps = fps if fps > 0 and math.isfinite(fps) else DEFAULT_FPS
        count = float(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = int(count) if math.isfinite(count) and 0 < count < 1e9 else None
        try:
            height, width, _ = self.retrieve().shape
        except _DecodingEndedError:
            self._video.release()
            raise SourceError(f"{path}: the first frame of this video can't be decoded") from None
        self.size = (width, height)
        self._milliseconds = cv2.CAP_PROP_POS_MSEC

    def grab(self) -> bool:
        if self._ahead:
            self._ahead = False
            return True
        return bool(self._video.grab())

    def retrieve(self) -> Image:
        """Convert the frame that was grabbed last into a new array."""
        ok, image = self._video.retrieve()
        if not ok or image is None:
            raise _DecodingEndedError
        return cast(Image, image)

    def stored_time(self) -> float:
        return float(self._video.get(self._milliseconds)) / 1000.0

    def release(self) -> None:
        self._video.release()


class _Clock:
    """Times of a video's frames by the container or by counting; the first frame's is 0."""

    def __init__(self, fps: float, rule: str) -> None:
        self._period = 1.0 / fps
        self._rule = rule
        self._origin = 0.0
        self._last = -math.inf

    def time(self, number: int, stored: float) -> float:
        """Return the time in seconds of a frame, by its number, from 1, and the time stored in this file."""
        counted = (number - 1) * self._period
        if self._rule == "openface":
            return counted
        if number == 1:
            self._origin = stored
        # Containers without times of their own (B-frames in AVI) give 0 for the frames at the end.
        missing = stored <= 0 and number > 1
        elapsed = stored - self._origin
        if self._rule == "auto":
            if missing or abs(elapsed - counted) <= CLOCK_TOLERANCE * self._period:
                self._last = counted
                return counted
            self._rule = "container"
        if missing:
            self._last += self._period
        else:  # a stored time that repeats, or that counting ran ahead of: wait until it goes on
            self._last = max(elapsed, self._last + self._period / 16)
        return self._last
