"""Writing videos: H.264 with sound that browsers play, and the AVI that OpenFace's `-tracked` makes."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from pyopenface._options import whole_number
from pyopenface.errors import Error, InputError, OutputError
from pyopenface.sources.base import Image
from pyopenface.sources.files import quiet_opencv

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Mp4Writer", "OverlayWriter", "check_target", "save_overlay_image"]

logger = logging.getLogger("pyopenface")

#: Ticks per second of the video's clock.
CLOCK = 90_000
_AAC_FRAME = 1024
#: Times of sound that jump by more than this, in seconds, have a hole between them; less is rounding.
_HOLE = 0.05
#: What x264 accepts, in pixels.
_LONGEST_SIDE = 16_384
_SUFFIXES = (".mp4", ".m4v", ".mov")


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise Error("writing H.264 needs PyAV: pip install 'pyopenface[video]'") from error
    return av


def check_target(path: Path) -> None:
    """Check that an H.264 video can be written to a path, before any work is done for it.

    Parameters
    ----------
    path
        Target.

    Raises
    ------
    InputError
        If its name doesn't end in .mp4, .m4v or .mov.
    OutputError
        If its folder is missing or can't be written to, or it is a folder itself.
    Error
        If PyAV is missing.

    Examples
    --------
    >>> check_target(Path("annotated.mp4"))  # doctest: +SKIP
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: expected a name ending in {', '.join(_SUFFIXES)}")
    _import_av()
    if path.is_dir():
        raise OutputError(f"{path}: can't be written: it is a folder")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: can't be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: can't be written: no permission to write into {path.parent}")


class Mp4Writer:
    """A growing H.264 video, 4:2:0, index in front, written beside the target and moved there at the end.

    Parameters
    ----------
    path
        Target, ending in .mp4, .m4v or .mov. An existing file is replaced when the new one is complete.
    fps
        Nominal frames per second; the times given with the frames count.
    sound_from
        File whose sound is put below the pictures, if it has any: copied if mp4 can hold it, else as AAC.
    sound_start
        Time in that file, in seconds of its pictures, of the first frame.
    quality
        x264's constant rate factor, 0 (lossless) to 51.

    Raises
    ------
    InputError
        If the path has another ending, or there is no such quality.
    OutputError
        If the file can't be written.
    Error
        If PyAV is missing.

    Examples
    --------
    >>> writer = Mp4Writer(Path("black.mp4"), fps=25)  # doctest: +SKIP
    >>> with writer:  # doctest: +SKIP
    ...     writer.write(np.zeros((480, 640, 3), np.uint8), 0.0)
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float,
        sound_from: Path | None = None,
        sound_start: float = 0.0,
        quality: int = 20,
    ) -> None:
        check_target(path)
        self.path = path
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
        self._fps = fps if fps > 0 else 30.0
        self._quality = whole_number("quality", quality, least=0, most=51)
        self._av = _import_av()
        self._stream: Any = None
        self._size = (0, 0)
        self._last = -1
        self._end = 0.0
        with self._errors():
            self._container = self._av.open(
                str(self._partial), "w", format="mp4", options={"movflags": "+faststart"}
            )
        self._sound = _Sound.open(self._av, sound_from, sound_start) if sound_from is not None else None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._av.FFmpegError) as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror or error}") from error

    def _begin(self, image: Image) -> None:
        height, width = image.shape[:2]
        if max(height, width) > _LONGEST_SIDE:
            raise InputError(
                f"pictures of {width} x {height} pixels: H.264 holds at most {_LONGEST_SIDE} to a side"
            )
        self._size = (width, height)
        rate = Fraction(self._fps).limit_denominator(100_000)
        options = {"crf": str(self._quality), "preset": "veryfast"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        # 4:2:0 needs even sizes: the last row or column is repeated.
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = Fraction(1, CLOCK)
        # What the conversion from BGR does: BT.601, studio range. Unsaid, browsers guess by the size.
        context.color_range, context.colorspace = 1, 6
        context.color_primaries, context.color_trc = 6, 6
        if self._sound is not None:
            self._sound.begin(self._container)

    def write(self, image: Image, seconds: float) -> None:
        """Append a picture.

        Parameters
        ----------
        image
            uint8 array (height, width, 3), channels blue, green, red; all of one size.
        seconds
            Its time from the beginning of the output; times must rise.
        """
        with self._errors():
            if self._stream is None:
                self._begin(image)
            if (image.shape[1], image.shape[0]) != self._size:
                raise InputError(
                    f"a frame of {image.shape[1]} x {image.shape[0]} pixels in a video of "
                    f"{self._size[0]} x {self._size[1]}"
                )
            if image.shape[0] % 2 or image.shape[1] % 2:
                image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            self._last = max(round(seconds * CLOCK), self._last + 1)
            frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
            self._end = seconds + 1.0 / self._fps
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write_until(seconds)

    def close(self) -> None:
        """Complete the file and move it to its place."""
        with self._errors():
            if self._stream is None:
                self.abort()
                raise OutputError(f"{self.path}: no frame to write")
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish(self._end)
            self._container.close()
            self._partial.replace(self.path)

    def abort(self) -> None:
        """Drop what has been written; the target stays as it was."""
        if self._sound is not None:
            self._sound.close()
        with contextlib.suppress(OSError, self._av.FFmpegError):
            self._container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the file; after an interruption (Ctrl-C) with what there is; after an error drop it."""
        if kind is None or (issubclass(kind, KeyboardInterrupt) and self._stream is not None):
            try:
                self.close()
            except BaseException:
                self.abort()
                raise
        else:
            self.abort()


