"""Action units, aligned faces and FHOG descriptors from images and 68 landmarks."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyopenface import _core, models
from pyopenface._options import true_or_false
from pyopenface.errors import InputError
from pyopenface.face import Face

__all__ = ["AnalysedFace", "FaceAnalyser"]


@dataclass(frozen=True, eq=False)
class AnalysedFace:
    """
    What the face analyser says about one face in one image.

    Attributes
    ----------
    au_intensity : ndarray of float64, shape (17,)
        Intensities in the order of ``FaceAnalyser.intensity_names``. From :meth:`FaceAnalyser.analyse_image`
        and from a live analyser limited to 0 ... 5; from a video frame the raw prediction, which can lie
        outside and which :meth:`FaceAnalyser.finish` corrects. Zeros for a failed frame.
    au_presence : ndarray of float64, shape (18,)
        1 (there) or 0 (not there) in the order of ``FaceAnalyser.presence_names``. Zeros for a failed frame.
    aligned_face : ndarray of uint8, shape (112, 112, 3)
        The upright face, B, G, R, black outside its outline; all black for a failed frame.
    fhog : ndarray of float32, shape (12, 12, 31)
        FHOG descriptor of the aligned face: row, column, channel; zeros for a failed frame.

    Examples
    --------
    >>> face = analyser.update(image, landmarks)  # doctest: +SKIP
    >>> dict(zip(analyser.intensity_names, face.au_intensity))["AU12"]  # doctest: +SKIP
    1.83
    """

    au_intensity: npt.NDArray[np.float64]
    au_presence: npt.NDArray[np.float64]
    aligned_face: npt.NDArray[np.uint8]
    fhog: npt.NDArray[np.float32]


class FaceAnalyser:
    """
    Facial action units (and aligned face, FHOG descriptor) from an image and its 68 landmarks.

    One analyser follows **one person through one video**: :meth:`update` takes the frames one after the other
    and keeps the running medians of the person's descriptors, with which the dynamic predictors compare every
    frame; :meth:`finish` gives the final values of all frames at the end, as OpenFace writes them. For
    single images use ``kind="static"`` and :meth:`analyse_image`.

    Parameters
    ----------
    models : path, optional
        Folder with OpenFace's weights, found as :func:`pyopenface.models.find` does; or the path of a main
        file such as ``AU_predictors/DISFA_dynamic_svms.txt``, and ``kind`` then means nothing.
    kind : {"dynamic", "static"}
        Predictors that are calibrated to the person, or those that look at each frame alone.
    live : bool
        For input that has no end (a camera): intensities from :meth:`update` have the neutral level seen so
        far (the 10 % quantile) subtracted and are limited to 0 ... 5.
    history : bool
        False for input that has no end: nothing is kept for :meth:`finish`, so memory does not grow (by
        0.3 kB a frame).

    Raises
    ------
    ModelError
        If the weights are missing or damaged.

    Notes
    -----
    **When dynamic calibration misleads.** The median of a person's descriptors is taken for the neutral face,
    and for most intensities a fixed share of all frames (between 20 % and 80 %, by action unit) counts as
    neutral. That is right for long recordings in which expressions come and go. It is wrong when an
    expression is held: somebody whose brows are raised, or whose lips are parted, through more than half of a
    clip has that for a neutral face, and it disappears from the numbers. Short clips, clips
    cut around an expression, posed expressions and single pictures are better served by ``kind="static"``,
    or by a calibration made on a longer video of the same person: ``reset(keep_calibration=True)`` between
    the videos, or :meth:`state` and :meth:`from_state`. Values of different recordings are comparable only if
    their calibration is.

    The analyser can be used from several threads; frames count in the order in which they come. Copies
    (``copy``, ``pickle``) carry its state and go on independently; a pickled one finds the weights by their
    path.

    Examples
    --------
    >>> from pyopenface.face_analyser import FaceAnalyser
    >>> detector, analyser = pyopenface.LandmarkDetector(), FaceAnalyser()  # doctest: +SKIP
    >>> for image in frames:  # doctest: +SKIP
    ...     face = analyser.update(image, detector.update(image))
    >>> intensity, presence = analyser.finish()  # doctest: +SKIP
    >>> intensity.shape  # doctest: +SKIP
    (288, 17)
    """

    def __init__(
        self,
        models: str | os.PathLike[str] | None = None,
        *,
        kind: Literal["dynamic", "static"] = "dynamic",
        live: bool = False,
        history: bool = True,
    ) -> None:
        self._engine = _core.FaceAnalyser(_main_file(models, kind), live, history)

    @property
    def intensity_names(self) -> tuple[str, ...]:
        """Names of the intensities, ``("AU01", "AU02", ...)``, in the order of all results."""
        return self._engine.intensity_names

    @property
    def presence_names(self) -> tuple[str, ...]:
        """Names of the presences, in the order of all results."""
        return self._engine.presence_names

    @property
    def dynamic(self) -> bool:
        """Whether any predictor is calibrated to the person."""
        return self._engine.dynamic

    @property
    def live(self) -> bool:
        """Whether :meth:`update` corrects the intensities for live input."""
        return self._engine.live

    @property
    def frames(self) -> int:
        """Number of frames since the start or the last :meth:`reset`; 0 if no history is kept."""
        return self._engine.frames

    @property
    def files(self) -> list[Path]:
        """Every model file in use, the main file first."""
        return self._engine.files

    def update(
        self, image: npt.NDArray[np.uint8], landmarks: Face | npt.ArrayLike | None, success: bool = True
    ) -> AnalysedFace:
        """
        Analyse the next frame of the video.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3), (H, W, 4) or (H, W)
            The frame, B, G, R or grey.
        landmarks : Face or array of float, shape (68, 2)
            Positions x, y in px (the centre of the top left pixel is (0, 0)), not looked at if not
            ``success``; or what a `LandmarkDetector` says, which counts as failed if it was not accepted.
        success : bool
            Whether the face was found. Failed frames belong to the video and must be passed too.

        Returns
        -------
        AnalysedFace

        Raises
        ------
        InputError
            If image or landmarks have the wrong shape or dtype, or landmarks aren't finite.

        Examples
        --------
        >>> face = analyser.update(image, landmarks)  # doctest: +SKIP
        >>> face.au_intensity.shape  # doctest: +SKIP
        (17,)
        """
        points, success = _fitted(landmarks, success)
        return AnalysedFace(*self._engine.update(np.asarray(image), points, success))

    def analyse_image(self, image: npt.NDArray[np.uint8], landmarks: Face | npt.ArrayLike) -> AnalysedFace:
        """
        Analyse a single image; nothing is remembered.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3), (H, W, 4) or (H, W)
            The image, B, G, R or grey.
        landmarks : Face or array of float, shape (68, 2)
            Positions x, y in px; those of a face count whether or not they were accepted.

        Returns
        -------
        AnalysedFace

        Raises
        ------
        InputError
            If image or landmarks have the wrong shape or dtype, or landmarks aren't finite.
        StateError
            If the predictors are dynamic ones, which need a video.

        Examples
        --------
        >>> analyser = FaceAnalyser(kind="static")  # doctest: +SKIP
        >>> analyser.analyse_image(image, landmarks).au_presence.shape  # doctest: +SKIP
        (18,)
        """
        points = landmarks.landmarks_2d if isinstance(landmarks, Face) else landmarks
        return AnalysedFace(*self._engine.analyse_image(np.asarray(image), points))

    def align(
        self,
        image: npt.NDArray[np.uint8],
        landmarks: Face | npt.ArrayLike | None,
        success: bool = True,
        *,
        size: int = 112,
        scale: float | None = None,
        mask: bool = True,
        grey: bool = False,
    ) -> npt.NDArray[np.uint8]:
        """
        Turn, scale and cut out a face in any size; action units don't depend on this.

        Parameters
        ----------
        image, landmarks, success
            As for :meth:`update`. If not ``success`` the result is black.
        size : int
            Width and height of the result in px.
        scale : float, optional
            Pixels per millimetre of the face model; by default 0.7 at 112 px and in proportion for other
            sizes.
        mask : bool
            Black outside the outline of the face.
        grey : bool
            One channel instead of B, G, R.

        Returns
        -------
        ndarray of uint8, shape (size, size, 3) or (size, size)

        Raises
        ------
        InputError
            If an argument can't be used.

        Examples
        --------
        >>> analyser.align(image, landmarks, size=224, mask=False).shape  # doctest: +SKIP
        (224, 224, 3)
        """
        mask, grey = true_or_false("mask", mask), true_or_false("grey", grey)
        try:
            pixels = operator.index(size)
            factor = pixels * 0.7 / 112 if scale is None else float(scale)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"size={size!r}, scale={scale!r}: a whole number and a number expected"
            ) from error
        points, success = _fitted(landmarks, success)
        return self._engine.align(np.asarray(image), points, success, pixels, factor, mask, grey)

    def finish(self, postprocess: bool = True) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """
        Give the action units of all frames so far as they are after the end of a video.

        The predictions of the first 3000 frames with a face are repeated with the final medians; then neutral
        levels are subtracted, intensities limited to 0 ... 5 and averaged over three frames, presences voted
        over seven. The analyser is left as it was, so this can be called in the middle of a video too.

        Parameters
        ----------
        postprocess : bool
            False: only the predictions are repeated.

        Returns
        -------
        intensity : ndarray of float64, shape (frames, 17)
            In the order of :attr:`intensity_names`; failed frames included.
        presence : ndarray of float64, shape (frames, 18)
            In the order of :attr:`presence_names`.

        Raises
        ------
        StateError
            If the analyser keeps no history.

        Examples
        --------
        >>> intensity, presence = analyser.finish()  # doctest: +SKIP
        """
        return self._engine.finish(postprocess)

    def reset(self, *, keep_calibration: bool = False) -> None:
        """
        Start a new video.

        Parameters
        ----------
        keep_calibration : bool
            True if it shows the same person: the medians and the live correction go on from where they are,
            and the frames so far still count when :meth:`finish` looks for neutral levels.

        Raises
        ------
        InputError
            If `keep_calibration` is neither True nor False.

        Examples
        --------
        >>> analyser.reset(keep_calibration=True)  # doctest: +SKIP
        """
        self._engine.reset(true_or_false("keep_calibration", keep_calibration))

    def state(self) -> bytes:
        """
        Save the calibration and the video so far.

        The bytes hold the medians' histograms, the live correction and the predictions of all frames, also of
        earlier videos; not the weights, but a fingerprint of them. They carry a version and a checksum. To
        save a calibration for the next video, call ``reset(keep_calibration=True)`` first.

        Returns
        -------
        bytes
            Some megabytes at most, whatever machine reads them.

        Examples
        --------
        >>> pathlib.Path("anna.calibration").write_bytes(analyser.state())  # doctest: +SKIP
        """
        return self._engine.state()

    @classmethod
    def from_state(
        cls,
        state: bytes,
        models: str | os.PathLike[str] | None = None,
        *,
        kind: Literal["dynamic", "static"] = "dynamic",
    ) -> FaceAnalyser:
        """
        Make an analyser that goes on where another one was.

        Parameters
        ----------
        state : bytes
            From :meth:`state`; says also whether the analyser is live.
        models, kind
            The same weights as before (:class:`FaceAnalyser`).

        Returns
        -------
        FaceAnalyser

        Raises
        ------
        InputError
            If the bytes are damaged, from another version, or were saved with other weights.

        Examples
        --------
        >>> saved = pathlib.Path("anna.calibration").read_bytes()  # doctest: +SKIP
        >>> analyser = FaceAnalyser.from_state(saved)  # doctest: +SKIP
        """
        if not isinstance(state, bytes):
            raise InputError(f"state: bytes expected, got {type(state).__name__}")
        analyser = cls(models, kind=kind)
        analyser._engine.restore(state)
        return analyser

    def __reduce__(self) -> tuple[Callable[..., FaceAnalyser], tuple[bytes, Path]]:
        # copy, deepcopy and pickle: an analyser of its own, as long as the weights are where they were.
        return type(self).from_state, (self.state(), self.files[0].absolute())


def _fitted(landmarks: Face | npt.ArrayLike | None, success: bool) -> tuple[npt.ArrayLike | None, bool]:
    """The positions, and whether they count."""
    success = true_or_false("success", success)
    if isinstance(landmarks, Face):
        return landmarks.landmarks_2d, success and landmarks.accepted
    return landmarks, success


def _main_file(folder: str | os.PathLike[str] | None, kind: str) -> Path:
    if kind not in ("dynamic", "static"):
        raise InputError(f'kind: "dynamic" or "static" expected, got {kind!r}')
    if folder is not None and Path(folder).is_file():
        return Path(folder)
    return models.find(folder).action_unit_file(static=kind == "static")
