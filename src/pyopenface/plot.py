"""Figures of a table of results, drawn with matplotlib: ``pip install 'pyopenface[plot]'``.

Every function takes a table with OpenFace's columns and returns the Axes it drew on. With ``ax=`` it draws on
yours; functions with several panels take as many Axes in an array. A person has the same colour in every
figure of a table. Rows whose face was not tracked are left out, lines are broken there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import pyopenface.accessor  # noqa: F401  (registers df.openface)
from pyopenface.columns import AU_NAMES
from pyopenface.errors import Error, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["action_units", "confidence", "face", "gaze", "gaze_density", "pose", "positions"]

_OUTLINES: tuple[tuple[tuple[int, ...], bool], ...] = (
    (tuple(range(17)), False),
    (tuple(range(17, 22)), False),
    (tuple(range(22, 27)), False),
    (tuple(range(27, 31)), False),
    (tuple(range(31, 36)), False),
    (tuple(range(36, 42)), True),
    (tuple(range(42, 48)), True),
    (tuple(range(48, 60)), True),
    (tuple(range(60, 68)), True),
)
"""The 68 landmarks as lines, and whether each is closed."""

_EYE_OUTLINES = (range(0, 8), range(8, 20), range(20, 28))
"""Iris, eyelids and pupil of the 28 landmarks of an eye."""

_SHOWN_UNITS = ("AU01", "AU04", "AU06", "AU12", "AU25", "AU45")


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise Error("figures need matplotlib: pip install 'pyopenface[plot]'") from error
    return plt


def _panels(ax: Any, rows: int, columns: int, size: tuple[float, float], **options: Any) -> npt.NDArray[Any]:
    """The Axes to draw on (rows, columns): the caller's, or new ones of a size in inches each."""
    plt = _pyplot()
    if ax is None:
        figure = (1.2 + size[0] * columns, 0.7 + size[1] * rows)
        grid = plt.subplots(rows, columns, figsize=figure, squeeze=False, layout="constrained", **options)
        panels: npt.NDArray[Any] = np.asarray(grid[1], dtype=object)
        return panels
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != rows * columns:
        raise InputError(f"ax: {rows * columns} Axes are needed ({rows} x {columns}), got {len(axes)}")
    return axes.reshape(rows, columns)


def _faces(df: pd.DataFrame, faces: Sequence[Hashable] | None) -> list[Any]:
    known = df.openface.faces
    if len(known) == 0:
        raise InputError("the table has no rows to draw: no face was found")
    for face_id in faces or ():
        if face_id not in known:
            raise InputError(f"faces: there is no face {face_id!r}; the faces are {known}")
    return list(known if faces is None else faces)


def _colours(df: pd.DataFrame) -> dict[Any, Any]:
    plt = _pyplot()
    colours = plt.get_cmap("tab10").colors
    return {face_id: colours[i % len(colours)] for i, face_id in enumerate(df.openface.faces)}


def _name(face_id: Any) -> str:
    return face_id if isinstance(face_id, str) else f"face {face_id}"


def _clock(wide: pd.DataFrame) -> tuple[Any, str]:
    return wide.index.to_numpy(), "time (s)" if wide.index.name == "timestamp" else "frame"


def _legend(ax: Axes, count: int) -> None:
    """A legend to the right of the panel, where it hides nothing."""
    if count > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, handlelength=1.2)


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)


