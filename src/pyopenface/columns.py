"""The data dictionary: what every column of the results is called, means, is measured in and is printed with.

The names, their order and the printed decimals are those of OpenFace 2.2 (tracking.md, section 12). `layout`
gives the columns of a table in order, `describe` explains one of them, `table` lists them, and `markdown`
writes the dictionary that stands in ``docs/data-dictionary.md``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from pyopenface.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AU_INTENSITIES",
    "AU_NAMES",
    "AU_PRESENCES",
    "FRAMES_OF_REFERENCE",
    "GROUPS",
    "Column",
    "Layout",
    "describe",
    "layout",
    "markdown",
    "table",
]

Kind = Literal["sequence", "image"]

GROUPS: tuple[str, ...] = ("gaze", "pose", "2Dfp", "3Dfp", "pdmparams", "aus")
"""The groups of columns that can be left out, in their order; named as OpenFace's flags."""

FRAMES_OF_REFERENCE: dict[str, str] = {
    "camera": "in mm; origin at the camera, x to the right of the image, y down, z away from the camera",
    "image": "in px; x to the right, y down, the centre of the top left pixel is (0, 0)",
    "model": "in mm; origin inside the head, axes as the camera's when the head faces the camera",
}
"""What the values are relative to, by the word in `Column.frame`. All are right-handed."""

AU_NAMES: dict[str, str] = {
    "AU01": "inner brow raiser",
    "AU02": "outer brow raiser",
    "AU04": "brow lowerer",
    "AU05": "upper lid raiser",
    "AU06": "cheek raiser",
    "AU07": "lid tightener",
    "AU09": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller (smile)",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU17": "chin raiser",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU28": "lip suck",
    "AU45": "blink",
}
"""The action units (Ekman, Friesen and Hager 2002) that the published models estimate, with their names."""

AU_INTENSITIES: tuple[str, ...] = tuple(unit for unit in AU_NAMES if unit != "AU28")
"""The 17 action units with an intensity (AUxx_r), in the order of the columns."""

AU_PRESENCES: tuple[str, ...] = tuple(AU_NAMES)
"""The 18 action units with a presence (AUxx_c), in the order of the columns."""

LANDMARK_REGIONS: tuple[tuple[int, int, str], ...] = (
    (0, 16, "jaw, from the left of the image to its right"),
    (17, 21, "eyebrow on the left of the image (the person's right)"),
    (22, 26, "eyebrow on the right of the image (the person's left)"),
    (27, 30, "bridge of the nose, downwards to the tip"),
    (31, 35, "lower edge of the nose"),
    (36, 41, "eye on the left of the image (the person's right)"),
    (42, 47, "eye on the right of the image (the person's left)"),
    (48, 59, "outer edge of the lips"),
    (60, 67, "inner edge of the lips"),
)
"""First and last number of each part of the 68 landmarks."""

EYE_REGIONS: tuple[tuple[int, int, str], ...] = (
    (0, 7, "outline of the iris"),
    (8, 19, "edge of the eyelids"),
    (20, 27, "outline of the pupil"),
)
"""First and last number of each part of the 28 landmarks of one eye."""


