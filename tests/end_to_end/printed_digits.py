"""What counts as the same number in a table of OpenFace: the same digits, as it prints them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# Digits behind the point, by column.
DIGITS = {
    r"timestamp": 3,
    r"confidence": 2,
    r"success": 0,
    r"gaze_[01]_[xyz]": 6,
    r"gaze_angle_[xy]": 3,
    r"eye_lmk_[xyXYZ]_\d+": 1,
    r"pose_T[xyz]": 1,
    r"pose_R[xyz]": 3,
    r"[xyXYZ]_\d+": 1,
    r"p_(scale|rx|ry|rz|tx|ty)": 3,
    r"p_\d+": 3,
    r"AU\d+_[rc]": 2,
}


def pattern_of(column: str) -> str:
    (pattern,) = (pattern for pattern in DIGITS if re.fullmatch(pattern, column))
    return pattern


def differ_as_printed(ours: np.ndarray, printed: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Which cells (rows, columns) are further off than half a digit, and a little for decimal fractions."""
    digits = np.array([DIGITS[pattern_of(column)] for column in columns])
    return np.abs(ours - printed) > 0.5000001 * 10.0**-digits
