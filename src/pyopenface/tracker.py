"""`FaceTracker`: frames in as they come, every face of each frame out, with the id of its person."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyopenface import _core
from pyopenface._options import whole_number
from pyopenface.engine import ActionUnits, Run, load_models, thread_count
from pyopenface.errors import InputError
from pyopenface.face import Face, faces_from_rows
from pyopenface.sources.base import Frame, default_camera

__all__ = ["FaceTracker"]


class FaceTracker:
    """Follow several faces live: landmarks, head pose, gaze and action units of everybody in view.

    One tracker follows one video or camera. Weights are loaded once per process and shared; an object may be
    used from several threads, whose frames then count in the order in which they come.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (CE-CLM if its weights are there, else CLNF), ``"ceclm"``, ``"clnf"``, ... or a main file.
    models : path, optional
        Folder with OpenFace's weights; by default the usual places are searched.
    max_faces : int
        Faces to follow at once, 2 or more.
    identity : {"track", "slot"}
        ``"track"``: an id belongs to a person and survives a short loss, a crossing and a re-entry; a new
        person never gets an old id. Faces whose identity is not clear yet (usually the first few frames) are
        left out. ``"slot"``: OpenFace's rule, ids are numbers of trackers, from 0 to ``max_faces - 1``, which
        take any face that comes next.
    au : {"static", "dynamic"} or None
        Action units without calibration, as OpenFace gives them for several faces; calibrated to each id's
        face as it goes on (about 12 MB per person, freed by `drop` and `reset`); or none, which is faster.
    camera : tuple of float, optional
        Intrinsics fx, fy, cx, cy in pixels; by default guessed from the frame size as OpenFace does.
    wild : bool
        OpenFace's settings for difficult images.
    parameters : LandmarkParameters, optional
        Any other settings of the landmark fit.
    threads : int, optional
        Faces that are fitted at the same time; None: as many as this process may use, at most 4. The numbers
        are the same.

    Raises
    ------
    ModelError
        Weights are missing or damaged.
    InputError
        An option can't be used.

    Examples
    --------
    >>> import cv2, pyopenface
    >>> tracker = pyopenface.FaceTracker()  # doctest: +SKIP
    >>> capture = cv2.VideoCapture(0)  # doctest: +SKIP
    >>> for face in tracker.update(capture.read()[1]):  # doctest: +SKIP
    ...     print(face.id, face.identity_confidence, face.gaze_angle, face["AU12_r"])
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "auto",
        models: str | os.PathLike[str] | None = None,
        max_faces: int = 4,
        identity: Literal["track", "slot"] = "track",
        au: ActionUnits | None = "static",
        camera: tuple[float, float, float, float] | None = None,
        *,
        wild: bool = False,
        parameters: _core.LandmarkParameters | None = None,
        threads: int | None = 1,
    ) -> None:
        max_faces = whole_number("max_faces", max_faces, least=2, most=1000)
        if au not in ("static", "dynamic", None):
            raise InputError(f"au={au!r}: expected 'static', 'dynamic' or None")
        if identity not in ("track", "slot"):
            raise InputError(f"identity={identity!r}: expected 'track' or 'slot'")
        loaded = load_models(models, model, au)
        self._run = Run(
            loaded,
            "several_faces",
            parameters=parameters or loaded.fit_parameters(wild),
            max_faces=max_faces,
            identity=identity,
            camera=camera,
            threads=thread_count(threads),
            live=True,
            history=False,
        )
        self.identity = identity
        self._number = 0

    @property
    def model(self) -> str:
        """Name of the landmark model in use, such as ``"clnf"``."""
        return self._run.models.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values of every `Face`."""
        return tuple(self._run.columns)

    @property
    def detector_runs(self) -> int:
        """How often the built-in face detector has run since the last reset: on every eighth frame in which
        a tracker is free.
        """
        return self._run.detector_runs

    def update(
        self,
        frame: npt.NDArray[np.uint8],
        boxes: npt.ArrayLike | None = None,
        timestamp: float | None = None,
    ) -> list[Face]:
        """Follow everybody into the next frame.

        Parameters
        ----------
        frame : numpy.ndarray
            uint8 (H, W, 3) in the order B, G, R, or (H, W) grey. It is only read, and only during the call.
        boxes : array_like, optional
            (k, 4) x, y, width, height in px of the faces that another detector sees in this frame: they take
            the place of the built-in one, in every frame for which they are given. Boxes of faces that are
            followed already are ignored. An empty array means that there is no new face.
        timestamp : float, optional
            Seconds, noted in the result.

        Returns
        -------
        list of Face
            In the order of their trackers. A face that is lost stays in the list for up to six frames with
            `Face.success` False.

        Raises
        ------
        InputError
            The frame's or the boxes' dtype, shape or values can't be used.

        Examples
        --------
        >>> faces = tracker.update(image, boxes=[[120, 80, 90, 90]])  # doctest: +SKIP
        >>> faces[0].landmarks_2d.shape  # doctest: +SKIP
        (68, 2)
        """
        number = self._number + 1
        item = Frame(np.asarray(frame), 0.0 if timestamp is None else float(timestamp), number)
        fitted = self._run.fit(item, boxes)
        self._number = number
        camera = self._run.camera or default_camera(item.image.shape[1], item.image.shape[0])
        result = self._run.measure(item, fitted, camera)
        return faces_from_rows(
            result.rows,
            self.columns,
            fitted.accepted,
            fitted.landmark_likelihoods,
            fitted.identity_confidences if self.identity == "track" else None,
        )

    def drop(self, id: int) -> None:
        """Stop following a face and forget whose it is, with its calibration of action units.

        Parameters
        ----------
        id : int
            `Face.id`. With ``identity="track"`` it is never given again: the same person, seen again, is
            somebody new. With ``"slot"`` the tracker becomes free.

        Raises
        ------
        InputError
            There has been no face with this id.

        Examples
        --------
        >>> tracker.drop(0)  # doctest: +SKIP
        """
        self._run.drop(id)

    def reset(self) -> None:
        """Forget everybody; the next frame begins a new video.

        Examples
        --------
        >>> tracker.reset()  # doctest: +SKIP
        """
        self._run.reset()
        self._number = 0
