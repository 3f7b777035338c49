"""Figures of a table of results, drawn with matplotlib: ``pip install 'pyopenface[plot]'``.

Every function takes a table with OpenFace's columns and returns the Axes it drew on. With ``ax=`` it draws on
yours; functions with several panels take as many Axes in an array. A person has the same colour in every
figure of a table. Rows whose face was not tracked are left out, lines are broken there.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

import pyopenface.accessor  # noqa: F401  (registers df.openface)
from pyopenface._options import confidence_threshold, real_number
from pyopenface.columns import AU_NAMES
from pyopenface.errors import Error, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["action_units", "confidence", "face", "gaze", "gaze_density", "pose", "positions"]

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")

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


def _figure(function: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Check the table, and close a new figure that an error left half drawn."""

    @functools.wraps(function)
    def draw(*arguments: Arguments.args, **options: Arguments.kwargs) -> Drawn:
        plt = _pyplot()
        df = arguments[0] if arguments else options.get("df")
        if not isinstance(df, pd.DataFrame):
            raise InputError(f"df: expected a table of results, not a {type(df).__qualname__}")
        before = set(plt.get_fignums())
        try:
            return function(*arguments, **options)
        except BaseException:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
            raise

    return draw


def _panels(ax: Any, rows: int, columns: int, size: tuple[float, float], **options: Any) -> npt.NDArray[Any]:
    """The Axes to draw on (rows, columns): the caller's, or new ones of a size in inches each."""
    from matplotlib.axes import Axes

    if ax is None:
        figure = (1.2 + size[0] * columns, 0.7 + size[1] * rows)
        grid = _pyplot().subplots(
            rows, columns, figsize=figure, squeeze=False, layout="constrained", **options
        )
        panels: npt.NDArray[Any] = np.asarray(grid[1], dtype=object)
        return panels
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != rows * columns:
        raise InputError(f"ax: {rows * columns} Axes are needed ({rows} x {columns}), got {len(axes)}")
    for given in axes:
        if not isinstance(given, Axes):
            raise InputError(f"ax: expected Axes of matplotlib, not {given!r}")
    return axes.reshape(rows, columns)


def _faces(df: pd.DataFrame, faces: Hashable | Sequence[Hashable] | None) -> list[Any]:
    """The people to draw: all, one, or several of the table's."""
    known = df.openface.faces
    if len(known) == 0:
        raise InputError("the table has no rows to draw: no face was found, or none was kept")
    if faces is None:
        return list(known)
    wanted = list(faces) if isinstance(faces, Iterable) and not isinstance(faces, str) else [faces]
    if not wanted:
        raise InputError(f"faces: none is chosen; the faces are {known}")
    for face_id in wanted:
        if face_id not in known:
            raise InputError(f"faces: there is no face {face_id!r}; the faces are {known}")
    return wanted


def _colours(df: pd.DataFrame) -> dict[Any, Any]:
    """A colour for each person: ten well-known ones, then ten dull ones; a larger crowd gets a rainbow's."""
    plt = _pyplot()
    faces = df.openface.faces
    colours = [*plt.get_cmap("tab10").colors, *plt.get_cmap("tab20b").colors[::2]]
    if len(faces) > len(colours):
        colours = list(plt.get_cmap("turbo")(np.linspace(0.03, 0.97, len(faces))))
    return dict(zip(faces, colours, strict=False))


def _name(face_id: Any) -> str:
    return face_id if isinstance(face_id, str) else f"face {face_id}"


def _clock(wide: pd.DataFrame) -> tuple[Any, str]:
    return wide.index.to_numpy(), "time (s)" if wide.index.name == "timestamp" else "frame"


def _spacing(time: npt.NDArray[Any]) -> float:
    """The time from one row of the clock to the next."""
    return float(np.median(np.diff(time))) if len(time) > 1 else 1.0


def _limit_time(panel: Axes, time: npt.NDArray[Any]) -> None:
    """Show the whole clock, also where nobody was tracked; a single moment stands in the middle."""
    margin = 0.01 * float(time[-1] - time[0]) or 0.5
    panel.set_xlim(time[0] - margin, time[-1] + margin)


def _line(panel: Axes, time: npt.NDArray[Any], values: npt.NDArray[Any], colour: Any, label: str) -> None:
    """A line that breaks at missing values; what stands alone between two gaps becomes a point."""
    panel.plot(time, values, color=colour, linewidth=1, label=label)
    known = np.concatenate([[False], np.isfinite(values), [False]])
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():
        panel.plot(time[alone], values[alone], ".", color=colour, markersize=3.5)


