"""`LandmarkDetector`: frames in, faces with landmarks, head pose and gaze out."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from pyopenface.engine import Run, load_models
from pyopenface.face import Face, faces_from_rows
from pyopenface.sources.base import Frame

__all__ = ["LandmarkDetector"]


class LandmarkDetector:
    """Find and follow one face's landmarks.

    Weights are loaded once; give frame after frame to `update` to follow a face through a video, or pictures
    to `detect` to find every face in each of them.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (CE-CLM if its weights are there, else CLNF), ``"ceclm"``, ``"clnf"``, ``"clm"``,
        ``"clnf_wild"``, ``"clnf_multi_pie"``, ``"clm_wild"``, or a main file.
    models : path, optional
        Folder with OpenFace's weights; by default the usual places are searched.
    camera : tuple of float, optional
        Intrinsics fx, fy, cx, cy in pixels; by default guessed from the frame size as OpenFace does.
    wild : bool
        OpenFace's settings for difficult images: larger search windows, more iterations, slower.
    multi_view : bool
        Try 11 head rotations per face in `detect` (videos always do when they look for a face).
    validate : bool
        Check every fit with the validation network; without it, confidence is 1 or 0.

    Raises
    ------
    ModelError
        Weights are missing or damaged.

    Examples
    --------
    >>> import cv2, pyopenface
    >>> detector = pyopenface.LandmarkDetector()  # doctest: +SKIP
    >>> face = detector.update(cv2.imread("portrait.jpg"))  # doctest: +SKIP
    >>> face.landmarks_2d.shape, face.confidence  # doctest: +SKIP
    ((68, 2), 0.983)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "auto",
        models: str | os.PathLike[str] | None = None,
        *,
        camera: tuple[float, float, float, float] | None = None,
        wild: bool = False,
        multi_view: bool = False,
        validate: bool = True,
    ) -> None:
        loaded = load_models(models, model, None)
        parameters = loaded.fit_parameters(wild)
        parameters.multi_view = parameters.multi_view or multi_view
        parameters.validate = validate
        self._video = Run(loaded, "single_face", parameters=parameters, camera=camera)
        self._pictures = Run(loaded, "pictures", parameters=parameters, camera=camera)
        self._number = 0

    @property
    def model(self) -> str:
        """Name of the landmark model in use, such as ``"clnf"``."""
        return self._video.models.name

    def update(
        self,
        image: npt.NDArray[np.uint8],
        *,
        boxes: npt.ArrayLike | None = None,
        timestamp: float | None = None,
    ) -> Face:
        """Follow the face into the next frame of a video.

        Parameters
        ----------
        image : numpy.ndarray
            uint8 (H, W, 3) in the order B, G, R, or (H, W) grey.
        boxes : array_like, optional
            (k, 4) x, y, width, height in px of faces known from elsewhere: used instead of the face detector
            while no face is followed.
        timestamp : float, optional
            Seconds, noted in the result.

        Returns
        -------
        Face
            Its `success` is False while no face is found or the fit was rejected.

        Raises
        ------
        InputError
            The image's dtype, shape or memory layout can't be used.

        Examples
        --------
        >>> for image in frames:  # doctest: +SKIP
        ...     print(detector.update(image).pose)
        """
        self._number += 1
        faces = self._measure(self._video, image, boxes, self._number, timestamp)
        if faces:
            return faces[0]
        columns = tuple(self._video.columns)  # a picture without pixels has no face
        row = np.zeros(len(columns))
        row[0] = self._number
        return Face(row, columns, accepted=False)

    def detect(self, image: npt.NDArray[np.uint8], *, boxes: npt.ArrayLike | None = None) -> list[Face]:
        """Find every face in a picture, independent of any other.

        Parameters
        ----------
        image : numpy.ndarray
            uint8 (H, W, 3) in the order B, G, R, or (H, W) grey.
        boxes : array_like, optional
            (k, 4) boxes to use instead of the face detector.

        Returns
        -------
        list of Face
            By descending confidence of the face detector; ids are positions in this list.

        Raises
        ------
        InputError
            The image can't be used.

        Examples
        --------
        >>> len(detector.detect(cv2.imread("group.jpg")))  # doctest: +SKIP
        3
        """
        return self._measure(self._pictures, image, boxes, 1, None)

    def reset(self) -> None:
        """Forget the face; the next frame begins a new video.

        Examples
        --------
        >>> detector.reset()  # doctest: +SKIP
        """
        self._video.reset()
        self._number = 0

    @staticmethod
    def _measure(
        run: Run,
        image: npt.NDArray[np.uint8],
        boxes: npt.ArrayLike | None,
        number: int,
        timestamp: float | None,
    ) -> list[Face]:
        from pyopenface.sources.base import default_camera

        frame = Frame(np.asarray(image), 0.0 if timestamp is None else float(timestamp), number)
        fitted = run.fit(frame, boxes)
        camera = run.camera or default_camera(frame.image.shape[1], frame.image.shape[0])
        result = run.measure(frame, fitted, camera)
        return faces_from_rows(result.rows, run.columns, fitted.accepted, fitted.landmark_likelihoods)