def positions(df: pd.DataFrame, threshold: float = 0.8, *, ax: Any = None) -> npt.NDArray[Any]:
    """Where the faces are in the image, before and after a threshold of confidence.

    Wrong detections show as stray points and disappear with a good threshold.

    Parameters
    ----------
    df : pandas.DataFrame
        With 2D landmarks and confidence.
    threshold : float
        From 0 to 1.
    ax : two Axes, optional
        To draw on.

    Returns
    -------
    numpy.ndarray
        Two Axes: all rows, and the confident ones.

    Raises
    ------
    InputError
        The table has no landmarks or no confidence.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface import columns, plot, table
    >>> layout = columns.layout(groups=["2Dfp"])
    >>> df = table.to_dataframe(np.ones((5, len(layout))), layout).assign(frame=range(1, 6))
    >>> plot.positions(df, threshold=0.9)[1].get_title()
    'confidence ≥ 0.9: 5 of 5'
    """
    axes: npt.NDArray[Any] = _panels(ax, 1, 2, (3.9, 2.6), sharex=True, sharey=True)[0]
    colours = _colours(df)
    for panel, part in zip(axes, (df, df.openface.confident(threshold)), strict=True):
        for face_id in _faces(df, None):
            if face_id in part.openface.faces:
                centres = part.openface.landmarks(face_id, missing="keep").mean(axis=1)
                panel.scatter(
                    centres[:, 0],
                    centres[:, 1],
                    s=9,
                    alpha=0.5,
                    linewidths=0,
                    color=colours[face_id],
                    rasterized=True,
                )
            panel.scatter([], [], s=30, color=colours[face_id], label=_name(face_id))
        panel.set(xlabel="x (px)", aspect="equal")
        _tidy(panel)
    axes[0].set(ylabel="y (px)", title=f"all rows: {len(df)}")
    axes[1].set_title(f"confidence ≥ {threshold:g}: {len(df.openface.confident(threshold))} of {len(df)}")
    for panel in axes:  # the image's y runs down
        if not panel.yaxis_inverted():
            panel.invert_yaxis()
    _legend(axes[1], len(colours))
    return axes


def action_units(
    df: pd.DataFrame,
    units: Sequence[str] | None = None,
    faces: Sequence[Hashable] | None = None,
    *,
    ax: Any = None,
) -> npt.NDArray[Any]:
    """Action units over time, a row of panels per unit and a column per person.

    The line is the intensity, the shade below marks the frames in which the unit is present.

    Parameters
    ----------
    df : pandas.DataFrame
        With action units.
    units : sequence of str, optional
        Such as ``["AU06", "AU12"]``; by default brows, cheeks, smile, mouth and blinks.
    faces : sequence, optional
        Which people; by default all.
    ax : Axes, optional
        As many as units times faces.

    Returns
    -------
    numpy.ndarray
        Axes (units, faces).

    Raises
    ------
    InputError
        The table doesn't have these units or faces.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pyopenface.accessor
    >>> from pyopenface import plot
    >>> df = pd.DataFrame({"frame": [1, 2, 3], "AU12_r": [0.0, 2.0, 1.0], "AU12_c": [0.0, 1.0, 1.0]})
    >>> plot.action_units(df, ["AU12"]).shape
    (1, 1)
    """
    people, colours = _faces(df, faces), _colours(df)
    if units is None:
        units = [unit for unit in _SHOWN_UNITS if f"{unit}_r" in df.columns]
    if len(units) == 0:
        raise InputError("units: the table has none of them")
    axes = _panels(ax, len(units), len(people), (2.9, 1.15), sharex=True, sharey=True)
    for row, unit in zip(axes, units, strict=True):
        intensity = df.openface.wide(f"{unit}_r")
        presence = df.openface.wide(f"{unit}_c") if f"{unit}_c" in df.columns else None
        time, label = _clock(intensity)
        for panel, face_id in zip(row, people, strict=True):
            if presence is not None:
                shade = presence[face_id].to_numpy() > 0.5
                panel.fill_between(time, 0, 5, where=shade, color=colours[face_id], alpha=0.15, linewidth=0)
            panel.plot(time, intensity[face_id], color=colours[face_id], linewidth=1)
            panel.set(ylim=(0, 5), yticks=[0, 5] if len(units) > 1 else range(6))
            _tidy(panel)
        name = AU_NAMES.get(unit, "").split(" (")[0]
        row[0].set_ylabel(f"{unit}\n{name}", rotation=0, ha="right", va="center", fontsize="small")
    for panel, face_id in zip(axes[0], people, strict=True):
        panel.set_title(_name(face_id), color=colours[face_id])
    for panel in axes[-1]:
        panel.set_xlabel(label)
    if ax is None:
        axes[0, 0].figure.suptitle("Action units: intensity 0 to 5, shaded where present", fontsize="medium")
    return axes


