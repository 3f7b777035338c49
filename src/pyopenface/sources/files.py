"""Paths, what is wrong with a file, and OpenCV's manners: what the sources that read files share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from pyopenface.errors import SourceError

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def as_path(path: PathLike) -> Path:
    """Turn a path given as str, bytes or path object into a Path."""
    return Path(os.fsdecode(path))


def check_readable(path: Path) -> None:
    """Raise SourceError, with the cause, unless the file exists, has content and may be read."""
    try:
        if path.stat().st_size == 0 and path.is_file():
            raise SourceError(f"{path}: the file is empty")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{path}: can't be read: {cause}") from error


def guess_content(path: Path) -> str:
    """Say what a file that could not be decoded looks like."""
    with path.open("rb") as file:
        head = file.read(512)
    if b"\0" not in head:
        try:
            text = head.decode("utf-8", errors="strict" if len(head) < 512 else "ignore")
        except UnicodeDecodeError:
            text = ""
        if text:
            page = "a web page" if "<html" in text.lower() or "<!doctype" in text.lower() else "text"
            return f"it contains {page}, neither a video nor a picture"
    return "unknown format, damaged, cut off, or without a picture track"


def opencv_version() -> str:
    """Return OpenCV's version, such as 5.0.0."""
    import cv2

    return str(cv2.__version__)


def decoder_name() -> str:
    """Name the video decoder with its versions."""
    import cv2

    for line in cv2.getBuildInformation().splitlines():
        if line.strip().startswith("avcodec:"):
            library = line.split(":", 1)[1].strip().removeprefix("YES").strip(" ()")
            return f"OpenCV {opencv_version()}, FFmpeg (avcodec {library or 'of unknown version'})"
    return f"OpenCV {opencv_version()}, FFmpeg"


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV and its FFmpeg from writing to stderr what our exceptions say better."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging_module = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging_module is None:
        yield
        return
    before = logging_module.getLogLevel()
    logging_module.setLogLevel(min(before, logging_module.LOG_LEVEL_ERROR))
    try:
        yield
    finally:
        logging_module.setLogLevel(before)


@contextlib.contextmanager
def name_for_opencv(path: Path) -> Iterator[str]:
    """Give the file a name that OpenCV takes: absolute, so that no part of it looks like a protocol."""
    name = str(path.absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield f"/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield name
