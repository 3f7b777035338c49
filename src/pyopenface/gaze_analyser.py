"""`GazeAnalyser`: where a face looks, from its fitted eye landmarks and head pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyopenface import _core
from pyopenface.errors import InputError
from pyopenface.face import Face

__all__ = ["Gaze", "GazeAnalyser"]


@dataclass(frozen=True, eq=False)
class Gaze:
    """Gaze of both eyes, in camera coordinates (x to the right of the image, y down, z away from the camera).

    Attributes
    ----------
    gaze_0, gaze_1 : numpy.ndarray
        float64 (3,): unit vectors of the eyes at the left and the right of the image.
    gaze_angle : numpy.ndarray
        float64 (2,): mean direction to the right and down, radians; relative to the camera's axis, not
        calibrated.
    """

    gaze_0: npt.NDArray[np.float64]
    gaze_1: npt.NDArray[np.float64]
    gaze_angle: npt.NDArray[np.float64]


class GazeAnalyser:
    """Gaze from a face's landmarks (Wood et al. 2015, as OpenFace computes it).

    It takes 3D landmarks and head pose, which depend on the camera: give the intrinsics to
    `LandmarkDetector`.

    Examples
    --------
    >>> import pyopenface
    >>> face = pyopenface.LandmarkDetector().update(image)  # doctest: +SKIP
    >>> pyopenface.GazeAnalyser().analyse(face).gaze_angle  # doctest: +SKIP
    array([ 0.031, -0.012])
    """

    def analyse(self, face: Face) -> Gaze:
        """Compute the gaze of a face from its 3D eye and face landmarks and its head pose.

        Parameters
        ----------
        face : Face
            A face from a model with eye parts, whether or not its fit was accepted.

        Returns
        -------
        Gaze

        Raises
        ------
        InputError
            The face has no eye landmarks.

        Examples
        --------
        >>> GazeAnalyser().analyse(face).gaze_0  # doctest: +SKIP
        array([ 0.05,  0.11, -0.99])
        """
        eyes = face.eye_landmarks_3d
        if len(eyes) != 56 or len(face.landmarks_3d) != 68:
            raise InputError("face: has no eye landmarks; its landmark model has no eye parts")
        return self.from_landmarks(eyes, face.landmarks_3d, face.pose)

    def from_landmarks(
        self, eye_landmarks_3d: npt.ArrayLike, landmarks_3d: npt.ArrayLike, pose: npt.ArrayLike
    ) -> Gaze:
        """Compute the gaze from arrays.

        Parameters
        ----------
        eye_landmarks_3d : array_like
            (56, 3) in mm, camera coordinates.
        landmarks_3d : array_like
            (68, 3) in mm, camera coordinates.
        pose : array_like
            (6,): Tx, Ty, Tz in mm, Rx, Ry, Rz in radians.

        Returns
        -------
        Gaze

        Raises
        ------
        InputError
            An array has another shape.

        Examples
        --------
        >>> GazeAnalyser().from_landmarks(eyes, points, pose).gaze_angle.shape  # doctest: +SKIP
        (2,)
        """
        arrays = []
        for name, values, shape in (
            ("eye_landmarks_3d", eye_landmarks_3d, (56, 3)),
            ("landmarks_3d", landmarks_3d, (68, 3)),
            ("pose", pose, (6,)),
        ):
            array = np.asarray(values, dtype=np.float32)
            if array.shape != shape:
                raise InputError(f"{name}: shape {shape} expected; got {array.shape}")
            arrays.append(array)
        gaze_0, gaze_1, angle = _core.estimate_gaze(arrays[0], arrays[1], arrays[2])
        return Gaze(np.asarray(gaze_0, float), np.asarray(gaze_1, float), np.asarray(angle, float))
