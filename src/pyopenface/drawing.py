"""Drawing what was measured onto a picture, from OpenFace's columns (the look of tracking.md, section 11.5).

Landmarks, eye outlines, gaze rays and head box look as OpenFace draws them; the label with the face's id and
the bars of the action units are added here. Colours are B, G, R.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyopenface.errors import InputError
from pyopenface.sources.base import Image, default_camera

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FaceMarks", "FaceTable", "Layers", "draw_face", "draw_faces", "draw_marks"]

Camera = tuple[float, float, float, float]
#: Left, top, right, bottom in pixels.
Area = tuple[float, float, float, float]

#: A face is drawn if its confidence is above this.
CONFIDENCE_LIMIT = 0.4
#: Half the edge of the head box, and the length of a gaze ray, in millimetres.
BOX_HALF_EDGE = 100.0
GAZE_LENGTH = 50.0
#: Coordinates are given to the rasteriser in sixteenths of a pixel.
SHIFT = 4

_LANDMARK = ((0, 0, 255), (255, 0, 0))
_HIDDEN_LANDMARK = ((0, 0, 155), (155, 0, 0))
_EYELID, _IRIS_AND_PUPIL = (0, 0, 255), (255, 0, 0)
_GAZE = (110, 220, 0)
_EYE_OUTLINES = ((0, 8, _IRIS_AND_PUPIL), (8, 20, _EYELID), (20, 28, _IRIS_AND_PUPIL))
_EDGES = tuple((a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1)


@dataclass(slots=True)
class FaceMarks:
    """What can be drawn of one face in one frame; what is None or empty is not drawn.

    Attributes
    ----------
    landmarks
        (68, 2) positions in pixels.
    visible
        (68,) True where the landmark is not hidden by the head itself; None: all are visible.
    eyes
        (56, 2) eye landmarks in pixels, 28 per eye.
    eyes_3d
        (56, 3) the same in millimetres, in camera space.
    gaze
        (2, 3) gaze direction of either eye, unit vectors in camera space.
    pose
        (6,) head position in millimetres and rotation in radians: Tx, Ty, Tz, Rx, Ry, Rz.
    confidence
        0 to 1.
    label
        Text above the face.
    intensities, presences
        Action units by name (``"AU12"``): intensity 0 to 5, presence.
    """

    landmarks: npt.NDArray[np.float64] | None = None
    visible: npt.NDArray[np.bool_] | None = None
    eyes: npt.NDArray[np.float64] | None = None
    eyes_3d: npt.NDArray[np.float64] | None = None
    gaze: npt.NDArray[np.float64] | None = None
    pose: npt.NDArray[np.float64] | None = None
    confidence: float = 1.0
    label: str = ""
    intensities: dict[str, float] = field(default_factory=dict)
    presences: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layers:
    """Which parts of a face to draw."""

    landmarks: bool = True
    eyes: bool = True
    gaze: bool = True
    head_box: bool = True
    ids: bool = True
    action_units: bool = True


# --- from columns to marks --------------------------------------------------------------------------------

_GROUPS: dict[str, tuple[list[str], tuple[int, ...]]] = {
    "landmarks": ([f"{axis}_{i}" for i in range(68) for axis in "xy"], (68, 2)),
    "eyes": ([f"eye_lmk_{axis}_{i}" for i in range(56) for axis in "xy"], (56, 2)),
    "eyes_3d": ([f"eye_lmk_{axis}_{i}" for i in range(56) for axis in "XYZ"], (56, 3)),
    "gaze": ([f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"], (2, 3)),
    "pose": ([f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"], (6,)),
}


class FaceTable:
    """The drawable columns of a table, as arrays: one `FaceMarks` per row.

    Parameters
    ----------
    columns
        Names of all columns; OpenFace's old spaced names count as well.
    take
        Returns the values of the named columns as a float64 array of shape (rows, names).
    """

    def __init__(
        self, columns: Iterable[str], take: Callable[[Sequence[str]], npt.NDArray[np.float64]]
    ) -> None:
        names = {str(name).strip(): str(name) for name in columns}
        self._groups = {
            group: take([names[name] for name in members]).reshape(-1, *shape)
            for group, (members, shape) in _GROUPS.items()
            if all(name in names for name in members)
        }
        units = sorted(name for name in names if name[:2] == "AU" and name[2:4].isdigit())
        self._intensities = [name for name in units if name.endswith("_r")]
        self._presences = [name for name in units if name.endswith("_c")]
        self._values = {name: take([names[name]])[:, 0] for name in units}
        for name in ("frame", "confidence", "success"):
            if name in names:
                self._values[name] = take([names[name]])[:, 0]
        identity = next((name for name in ("face_id", "face") if name in names), None)
        self._ids = None if identity is None else take([names[identity]])[:, 0]

    @classmethod
    def from_dataframe(cls, df: pd.DataFrame) -> FaceTable:
        """Take the columns of a DataFrame; a face named by text (renamed ids) keeps its name."""
        names: list[Any] = []
        for identity in ("face_id", "face"):
            if identity in df.columns:
                names = df[identity].tolist()
                if not all(isinstance(name, int | float | np.number) for name in names):
                    df = df.drop(columns=identity)
                break
        table = cls([str(name) for name in df.columns], lambda wanted: _numbers(df, wanted))
        table._names = [
            f"face {name:g}" if isinstance(name, int | float | np.number) else str(name) for name in names
        ]
        return table

    _names: Sequence[str] = ()

    def rows_by_frame(self) -> dict[int, list[int]]:
        """Say which rows belong to which frame; a table without frame numbers is about frame 1."""
        frames = self._values.get("frame")
        if frames is None:
            count = max((len(values) for values in self._groups.values()), default=0)
            return {1: list(range(count))}
        if not np.isfinite(frames).all():
            raise InputError("df: the column 'frame' has missing values")
        rows: dict[int, list[int]] = {}
        for row, number in enumerate(frames):
            rows.setdefault(int(number), []).append(row)
        return rows

    def share_inside(self, width: int, height: int) -> float:
        """Return the share of drawable faces whose centre lies in a picture of this size; 1 of no faces."""
        points = self._groups.get("landmarks")
        if points is None:
            return 1.0
        centres = points[
            self._values["confidence"] > CONFIDENCE_LIMIT if "confidence" in self._values else ...
        ]
        centres = centres.mean(axis=1)
        centres = centres[np.isfinite(centres).all(axis=1)]
        inside = ((centres >= 0) & (centres <= (width, height))).all(axis=1)
        return float(inside.mean()) if len(inside) else 1.0

    def marks(self, row: int) -> FaceMarks:
        """Return what can be drawn of one row; groups with missing values are left out."""
        marks = FaceMarks()
        for group, values in self._groups.items():
            if np.isfinite(values[row]).all():
                setattr(marks, group, values[row])
        marks.confidence = self._number("confidence", row, 1.0)
        marks.label = self._label(row)
        for name in self._intensities:
            if math.isfinite(self._values[name][row]):
                marks.intensities[name[:-2]] = float(self._values[name][row])
        for name in self._presences:
            if math.isfinite(self._values[name][row]):
                marks.presences[name[:-2]] = bool(self._values[name][row] > 0.5)
        return marks

    def _number(self, name: str, row: int, default: float) -> float:
        values = self._values.get(name)
        return default if values is None or not math.isfinite(values[row]) else float(values[row])

    def _label(self, row: int) -> str:
        if self._names:
            return self._names[row]
        return "" if self._ids is None else f"face {self._ids[row]:g}"


def _numbers(df: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The named columns as numbers."""
    try:
        numbers: npt.NDArray[np.float64] = df[list(names)].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"df: {names[0]!r} or a column of its group holds no numbers: {error}") from error
    return numbers