def gaze(df: pd.DataFrame, faces: Sequence[Hashable] | None = None, *, ax: Any = None) -> npt.NDArray[Any]:
    r"""Direction of gaze over time: to the side, and up and down.

    Parameters
    ----------
    df : pandas.DataFrame
        With gaze.
    faces : sequence, optional
        Which people; by default all.
    ax : two Axes, optional
        To draw on.

    Returns
    -------
    numpy.ndarray
        Two Axes: yaw (positive to the right of the image) and pitch (positive up, as one reads a figure; the
        column ``gaze_angle_y`` is positive down), in degrees.

    Raises
    ------
    InputError
        The table has no gaze or no time.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd, pyopenface.accessor
    >>> from pyopenface import plot
    >>> df = pd.DataFrame({"frame": [1, 2], "gaze_angle_x": [0.1, 0.2], "gaze_angle_y": [0.0, 0.1]})
    >>> [panel.get_ylabel() for panel in plot.gaze(df)]
    ['yaw (°)\nleft ↔ right', 'pitch (°)\ndown ↔ up']
    """
    angles = df.openface.gaze()
    panels = (("gaze_angle_x", 1, "yaw (°)\nleft ↔ right"), ("gaze_angle_y", -1, "pitch (°)\ndown ↔ up"))
    return _over_time(df, angles, panels, "Gaze relative to the camera's axis", faces, ax)


def _over_time(
    df: pd.DataFrame,
    view: pd.DataFrame,
    panels: Sequence[tuple[str, int, str]],
    title: str,
    faces: Sequence[Hashable] | None,
    ax: Any,
) -> npt.NDArray[Any]:
    """Lines by person over time, a panel for each (column, sign, label)."""
    people, colours = _faces(df, faces), _colours(df)
    axes: npt.NDArray[Any] = _panels(ax, len(panels), 1, (7.2, 1.6), sharex=True)[:, 0]
    for panel, (column, sign, label) in zip(axes, panels, strict=True):
        wide = df.assign(**{column: view[column]}).openface.wide(column)
        time, clock = _clock(wide)
        for face_id in people:
            line = sign * wide[face_id]
            panel.plot(time, line, color=colours[face_id], linewidth=1, label=_name(face_id))
        panel.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        panel.set_ylabel(label)
        panel.margins(x=0.01)
        _robust_limits(panel, sign * wide[people].to_numpy(dtype=np.float64))
        _tidy(panel)
    axes[-1].set_xlabel(clock)
    axes[0].set_title(title)
    _legend(axes[0], len(people))
    return axes