@dataclass(frozen=True)
class Column:
    """What one column is.

    Attributes
    ----------
    name : str
        As in the header.
    group : str
        ``"id"`` or one of `GROUPS`.
    decimals : int
        Digits after the point in OpenFace's CSV; 0 prints an integer.
    unit : str
        ``"px"``, ``"mm"``, ``"rad"``, ``"s"``, or ``"-"`` for a number without unit.
    minimum, maximum : float
        The range of possible values; infinite where there is no bound.
    sign : str
        What a positive value means; empty where the question makes no sense.
    frame : str
        The frame of reference: ``"camera"``, ``"image"``, ``"model"`` or ``"-"``.
    description : str
        What the numbers are.
    integer : bool
        Whether the values are whole numbers, kept as int64 in a table.
    """

    name: str
    group: str
    decimals: int
    unit: str
    minimum: float
    maximum: float
    sign: str
    frame: str
    description: str
    integer: bool = False

    def __str__(self) -> str:
        facts = [f"group {self.group}"]
        if self.unit != "-":
            facts.append(f"in {self.unit}")
        if math.isfinite(self.minimum) or math.isfinite(self.maximum):
            low, high = (_PI.get(bound, f"{bound:g}") for bound in self.range)
            facts.append(f"from {low} to {high}")
        if self.sign:
            facts.append(f"positive: {self.sign}")
        if self.frame != "-":
            facts.append(f"relative to the {self.frame}")
        return f"{self.name}: {self.description} ({'; '.join(facts)})"

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest possible value."""
        return self.minimum, self.maximum


_INF = math.inf
_AXES = {"x": "to the right of the image", "y": "down", "z": "away from the camera"}
_ROTATIONS = {
    "x": ("pitch", "the face looks down"),
    "y": ("yaw", "the face looks to the left of the image"),
    "z": ("roll", "the head leans clockwise, as seen in the image"),
}


def _id_columns() -> dict[str, Column]:
    def column(name: str, decimals: int, unit: str, lowest: float, highest: float, text: str) -> Column:
        return Column(name, "id", decimals, unit, lowest, highest, "", "-", text, integer=decimals == 0)

    columns = (
        column("frame", 0, "-", 1, _INF, "number of the frame in the video, counted from 1"),
        column(
            "face_id", 0, "-", 0, _INF, "number of the face that the row is about; stays with it over time"
        ),
        column("face", 0, "-", 0, _INF, "number of the face in the picture, counted from 0"),
        column("timestamp", 3, "s", 0, _INF, "time since the video's beginning; 0 in a folder of images"),
        column("confidence", 2, "-", 0, 1, "how far the validator trusts the landmarks; 1 is certain"),
        column("success", 0, "-", 0, 1, "1 if the face was tracked in this frame, else 0"),
    )
    return {c.name: c for c in columns}


_SIDES = ("left of the image (the person's right)", "right of the image (the person's left)")


def _gaze(match: re.Match[str]) -> Column:
    axis = match["angle"] or match["axis"]
    if match["angle"]:
        sign = "looks to the right of the image" if axis == "x" else "looks down"
        text = f"angle of gaze, mean of both eyes, atan2({axis}, -z); 0 is parallel to the camera's axis"
        return Column(match[0], "gaze", 3, "rad", -math.pi, math.pi, sign, "camera", text)
    text = f"{axis} of the unit vector along which the eye on the {_SIDES[int(match['eye'])]} looks"
    return Column(match[0], "gaze", 6, "-", -1.0, 1.0, _AXES[axis], "camera", text)


def _region(number: int, regions: Sequence[tuple[int, int, str]]) -> str:
    return next((text for first, last, text in regions if first <= number <= last), "")


def _point(match: re.Match[str]) -> Column:
    axis, number, eye = match["axis"], int(match["number"]), match["eye"] is not None
    flat = axis.islower()
    unit, frame = ("px", "image") if flat else ("mm", "camera")
    lowest = 0.0 if axis == "Z" else -_INF
    if eye:
        part = _region(number % 28, EYE_REGIONS)
        side = ("left", "right")[number // 28] if number < 56 else "?"
        what = f"{axis} of eye landmark {number} ({part} of the eye on the {side} of the image)"
    else:
        part = _region(number, LANDMARK_REGIONS)
        what = f"{axis} of landmark {number}" + (f" ({part})" if part else "")
    group = "gaze" if eye else "2Dfp" if flat else "3Dfp"
    return Column(match[0], group, 1, unit, lowest, _INF, _AXES[axis.lower()], frame, what)


def _pose(match: re.Match[str]) -> Column:
    axis = match["axis"]
    if match["what"] == "T":
        lowest = 0.0 if axis == "z" else -_INF
        text = f"{axis} of the head's position"
        return Column(match[0], "pose", 1, "mm", lowest, _INF, _AXES[axis], "camera", text)
    word, sign = _ROTATIONS[axis]
    bound = math.pi / 2 if axis == "y" else math.pi
    text = f"{word}: rotation of the head about the {axis} axis; the matrix is Rx Ry Rz"
    return Column(match[0], "pose", 3, "rad", -bound, bound, sign, "camera", text)


def _shape(match: re.Match[str]) -> Column:
    name, what = match[0], match["what"]
    if what == "scale":
        text = "scale of the face model's weak perspective projection"
        return Column(name, "pdmparams", 3, "px/mm", 0.0, _INF, "", "image", text)
    if what in ("tx", "ty"):
        text = f"{what[1]} of the place in the image to which the model's origin is projected"
        return Column(name, "pdmparams", 3, "px", -_INF, _INF, _AXES[what[1]], "image", text)
    if what in ("rx", "ry", "rz"):
        word, sign = _ROTATIONS[what[1]]
        bound = math.pi / 2 if what == "ry" else math.pi
        text = f"{word} of the face model under weak perspective, as if the camera looked straight at it"
        return Column(name, "pdmparams", 3, "rad", -bound, bound, sign, "image", text)
    text = f"weight of mode {what} of the face model, which deforms the mean face; 0 is the mean face"
    return Column(name, "pdmparams", 3, "mm", -_INF, _INF, "", "model", text)


def _action_unit(match: re.Match[str]) -> Column:
    unit = match["unit"]
    called = AU_NAMES.get(unit, "action unit")
    if match["what"] == "r":
        text = f"intensity of {unit}, {called}; 0 is absent, 1 is a trace, 5 is the maximum"
        return Column(match[0], "aus", 2, "-", 0.0, 5.0, "", "-", text)
    text = f"presence of {unit}, {called}: 1 if it is seen, else 0; by another model than the intensity"
    return Column(match[0], "aus", 1, "-", 0.0, 1.0, "", "-", text)


_IDS = _id_columns()
#: Columns beside OpenFace's, and when they are there.
_ADDED: tuple[tuple[Column, str], ...] = (
    (
        Column(
            "file",
            "id",
            0,
            "-",
            -_INF,
            _INF,
            "",
            "-",
            "path or address of the video or picture; its number if it has none",
        ),
        "a list of videos, several pictures",
    ),
    (
        Column(
            "interpolated", "id", 0, "-", 0, 1, "", "-", "True where the numbers were made from neighbours"
        ),
        "`df.openface.interpolate`",
    ),
)
_FAMILIES = (
    (re.compile(r"gaze_(?:angle_(?P<angle>[xy])|(?P<eye>[01])_(?P<axis>[xyz]))"), _gaze),
    (re.compile(r"(?P<eye>eye_lmk_)?(?P<axis>[xyXYZ])_(?P<number>\d+)"), _point),
    (re.compile(r"pose_(?P<what>[TR])(?P<axis>[xyz])"), _pose),
    (re.compile(r"p_(?P<what>scale|rx|ry|rz|tx|ty|\d+)"), _shape),
    (re.compile(r"(?P<unit>AU\d\d)_(?P<what>[rc])"), _action_unit),
)


@lru_cache(maxsize=4096)
def find(name: str) -> Column | None:
    """Like `describe`, but None for a name that OpenFace has no column of."""
    name = name.strip()
    if name in _IDS:
        return _IDS[name]
    for pattern, build in _FAMILIES:
        if match := pattern.fullmatch(name):
            return build(match)
    return None


def describe(name: str) -> Column:
    """What a column means.

    Parameters
    ----------
    name : str
        A name as in the header; the leading space of old headers doesn't matter.

    Returns
    -------
    Column
        Unit, range, sign, frame of reference and description.

    Raises
    ------
    InputError
        There is no such column.

    Examples
    --------
    >>> from pyopenface import columns
    >>> angle = columns.describe("gaze_angle_x")
    >>> angle.unit, angle.sign, angle.frame
    ('rad', 'looks to the right of the image', 'camera')
    """
    if not isinstance(name, str):
        raise InputError(f"name={name!r}: expected the name of a column")
    added = {column.name: column for column, _ in _ADDED}
    column = find(name) or added.get(name.strip())
    if column is None:
        import difflib

        near = difflib.get_close_matches(name.strip(), layout().names + layout("image").names, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"no column is called {name!r}{hint}")
    return column


@dataclass(frozen=True)
class Layout:
    """The columns of a table, in order.

    Attributes
    ----------
    kind : {"sequence", "image"}
        Rows per frame and face, or per face of one picture.
    columns : tuple of Column
        From left to right.
    """

    kind: Kind
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names, as in the header."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def decimals(self) -> npt.NDArray[np.int32]:
        """The printed decimals of every column, int32 (c,)."""
        decimals = np.array([column.decimals for column in self.columns], dtype=np.int32)
        decimals.flags.writeable = False
        return decimals

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def position(self, name: str) -> int:
        """Where the column stands, counted from 0; InputError if it isn't there."""
        if name not in self._positions:
            raise InputError(f"the layout has no column {name!r}")
        return self._positions[name]

    def group(self, group: str) -> slice:
        """Where the columns of a group of `GROUPS` or of ``"id"`` stand; empty if it was left out."""
        inside = [i for i, column in enumerate(self.columns) if column.group == group]
        return slice(inside[0], inside[-1] + 1) if inside else slice(0, 0)

    @property
    def presence_decimals(self) -> int | None:
        """The printed decimals of the presences, None if there are none."""
        return next((c.decimals for c in self.columns if c.group == "aus" and c.name.endswith("_c")), None)