def draw_face(
    image: Image,
    row: Any,
    *,
    camera: Camera | None = None,
    landmarks: bool = True,
    eyes: bool = True,
    gaze: bool = True,
    head_box: bool = True,
    ids: bool = True,
    action_units: bool = True,
) -> Image:
    """Draw one face on a copy of a picture.

    Parameters
    ----------
    image
        uint8 array (height, width, 3), channels blue, green, red.
    row
        The face's values by OpenFace's column names: a row of the table (``df.iloc[0]``), a dict, or an
        object with a ``to_dict`` method. Groups of columns that are missing are not drawn, and nothing
        is drawn if the confidence is 0.4 or less.
    camera
        Intrinsics fx, fy, cx, cy in pixels; by default guessed from the size of the picture as OpenFace does.
    landmarks, eyes, gaze, head_box, ids, action_units
        What to draw.

    Returns
    -------
    numpy.ndarray
        The drawn picture, of the same shape; `image` is left as it was.

    Raises
    ------
    InputError
        If the image is no uint8 array of shape (height, width, 3), or `row` has no columns.

    Examples
    --------
    >>> head = {"pose_Tx": 0, "pose_Ty": 0, "pose_Tz": 600, "pose_Rx": 0, "pose_Ry": 0, "pose_Rz": 0}
    >>> picture = draw_face(np.zeros((480, 640, 3), np.uint8), head)
    >>> bool(picture.any())
    True
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError("image: expected a uint8 array of shape (height, width, 3)")
    values = row if isinstance(row, Mapping) or not hasattr(row, "to_dict") else row.to_dict()
    if not isinstance(values, Mapping):
        raise InputError(f"row: expected values by column names, not a {type(row).__qualname__}")
    values = {str(name): value for name, value in values.items()}
    label = next((values[name] for name in ("face_id", "face") if isinstance(values.get(name), str)), None)
    table = FaceTable(
        [name for name, value in values.items() if not isinstance(value, str)],
        lambda names: np.array([[float(values[name]) for name in names]]),
    )
    marks = table.marks(0)
    marks.label = marks.label if label is None else label
    drawn = np.array(image, order="C")
    layers = Layers(landmarks, eyes, gaze, head_box, ids, action_units)
    draw_marks(drawn, marks, camera or default_camera(image.shape[1], image.shape[0]), layers)
    return drawn


# --- from marks to pixels ---------------------------------------------------------------------------------


def draw_marks(image: Image, marks: FaceMarks, camera: Camera, layers: Layers | None = None) -> None:
    """Draw one face in place.

    Parameters
    ----------
    image
        uint8 array (height, width, 3), C-contiguous and writable.
    marks
        The face.
    camera
        Intrinsics fx, fy, cx, cy in pixels.
    layers
        What to draw; everything by default.

    Examples
    --------
    >>> image = np.zeros((480, 640, 3), np.uint8)
    >>> draw_marks(image, FaceMarks(landmarks=np.full((68, 2), 100.0)), default_camera(640, 480))
    >>> bool(image[100, 100].any())
    True
    """
    draw_faces(image, [marks], camera, layers)


def draw_faces(
    image: Image, faces: Sequence[FaceMarks], camera: Camera, layers: Layers | None = None
) -> None:
    """Draw all faces of a picture in place, like `draw_marks`: no face's lines hide another's numbers.

    Examples
    --------
    >>> image = np.zeros((480, 640, 3), np.uint8)
    >>> faces = [FaceMarks(landmarks=np.full((68, 2), x)) for x in (100.0, 300.0)]
    >>> draw_faces(image, faces, default_camera(640, 480))
    >>> bool(image[100, 100].any() and image[300, 300].any())
    True
    """
    layers = layers or Layers()
    faces = [marks for marks in faces if marks.confidence > CONFIDENCE_LIMIT]
    for marks in faces:
        _draw_lines(image, marks, camera, layers)
    if layers.action_units:
        areas = [_face_area(marks, camera) for marks in faces]
        panels: list[Area] = []
        for i, marks in enumerate(faces):
            if marks.intensities:
                others = [area for j, area in enumerate(areas) if j != i and area is not None]
                panels.append(_draw_action_units(image, marks, camera, others + panels))
    for marks in faces:
        if layers.ids and marks.label:
            _draw_label(image, marks, camera)


def _draw_lines(image: Image, marks: FaceMarks, camera: Camera, layers: Layers) -> None:
    """Draw what OpenFace draws, in its order."""
    if layers.landmarks and marks.landmarks is not None:
        _draw_landmarks(image, marks.landmarks, marks.visible)
    if layers.head_box and marks.pose is not None:
        _draw_box(image, marks.pose, camera, marks.confidence)
    if layers.eyes and marks.eyes is not None:
        _draw_eyes(image, marks.eyes)
    if layers.gaze and marks.gaze is not None:
        _draw_gaze(image, marks, camera)


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Turn positions into sixteenths of a pixel, kept within what the rasteriser can hold."""
    return np.rint(np.clip(points, -30000, 30000) * (1 << SHIFT)).astype(np.int32)


