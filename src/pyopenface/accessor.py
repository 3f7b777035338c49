"""``df.openface``: what a table of results can do beyond a DataFrame. Importing this module registers it.

Two things are the same everywhere. Rows whose face was not tracked (``success`` 0) are not measurements:
views give NaN for them unless asked to keep OpenFace's numbers. And nothing changes the table itself: every
method returns a new one, with the same ``attrs``.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyopenface import _timeline as timeline
from pyopenface._options import confidence_threshold, real_number, whole_number
from pyopenface._timeline import Floats, Ints
from pyopenface.columns import Column, find
from pyopenface.errors import InputError
from pyopenface.table import to_openface_csv

__all__ = ["OpenFaceAccessor"]

Missing = Literal["nan", "keep", "drop"]

_INTERPOLATED = "interpolated"
"""The column that `OpenFaceAccessor.interpolate` adds: True in the rows whose numbers it made."""


def _choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"{name}: must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def _gap(max_gap: Any) -> float:
    """Check the length of a gap; infinity bridges all of them."""
    return math.inf if max_gap == math.inf else real_number("max_gap", max_gap, "seconds, 0 or more")


def _replaced(frame: pd.DataFrame, names: Sequence[str], cells: Floats) -> pd.DataFrame:
    """The table with other numbers in some columns, all put in as one block."""
    new = pd.DataFrame(cells, index=frame.index, columns=list(names))
    result: pd.DataFrame = pd.concat([frame.drop(columns=list(names)), new], axis=1)[list(frame.columns)]
    return result


@pd.api.extensions.register_dataframe_accessor("openface")
class OpenFaceAccessor:
    """Views of a table with OpenFace's columns, as ``df.openface``.

    Parameters
    ----------
    df : pandas.DataFrame
        One row per frame and face of one video (``frame``, ``face_id``, ...), or per face of a picture
        (``face``). Other columns are carried along. A table without ``face_id`` is one of one face, number 0.

    Examples
    --------
    >>> import pandas as pd, pyopenface.accessor
    >>> df = pd.DataFrame({"frame": [1, 1, 2], "face_id": [0, 1, 0], "confidence": [0.98, 0.5, 0.97]})
    >>> df.openface.faces
    [0, 1]
    """

    def __init__(self, df: pd.DataFrame) -> None:
        self._given = df

    # --- parts that the methods share ---

    @cached_property
    def _df(self) -> pd.DataFrame:
        """The table; looked at when it is needed, because asking for ``df.openface`` must not raise."""
        for name in self._given.columns:
            if isinstance(name, str) and name != name.strip() and find(name):
                raise InputError(
                    f"the column {name!r} has spaces around its name, as older versions of OpenFace print "
                    "it: read the file with pyopenface.read_openface_csv, or df.rename(columns=str.strip)"
                )
        return self._given

    @property
    def _id(self) -> str:
        return "face" if "face" in self._df.columns and "face_id" not in self._df.columns else "face_id"

    def _ids(self) -> npt.NDArray[Any]:
        if self._id in self._df.columns:
            ids = self._df[self._id]
            missing = ids.isna().to_numpy()
            if missing.any():
                raise InputError(f"{self._id}: row {int(np.argmax(missing))} of the table says no face")
            values = ids.to_numpy()
            if values.dtype.kind == "f" and np.all(values == np.floor(values)):
                values = values.astype(np.int64)
            return values
        if not any(isinstance(name, str) and find(name) for name in self._df.columns):
            raise InputError("the table has none of OpenFace's columns")
        return np.zeros(len(self._df), dtype=np.int64)

    def _like(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame.attrs = dict(self._df.attrs)
        return frame

    def _measured(self) -> list[Column]:
        """The columns that hold measurements of the face, in the order of the table."""
        found = (find(name) for name in self._df.columns if isinstance(name, str))
        return [column for column in found if column is not None and column.group != "id"]

    def _require(self, names: Sequence[str]) -> list[str]:
        for name in names:
            if name not in self._df.columns:
                near = difflib.get_close_matches(str(name), [str(c) for c in self._df.columns], 3)
                hint = f"; did you mean {', '.join(near)}?" if near else ""
                raise InputError(f"the table has no column {name!r}{hint}")
        return list(names)

    def _failed(self) -> npt.NDArray[np.bool_]:
        """The rows whose numbers are no measurements."""
        failed = np.zeros(len(self._df), dtype=bool)
        if "success" in self._df.columns:
            failed = self._df["success"].to_numpy() == 0
        if _INTERPOLATED in self._df.columns:
            failed &= ~self._df[_INTERPOLATED].to_numpy(dtype=bool)
        return failed

    def _frames(self) -> Ints:
        """The frame of every row; checks that the table is one of a single video."""
        if "frame" not in self._df.columns:
            raise InputError("this needs a table over time, and there is no column 'frame'")
        frames = pd.to_numeric(self._df["frame"], errors="coerce").to_numpy(dtype=np.float64)
        odd = ~np.isfinite(frames) | (frames != np.round(frames))
        if odd.any():
            row = int(np.argmax(odd))
            raise InputError(f"frame: {self._df['frame'].iloc[row]!r} in row {row} is no number of a frame")
        frames = frames.astype(np.int64)
        twice = pd.DataFrame({"frame": frames, "face": self._ids()}).duplicated().to_numpy()
        if twice.any():
            row = int(np.argmax(twice))
            raise InputError(
                f"frame {frames[row]} has several rows of face {self._ids()[row]}; "
                "take apart tables of several videos first (df.groupby)"
            )
        return frames

    def _grid(self) -> tuple[Ints, Floats, bool]:
        """All frames that were looked at with the time of each, and whether times are seconds.

        That is every frame from the first to the last, or those that ``every=`` or ``fps=`` left. Frames
        without any row get a time between those of their neighbours. A table whose timestamps don't
        increase (a folder of pictures) is timed by its frame numbers.
        """
        frames = self._frames()
        present, first = np.unique(frames, return_index=True)
        if len(present) == 0:
            return present, np.zeros(0), True
        times = None
        if "timestamp" in self._df.columns:
            stamps = self._df["timestamp"].to_numpy(dtype=np.float64)[first]
            times = stamps if np.all(np.diff(stamps) > 0) else None
        options = self._df.attrs.get("source_options") or {}
        every, fps, start = (options.get(name) for name in ("every", "fps", "start"))
        grid = timeline.clock(present, times, every or 1, fps, start or 0.0)
        if times is None:
            return grid, grid.astype(np.float64), False
        return grid, np.interp(grid, present, times), True

    def _seconds(self) -> tuple[Ints, Floats]:
        grid, times, seconds = self._grid()
        if not seconds:
            raise InputError(
                "the table has no increasing timestamps; set them first, for example "
                "df['timestamp'] = (df['frame'] - 1) / 25"
            )
        return grid, times

    def _face_rows(self, face_id: Hashable | None) -> Ints:
        """The positions of the rows of a face in the order of time; None is allowed if there is only one."""
        ids = self._ids()
        faces = self.faces
        if face_id is None:
            if not faces:
                return np.zeros(0, np.int64)
            if len(faces) != 1:
                raise InputError(f"face_id: say which; the faces are {', '.join(map(repr, faces))}")
            face_id = faces[0]
        if face_id not in faces:
            raise InputError(f"face_id: there is no face {face_id!r}; the faces are {faces}")
        rows = np.flatnonzero(ids == face_id)
        if "frame" in self._df.columns:
            rows = rows[np.argsort(self._frames()[rows], kind="stable")]
        return rows

    def _points(
        self, face_id: Hashable | None, axes: str, prefix: str, group: str, missing: Missing
    ) -> Floats:
        """Points as (n, number of points, number of axes)."""
        _choice("missing", missing, ("nan", "keep", "drop"))
        pattern = re.compile(rf"{prefix}{axes[0]}_(\d+)")
        numbers = sorted(int(m[1]) for name in self._df.columns if (m := pattern.fullmatch(str(name))))
        if not numbers:
            raise InputError(f"the table has no columns {prefix}{axes[0]}_0 ...: it was made without {group}")
        rows = self._face_rows(face_id)
        names = self._require([f"{prefix}{axis}_{i}" for axis in axes for i in numbers])
        values = self._df[names].to_numpy(dtype=np.float64)[rows]
        failed = self._failed()[rows]
        if missing == "drop":
            values = values[~failed]
        elif missing == "nan":
            values = np.where(failed[:, None], np.nan, values)
        return np.ascontiguousarray(values.reshape(len(values), len(axes), len(numbers)).swapaxes(1, 2))

    def _view(self, names: Sequence[str], missing: Missing) -> pd.DataFrame:
        """Some columns, with what says which row it is in front."""
        front = [n for n in ("frame", self._id, "timestamp") if n in self._df.columns]
        return self._like(self._part(names).missing(missing)[[*front, *names]].copy())

    def _part(self, names: Sequence[str]) -> OpenFaceAccessor:
        """Some columns and all that says which rows are measurements: copying hundreds takes its time."""
        rows = ("frame", self._id, "timestamp", "confidence", "success", _INTERPOLATED)
        kept = [name for name in rows if name in self._df.columns]
        return OpenFaceAccessor(self._df[list(dict.fromkeys([*kept, *self._require(names)]))])

    # --- faces and rows ---

    @property
    def faces(self) -> list[Any]:
        """The faces of the table: numbers in order, then names in order.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> pd.DataFrame({"frame": [1, 1], "face_id": [3, 0]}).openface.faces
        [0, 3]
        """
        unique = pd.unique(pd.Series(self._ids()))
        faces = [face.item() if isinstance(face, np.generic) else face for face in unique]
        return sorted(faces, key=lambda face: (isinstance(face, str), face))

    def face(self, face_id: Hashable | None = None) -> pd.DataFrame:
        """The rows of one face in the order of time.

        Parameters
        ----------
        face_id : optional
            Which; may be left out if the table has only one.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            There is no such face, or several and none was named.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [2, 1, 1], "face_id": [0, 0, 1]})
        >>> df.openface.face(0)["frame"].tolist()
        [1, 2]
        """
        return self._like(self._df.iloc[self._face_rows(face_id)].copy())

    def confident(self, threshold: float = 0.8) -> pd.DataFrame:
        """The rows whose confidence is at least the threshold.

        Parameters
        ----------
        threshold : float
            From 0 to 1. Tracking itself calls a fit a success above 0.725.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            No such threshold, or no column ``confidence``.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2], "confidence": [0.98, 0.5]})
        >>> len(df.openface.confident(0.8))
        1
        """
        threshold = confidence_threshold(threshold)
        self._require(["confidence"])
        return self._like(self._df[self._df["confidence"] >= threshold].copy())

    def missing(self, missing: Missing = "nan", *, threshold: float | None = None) -> pd.DataFrame:
        """What becomes of the rows whose face was not tracked.

        Parameters
        ----------
        missing : {"nan", "drop", "keep"}
            Replace their measurements by NaN, leave the rows out, or keep OpenFace's numbers (zeros for gaze
            and action units, the rejected fit for the rest).
        threshold : float, optional
            Treat rows with a confidence below it in the same way.

        Returns
        -------
        pandas.DataFrame
            frame, face_id, timestamp, confidence and success are always kept.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2], "success": [1, 0], "AU12_r": [2.5, 0.0]})
        >>> df.openface.missing("nan")["AU12_r"].tolist()
        [2.5, nan]
        """
        _choice("missing", missing, ("nan", "drop", "keep"))
        failed = self._failed()
        if threshold is not None:
            threshold = confidence_threshold(threshold)
            self._require(["confidence"])
            failed |= self._df["confidence"].to_numpy() < threshold
        result = self._df.copy()
        if missing == "drop":
            result = result[~failed].copy()
        elif missing == "nan" and failed.any():
            names = [column.name for column in self._measured()]
            cells = result[names].to_numpy(dtype=np.float64, copy=True)
            cells[failed] = np.nan
            result = _replaced(result, names, cells)
        return self._like(result)

    # --- arrays and views ---

    def landmarks(self, face_id: Hashable | None = None, *, missing: Missing = "nan") -> Floats:
        """The 2D landmarks of a face.

        Parameters
        ----------
        face_id : optional
            Which face; may be left out if the table has only one.
        missing : {"nan", "keep", "drop"}
            For frames in which the face was not tracked.

        Returns
        -------
        numpy.ndarray
            float64 (n, 68, 2), x and y in px of the image, one for each row of ``df.openface.face(face_id)``.

        Raises
        ------
        InputError
            The table has no landmarks, or not this face.

        Examples
        --------
        >>> import numpy as np, pyopenface.accessor
        >>> from pyopenface import columns, table
        >>> layout = columns.layout(groups=["2Dfp"])
        >>> df = table.to_dataframe(np.ones((5, len(layout))), layout).assign(frame=range(1, 6))
        >>> df.openface.landmarks().shape
        (5, 68, 2)
        """
        return self._points(face_id, "xy", "", "2D landmarks", missing)

    def landmarks_3d(self, face_id: Hashable | None = None, *, missing: Missing = "nan") -> Floats:
        """The 3D landmarks of a face, float64 (n, 68, 3) in mm of the camera's frame; else like `landmarks`.

        Examples
        --------
        >>> import numpy as np, pyopenface.accessor
        >>> from pyopenface import columns, table
        >>> layout = columns.layout(groups=["3Dfp"])
        >>> df = table.to_dataframe(np.ones((5, len(layout))), layout).assign(frame=range(1, 6))
        >>> df.openface.landmarks_3d().shape
        (5, 68, 3)
        """
        return self._points(face_id, "XYZ", "", "3D landmarks", missing)

    def eye_landmarks(
        self, face_id: Hashable | None = None, *, dimensions: Literal[2, 3] = 2, missing: Missing = "nan"
    ) -> Floats:
        """The landmarks of both eyes of a face.

        Parameters
        ----------
        face_id : optional
            Which face; may be left out if the table has only one.
        dimensions : {2, 3}
            Image points in px or points in mm of the camera's frame.
        missing : {"nan", "keep", "drop"}
            For frames in which the face was not tracked.

        Returns
        -------
        numpy.ndarray
            float64 (n, 2, 28, dimensions): first the eye on the left of the image, then that on the right.

        Examples
        --------
        >>> import numpy as np, pyopenface.accessor
        >>> from pyopenface import columns, table
        >>> layout = columns.layout(groups=["gaze"])
        >>> df = table.to_dataframe(np.ones((5, len(layout))), layout).assign(frame=range(1, 6))
        >>> df.openface.eye_landmarks(dimensions=3).shape
        (5, 2, 28, 3)
        """
        if dimensions not in (2, 3):
            raise InputError(f"dimensions: must be 2 or 3, not {dimensions}")
        points = self._points(face_id, "xy" if dimensions == 2 else "XYZ", "eye_lmk_", "gaze", missing)
        return points.reshape(len(points), 2, points.shape[1] // 2, dimensions)

    def pose(self, *, degrees: bool = True, missing: Missing = "nan") -> pd.DataFrame:
        """Where the heads are and how they are turned.

        Parameters
        ----------
        degrees : bool
            pose_Rx, pose_Ry, pose_Rz (pitch, yaw, roll) in degrees instead of radians.
        missing : {"nan", "keep", "drop"}
            For rows whose face was not tracked.

        Returns
        -------
        pandas.DataFrame
            frame, face_id, timestamp, pose_Tx, pose_Ty, pose_Tz in mm, and the three angles.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> names = ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"]
        >>> df = pd.DataFrame([[1, 0, 0, 500, 0, 0.5236, 0]], columns=["frame", *names])
        >>> df.openface.pose()["pose_Ry"].round(1).tolist()
        [30.0]
        """
        names = [f"pose_{what}{axis}" for what in "TR" for axis in "xyz"]
        view = self._view(names, missing)
        if degrees:
            view[names[3:]] = np.degrees(view[names[3:]])
        return view

    def gaze(self, *, degrees: bool = True, missing: Missing = "nan") -> pd.DataFrame:
        """Where the faces look, as two angles.

        Parameters
        ----------
        degrees : bool
            In degrees instead of radians.
        missing : {"nan", "keep", "drop"}
            For rows whose face was not tracked.

        Returns
        -------
        pandas.DataFrame
            frame, face_id, timestamp, gaze_angle_x (positive: to the right of the image) and gaze_angle_y
            (positive: down). Files without these columns get them from the gaze vectors.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1], "gaze_angle_x": [0.1745], "gaze_angle_y": [0.0]})
        >>> df.openface.gaze()["gaze_angle_x"].round(1).tolist()
        [10.0]
        """
        angles = ["gaze_angle_x", "gaze_angle_y"]
        if angles[0] in self._df.columns:
            view = self._view(angles, missing)
        else:
            view = self._view([f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"], missing)
            x, y, z = (view.pop(f"gaze_0_{axis}") + view.pop(f"gaze_1_{axis}") for axis in "xyz")
            view[angles[0]], view[angles[1]] = np.arctan2(x, -z), np.arctan2(y, -z)
        if degrees:
            view[angles] = np.degrees(view[angles])
        return view

    def action_units(
        self, form: Literal["wide", "tidy"] = "wide", *, missing: Missing = "nan"
    ) -> pd.DataFrame:
        """The action units.

        Parameters
        ----------
        form : {"wide", "tidy"}
            A column for each AUxx_r and AUxx_c, or a row for each face, frame and unit, with its intensity
            and presence (NaN where there is none: AU28 has no intensity).
        missing : {"nan", "keep", "drop"}
            For rows whose face was not tracked.

        Returns
        -------
        pandas.DataFrame
            frame, face_id, timestamp, and the action units.

        Raises
        ------
        InputError
            The table has no action units.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1], "AU12_r": [2.5], "AU12_c": [1.0], "AU28_c": [0.0]})
        >>> print(df.openface.action_units("tidy").to_string(index=False))
        frame unit  intensity  presence
            1 AU12        2.5       1.0
            1 AU28        NaN       0.0
        """
        _choice("form", form, ("wide", "tidy"))
        names = [column.name for column in self._measured() if column.group == "aus"]
        if not names:
            raise InputError("the table has no action units: it was made without the group 'aus'")
        view = self._view(names, missing)
        if form == "wide":
            return view
        front = [name for name in view.columns if name not in names]
        parts = []
        for unit in sorted({name[:4] for name in names}):
            part = view[front].copy()
            part["unit"] = unit
            for what, letter in (("intensity", "r"), ("presence", "c")):
                part[what] = view[f"{unit}_{letter}"] if f"{unit}_{letter}" in names else np.nan
            parts.append(part)
        order = np.arange(len(view) * len(parts)).reshape(len(parts), len(view)).T.ravel()
        return self._like(pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True))

    def wide(
        self, column: str, clock: Literal["timestamp", "frame"] | None = None, *, missing: Missing = "nan"
    ) -> pd.DataFrame:
        """One column per person on one clock, for correlations between people and for plotting.

        Parameters
        ----------
        column : str
            Which column of the table, such as ``"AU12_r"``.
        clock : {"timestamp", "frame"}, optional
            The index. By default seconds if the table has increasing timestamps, else frame numbers.
        missing : {"nan", "keep", "drop"}
            For rows whose face was not tracked.

        Returns
        -------
        pandas.DataFrame
            A row for every frame from the first to the last, also for those without any face; a column for
            every face; NaN where the face isn't there. ``attrs["column"]`` is the column's name.

        Raises
        ------
        InputError
            No such column, or a frame with several rows of a face (a table of several videos).

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 2, 4], "face_id": [0, 0, 1, 0], "AU12_r": [1, 2, 3, 4]})
        >>> df.openface.wide("AU12_r")[1].tolist()
        [nan, 3.0, nan, nan]
        """
        if not isinstance(column, str):
            raise InputError(f"column={column!r}: expected the name of one column")
        self._require([column])
        grid, times, seconds = self._grid()
        if clock is None:
            clock = "timestamp" if seconds else "frame"
        _choice("clock", clock, ("timestamp", "frame"))
        if clock == "timestamp":
            _, times = self._seconds()
        kept = self._part([column]).missing(missing)
        cells = pd.DataFrame(
            {"frame": kept["frame"], "face": OpenFaceAccessor(kept)._ids(), "value": kept[column]}
        )
        series = cells.set_index(["frame", "face"])["value"]
        result: pd.DataFrame = series.unstack("face")  # noqa: PD010  (there is nothing to aggregate)
        result = result.reindex(index=grid, columns=self.faces)
        result.index = pd.Index(times if clock == "timestamp" else grid, name=clock)
        result.columns.name = "face_id"
        result.attrs = {**self._df.attrs, "column": column}
        return result

    # --- over time ---

    def _track(self, rows: Ints, grid: Ints, times: Floats) -> timeline.Track:
        steps = np.searchsorted(grid, self._frames()[rows]).astype(np.int64)
        return timeline.Track(times[steps], steps, ~self._failed()[rows])

    def _values(self, names: Sequence[str], rows: Ints) -> Floats:
        """Values of a face's rows in the order of time, angles without jumps."""
        values: Floats = self._df[list(names)].to_numpy(dtype=np.float64)[rows]
        for i, name in enumerate(names):
            column = find(name)
            if column is not None and column.unit == "rad":
                known = np.isfinite(values[:, i])
                values[known, i] = np.unwrap(values[known, i])
        return values

    @staticmethod
    def _bounded(names: Sequence[str], values: Floats) -> Floats:
        """Values that were computed from others, within the range of their columns."""
        known = [find(name) for name in names]
        angles = [i for i, column in enumerate(known) if column is not None and column.unit == "rad"]
        values[:, angles] = timeline.wrapped(values[:, angles])
        low = [-np.inf if column is None else column.minimum for column in known]
        high = [np.inf if column is None else column.maximum for column in known]
        bounded: Floats = np.clip(values, low, high)
        return bounded

    def _continuous(self, columns: Sequence[str] | None, *, confidence: bool = False) -> list[str]:
        """Columns that can be averaged and interpolated: measurements but presences, or those asked for."""
        if columns is None:
            front = ["confidence"] if confidence and "confidence" in self._df.columns else []
            return front + [c.name for c in self._measured() if not c.name.endswith("_c")]
        if not isinstance(columns, Iterable):
            raise InputError(f"columns={columns!r}: expected names of columns")
        names = self._require([columns] if isinstance(columns, str) else list(dict.fromkeys(columns)))
        for name in names:
            if not pd.api.types.is_numeric_dtype(self._df[name].dtype):
                raise InputError(f"columns: {name!r} has no numbers")
        return names

    def resample(
        self,
        fps: float,
        method: Literal["linear", "nearest", "mean"] = "linear",
        *,
        max_gap: float | None = None,
    ) -> pd.DataFrame:
        """The table at a fixed frame rate, all faces at the same times.

        Parameters
        ----------
        fps : float
            Rows per second and face. Times are multiples of 1/fps, counted from time 0.
        method : {"linear", "nearest", "mean"}
            Between the two neighbours in time, the nearer of them, or the mean over 1/fps (the choice for a
            lower rate than that of the video). Presences, success and columns that OpenFace doesn't have
            always come from the nearest row.
        max_gap : float, optional
            Interpolate between tracked frames that are at most so many seconds apart; by default only between
            successive frames, whatever time lies between them.

        Returns
        -------
        pandas.DataFrame
            With the same columns; ``frame`` counts the new times from 1 at time 0. A time at which a face has
            no successive rows has no row; one at which it was not tracked has ``success`` 0 and NaN.

        Raises
        ------
        InputError
            The table has no increasing timestamps (see its text), or fps is out of range.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 3], "timestamp": [0.0, 0.5, 1.0], "AU12_r": [0.0, 1.0, 2.0]})
        >>> df.openface.resample(4)["AU12_r"].tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
        """
        _choice("method", method, ("linear", "nearest", "mean"))
        fps = real_number("fps", fps, "rows per second, more than 0, at most 10000", above=True, most=10_000)
        if max_gap is not None:
            max_gap = _gap(max_gap)
        grid, times = self._seconds()
        parts = [self._resampled(face, fps, method, max_gap, grid, times) for face in self.faces]
        result = self._joined(parts)
        if "source_options" in result.attrs:  # the new frames are no longer some of the video's
            kept = {k: v for k, v in result.attrs["source_options"].items() if k not in ("every", "fps")}
            result.attrs["source_options"] = kept
        return result

    def _joined(self, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """The tables of the faces as one, in the order of frames."""
        result = pd.concat(parts, ignore_index=True) if parts else self._df.copy()
        return self._like(result.sort_values("frame", kind="stable").reset_index(drop=True))

    def _resampled(
        self, face: Hashable, fps: float, method: str, max_gap: float | None, grid: Ints, times: Floats
    ) -> pd.DataFrame:
        rows = self._face_rows(face)
        track = self._track(rows, grid, times)
        good = track.only_good()
        first = np.ceil((track.times[0] - timeline.SLACK) * fps)
        last = np.floor((track.times[-1] + timeline.SLACK) * fps)
        ticks = np.arange(first, last + 1).astype(np.int64)
        at = ticks / fps
        names = self._continuous(None, confidence=True)
        values = self._values(names, rows[track.good])
        if method == "mean":
            there = timeline.bins(track, np.zeros((len(track), 1)), ticks, fps)[1]
            new, measured = timeline.bins(good, values, ticks, fps)
        else:
            there = timeline.neighbours(track, at, max_gap)[2]
            before, after, measured = timeline.neighbours(good, at, max_gap)
            there |= measured
            if len(good) == 0:
                new = np.zeros((len(at), len(names)))
            elif method == "linear":
                new = timeline.linear(good, values, at, before, after)
            else:
                new = values[timeline.nearest(good.times, at)]
        source = rows[timeline.nearest(track.times, at)]  # of what can't be averaged
        if len(good) > 0:
            source = np.where(measured, rows[track.good][timeline.nearest(good.times, at)], source)
        part = self._df.iloc[source]
        cells = part[names].to_numpy(dtype=np.float64, copy=True)
        cells[measured] = self._bounded(names, new[measured])
        part = _replaced(part, names, cells)
        every = [column.name for column in self._measured()]
        cells = part[every].to_numpy(dtype=np.float64, copy=True)
        cells[~measured] = np.nan
        part = _replaced(part, every, cells)
        part["frame"], part["timestamp"] = ticks + 1, at
        if "success" in part.columns:
            part["success"] = measured.astype(np.int64)
        present: pd.DataFrame = part.iloc[np.flatnonzero(there)]
        return present

    def smooth(
        self,
        window: int = 5,
        method: Literal["mean", "median", "savgol"] = "mean",
        *,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Less noise: every value from those around it in time.

        Only successive tracked frames of the same face are mixed; at the ends of such a stretch the window is
        cut off.

        Parameters
        ----------
        window : int
            Its length in frames, an odd number.
        method : {"mean", "median", "savgol"}
            Moving mean, moving median, or the filter of Savitzky and Golay (1964) with parabolas, which keeps
            the height of short peaks.
        columns : sequence of str, optional
            Which; by default all measurements but presences.

        Returns
        -------
        pandas.DataFrame
            The same rows. Rows whose face was not tracked are as they were.

        Raises
        ------
        InputError
            An even window, an unknown method or column.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 3], "AU12_r": [0.0, 3.0, 0.0]})
        >>> df.openface.smooth(3)["AU12_r"].tolist()
        [1.5, 1.0, 1.5]
        """
        _choice("method", method, ("mean", "median", "savgol"))
        window = whole_number("window", window)
        if window % 2 == 0:
            raise InputError(f"window={window}: expected an odd number of frames")
        names = self._continuous(columns)
        grid = self._grid()[0]
        cells = self._df[names].to_numpy(dtype=np.float64, copy=True)
        failed = self._failed()
        for face in self.faces:
            rows = self._face_rows(face)
            rows = rows[~failed[rows]]
            if len(rows) == 0:
                continue
            steps = np.searchsorted(grid, self._frames()[rows]).astype(np.int64)
            values = self._values(names, rows)
            for run in timeline.runs(steps):
                cells[rows[run]] = self._bounded(names, timeline.filtered(values[run], window, method))
        return self._like(_replaced(self._df, names, cells))

    def interpolate(self, max_gap: float, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Fill short gaps: frames in which a face was not tracked, or has no row.

        Parameters
        ----------
        max_gap : float
            The longest time between two tracked frames that is bridged, in seconds (in frames, if the table
            has no increasing timestamps).
        columns : sequence of str, optional
            Which to fill; by default all measurements. Presences take the value of the nearer end.

        Returns
        -------
        pandas.DataFrame
            With rows added where a face had none (confidence and success 0), and a column ``interpolated``
            that is True where numbers were filled in. The views take these rows as tracked.

        Raises
        ------
        InputError
            A negative gap, an unknown column, or a table without time.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 4], "success": [1, 0, 1], "AU12_r": [1.0, 0.0, 4.0]})
        >>> df.openface.interpolate(max_gap=3)[["frame", "AU12_r", "interpolated"]].values.tolist()
        [[1, 1.0, False], [2, 2.0, True], [3, 3.0, True], [4, 4.0, False]]
        """
        max_gap = _gap(max_gap)
        grid, times, _ = self._grid()
        names = self._continuous(columns)
        if columns is None:
            names += [column.name for column in self._measured() if column.name.endswith("_c")]
        parts = [self._bridged(face, max_gap, names, grid, times) for face in self.faces]
        if not parts:
            return self._like(self._df.assign(interpolated=False))
        return self._joined(parts)

    def _bridged(
        self, face: Hashable, max_gap: float, names: Sequence[str], grid: Ints, times: Floats
    ) -> pd.DataFrame:
        rows = self._face_rows(face)
        track = self._track(rows, grid, times)
        filled = timeline.gaps(track, times, max_gap)
        steps = np.union1d(track.steps, filled)
        source = np.searchsorted(track.steps, steps)  # a new row is made from the one after it
        added = ~np.isin(steps, track.steps)
        made = np.isin(steps, filled)
        part: pd.DataFrame = self._df.iloc[rows[source]].copy()
        part["frame"] = grid[steps]
        if "timestamp" in part.columns:
            stamps = part["timestamp"].to_numpy(dtype=np.float64)
            part["timestamp"] = np.where(added, np.interp(steps, steps[~added], stamps[~added]), stamps)
        for name in ("confidence", "success"):
            if name in part.columns:
                part[name] = part[name].mask(pd.Series(added, index=part.index), 0)
        if made.any():
            good, at = track.only_good(), times[filled]
            values = self._values(names, rows[track.good])
            before, after, _ = timeline.neighbours(good, at, None)
            new = timeline.linear(good, values, at, before, after)
            steady = [i for i, name in enumerate(names) if name.endswith("_c")]
            new[:, steady] = values[timeline.nearest(good.times, at)][:, steady]
            cells = part[list(names)].to_numpy(dtype=np.float64, copy=True)
            cells[made] = self._bounded(names, new)
            part = _replaced(part, names, cells)
        if _INTERPOLATED in part.columns:  # from an earlier call
            made |= part[_INTERPOLATED].to_numpy(dtype=bool) & ~added
        part[_INTERPOLATED] = made
        return part

    # --- summaries ---

    def _durations(self) -> Floats:
        """Seconds for which every row stands: until the next frame, for the last frame as the usual one."""
        grid, times = self._seconds()
        if len(grid) < 2:
            return np.full(len(self._df), np.nan)
        steps = np.diff(times)
        durations: Floats = np.append(steps, np.median(steps))[np.searchsorted(grid, self._frames())]
        return durations

    def blinks(self, threshold: float = 1.0, *, max_duration: float = 0.5) -> pd.DataFrame:
        """Blinks, as short times of an intensity of AU45 above a threshold.

        A blink lasts 0.1 to 0.4 s: below about 15 frames per second many are missed. Longer closures don't
        count.

        Parameters
        ----------
        threshold : float
            Intensity of AU45 from which the eyes count as closed.
        max_duration : float
            Longest blink in seconds.

        Returns
        -------
        pandas.DataFrame
            A row for every blink: face_id, onset and duration in seconds, peak intensity.

        Raises
        ------
        InputError
            The table has no ``AU45_r`` or no increasing timestamps.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 3], "timestamp": [0, 0.1, 0.2], "AU45_r": [0.0, 2.0, 0.0]})
        >>> df.openface.blinks()["peak"].tolist()
        [2.0]
        """
        threshold = real_number("threshold", threshold, "an intensity, 0 or more")
        max_duration = real_number("max_duration", max_duration, "seconds, 0 or more")
        self._require(["AU45_r"])
        grid, times = self._seconds()
        closure = self._df["AU45_r"].to_numpy(dtype=np.float64)
        length, failed = self._durations(), self._failed()
        found = []
        for face in self.faces:
            rows = self._face_rows(face)
            rows = rows[~failed[rows] & (closure[rows] >= threshold)]
            track = self._track(rows, grid, times)
            for run in timeline.runs(track.steps) if len(rows) else ():
                duration = float(length[rows[run]].sum())
                if duration <= max_duration:
                    peak = float(closure[rows[run]].max())
                    found.append((face, float(track.times[run.start]), duration, peak))
        result: pd.DataFrame = pd.DataFrame(found, columns=["face_id", "onset", "duration", "peak"])
        return result

    def summary(self) -> pd.DataFrame:
        """A row per person: how long and how well it was seen, and what its face did.

        Returns
        -------
        pandas.DataFrame
            Indexed by face: rows; tracked (share of the rows with success); time_visible (seconds tracked);
            first and last (seconds); confidence (mean over all rows); over tracked rows AUxx_r_mean,
            AUxx_r_sd and AUxx_c_percent for every action unit there is; blinks_per_minute (see `blinks`).
            What needs a clock is NaN without one.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2], "timestamp": [0, 0.5], "success": [1, 0], "AU12_c": [1, 0]})
        >>> df.openface.summary().loc[0, ["tracked", "time_visible", "AU12_c_percent"]].tolist()
        [0.5, 0.5, 100.0]
        """
        timed = "frame" in self._df.columns and self._grid()[2]
        durations = self._durations() if timed else np.full(len(self._df), np.nan)
        grid, times = self._seconds() if timed else (np.zeros(0, np.int64), np.zeros(0))
        blinks = self.blinks() if timed and "AU45_r" in self._df.columns else None
        good = ~self._failed()
        units = [column.name for column in self._measured() if column.group == "aus"]
        names = ["rows", "tracked", "time_visible", "first", "last"]
        names += ["confidence"] if "confidence" in self._df.columns else []
        for name in units:
            names += [f"{name}_mean", f"{name}_sd"] if name.endswith("_r") else [f"{name}_percent"]
        names += ["blinks_per_minute"] if "AU45_r" in units else []
        summary: dict[Hashable, dict[str, float]] = {}
        for face in self.faces:
            rows = self._face_rows(face)
            seen = rows[good[rows]]
            t = self._track(rows, grid, times).times if timed else np.full(1, np.nan)
            line = {"rows": len(rows), "tracked": len(seen) / len(rows)}
            line["time_visible"] = float(durations[seen].sum())
            line["first"], line["last"] = float(t[0]), float(t[-1])
            if "confidence" in self._df.columns:
                line["confidence"] = float(self._df["confidence"].iloc[rows].mean())
            part = self._df[units].iloc[seen]
            for name in units:
                if name.endswith("_r"):
                    line[f"{name}_mean"], line[f"{name}_sd"] = (
                        float(part[name].mean()),
                        float(part[name].std()),
                    )
                else:
                    line[f"{name}_percent"] = 100 * float((part[name].dropna() > 0.5).mean())
            if blinks is not None:
                minutes = line["time_visible"] / 60
                count = int((blinks["face_id"] == face).sum())
                line["blinks_per_minute"] = count / minutes if minutes > 0 else np.nan
            summary[face] = line
        result: pd.DataFrame = pd.DataFrame.from_dict(summary, orient="index", columns=names)
        result.index.name = self._id
        return result

    # --- identities ---

    def _with_ids(self, ids: Sequence[Any] | npt.NDArray[Any]) -> pd.DataFrame:
        result = self._df.copy()
        values = pd.Series(list(ids), index=result.index).infer_objects()
        if self._id in result.columns:
            result[self._id] = values
        else:
            result.insert(1, self._id, values)
        return self._like(result)

    def _known(self, *faces: Hashable) -> None:
        for face in faces:
            if face not in self.faces:
                raise InputError(f"there is no face {face!r}; the faces are {self.faces}")

    def rename_faces(self, names: Mapping[Any, Any]) -> pd.DataFrame:
        """Give faces other numbers or names.

        Parameters
        ----------
        names : mapping
            New id by old id; faces that are not in it keep theirs.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            An unknown face, or two faces would become one (`merge_faces` does that).

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 1], "face_id": [0, 1]})
        >>> df.openface.rename_faces({0: "Ann", 1: "Ben"}).openface.faces
        ['Ann', 'Ben']
        """
        if not isinstance(names, Mapping):
            raise InputError(f"names={names!r}: expected new ids by old ones, such as {{0: 'Ann'}}")
        self._known(*names)
        odd = [name for name in names.values() if not isinstance(name, str | int | np.integer)]
        if odd:
            raise InputError(f"names: {odd[0]!r} is neither a name nor a number")
        new = [names.get(face, face) for face in self.faces]
        twice = next((name for name in new if new.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"names: {twice!r} would be several faces; merge_faces makes one of them")
        return self._with_ids([names.get(face, face) for face in self._ids().tolist()])

    def merge_faces(
        self,
        faces: Sequence[Any],
        into: Any = None,
        *,
        on_conflict: Literal["error", "confident"] = "error",
    ) -> pd.DataFrame:
        """Make one face of several: a person who was lost and found again under another number.

        Parameters
        ----------
        faces : sequence
            The ids that are the same person.
        into : optional
            Its id; by default the first of them.
        on_conflict : {"error", "confident"}
            If several of them are in one frame: raise, or keep the row with the highest confidence.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            An unknown face, another face called ``into``, or several of them in one frame.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2], "face_id": [0, 3], "confidence": [0.9, 0.9]})
        >>> df.openface.merge_faces([0, 3]).openface.faces
        [0]
        """
        _choice("on_conflict", on_conflict, ("error", "confident"))
        known = [] if isinstance(faces, str) or not isinstance(faces, Iterable) else list(faces)
        if not known:
            raise InputError(f"faces={faces!r}: expected a list of at least one face")
        faces = known
        self._known(*faces)
        into = faces[0] if into is None else into
        if into in self.faces and into not in faces:
            raise InputError(f"into: {into!r} is another face of the table")
        ids = [into if face in faces else face for face in self._ids().tolist()]
        frames = self._frames()
        merged = self._with_ids(ids)
        keys = pd.DataFrame({"frame": frames, "face": ids})
        clash = keys.duplicated(keep=False).to_numpy()
        if not clash.any():
            return merged
        if on_conflict == "error":
            number = len(np.unique(frames[clash]))
            raise InputError(
                f"faces {list(faces)} are together in {number} frames, first in frame {frames[clash].min()}; "
                "on_conflict='confident' keeps the more confident row"
            )
        self._require(["confidence"])
        keys["confidence"] = self._df["confidence"].to_numpy()
        order = keys.sort_values("confidence", ascending=False, kind="stable")
        best = np.sort(order.drop_duplicates(["frame", "face"]).index.to_numpy())
        return self._like(merged.iloc[best].copy())

    def split_face(self, face_id: Any, at_frame: int, new_id: Any = None) -> pd.DataFrame:
        """Make two faces of one that is another person from some frame on.

        Parameters
        ----------
        face_id
            The face.
        at_frame : int
            The first frame of the other person.
        new_id : optional
            Its id; by default the next free number.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            An unknown face, a ``new_id`` in use, or nothing on one side of the frame.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 2, 3], "face_id": [0, 0, 0]})
        >>> df.openface.split_face(0, at_frame=2)["face_id"].tolist()
        [0, 1, 1]
        """
        self._known(face_id)
        at_frame = whole_number("at_frame", at_frame, least=0)
        if new_id is None:
            new_id = 1 + max((face for face in self.faces if not isinstance(face, str)), default=-1)
        if new_id in self.faces:
            raise InputError(f"new_id: {new_id!r} is a face of the table already")
        mine = self._ids() == face_id
        later = mine & (self._frames() >= at_frame)
        if not later.any() or later.sum() == mine.sum():
            raise InputError(f"at_frame: face {face_id!r} has no rows on one side of frame {at_frame}")
        moved = zip(self._ids().tolist(), later, strict=True)
        return self._with_ids([new_id if other else face for face, other in moved])

    def swap_faces(self, first: Any, second: Any, from_frame: int) -> pd.DataFrame:
        """Exchange two faces from some frame on, where the tracking took one person for the other.

        Parameters
        ----------
        first, second
            The faces.
        from_frame : int
            The first frame with the wrong ids.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            An unknown face.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> df = pd.DataFrame({"frame": [1, 1, 2, 2], "face_id": [0, 1, 0, 1]})
        >>> df.openface.swap_faces(0, 1, from_frame=2)["face_id"].tolist()
        [0, 1, 1, 0]
        """
        self._known(first, second)
        from_frame = whole_number("from_frame", from_frame, least=0)
        other = {first: second, second: first}
        rows = zip(self._ids().tolist(), self._frames() >= from_frame, strict=True)
        return self._with_ids([other.get(face, face) if later else face for face, later in rows])

    def to_csv(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write OpenFace's CSV; the same as `pyopenface.table.to_openface_csv`.

        Examples
        --------
        >>> import pandas as pd, pyopenface.accessor
        >>> pd.DataFrame({"frame": [1], "confidence": [0.98]}).openface.to_csv("faces.csv")
        """
        to_openface_csv(self._df, path, **options)