def _robust_limits(panel: Axes, values: npt.NDArray[np.float64]) -> None:
    """Limits that a few wild values don't widen: the central 99 % and a margin."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return
    low, high = np.percentile(known, [0.5, 99.5])
    margin = 0.15 * max(high - low, 1.0)
    panel.set_ylim(low - margin, high + margin)


def gaze_density(
    df: pd.DataFrame,
    faces: Sequence[Hashable] | None = None,
    *,
    bins: float = 2.0,
    extent: float | None = None,
    ax: Any = None,
) -> npt.NDArray[Any]:
    """Where people look most, as they are seen from the camera: a panel per person.

    Parameters
    ----------
    df : pandas.DataFrame
        With gaze.
    faces : sequence, optional
        Which people; by default all.
    bins : float
        Width of a cell in degrees.
    extent : float, optional
        The panels show so many degrees to all sides; by default what holds 98 % of the rows.
    ax : Axes, optional
        As many as faces.

    Returns
    -------
    numpy.ndarray
        An Axes for each face; x is yaw (positive to the right of the image), y is pitch (positive up), in
        degrees.

    Raises
    ------
    InputError
        The table has no gaze, or a width that is not positive.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pyopenface.accessor
    >>> from pyopenface import plot
    >>> angles = np.random.default_rng(0).normal(size=(2, 50)) / 10
    >>> df = pd.DataFrame({"frame": range(50), "gaze_angle_x": angles[0], "gaze_angle_y": angles[1]})
    >>> len(plot.gaze_density(df))
    1
    """
    if not bins > 0:
        raise InputError(f"bins: must be positive, not {bins}")
    people, colours = _faces(df, faces), _colours(df)
    view = df.openface.gaze()
    ids = np.asarray(df.openface._ids())
    yaw, pitch = view["gaze_angle_x"].to_numpy(), -view["gaze_angle_y"].to_numpy()
    if extent is None:
        inside = np.isin(ids, people) & np.isfinite(yaw) & np.isfinite(pitch)
        reach = np.maximum(np.abs(yaw[inside]), np.abs(pitch[inside]))
        extent = float(max(np.percentile(reach, 98), 10.0)) if len(reach) else 30.0
    count = int(np.ceil(extent / bins))
    edges = np.arange(-count, count + 1) * bins
    axes: npt.NDArray[Any] = _panels(ax, 1, len(people), (2.7, 2.3), sharex=True, sharey=True)[0]
    for panel, face_id in zip(axes, people, strict=True):
        rows = (ids == face_id) & np.isfinite(yaw) & np.isfinite(pitch)
        density = np.histogram2d(yaw[rows], pitch[rows], bins=(edges, edges))[0] / max(rows.sum(), 1)
        shown = np.ma.masked_equal(100 * density.T, 0)
        mesh = panel.pcolormesh(edges, edges, shown, cmap="viridis_r", vmin=0, rasterized=True)
        panel.figure.colorbar(mesh, ax=panel, label="% of time", shrink=0.75, pad=0.02)
        for line in (panel.axhline, panel.axvline):
            line(0, color="0.6", linewidth=0.8, zorder=1)
        panel.set_title(_name(face_id), color=colours[face_id])
        panel.set(xlabel="yaw (°), left ↔ right", aspect="equal", xlim=edges[[0, -1]], ylim=edges[[0, -1]])
        _tidy(panel)
    axes[0].set_ylabel("pitch (°), down ↔ up")
    return axes


def pose(df: pd.DataFrame, faces: Sequence[Hashable] | None = None, *, ax: Any = None) -> npt.NDArray[Any]:
    """Head pose over time: three angles and the distance.

    Parameters
    ----------
    df : pandas.DataFrame
        With pose.
    faces : sequence, optional
        Which people; by default all.
    ax : four Axes, optional
        To draw on.

    Returns
    -------
    numpy.ndarray
        Four Axes: pitch (positive up; the column ``pose_Rx`` is positive down), yaw (positive to the right of
        the image; ``pose_Ry`` is positive to the left), roll (positive clockwise) in degrees, and distance in
        metres.

    Raises
    ------
    InputError
        The table has no pose or no time.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface import columns, plot, table
    >>> layout = columns.layout(groups=["pose"])
    >>> df = table.to_dataframe(np.ones((5, len(layout))), layout).assign(frame=range(1, 6))
    >>> len(plot.pose(df))
    4
    """
    view = df.openface.pose()
    view["pose_Tz"] = view["pose_Tz"] / 1000
    panels = (
        ("pose_Rx", -1, "pitch (°)\ndown ↔ up"),
        ("pose_Ry", -1, "yaw (°)\nleft ↔ right"),
        ("pose_Rz", 1, "roll (°)\nclockwise +"),
        ("pose_Tz", 1, "distance (m)"),
    )
    return _over_time(df, view, panels, "Head pose relative to the camera", faces, ax)


def face(
    df: pd.DataFrame, face_id: Hashable | None = None, frame: int | None = None, *, ax: Axes | None = None
) -> Axes:
    """A face drawn from its landmarks, with eyes and pupils if the table has them.

    Parameters
    ----------
    df : pandas.DataFrame
        With the 68 2D landmarks.
    face_id : optional
        Which face; may be left out if the table has only one.
    frame : int, optional
        Which frame; by default the mean over all frames in which the face was tracked, after moving and
        scaling them onto each other.
    ax : Axes, optional
        To draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        No such face or frame, or no landmarks.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface import columns, plot, table
    >>> layout = columns.layout(groups=["2Dfp"])
    >>> values = np.random.default_rng(0).normal(size=(1, len(layout)))
    >>> df = table.to_dataframe(values, layout).assign(frame=7)
    >>> plot.face(df, frame=7).get_title()
    'face 0, frame 7'
    """
    _faces(df, None)
    rows = df.openface.face(face_id)
    points = df.openface.landmarks(face_id, missing="keep")
    if points.shape[1] != 68:
        raise InputError(f"68 landmarks are needed to draw a face; the table has {points.shape[1]}")
    eyes = None
    if "eye_lmk_x_55" in df.columns:
        eyes = df.openface.eye_landmarks(face_id, missing="keep").reshape(len(points), -1, 2)
    who = _name(df.openface.faces[0] if face_id is None else face_id)
    every = points if eyes is None else np.hstack([points, eyes])
    if frame is None:
        good = ~rows.openface._failed()
        if not good.any():
            raise InputError(f"{who} was never tracked")
        shape, title, unit = _mean_shape(every[good]), f"{who}, mean of {good.sum()} frames", ""
    else:
        frames = rows["frame"].to_numpy() if "frame" in rows.columns else np.zeros(0)
        found = np.flatnonzero(frames == frame)
        if len(found) == 0:
            raise InputError(f"frame: {who} has no row in frame {frame}")
        shape, title, unit = every[found[0]], f"{who}, frame {frame}", " (px)"
    panel: Axes = _panels(ax, 1, 1, (3.4, 3.8))[0, 0]
    colour = _colours(df)[df.openface.faces[0] if face_id is None else face_id]
    for outline, closed in _OUTLINES:
        line = shape[[*outline, outline[0]] if closed else list(outline)]
        panel.plot(*line.T, color=colour, linewidth=1.4, solid_capstyle="round")
    panel.scatter(shape[:68, 0], shape[:68, 1], s=8, color=colour, zorder=3)
    for first in () if eyes is None else (68, 96):
        for part in _EYE_OUTLINES:
            ring = shape[[first + i for i in (*part, part[0])]]
            panel.plot(*ring.T, color="0.25", linewidth=0.8)
    panel.set(title=title, aspect="equal", xlabel=f"x{unit}", ylabel=f"y{unit}")
    if not panel.yaxis_inverted():
        panel.invert_yaxis()
    _tidy(panel)
    return panel


def _mean_shape(shapes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of shapes (n, points, 2) after centring and scaling each to the mean size."""
    centres = shapes[:, :68].mean(axis=1, keepdims=True)
    sizes = np.sqrt(((shapes[:, :68] - centres) ** 2).mean(axis=(1, 2), keepdims=True))
    scaled = (shapes - centres) / np.maximum(sizes, 1e-9)
    mean: npt.NDArray[np.float64] = np.median(scaled, axis=0) * sizes.mean()
    return mean


