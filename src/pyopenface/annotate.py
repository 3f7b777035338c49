"""Annotated videos: the source's frames with the table's faces drawn on them, for browsers and notebooks."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyopenface._frame_rows import FrameRows, rows_of_source
from pyopenface._options import file_path, whole_number
from pyopenface.drawing import FaceTable, Layers, draw_face, draw_faces
from pyopenface.encoding import Mp4Writer, OverlayWriter, check_target, save_overlay_image
from pyopenface.engine import check_camera
from pyopenface.errors import Error, InputError
from pyopenface.sources import Image, Source, default_camera, open_source, prefetch

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OverlayWriter", "annotate", "draw_face", "save_overlay_image", "show"]

#: Options of the source that a table remembers in ``df.attrs["source_options"]`` and that matter here.
_SOURCE_OPTIONS = ("start", "end", "every", "fps", "timestamps", "rgb", "download")
#: Pictures have no rate: each is shown this long, in seconds. Those that were taken as the frames of a video
#: go by at OpenFace's rate for such.
_SECONDS_PER_PICTURE = 1.0
_SEQUENCE_RATE = 30.0
#: Kinds of files that browsers play, by the endings of their names.
_PLAYABLE = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}


def annotate(
    source: Any,
    df: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    landmarks: bool = True,
    eyes: bool = True,
    gaze: bool = True,
    head_box: bool = True,
    ids: bool = True,
    action_units: bool = True,
    sound: bool = True,
    camera: tuple[float, float, float, float] | None = None,
    quality: int = 20,
    progress: bool = False,
    **options: Any,
) -> Path:
    """Write a video of the source with the faces of a table drawn on it.

    The result is H.264 in mp4, with the index in front, and plays in browsers and notebooks. It is written
    beside the target and moved into place: an error leaves the target as it was, and Ctrl-C leaves a valid
    video of the frames finished so far.

    Parameters
    ----------
    source
        What was analysed: anything that `pyopenface.sources.open_source` takes.
    df
        Faces in OpenFace's columns, matched by frame number, pictures by ``file``. Groups of columns that
        are missing are not drawn; faces with a confidence of 0.4 or less aren't either. Of a table of several
        videos the rows whose ``file`` is `source` are taken.
    path
        Target, ending in .mp4, .m4v or .mov.
    landmarks, eyes, gaze, head_box, ids, action_units
        What to draw: 68 landmarks; outlines of lids, irises and pupils; gaze rays of 50 mm; a box of 200 mm
        around the head, blue for confident, red for doubtful; id and confidence; bars of intensity, green
        where the action unit is present.
    sound
        False to leave out the sound.
    camera
        Intrinsics fx, fy, cx, cy in pixels; by default those in ``df.attrs["camera"]``, or OpenFace's guess.
    quality
        x264's constant rate factor: 0 is lossless, 20 looks like the original, 51 is the smallest file.
    progress
        True to show a progress bar.
    **options
        Options of `pyopenface.sources.open_source`: start, end, every, fps. By default those in
        ``df.attrs["source_options"]``.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    SourceError, InputError
        If the source can't be read, an option can't be used, or the table was made from another video: most
        of its faces lie outside the picture, or it goes on after the end.
    OutputError
        If the video can't be written.
    Error
        If PyAV is missing: ``pip install 'pyopenface[video]'``.

    Examples
    --------
    >>> import pyopenface  # doctest: +SKIP
    >>> df = pyopenface.analyze("talk.mp4", end=10)  # doctest: +SKIP
    >>> annotate("talk.mp4", df, "annotated.mp4", head_box=False)  # doctest: +SKIP
    PosixPath('annotated.mp4')
    """
    target = file_path("path", path)
    check_target(target)
    df = rows_of_source(df, source)
    layers = Layers(landmarks, eyes, gaze, head_box, ids, action_units)
    faces = FaceTable.from_dataframe(df)
    known = _camera_of(df) if camera is None else check_camera(camera)
    with _open(source, df, options) as frames:
        _refuse_to_overwrite(frames, target)
        rows = FrameRows(df, faces, frames)
        # Pictures of different sizes each have their own guess.
        shown_by = _shifted(known, frames.offset) or (None if frames.is_images else frames.camera())
        shift = np.array(frames.offset, dtype=np.float64)
        clock = _Clock(frames, rows.timed)
        ahead = contextlib.closing(_progress(frames, progress))
        with ahead as stream, contextlib.ExitStack() as stack:
            writer: Mp4Writer | None = None
            size: tuple[int, ...] | None = None
            for frame in stream:
                if writer is None:
                    writer = Mp4Writer(
                        target,
                        fps=clock.rate,
                        sound_from=frames.path if sound and not frames.is_images else None,
                        sound_start=frame.timestamp,
                        quality=quality,
                    )
                    stack.enter_context(writer)
                image = frame.image.copy()
                marks = [faces.marks(row) for row in rows.of(frame)]
                if shift.any():
                    for face in marks:
                        _move(face, -shift)
                draw_faces(image, marks, shown_by or default_camera(image.shape[1], image.shape[0]), layers)
                if frames.is_images:
                    size = size or image.shape[:2]
                    image = _fitted(image, size)
                writer.write(image, clock.time(frame.timestamp))
            if writer is None:
                raise InputError("the chosen part of the source has no frame")
            rows.check_end()
    return target


class _Clock:
    """The output's clock, which begins with the first frame.

    Frames keep the time between them; those without times, pictures among them, follow at a fixed rate.
    """

    def __init__(self, source: Source, timed: bool) -> None:
        selection = source.selection
        if source.is_images:
            self.rate = _SEQUENCE_RATE if timed else 1.0 / _SECONDS_PER_PICTURE
        else:
            self.rate = selection.fps or source.fps / selection.every or _SEQUENCE_RATE
        self._has_times = not source.is_images
        self._has_rate = source.fps > 0
        self._count = 0
        self._origin = 0.0

    def time(self, timestamp: float) -> float:
        """Place the next frame."""
        if self._count == 0:
            self._origin = timestamp
        passed, counted = timestamp - self._origin, self._count / self.rate
        self._count += 1
        return passed if self._has_times and (passed > 0 or self._has_rate) else counted


def _open(source: Any, df: pd.DataFrame, options: dict[str, Any]) -> Source:
    if isinstance(source, Source):
        return open_source(source, **options)
    remembered = df.attrs.get("source_options") or {}
    kept = {name: remembered[name] for name in _SOURCE_OPTIONS if remembered.get(name) is not None}
    if "every" in options or "fps" in options:  # both choose frames
        kept = {name: value for name, value in kept.items() if name not in ("every", "fps")}
    return open_source(source, **{**kept, **options})


def _fitted(image: Image, size: tuple[int, ...]) -> Image:
    """Scale a picture into a size (height, width), with black borders: all frames of a video have one."""
    if image.shape[:2] == size:
        return image
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(scale * length)) for length in image.shape[:2])
    import cv2

    canvas = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA
    )
    return canvas


def _camera_of(df: pd.DataFrame) -> tuple[float, float, float, float] | None:
    camera = df.attrs.get("camera")
    if camera is None:
        return None
    try:
        return check_camera(camera)
    except InputError as error:
        raise InputError(f"df.attrs['camera']: {error}") from error


def _shifted(
    camera: tuple[float, float, float, float] | None, offset: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Carry the camera of the whole picture over to a region of interest."""
    return None if camera is None else (camera[0], camera[1], camera[2] - offset[0], camera[3] - offset[1])


