"""Where frames come from: videos, pictures, cameras, addresses and arrays, all seen as one stream of frames.

Every kind of input becomes a `Source`: something that is opened, iterated once or more, and closed. It yields
`Frame` records: an 8-bit BGR picture, the time in seconds and the frame's number, counted from 1 as OpenFace
counts (tracking.md, section 10). Choosing a part of the input (`start`, `end`, `every`, `fps`, `roi`) leaves
numbers and times as they are in the whole input, so that a part can be laid beside the whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from pyopenface.errors import DownloadError, InputError, SourceError
from pyopenface.sources.arrays import ArraySource, IterableSource
from pyopenface.sources.base import Frame, Image, Selection, Source, check_roi, default_camera
from pyopenface.sources.camera import CameraSource
from pyopenface.sources.files import as_path
from pyopenface.sources.images import IMAGE_EXTENSIONS, ImageSource, read_image
from pyopenface.sources.read_ahead import prefetch
from pyopenface.sources.video import TIME_RULES, VideoSource

__all__ = [
    "ArraySource",
    "CameraSource",
    "Frame",
    "Image",
    "ImageSource",
    "IterableSource",
    "Selection",
    "Source",
    "VideoSource",
    "default_camera",
    "open_source",
    "prefetch",
    "read_image",
]

#: Protocols of addresses that FFmpeg reads as they come.
LIVE_PROTOCOLS = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt")


def open_source(
    source: Any,
    *,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    fps: float | None = None,
    roi: Sequence[int] | None = None,
    timestamps: str | Sequence[float] | npt.NDArray[Any] = "auto",
    rgb: bool = False,
    camera_size: tuple[int, int] = (640, 480),
    download: Mapping[str, Any] | None = None,
) -> Source:
    """Open anything that has frames.

    Parameters
    ----------
    source
        A video file, an image file, a folder of images, a list of image files (str, bytes or Path); the index
        of a camera; an address (``https://…``, downloaded with yt-dlp; ``rtsp://…``, ``rtmp://…``,
        ``udp://…`` and the like, read live; ``file://…``, a file on this machine); an array (uint8) of shape
        (N, H, W, 3) or (N, H, W); any iterable of arrays, of (array, seconds) pairs or of `Frame` records; a
        `Source`, which is returned as it is.
    start, end
        Seconds; frames with ``start <= timestamp < end`` are yielded.
    every
        Yield each n-th frame from `start` on.
    fps
        For files and cameras: the rate to come down to, by leaving out frames (never by repeating them). For
        arrays and iterables, which have no rate of their own: the rate at which their frames were taken.
    roi
        (x, y, width, height) in whole pixels: the part of each frame to yield. `Source.offset` maps back.
    timestamps
        For videos ``"auto"``, ``"openface"`` or ``"container"``, see `VideoSource`; sources without stored
        times ignore it. For arrays and iterables a list with one time in seconds per frame.
    rgb
        True if arrays have the channel order red, green, blue.
    camera_size
        (width, height) asked of a camera.
    download
        Options for `pyopenface.youtube.fetch` if `source` is an address: height, cookies, folder.

    Returns
    -------
    Source

    Raises
    ------
    SourceError
        If the input is missing or can't be decoded; the message names the file and the cause.
    InputError
        If an option or array can't be used.
    DownloadError
        If an address can't be downloaded.

    Examples
    --------
    >>> frames = np.zeros((10, 48, 64, 3), dtype=np.uint8)
    >>> with open_source(frames, fps=25, every=5) as source:
    ...     [(frame.number, frame.timestamp) for frame in source]
    [(1, 0.0), (6, 0.2)]
    """
    region = None if roi is None else check_roi(roi)
    if isinstance(source, Source):
        if (start, end, every, fps, region) != (None, None, 1, None, None):
            raise InputError("start=, end=, every=, fps= and roi= belong to the call that opens the source")
        return source
    if not isinstance(download, Mapping | None):
        raise InputError(f"download={download!r}: expected a mapping, such as {{'height': 480}}")
    part = Selection(start, end, every, None, region)
    rule, times = _rule_or_times(timestamps)
    if isinstance(source, np.ndarray):
        return ArraySource(source, part, fps=fps, timestamps=times, rgb=rgb)
    paths = isinstance(source, Sequence) and any(_is_path(item) for item in source)
    if isinstance(source, Iterable) and not (paths or _is_path(source)):
        return IterableSource(source, part, fps=fps, timestamps=times, rgb=rgb)
    if times is not None:
        raise InputError("timestamps: a list of times goes with arrays and iterables of frames only")
    part = replace(part, fps=fps)
    if isinstance(source, int | np.integer) and not isinstance(source, bool):
        return CameraSource(int(source), part, size=camera_size)
    if isinstance(source, str) and "://" in source:
        return _open_address(source, part, rule, download)
    if _is_path(source):
        if not os.fspath(source):
            raise InputError("an empty path: expected a file, a folder or an address")
        return _open_path(as_path(source), part, rule)
    if paths:
        return _open_list(source, part)
    raise InputError(
        f"can't read frames from a {type(source).__qualname__}: expected a path, an address, a camera index, "
        "an array or an iterable of arrays"
    )


def _is_path(item: Any) -> bool:
    return isinstance(item, str | bytes | os.PathLike)


def _rule_or_times(timestamps: Any) -> tuple[str, Any]:
    """Tell apart the two meanings of the option timestamps."""
    if timestamps is None:
        return "auto", None
    if not isinstance(timestamps, str):
        return "auto", timestamps
    if timestamps not in TIME_RULES:
        raise InputError(f"timestamps={timestamps!r}: expected 'auto', 'openface' or 'container'")
    return timestamps, None


def _open_path(path: Path, selection: Selection, timestamps: str) -> Source:
    if path.is_dir():
        return ImageSource.from_folder(path, selection)
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return ImageSource([path], selection)
    return VideoSource(path, selection, timestamps=timestamps)


def _open_list(items: Sequence[Any], selection: Selection) -> Source:
    paths = []
    for item in items:
        if not _is_path(item):
            raise InputError(f"a list of files with a {type(item).__qualname__} in it")
    for item in items:
        path = as_path(item)
        if path.is_dir() or path.suffix.lower() not in IMAGE_EXTENSIONS:
            raise InputError(f"{path}: a list of files is a list of pictures; open videos one by one")
        paths.append(path)
    return ImageSource(paths, selection)


def _open_address(
    address: str, selection: Selection, timestamps: str, download: Mapping[str, Any] | None
) -> Source:
    protocol = address.partition("://")[0].lower()
    if protocol in LIVE_PROTOCOLS:
        return CameraSource(address, selection)
    if protocol == "file":
        from urllib.request import url2pathname  # brings the whole of http along: not for everybody's start

        return _open_path(Path(url2pathname(urlsplit(address).path)), selection, timestamps)
    if protocol not in ("http", "https"):
        raise InputError(
            f"{address}: there is no way to read {protocol}://; expected http, https, file, or of live "
            f"streams {', '.join(LIVE_PROTOCOLS)}"
        )
    from pyopenface import youtube

    options = youtube.checked_options(download)
    video = youtube.download(address, start=selection.start, end=selection.end, **options)
    try:
        return VideoSource(video.path, selection, timestamps=timestamps, shift=video.start)
    except SourceError as error:
        youtube.forget(address, folder=options.get("folder"))
        raise DownloadError(
            f"{address}: what came from there is no video that can be decoded ({error}). Pass the address of "
            "the page that plays the video, or download the file yourself and pass its path."
        ) from error