def confidence(df: pd.DataFrame, threshold: float = 0.8, *, ax: Axes | None = None) -> Axes:
    """When each person was seen and how surely: a strip of confidence per person over time.

    Parameters
    ----------
    df : pandas.DataFrame
        With confidence.
    threshold : float
        The share of frames at or above it is written beside each strip.
    ax : Axes, optional
        To draw on.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        The table has no confidence or no time.
    Error
        matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd, pyopenface.accessor
    >>> from pyopenface import plot
    >>> df = pd.DataFrame({"frame": [1, 2, 3], "confidence": [0.9, 0.2, 0.98]})
    >>> plot.confidence(df).get_xlabel()
    'frame'
    """
    people, colours = _faces(df, None), _colours(df)
    wide = df.openface.wide("confidence", missing="keep")
    time, label = _clock(wide)
    panel: Axes = _panels(ax, 1, 1, (7.2, 0.6 + 0.42 * len(people)))[0, 0]
    spacing = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    edges = np.append(time, time[-1] + spacing) - spacing / 2
    mesh = panel.pcolormesh(
        edges,
        np.arange(len(people) + 1) - 0.5,
        np.ma.masked_invalid(wide[people].to_numpy(dtype=np.float64).T),
        cmap="viridis",
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    panel.set_facecolor("0.93")
    for i, face_id in enumerate(people):
        share = float((wide[face_id] >= threshold).mean())
        panel.text(
            1.01, i, f"{share:.0%}", transform=panel.get_yaxis_transform(), va="center", fontsize="small"
        )
        if i > 0:
            panel.axhline(i - 0.5, color="white", linewidth=3)
    panel.set_yticks(range(len(people)), [_name(face_id) for face_id in people])
    for text, face_id in zip(panel.get_yticklabels(), people, strict=True):
        text.set_color(colours[face_id])
    panel.set(xlabel=label, title=f"Confidence over time; right: share of all frames with ≥ {threshold:g}")
    panel.tick_params(axis="y", length=0)
    panel.spines[:].set_visible(False)
    panel.invert_yaxis()
    panel.figure.colorbar(mesh, ax=panel, label="confidence", pad=0.09, ticks=[0, 0.5, 1])
    return panel