class _Sound:
    """The sound of a file, carried into another one packet by packet as its pictures are written."""

    @classmethod
    def open(cls, av: Any, path: Path, start: float) -> _Sound | None:
        """Open a file's first sound track; None if it has none, or none that can be read."""
        try:
            source = av.open(str(path))
        except (OSError, av.FFmpegError) as error:
            logger.warning("%s: sound is left out: %s", path, error)
            return None
        if not source.streams.audio:
            source.close()
            return None
        return cls(av, source, path, start)

    def __init__(self, av: Any, source: Any, path: Path, start: float) -> None:
        self._av, self._source, self._path = av, source, path
        self._track = source.streams.audio[0]
        video = source.streams.video[0] if source.streams.video else None
        self._begin = start
        if video is not None and video.start_time is not None:
            self._begin += float(video.start_time * video.time_base)
        mp4_like = any(kind in source.format.name for kind in ("mp4", "mov", "matroska"))
        self._copy = mp4_like and self._track.codec_context.name in ("aac", "mp3")
        self._packets: Iterator[tuple[float, Callable[[], None]]] | None = None
        self._next: tuple[float, Callable[[], None]] | None = None

    def begin(self, container: Any) -> None:
        """Add a sound track to the output."""
        self._container = container
        if self._copy:
            add = getattr(container, "add_stream_from_template", None)
            self._output = add(self._track) if add else container.add_stream(template=self._track)
            self._packets = self._copied()
            return
        rate = self._track.codec_context.sample_rate or 44_100
        rate = rate if rate in (8_000, 16_000, 22_050, 32_000, 44_100, 48_000) else 44_100
        self._output = container.add_stream("aac", rate=rate)
        self._output.codec_context.layout = "mono" if self._track.codec_context.channels == 1 else "stereo"
        self._packets = self._encoded(rate)

    def _copied(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for packet in self._source.demux(self._track):
            if packet.pts is None:
                continue
            seconds = float(packet.pts * packet.time_base) - self._begin
            if seconds < 0:
                continue
            shift = round(self._begin / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._output
            yield seconds, partial(self._container.mux, packet)

    def _encoded(self, rate: int) -> Iterator[tuple[float, Callable[[], None]]]:
        """Convert the sound in blocks of one AAC frame, so that it can end close to the pictures' end.

        A hole in the sound stays a hole: what comes after it keeps its time.
        """
        layout = self._output.codec_context.layout
        resampler: Any = None
        position, ended = 0, -math.inf
        for frame in self._source.decode(self._track):
            begun = ended if frame.time is None else float(frame.time)  # a decoder's last may have no time
            length = frame.samples / frame.sample_rate
            first = resampler is None
            if begun + length >= self._begin and (first or abs(begun - ended) > _HOLE):
                resampler = self._av.AudioResampler(
                    format="fltp", layout=layout, rate=rate, frame_size=_AAC_FRAME
                )
                place = round((begun - self._begin) * rate)
                position = place if first else max(position, place)
            ended = begun + length
            if resampler is None:
                continue
            for block in resampler.resample(frame):
                if position >= 0:
                    block.pts, block.time_base = position, Fraction(1, rate)
                    yield position / rate, partial(self._encode, block)
                position += block.samples

    def _encode(self, frame: Any) -> None:
        self._container.mux(self._output.encode(frame))

    def write_until(self, seconds: float) -> None:
        """Write all sound up to this time in the output."""
        try:
            while self._packets is not None:
                if self._next is None:
                    self._next = next(self._packets, None)
                if self._next is None:
                    self._packets = None
                    return
                if self._next[0] >= seconds:
                    return
                self._next[1]()
                self._next = None
        except self._av.FFmpegError as error:
            logger.warning("%s: the sound ends early: %s", self._path, error)
            self._packets = None

    def finish(self, seconds: float) -> None:
        """Write the rest, up to the end of the pictures."""
        self.write_until(seconds)
        if not self._copy:
            with contextlib.suppress(self._av.FFmpegError):
                self._encode(None)
        self.close()

    def close(self) -> None:
        self._packets = None
        self._source.close()


class OverlayWriter:
    """The video that OpenFace writes with `-tracked`: AVI, MPEG-4 with the tag DIVX (tracking.md, 11.5).

    Parameters
    ----------
    path
        Target, usually ``<base>.avi``.
    size
        (width, height) of the frames in pixels.
    fps
        Frames per second of the input; 30 if it is 0.

    Raises
    ------
    OutputError
        If the file can't be written.

    Examples
    --------
    >>> with OverlayWriter(Path("tracked.avi"), (640, 480), 25.0) as writer:  # doctest: +SKIP
    ...     writer.write(image)
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        import cv2

        self.path = path
        self._size = size
        self._times: deque[float] = deque()
        code = cv2.VideoWriter.fourcc(*"DIVX")
        with quiet_opencv():
            self._video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps if fps > 0 else 30.0, size)
        if not self._video.isOpened():
            raise OutputError(f"{path}: the overlay video can't be written")

    def write(self, image: Image, rate: int | None = None) -> None:
        """Write a frame, with the text "FPS:n" on it.

        Parameters
        ----------
        image
            uint8 array (height, width, 3) that already has its faces drawn; the text is drawn into it.
        rate
            The number to print; by default frames written in the last two seconds, per second.
        """
        import cv2

        if (image.shape[1], image.shape[0]) != self._size:
            raise InputError(
                f"a frame of {image.shape[1]} x {image.shape[0]} pixels in a video of {self._size}"
            )
        text = f"FPS:{self._rate() if rate is None else rate}"
        cv2.putText(image, text, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 255), 1, cv2.LINE_AA)
        self._video.write(image)

    def _rate(self) -> int:
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > 2.0:
            self._times.popleft()
        spent = now - self._times[0]
        return int(len(self._times) / spent) if spent > 0 else 0

    def close(self) -> None:
        """Complete the file."""
        self._video.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def save_overlay_image(path: Path, image: Image) -> None:
    """Write a drawn picture as OpenFace's image program does: JPEG of quality 95, or what the ending says.

    Parameters
    ----------
    path
        Target; its ending chooses the format.
    image
        uint8 array (height, width, 3), channels blue, green, red.

    Raises
    ------
    OutputError
        If the format is unknown or the file can't be written.

    Examples
    --------
    >>> save_overlay_image(Path("face.jpg"), np.zeros((48, 64, 3), np.uint8))  # doctest: +SKIP
    """
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, image, settings)
    except cv2.error as error:
        raise OutputError(f"{path}: pictures can't be written as '{path.suffix}'") from error
    if not done:
        raise OutputError(f"{path}: the picture can't be encoded")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror}") from error
