"""Which rows of a table belong to which frame of a source, and whether the two belong together at all.

A table knows its frames by number, and pictures by their file. Drawn on anything else than what it was made
from it would look plausible and be wrong, so what can be noticed is refused.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyopenface._options import file_path
from pyopenface.columns import find
from pyopenface.drawing import FaceTable
from pyopenface.errors import InputError
from pyopenface.sources import CameraSource, Frame, Source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FrameRows", "rows_of_source"]

_NO_CAMERA = "a camera doesn't show again what was analysed; record a video, then annotate that"
_log = logging.getLogger("pyopenface")


def rows_of_source(df: pd.DataFrame, source: Any) -> pd.DataFrame:
    """Take the rows of one video out of a table that may hold several, and check that it is one of faces.

    Parameters
    ----------
    df
        A table with OpenFace's columns; of several videos with a column ``file``.
    source
        What the user called the video: its path or address.

    Returns
    -------
    pandas.DataFrame
        The table itself, or a part of it.

    Raises
    ------
    InputError
        If it is no table of faces, or one of several other videos.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"file": ["a.mp4", "b.mp4"], "frame": [1, 1], "confidence": [0.9, 0.8]})
    >>> rows_of_source(df, "b.mp4")["confidence"].tolist()
    [0.8]
    """
    import pandas as pd

    if isinstance(source, int):
        raise InputError(f"camera {source}: {_NO_CAMERA}")
    if not isinstance(df, pd.DataFrame):
        raise InputError(f"df: expected a table of results, not a {type(df).__qualname__}")
    if len(df) and not any(find(str(name).strip()) for name in df.columns):
        raise InputError("df: the table has none of OpenFace's columns")
    if not {"frame", "file"} <= set(df.columns):
        return df
    files = [str(file) for file in df["file"].unique()]
    if len(files) < 2:
        return df
    video = source.path or source.name if isinstance(source, Source) else source
    wanted = _place(video) if isinstance(video, str | bytes | os.PathLike) else None
    chosen: pd.DataFrame = df[df["file"].isin([file for file in files if _place(file) == wanted])]
    if chosen.empty:
        named = f"the frames of a {type(video).__qualname__}" if wanted is None else os.fsdecode(video)
        known = ", ".join([*files[:3], "…"][: len(files)])
        raise InputError(
            f"df: it holds the faces of {len(files)} videos ({known}) but none of {named}; "
            "choose one by df[df['file'] == ...]"
        )
    return chosen


def _place(video: str | bytes | os.PathLike[Any]) -> str | Path:
    """The one way to write where a video is: an address, or the whole path of a file."""
    path = file_path("source", video)
    name = os.fsdecode(video)
    return name if "://" in name else path.resolve()


class FrameRows:
    """The rows of a table by frame, for frames that come one after the other.

    Parameters
    ----------
    df
        A table of one video, or of pictures.
    faces
        The same, laid out for drawing.
    source
        Where the frames come from.

    Attributes
    ----------
    timed
        Whether the table has frame numbers, so that it is one of a video.

    Raises
    ------
    InputError
        If the table was clearly made from something else.
    """

    def __init__(self, df: pd.DataFrame, faces: FaceTable, source: Source) -> None:
        self.timed = any(str(name).strip() == "frame" for name in df.columns)
        self._source = source
        self._files = [] if self.timed or "file" not in df.columns else [str(file) for file in df["file"]]
        self._rows: dict[Any, list[int]] = {}
        for row, file in enumerate(self._files):  # pictures without a file have their number there
            self._rows.setdefault(int(file) if file.isdecimal() else _place(file), []).append(row)
        if not self._files:
            self._rows.update(faces.rows_by_frame())
        self._ambiguous = len(df) > 0 and not self.timed and not self._files
        self._last: int | None = None
        self._matched = False
        self._compare(df, faces)

    def of(self, frame: Frame) -> Sequence[int]:
        """Return the positions of the frame's rows in the table."""
        if self._ambiguous and self._last is not None:
            raise InputError(
                f"df: neither a column 'frame' nor 'file' says which of several pictures of "
                f"{self._source.name} its rows belong to"
            )
        self._last = frame.number
        rows = self._rows.get(_place(frame.path) if self._files and frame.path else frame.number, [])
        self._matched = self._matched or len(rows) > 0
        return rows

    def _compare(self, df: pd.DataFrame, faces: FaceTable) -> None:
        source = self._source
        if isinstance(source, CameraSource):
            raise InputError(f"{source.name}: {_NO_CAMERA}")
        if source.path is None or source.is_images:
            return
        width, height = source.full_size
        if faces.share_inside(width, height) < 0.5:
            raise InputError(
                f"df: most of its faces lie outside the pictures of {source.path}, {width} x {height} "
                "pixels: it was made from another video, or from this one in another size"
            )
        made_from = df.attrs.get("input")
        if isinstance(made_from, str) and Path(made_from).name not in ("", source.path.name):
            _log.warning("df was made from %s and is drawn on %s", made_from, source.path)

    def check_end(self) -> None:
        """Refuse a table that goes on after the last frame, or has none of the pictures.

        A few frames more may be a matter of the decoder.
        """
        source, last = self._source, self._last or 0
        part = source.selection
        if self._files:
            if not self._matched:
                raise InputError(f"df: {self._files[0]} and its other files are none of {source.name}")
            return
        if source.path is None or source.is_images or source.truncated or part.end is not None:
            return
        step = part.every if part.fps is None else math.ceil(source.fps / part.fps)
        beyond = sum(number >= last + step for number in self._rows)
        if beyond > max(2, 0.01 * len(self._rows)):
            raise InputError(
                f"df: it has frames up to {max(self._rows)}, but {source.path} ends with frame {last}: it "
                f"was made from another video (if not, draw df[df['frame'] <= {last}])"
            )