def _thickness(image: Image, at_640: float) -> int:
    width: int = image.shape[1]
    return math.ceil(at_640 * width / 640.0)


def _draw_landmarks(
    image: Image, landmarks: npt.NDArray[np.float64], visible: npt.NDArray[np.bool_] | None
) -> None:
    import cv2

    inner = _thickness(image, 1.0)
    for index, centre in enumerate(_fixed(landmarks)):
        shown = visible is None or bool(visible[index])
        outer = _thickness(image, 3.0 if shown else 2.5)
        for colour, thickness in zip(_LANDMARK if shown else _HIDDEN_LANDMARK, (outer, inner), strict=True):
            cv2.circle(image, centre.tolist(), 1 << SHIFT, colour, thickness, cv2.LINE_AA, SHIFT)


def _draw_eyes(image: Image, eyes: npt.NDArray[np.float64]) -> None:
    import cv2

    for eye in (0, 28):
        for first, last, colour in _EYE_OUTLINES:
            outline = _fixed(eyes[eye + first : eye + last])
            cv2.polylines(image, [outline], True, colour, 1, cv2.LINE_AA, SHIFT)


def _draw_gaze(image: Image, marks: FaceMarks, camera: Camera) -> None:
    import cv2

    assert marks.gaze is not None
    if marks.eyes_3d is None:
        return
    for eye, direction in enumerate(marks.gaze):
        if not direction.any():
            continue
        pupil = marks.eyes_3d[28 * eye : 28 * eye + 8].mean(axis=0)
        ends = _project(np.stack([pupil, pupil + GAZE_LENGTH * direction]), camera)
        if ends is not None:
            begin, end = _fixed(ends).tolist()
            cv2.line(image, begin, end, _GAZE, 2, cv2.LINE_AA, SHIFT)