def _names(
    group: str,
    landmarks: int,
    modes: int,
    eye_landmarks: int,
    intensities: Sequence[str],
    presences: Sequence[str],
) -> list[str]:
    if group == "gaze":
        vectors = [f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"]
        points = [f"eye_lmk_{axis}_{i}" for axis in "xyXYZ" for i in range(eye_landmarks)]
        return [*vectors, "gaze_angle_x", "gaze_angle_y", *points]
    if group == "pose":
        return [f"pose_{what}{axis}" for what in "TR" for axis in "xyz"]
    if group in ("2Dfp", "3Dfp"):
        return [f"{axis}_{i}" for axis in ("xy" if group == "2Dfp" else "XYZ") for i in range(landmarks)]
    if group == "pdmparams":
        return [f"p_{what}" for what in ("scale", "rx", "ry", "rz", "tx", "ty", *range(modes))]
    return [f"{unit}_r" for unit in sorted(intensities)] + [f"{unit}_c" for unit in sorted(presences)]


def layout(
    kind: Kind = "sequence",
    groups: Sequence[str] = GROUPS,
    *,
    landmarks: int = 68,
    modes: int = 34,
    eye_landmarks: int = 56,
    intensities: Sequence[str] = AU_INTENSITIES,
    presences: Sequence[str] = AU_PRESENCES,
    presence_decimals: int = 1,
) -> Layout:
    """The columns of OpenFace 2.2 in their order.

    Parameters
    ----------
    kind : {"sequence", "image"}
        With frame, face_id, timestamp, confidence and success in front, or with face and confidence.
    groups : sequence of str
        Which of `GROUPS` to have; their order doesn't matter.
    landmarks, modes, eye_landmarks : int
        Size of the face model, and the number of landmarks of both eyes together (0: no eye landmarks).
    intensities, presences : sequence of str
        The action units, such as ``"AU12"``.
    presence_decimals : int
        1, or 2 as in files whose action units were post-processed at the end of the video.

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        An unknown kind or group.

    Examples
    --------
    >>> from pyopenface import columns
    >>> len(columns.layout()), len(columns.layout("image"))
    (714, 711)
    >>> columns.layout(groups=["pose"]).names[-3:]
    ('pose_Rx', 'pose_Ry', 'pose_Rz')
    """
    if kind not in ("sequence", "image"):
        raise InputError(f"kind: must be 'sequence' or 'image', not {kind!r}")
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InputError(f"groups: there is no {unknown[0]!r}; the groups are {', '.join(GROUPS)}")
    image = kind == "image"
    names = ["face", "confidence"] if image else ["frame", "face_id", "timestamp", "confidence", "success"]
    for group in (g for g in GROUPS if g in groups):
        names += _names(group, landmarks, modes, eye_landmarks, intensities, presences)
    columns = [describe(name) for name in names]
    for i, column in enumerate(columns):
        if column.name == "confidence" and image:
            columns[i] = replace(column, decimals=3)
        elif column.group == "aus" and column.name.endswith("_c"):
            columns[i] = replace(column, decimals=presence_decimals)
    return Layout(kind, tuple(columns))


def table(kind: Kind = "sequence") -> pd.DataFrame:
    """The dictionary as a DataFrame, one row per column of the results.

    Parameters
    ----------
    kind : {"sequence", "image"}
        The columns of videos or of pictures.

    Returns
    -------
    pandas.DataFrame
        Indexed by name: group, unit, minimum, maximum, sign, frame, description, decimals.

    Examples
    --------
    >>> from pyopenface import columns
    >>> columns.table().loc["pose_Tz", ["unit", "frame", "sign"]].tolist()
    ['mm', 'camera', 'away from the camera']
    """
    import pandas as pd

    fields = ["name", "group", "unit", "minimum", "maximum", "sign", "frame", "description", "decimals"]
    rows = [[getattr(column, field) for field in fields] for column in layout(kind)]
    frame: pd.DataFrame = pd.DataFrame(rows, columns=fields).set_index("name")
    return frame


_PI = {math.pi: "π", -math.pi: "-π", math.pi / 2: "π/2", -math.pi / 2: "-π/2", _INF: "∞", -_INF: "-∞"}

_PROSE = """\
# Data dictionary

Every column of a result, in the order of the table. The same text is at hand in Python:
`pyopenface.columns.describe("gaze_angle_x")`, and as a table `pyopenface.columns.table()`.
A video has a row for every frame and face, a picture has one for every face (`face`, `confidence` in front).

## Frames of reference

{frames}

"Left" and "right" of the image are the viewer's. Points 36 to 41 are the eye on the left of the image, which
is the person's right eye.

## Columns

| column | group | unit | range | positive means | frame | decimals in CSV | meaning |
|---|---|---|---|---|---|---|---|
{columns}

Presences have 2 decimals in CSV files whose action units were post-processed at the end of the video, else 1.

Beside OpenFace's columns there can be:

| column | where | meaning |
|---|---|---|
{added}

Faces that were given names (`df.openface.rename_faces`) have text in `face_id` or `face`.

## What stands in a row whose face was not tracked

OpenFace writes a row with `success` 0: gaze and action units are 0 (smoothing over time may mix a neighbour
in), landmarks, pose and shape are those of the rejected fit, frozen after a while. They are not measurements.
`df.openface.missing("nan")` replaces them by missing values.

## Landmarks

| landmarks | part |
|---|---|
{landmarks}

Of the eye landmarks, 0 to 27 are the eye on the left of the image, 28 to 55 that on the right:

| eye landmarks | part |
|---|---|
{eyes}

## Action units

| unit | name | intensity | presence |
|---|---|---|---|
{units}

Intensities run from 0 to 5 on the scale of the Facial Action Coding System (its A to E are 1 to 5). In a
video with one face they are relative to that person's own neutral face, estimated over the whole video, and
smoothed over 3 frames (presences over 7); in pictures and with several faces they are the static model's
plain estimates.

## Gaze

Gaze is relative to the camera and comes from eye landmarks a few pixels apart: an error of several degrees is
normal, its changes are more trustworthy than its values, and a point on a screen needs a calibration of your
own. `df.openface.gaze(degrees=True)` gives the angles in degrees.
"""


def _written_families() -> Iterator[tuple[str, str, str]]:
    """First and last column of each family of the written dictionary, or one column, and their text."""
    yield from ((name, "", "") for name in ("frame", "face_id", "face", "timestamp", "confidence", "success"))
    yield from ((name, "", "") for name in layout(groups=["gaze"]).names[5:13])
    yield from ((f"eye_lmk_{a}_0", f"eye_lmk_{a}_55", f"{a} of the eye landmarks") for a in "xyXYZ")
    yield from ((name, "", "") for name in layout(groups=["pose"]).names[5:])
    yield from ((f"{a}_0", f"{a}_67", f"{a} of the landmarks") for a in "xyXYZ")
    yield from ((name, "", "") for name in layout(groups=["pdmparams"]).names[5:11])
    yield "p_0", "p_33", "weights of the modes that deform the face model's mean face; 0 is the mean face"
    yield "AU01_r", "AU45_r", "intensity of the action unit; 0 is absent, 1 is a trace, 5 is the maximum"
    yield "AU01_c", "AU45_c", "1 if the action unit is seen, else 0; by another model than the intensity"


def _limit(value: float) -> str:
    return _PI.get(value, f"{value:g}")


def _written_row(first: str, last: str, text: str) -> str:
    column = describe(first)
    name = f"`{first}`" + (f" … `{last}`" if last else "")
    limits = f"{_limit(column.minimum)} to {_limit(column.maximum)}"
    decimals = {"confidence": "2 (pictures: 3)", "AU01_c": "1 or 2"}.get(first, str(column.decimals))
    cells = (name, column.group, column.unit, limits, column.sign or "-", column.frame, decimals)
    return f"| {' | '.join(cells)} | {text or column.description} |"


def markdown() -> str:
    """The data dictionary as Markdown, the text of ``docs/data-dictionary.md``.

    Returns
    -------
    str

    Examples
    --------
    >>> from pyopenface import columns
    >>> columns.markdown().splitlines()[0]
    '# Data dictionary'
    """
    yes = {True: "yes", False: "-"}
    units = (f"| {u} | {name} | {yes[u in AU_INTENSITIES]} | yes |" for u, name in AU_NAMES.items())
    return _PROSE.format(
        frames="\n".join(f"- **{name}**: {text}" for name, text in FRAMES_OF_REFERENCE.items()),
        columns="\n".join(_written_row(*row) for row in _written_families()),
        added="\n".join(f"| `{c.name}` | {where} | {c.description} |" for c, where in _ADDED),
        landmarks="\n".join(f"| {first} to {last} | {text} |" for first, last, text in LANDMARK_REGIONS),
        eyes="\n".join(f"| {a} to {b}, {a + 28} to {b + 28} | {text} |" for a, b, text in EYE_REGIONS),
        units="\n".join(units),
    )