def _note(panel: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    frame = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    panel.text(
        *(0.5, 0.5), text, transform=panel.transAxes, ha="center", va="center", color="0.4", fontsize="small",
        bbox=frame,
    )  # fmt: skip


def _legend(panel: Axes, owned: bool, count: int) -> None:
    """A legend of people to the right of a panel, or of our own figure, where it hides nothing."""
    if count < 2:
        return
    handles, labels = panel.get_legend_handles_labels()
    options: dict[str, Any] = {"frameon": False, "handlelength": 1.2}
    if not owned:
        panel.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.02), **options)
        return
    figure: Any = panel.figure
    rows = max(1, int((figure.get_size_inches()[1] - 0.4) / 0.23))
    figure.legend(handles, labels, loc="outside right upper", ncols=-(-count // rows), **options)


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)


@_figure
def positions(df: pd.DataFrame, threshold: float = 0.8, *, ax: Any = None) -> npt.NDArray[Any]:
    """Where the faces are in the image, before and after a threshold of confidence.

    A point is the centre of a face's landmarks.
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
    threshold = confidence_threshold(threshold)
    people, colours = _faces(df, None), _colours(df)
    parts = (df, df.openface.confident(threshold))
    centres = [
        {face: part.openface.landmarks(face, missing="keep").mean(axis=1) for face in part.openface.faces}
        for part in parts
    ]
    width, height = np.ptp(np.concatenate([*centres[0].values()]), axis=0)
    shape = float(np.clip(height / max(width, 1e-9), 0.3, 1.0))
    axes: npt.NDArray[Any] = _panels(ax, 1, 2, (3.9, 0.4 + 3.5 * shape), sharex=True, sharey=True)[0]
    for panel, shown in zip(axes, centres, strict=True):
        for face_id in people:
            x, y = shown.get(face_id, np.zeros((0, 2))).T
            size, alpha = (9, 0.5) if len(df) > 100 else (20, 0.8)
            colour = colours[face_id]
            panel.scatter(x, y, s=size, alpha=alpha, linewidths=0, color=colour, rasterized=True)
            panel.scatter([], [], s=30, color=colour, label=_name(face_id))
        panel.set(xlabel="x (px)", aspect="equal")
        panel.margins(0.08)
        _tidy(panel)
    axes[0].set(ylabel="y (px)", title=f"all rows: {len(df)}")
    axes[1].set_title(f"confidence ≥ {threshold:g}: {len(parts[1])} of {len(df)}")
    for panel in axes:  # the image's y runs down
        if not panel.yaxis_inverted():
            panel.invert_yaxis()
    if ax is None:
        axes[0].figure.suptitle("Where the faces are in the image", fontsize="medium")
    _legend(axes[1], ax is None, len(people))
    return axes


@_figure
def action_units(
    df: pd.DataFrame,
    units: str | Sequence[str] | None = None,
    faces: Hashable | Sequence[Hashable] | None = None,
    *,
    ax: Any = None,
) -> npt.NDArray[Any]:
    """Action units over time, a row of panels per unit and a column per person.

    The line is the intensity, the shade marks the frames in which the unit is present. AU28 has no intensity.

    Parameters
    ----------
    df : pandas.DataFrame
        With action units.
    units : str or sequence of str, optional
        Such as ``["AU06", "AU12"]``; by default brows, cheeks, smile, mouth and blinks.
    faces : optional
        Which person, or a sequence of people; by default all.
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
    chosen = _units(df, units)
    width = float(np.clip(18 / len(people), 1.5, 2.9))
    axes = _panels(ax, len(chosen), len(people), (width, 1.15), sharex=True, sharey=True)
    for row, unit in zip(axes, chosen, strict=True):
        kinds = [kind for kind in "rc" if f"{unit}_{kind}" in df.columns]
        given = {kind: df.openface.wide(f"{unit}_{kind}") for kind in kinds}
        time, label = _clock(given[kinds[0]])
        for panel, face_id in zip(row, people, strict=True):
            colour = colours[face_id]
            values = {kind: wide[face_id].to_numpy(np.float64) for kind, wide in given.items()}
            if "c" in values:
                _shade(panel, _spans(time, values["c"] > 0.5), colour)
            if "r" in values:
                _line(panel, time, values["r"], colour, _name(face_id))
            if not any(np.isfinite(numbers).any() for numbers in values.values()):
                _note(panel, "not tracked")
            panel.set(ylim=(0, 5), yticks=[0, 5] if len(chosen) > 1 else range(6))
            _limit_time(panel, time)
            _tidy(panel)
        name = AU_NAMES.get(unit, "").split(" (")[0]
        row[0].set_ylabel(f"{unit}\n{name}", rotation=0, ha="right", va="center", fontsize="small")
    for panel, face_id in zip(axes[0], people, strict=True):
        panel.set_title(textwrap.fill(_name(face_id), int(8 * width)), color=colours[face_id])
    for panel in axes[-1]:
        panel.set_xlabel(label)
    if ax is None:
        axes[0, 0].figure.suptitle("Action units: intensity 0 to 5, shaded where present", fontsize="medium")
    return axes


def _units(df: pd.DataFrame, units: str | Sequence[str] | None) -> list[str]:
    """The action units to draw, each with at least one of its two columns in the table."""
    there = [unit for unit in AU_NAMES if f"{unit}_r" in df.columns or f"{unit}_c" in df.columns]
    if not there:
        raise InputError("the table has no action units")
    if units is None:
        return [unit for unit in _SHOWN_UNITS if unit in there] or there
    if not isinstance(units, Iterable):
        raise InputError(f"units={units!r}: expected names of action units, such as 'AU12'")
    chosen = [units] if isinstance(units, str) else list(units)
    if not chosen:
        raise InputError("units: none is chosen")
    for unit in chosen:
        if unit not in there:
            raise InputError(f"units: the table has no {unit!r}; it has {', '.join(there)}")
    return chosen


def _spans(time: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The stretches of frames as (begin, end), each half a frame longer to both sides."""
    half = _spacing(time) / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8))).reshape(-1, 2)
    return np.column_stack([time[edges[:, 0]] - half, time[edges[:, 1] - 1] + half])


def _shade(panel: Axes, spans: npt.NDArray[np.float64], colour: Any) -> None:
    """Shade stretches of time from intensity 0 to 5.

    All in one path: of separate ones that are thinner than a pixel each is rounded away, or to a pixel.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(spans) == 0:
        return
    begin, end = spans.T
    low, high = np.zeros(len(spans)), np.full(len(spans), 5.0)
    corners = np.stack(
        [np.stack(corner, axis=-1) for corner in ((begin, low), (begin, high), (end, high), (end, low))],
        axis=1,
    )
    path = Path.make_compound_path_from_polys(corners)
    panel.add_patch(PathPatch(path, facecolor=colour, alpha=0.15, linewidth=0, snap=False))


@_figure
def gaze(
    df: pd.DataFrame, faces: Hashable | Sequence[Hashable] | None = None, *, ax: Any = None
) -> npt.NDArray[Any]:
    r"""Direction of gaze over time: to the side, and up and down.

    Parameters
    ----------
    df : pandas.DataFrame
        With gaze.
    faces : optional
        Which person, or a sequence of people; by default all.
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
    faces: Hashable | Sequence[Hashable] | None,
    ax: Any,
) -> npt.NDArray[Any]:
    """Lines by person over time, a panel for each (column, sign, label)."""
    people, colours = _faces(df, faces), _colours(df)
    axes: npt.NDArray[Any] = _panels(ax, len(panels), 1, (7.2, 1.6), sharex=True)[:, 0]
    for panel, (column, sign, label) in zip(axes, panels, strict=True):
        wide = df.assign(**{column: view[column]}).openface.wide(column)
        time, clock = _clock(wide)
        values = sign * wide[people].to_numpy(dtype=np.float64)
        for line, face_id in zip(values.T, people, strict=True):
            _line(panel, time, line, colours[face_id], _name(face_id))
        panel.set_ylabel(label)
        _limit_time(panel, time)
        if np.isfinite(values).any():
            panel.axhline(0, color="0.6", linewidth=0.8, zorder=1)
            _robust_limits(panel, values)
        else:
            panel.set_yticks([])
            _note(panel, "not tracked")
        _tidy(panel)
    axes[-1].set_xlabel(clock)
    axes[0].set_title(title)
    _legend(axes[0], ax is None, len(people))
    return axes


def _robust_limits(panel: Axes, values: npt.NDArray[np.float64]) -> None:
    """Limits that a few wild values don't widen: the central 99 % and a margin."""
    low, high = np.percentile(values[np.isfinite(values)], [0.5, 99.5])
    margin = 0.15 * max(high - low, 1.0)
    panel.set_ylim(low - margin, high + margin)


@_figure
def gaze_density(
    df: pd.DataFrame,
    faces: Hashable | Sequence[Hashable] | None = None,
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
    faces : optional
        Which person, or a sequence of people; by default all.
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
    bins = real_number("bins", bins, "degrees, more than 0", above=True)
    if extent is not None:
        extent = real_number("extent", extent, "degrees, more than 0, at most 180", above=True, most=180.0)
    people, colours = _faces(df, faces), _colours(df)
    view = df.openface.gaze()
    if "frame" in df.columns:
        df.openface._frames()  # refuses a table of several videos
    ids = np.asarray(df.openface._ids())
    yaw, pitch = view["gaze_angle_x"].to_numpy(), -view["gaze_angle_y"].to_numpy()
    known = np.isfinite(yaw) & np.isfinite(pitch)
    looks = [known & (ids == face_id) for face_id in people]
    if extent is None:
        inside = np.logical_or.reduce(looks)
        reach = np.maximum(np.abs(yaw[inside]), np.abs(pitch[inside]))
        extent = float(max(np.percentile(reach, 98), 10.0)) if len(reach) else 30.0
    if extent / bins > 500:
        raise InputError(f"bins: {bins:g} degrees are too fine for {extent:g} degrees to all sides")
    count = int(np.ceil(extent / bins))
    edges = np.arange(-count, count + 1) * bins
    shares = [
        100 * np.histogram2d(yaw[rows], pitch[rows], bins=(edges, edges))[0].T / max(rows.sum(), 1)
        for rows in looks
    ]
    most = max(share.max() for share in shares) or 1.0
    axes, columns = _row_of_panels(ax, len(people))
    for i, (panel, share, rows, face_id) in enumerate(zip(axes, shares, looks, people, strict=True)):
        shown = np.ma.masked_equal(share, 0)
        mesh = panel.pcolormesh(edges, edges, shown, cmap="viridis_r", vmin=0, vmax=most, rasterized=True)
        for line in (panel.axhline, panel.axvline):
            line(0, color="0.6", linewidth=0.8, zorder=1)
        if not rows.any():
            _note(panel, "not tracked")
        panel.set_title(textwrap.fill(_name(face_id), 20), color=colours[face_id])
        panel.set(aspect="equal", xlim=edges[[0, -1]], ylim=edges[[0, -1]])
        if i + columns >= len(people):
            panel.set_xlabel("yaw (°), left ↔ right")
        if i % columns == 0:
            panel.set_ylabel("pitch (°), down ↔ up")
        _tidy(panel)
    axes[0].figure.colorbar(mesh, ax=list(axes), label="% of tracked frames", shrink=0.75, pad=0.02)
    if ax is None:
        axes[0].figure.suptitle(f"Direction of gaze, cells of {bins:g}°", fontsize="medium")
    return axes


def _row_of_panels(ax: Any, count: int) -> tuple[npt.NDArray[Any], int]:
    """As many square panels as wanted (count,), at most four of them in a line, and how many that are."""
    if ax is not None:
        axes: npt.NDArray[Any] = _panels(ax, 1, count, (0, 0))[0]
        return axes, count
    columns = min(count, 4)
    axes = _panels(None, -(-count // columns), columns, (2.5, 2.4)).ravel()
    for spare in axes[count:]:
        spare.remove()
    return axes[:count], columns


@_figure
def pose(
    df: pd.DataFrame, faces: Hashable | Sequence[Hashable] | None = None, *, ax: Any = None
) -> npt.NDArray[Any]:
    """Head pose over time: three angles and the distance.

    Parameters
    ----------
    df : pandas.DataFrame
        With pose.
    faces : optional
        Which person, or a sequence of people; by default all.
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


@_figure
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
        Which frame; by default the median of all frames in which the face was tracked, after moving and
        scaling them onto each other: the face as it usually is.
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
        shape, unit = _usual_shape(every[good]), " from the centre (px)"
        title = f"{who}, median of {good.sum()} frame{'s' if good.sum() > 1 else ''}"
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


def _usual_shape(shapes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The median of shapes (n, points, 2) after centring and scaling each to the mean size."""
    centres = shapes[:, :68].mean(axis=1, keepdims=True)
    sizes = np.sqrt(((shapes[:, :68] - centres) ** 2).mean(axis=(1, 2), keepdims=True))
    scaled = (shapes - centres) / np.maximum(sizes, 1e-9)
    usual: npt.NDArray[np.float64] = np.median(scaled, axis=0) * sizes.mean()
    return usual


@_figure
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
    threshold = confidence_threshold(threshold)
    people, colours = _faces(df, None), _colours(df)
    wide = df.openface.wide("confidence", missing="keep")
    time, label = _clock(wide)
    panel: Axes = _panels(ax, 1, 1, (7.2, 0.6 + 0.42 * len(people)))[0, 0]
    spacing = _spacing(time)
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
