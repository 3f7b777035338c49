"""One face in one frame: the record that live use gives, as named arrays over a row of OpenFace's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Face", "faces_from_rows"]

Values = npt.NDArray[np.float64]


@lru_cache(maxsize=16)
def _positions(columns: tuple[str, ...]) -> Mapping[str, int]:
    return {name: i for i, name in enumerate(columns)}


@dataclass(frozen=True, eq=False)
class Face:
    """A face: where it is, how it is turned, where it looks and what it does.

    All values are float64 views of one row; units and frames of reference are those of `pyopenface.columns`.

    Attributes
    ----------
    row : numpy.ndarray
        float64 (c,): the values.
    columns : tuple of str
        Their names: OpenFace's columns of a video.
    accepted : bool
        Whether the validator accepted the latest fit (`success` is what OpenFace prints, which differs in the
        first frame of a rejected detection).
    landmark_likelihoods : numpy.ndarray or None
        float32 (68,): how well each landmark's patch expert agrees with its position; -1e8 where the view
        hides it.
    identity_confidence : float or None
        How sure the identity is, 0 to 1; None where identities are not tracked.

    Examples
    --------
    >>> for face in tracker.update(frame):  # doctest: +SKIP
    ...     print(face.id, face.pose[3:], face.landmarks_2d[30])
    """

    row: Values
    columns: tuple[str, ...]
    accepted: bool = True
    landmark_likelihoods: npt.NDArray[np.float32] | None = None
    identity_confidence: float | None = None

    def __getitem__(self, column: str) -> float:
        """The value of one of OpenFace's columns, such as ``face["AU12_r"]``."""
        return float(self.row[_positions(self.columns)[column]])

    def to_dict(self) -> dict[str, float]:
        """Every column's value by its name."""
        return dict(zip(self.columns, self.row.tolist(), strict=True))

    def _points(self, prefix: str, axes: str) -> Values:
        positions = _positions(self.columns)
        first = positions.get(f"{prefix}{axes[0]}_0")
        if first is None:
            return np.empty((0, len(axes)))
        count = positions[f"{prefix}{axes[1]}_0"] - first
        points: Values = self.row[first : first + count * len(axes)].reshape(len(axes), count).T
        return points

    def _values(self, first: str, count: int) -> Values:
        start = _positions(self.columns).get(first)
        if start is None:
            return np.full(count, np.nan)
        values: Values = self.row[start : start + count]
        return values

    @property
    def id(self) -> int:
        """Number of the face, from 0; stays with it through a video."""
        return int(self["face_id"])

    @property
    def success(self) -> bool:
        """Whether the face was tracked in this frame."""
        return self["success"] == 1.0

    @property
    def confidence(self) -> float:
        """How sure the validator is that the landmarks are right, 0 to 1."""
        return self["confidence"]

    @property
    def timestamp(self) -> float:
        """Time of the frame in seconds."""
        return self["timestamp"]

    @property
    def landmarks_2d(self) -> Values:
        """(68, 2): landmarks in the image, px."""
        return self._points("", "xy")

    @property
    def landmarks_3d(self) -> Values:
        """(68, 3): landmarks in front of the camera, mm."""
        return self._points("", "XYZ")

    @property
    def eye_landmarks_2d(self) -> Values:
        """(56, 2): 28 points of the eye at the left of the image, then 28 of the other, px; empty without eye
        models.
        """
        return self._points("eye_lmk_", "xy")

    @property
    def eye_landmarks_3d(self) -> Values:
        """(56, 3): the same in front of the camera, mm."""
        return self._points("eye_lmk_", "XYZ")

    @property
    def pose(self) -> Values:
        """(6,): Tx, Ty, Tz of the head in mm, then Rx, Ry, Rz in radians."""
        return self._values("pose_Tx", 6)

    @property
    def gaze_0(self) -> Values:
        """(3,): unit gaze vector of the eye at the left of the image."""
        return self._values("gaze_0_x", 3)

    @property
    def gaze_1(self) -> Values:
        """(3,): unit gaze vector of the eye at the right of the image."""
        return self._values("gaze_1_x", 3)

    @property
    def gaze_angle(self) -> Values:
        """(2,): mean gaze direction to the right and down, radians."""
        return self._values("gaze_angle_x", 2)

    @property
    def pdm_global(self) -> Values:
        """(6,): scale (px/mm), rotation rx, ry, rz (rad), translation tx, ty (px) of the point distribution
        model.
        """
        return self._values("p_scale", 6)

    @property
    def pdm_local(self) -> Values:
        """(m,): weights of the modes of the point distribution model."""
        return self._values("p_0", sum(name.startswith("p_") and name[2:].isdigit() for name in self.columns))

    @cached_property
    def action_units(self) -> dict[str, float]:
        """Intensities (``"AU12_r"``, 0 to 5) and presences (``"AU12_c"``, 0 or 1); empty where none were
        asked for.
        """
        return {n: float(v) for n, v in zip(self.columns, self.row, strict=True) if n.startswith("AU")}

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width, height of the smallest box around the landmarks, px."""
        points = self.landmarks_2d
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)


def faces_from_rows(
    rows: Values,
    columns: Sequence[str],
    accepted: Sequence[bool] | None = None,
    likelihoods: Sequence[npt.NDArray[np.float32]] | None = None,
    identity_confidences: Sequence[float] | None = None,
) -> list[Face]:
    """One `Face` per row, without copying the values."""
    names = tuple(columns)
    return [
        Face(
            row,
            names,
            bool(accepted[i]) if accepted is not None else True,
            likelihoods[i] if likelihoods is not None else None,
            float(identity_confidences[i]) if identity_confidences is not None else None,
        )
        for i, row in enumerate(rows)
    ]