def _draw_box(image: Image, pose: npt.NDArray[np.float64], camera: Camera, confidence: float) -> None:
    import cv2

    corners = _box_corners(pose, camera)
    if corners is None:
        return
    colour = _confidence_colour(confidence)
    thickness = _thickness(image, 2.0)
    height, width = image.shape[:2]
    inside = np.all((corners >= 0) & (corners < (width, height)), axis=1)
    rounded = np.rint(np.clip(corners, -30000, 30000)).astype(np.int32).tolist()
    for a, b in _EDGES:
        if inside[a] or inside[b]:
            cv2.line(image, rounded[a], rounded[b], colour, thickness, cv2.LINE_AA)


def _confidence_colour(confidence: float) -> tuple[float, float, float]:
    """Blend from red, at the limit of what is drawn, to blue for full confidence."""
    certain = (min(confidence, 1.0) - CONFIDENCE_LIMIT) / (1.0 - CONFIDENCE_LIMIT)
    return 255.0 * certain, 0.0, 255.0 * (1.0 - certain)


def _box_corners(pose: npt.NDArray[np.float64], camera: Camera) -> npt.NDArray[np.float64] | None:
    """Project the corners of the head box; corner i has the sign of x, y, z in bits 0, 1, 2."""
    signs = np.array([[(i >> bit & 1) * 2 - 1 for bit in range(3)] for i in range(8)], dtype=np.float64)
    return _project(BOX_HALF_EDGE * signs @ _rotation(pose[3:]).T + pose[:3], camera)


def _rotation(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rotation matrix Rx Ry Rz of Euler angles in radians (tracking.md, section 2.1)."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    product: npt.NDArray[np.float64] = about_x @ about_y @ about_z
    return product


def _project(points: npt.NDArray[np.float64], camera: Camera) -> npt.NDArray[np.float64] | None:
    """Project points in camera space (mm) into the picture; None unless all are in front of the camera."""
    if not (points[:, 2] > 1.0).all():
        return None
    fx, fy, cx, cy = camera
    return points[:, :2] / points[:, 2:] * (fx, fy) + (cx, cy)


def _face_area(marks: FaceMarks, camera: Camera) -> Area | None:
    """Find what the drawn face fills."""
    points = marks.landmarks
    if points is None and marks.pose is not None:
        points = _box_corners(marks.pose, camera)
    if points is None:
        points = marks.eyes
    if points is None:
        return None
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    left, top, right, bottom = (float(value) for value in np.clip((x0, y0, x1, y1), -30000, 30000))
    return left, top, right, bottom


def _text(image: Image, text: str, at: tuple[int, int], scale: float, colour: tuple[float, ...]) -> None:
    """Write text with a dark rim, legible on any background."""
    import cv2

    thick = max(1, round(2 * scale))
    for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        rim = (at[0] + dx, at[1] + dy)
        cv2.putText(image, text, rim, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thick, cv2.LINE_AA)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)