def _refuse_to_overwrite(source: Source, target: Path) -> None:
    if source.path is not None and target.exists() and source.path.exists() and source.path.samefile(target):
        raise InputError(f"{target}: this is the source itself; choose another name for the annotated video")


def _move(marks: Any, by: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Move what is drawn by pixels from the whole picture into the region of interest."""
    marks.landmarks = None if marks.landmarks is None else marks.landmarks + by
    marks.eyes = None if marks.eyes is None else marks.eyes + by


def _progress(source: Source, shown: bool) -> Any:
    frames = prefetch(source)
    if not shown:
        return frames
    return _with_bar(frames, source.frame_count)


def _with_bar(frames: Any, total: int | None) -> Any:
    from pyopenface._progress import progress_bar

    with contextlib.closing(frames), progress_bar(total=total, unit=" frames", desc="Drawing") as bar:
        for frame in frames:
            yield frame
            bar.update()


def show(source: Any, df: pd.DataFrame | None = None, *, width: int = 640, **options: Any) -> Any:
    """Show a video in a notebook, drawing the faces of a table on it first.

    Parameters
    ----------
    source
        Path of a finished video, if `df` is None; otherwise what was analysed.
    df
        Faces to draw, see `annotate`.
    width
        Width of the player in CSS pixels.
    **options
        Options of `annotate`.

    Returns
    -------
    IPython.display.HTML
        A player with the video inside, so that the saved notebook keeps it.

    Raises
    ------
    InputError
        If the file is missing, or of a kind that browsers don't play.
    Error
        If IPython is missing.

    Examples
    --------
    >>> show("annotated.mp4")  # doctest: +SKIP
    """
    try:
        import IPython.display
    except ImportError as error:
        raise Error("show() is for notebooks and needs IPython: pip install ipython") from error
    embed: Any = IPython.display.HTML
    if df is None:
        return embed(_player(file_path("source", source), width))
    with tempfile.TemporaryDirectory(prefix="pyopenface-") as folder:
        return embed(_player(annotate(source, df, Path(folder) / "annotated.mp4", **options), width))


def _player(path: Path, width: int) -> str:
    import base64

    width = whole_number("width", width)
    if path.suffix.lower() not in _PLAYABLE and path.is_file():
        raise InputError(f"{path}: browsers play {', '.join(_PLAYABLE)}; annotate() makes such a file of it")
    try:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    kind = _PLAYABLE.get(path.suffix.lower(), "video/mp4")
    return (
        f'<video controls playsinline width="{width}" '
        f'src="data:{kind};base64,{data}">This browser can\'t play videos.</video>'
    )