def _writable(text: str) -> str:
    """The text in letters that OpenCV can write: all since version 5, before only ASCII."""
    import cv2

    if int(cv2.__version__.split(".")[0]) >= 5:
        return text
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letters).encode("ascii", "replace").decode()


def _draw_label(image: Image, marks: FaceMarks, camera: Camera) -> None:
    area = _face_area(marks, camera)
    if area is None:
        return
    import cv2

    x0, y0, x1, y1 = area
    text = _writable(f"{marks.label}  {marks.confidence:.2f}")
    # As large as the picture suggests, but not much wider than the face, and always legible.
    wanted = 0.6 * image.shape[1] / 640.0
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, wanted, max(1, round(2 * wanted)))[0][0]
    scale = max(0.45, wanted * min(1.0, 1.4 * (x1 - x0) / max(width, 1)))
    width = round(width * scale / wanted)
    # The brows are the highest landmarks: the label goes to where the hair begins.
    y = y0 - 0.35 * (y1 - y0) if marks.landmarks is not None else y0
    at = (
        round(max(2.0, min(x0, image.shape[1] - width - 2.0))),
        round(min(max(y, 24 * scale), image.shape[0] - 4.0)),
    )
    _text(image, text, at, scale, (255, 255, 255))


def _shared(a: Area, b: Area) -> float:
    """The number of pixels that two areas have in common."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _draw_action_units(image: Image, marks: FaceMarks, camera: Camera, others: Sequence[Area]) -> Area:
    """Draw a panel with one bar per action unit beside the face: length 0 to 5, green where present.

    Of the two sides it takes that on which it hides less of its face and of `others`, the right one first.
    """
    import cv2

    area = _face_area(marks, camera) or (0.0, 0.0, 0.0, float(image.shape[0]))
    height, width = image.shape[:2]
    count = len(marks.intensities)
    row = int(np.clip(1.4 * (area[3] - area[1]) / count, 9, max(9, width / 45)))
    row = max(4, min(row, (height - 4) // count))
    label_width, bar_width = round(3.2 * row), round(4.0 * row)
    panel_width, panel_height = label_width + bar_width + 6, row * count + 4
    left, right = area[0], area[2]
    box = None if marks.pose is None else _box_corners(marks.pose, camera)
    if box is not None:
        box = np.clip(box, -30000, 30000)
        left, right = min(left, box[:, 0].min()), max(right, box[:, 0].max())
    y = max(0, min(round((area[1] + area[3] - panel_height) / 2), height - panel_height))
    hidden: dict[int, float] = {}
    for side in (right + 6, left - 6 - panel_width):
        x = max(0, min(round(side), width - panel_width))
        place = (x, y, x + panel_width, y + panel_height)
        hidden[x] = sum(_shared(place, other) for other in (*others, (left, area[1], right, area[3])))
    x = min(hidden, key=lambda x: hidden[x])
    panel = image[y : y + panel_height, x : x + panel_width]
    np.copyto(panel, panel // 3)
    for index, (name, intensity) in enumerate(marks.intensities.items()):
        base = y + 2 + (index + 1) * row
        present = marks.presences.get(name, intensity >= 1.0)
        colour = (90, 230, 90) if present else (190, 190, 190)
        scale = row / 30.0
        at = (x + 3, base - round(0.25 * row))
        cv2.putText(image, name, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
        bar, top = x + 3 + label_width, base - row + 2
        cv2.rectangle(image, (bar, top), (bar + bar_width, base - 2), (80, 80, 80), cv2.FILLED)
        length = round(bar_width * min(max(intensity, 0.0), 5.0) / 5.0)
        if length > 0:
            cv2.rectangle(image, (bar, top), (bar + length, base - 2), colour, cv2.FILLED)
    return x, y, x + panel_width, y + panel_height
