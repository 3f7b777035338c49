"""Weights loaded once, and the run of a pipeline over a source: frames in, rows of numbers out.

Everything that analyses faces (``analyze``, the live tracker, the command lines) stands on these two:
`load_models` keeps loaded weights for the life of the process (`pyopenface.weights`), `Run` drives the engine
over a source with one or more threads. The rows are the same, bit for bit, whatever the number of threads.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyopenface import _core
from pyopenface._threads import thread_count
from pyopenface.errors import InputError
from pyopenface.sources.base import Frame, Source, default_camera
from pyopenface.sources.read_ahead import ahead, prefetch, stable_frames
from pyopenface.weights import ActionUnits, Models, load_models

__all__ = ["ActionUnits", "Models", "Program", "Result", "Run", "load_models", "thread_count"]

Program = Literal["single_face", "several_faces", "pictures"]
Identity = Literal["slot", "track"]

#: Frames that are read before the faces of the first of them are waited for: the first action units of a
#: video and the opening of its files take as long as six fits.
_AHEAD = 8


@contextlib.contextmanager
def _told_of(frame: Frame) -> Generator[None, None, None]:
    """Name the frame that can't be used."""
    try:
        yield
    except InputError as error:
        raise InputError(f"frame {frame.number}: {error}") from error


def check_camera(camera: Iterable[float]) -> tuple[float, float, float, float]:
    """Check intrinsics fx, fy, cx, cy in pixels."""
    try:
        fx, fy, cx, cy = (float(value) for value in camera)
        good = all(map(math.isfinite, (fx, fy, cx, cy))) and fx > 0 and fy > 0
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(f"camera={camera!r}: expected fx, fy, cx, cy in pixels")
    return fx, fy, cx, cy


@dataclass
class Result:
    """What one frame gave.

    Attributes
    ----------
    frame : Frame
        The frame.
    rows : numpy.ndarray
        float64 (k, c): one row per face, the columns of `Run.columns`.
    fitted : FittedFrame
        The fits that the rows were made from.
    identity : {"slot", "track"}
        Whether ids are those of trackers or of people.
    fhog : numpy.ndarray or None
        float32 (k, 4464) if asked for.
    aligned : list of numpy.ndarray
        The aligned faces if asked for.
    """

    frame: Frame
    rows: npt.NDArray[np.float64]
    fitted: _core.FittedFrame
    identity: Identity
    fhog: npt.NDArray[np.float32] | None = None
    aligned: list[npt.NDArray[np.uint8]] = field(default_factory=list)

    @property
    def accepted(self) -> list[bool]:
        """Per face, whether the fit was accepted (can differ from the column success, see tracking.md,
        section 3.1).
        """
        return self.fitted.accepted

    @property
    def identity_confidences(self) -> list[float] | None:
        """Per face, how sure its id is; None where ids are those of trackers."""
        return self.fitted.identity_confidences if self.identity == "track" else None

    @property
    def likelihoods(self) -> list[npt.NDArray[np.float32]]:
        """Per face the likelihood of every landmark, see `Face.landmark_likelihoods`."""
        return self.fitted.landmark_likelihoods


class Run:
    """One pass of the engine over frames: tracking, then pose, gaze and action units.

    Parameters
    ----------
    models : Models
        The weights.
    program : {"single_face", "several_faces", "pictures"}
        Which of OpenFace's three programs to follow.
    parameters : LandmarkParameters, optional
        Settings of the fit; by default the model's own.
    max_faces : int
        Trackers for "several_faces".
    identity : {"slot", "track"}
        With several faces: whether ids are those of trackers, as in OpenFace, or of people.
    camera : tuple of float, optional
        fx, fy, cx, cy in pixels; by default guessed from the frame size as OpenFace does.
    threads : int
        1: everything in the calling thread. 2 or more: decoding, fitting and measuring overlap, and so do the
        fits of several faces, or of the parts of one.
    live : bool
        Correct action units online, for input without an end.
    history : bool
        Keep every frame's action units for `finish`; False bounds the memory.
    fhog : bool
        Give the FHOG descriptors.
    alignment : tuple, optional
        (size, scale, mask, grey): give aligned faces.

    Examples
    --------
    >>> from pyopenface.engine import Run, load_models
    >>> from pyopenface.sources import open_source
    >>> with open_source("video.mp4") as source:  # doctest: +SKIP
    ...     for result in Run(load_models()).results(source):
    ...         print(result.frame.number, result.rows.shape)
    """

    def __init__(
        self,
        models: Models,
        program: Program = "single_face",
        *,
        parameters: _core.LandmarkParameters | None = None,
        max_faces: int = 1,
        identity: Identity = "slot",
        camera: tuple[float, float, float, float] | None = None,
        threads: int = 1,
        live: bool = False,
        history: bool = True,
        fhog: bool = False,
        alignment: tuple[int, float, bool, bool] | None = None,
    ) -> None:
        if program == "several_faces" and max_faces < 2:
            max_faces = 2
        if parameters is None:
            parameters = models.fit_parameters()
        if camera is not None:
            camera = check_camera(camera)
        self.models = models
        self.program: Program = program
        self.parameters = parameters
        self.camera = camera
        self.identity: Identity = identity
        self.threads = threads
        self._fhog = fhog
        self._alignment = alignment
        self._tracking = _core.FaceTracking(
            models.landmark,
            models.detector,
            parameters,
            max_faces if program == "several_faces" else 1,
            identity,
            threads,
        )
        self._observer = _core.Observer(models.landmark, models.analyser, program, live, history)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of every row: those of a sequence with all groups."""
        return self._observer.columns

    def fit(self, frame: Frame, boxes: npt.ArrayLike | None = None) -> _core.FittedFrame:
        """Find the faces of the next frame (or of a picture)."""
        fit = self._tracking.fit_picture if self.program == "pictures" else self._tracking.track
        with _told_of(frame):
            return fit(frame.image, boxes)

    def measure(
        self, frame: Frame, fitted: _core.FittedFrame, camera: tuple[float, float, float, float]
    ) -> Result:
        """Head pose, gaze and action units of the fitted faces."""
        values = self._observer.observe(
            fitted, camera, frame.number, frame.timestamp, fhog=self._fhog, alignment=self._alignment
        )
        if isinstance(values, tuple):
            rows, fhog, aligned = values
            return Result(frame, rows, fitted, self.identity, fhog, aligned)
        return Result(frame, values, fitted, self.identity)

    def _camera_for(self, source: Source, frame: Frame) -> tuple[float, float, float, float]:
        if self.camera is not None:
            fx, fy, cx, cy = self.camera
            return fx, fy, cx - source.offset[0], cy - source.offset[1]
        if self.program == "pictures":
            return default_camera(frame.image.shape[1], frame.image.shape[0])
        return source.camera()

    def results(self, source: Source) -> Generator[Result, None, None]:
        """Walk over the source; one `Result` per decoded frame, in order.

        Positions are those of the whole picture, also if the source cuts out a region.
        """
        source.decoding_threads = self.threads
        stream: Generator[tuple[Frame, _core.FittedFrame], None, None]
        if self.threads == 1:
            stream = self._fitted(iter(source))
        elif source.path is None:
            stream = ahead(self._fitted(prefetch(source)))
        else:
            stream = self._fitted_beside(stable_frames(source) if self.threads == 2 else prefetch(source))
        camera: tuple[float, float, float, float] | None = None
        shift = self._shift(source)
        with contextlib.closing(stream):
            for frame, faces in stream:
                if camera is None or self.program == "pictures":
                    camera = self._camera_for(source, frame)
                result = self.measure(frame, faces, camera)
                if shift is not None and len(result.rows):
                    result.rows += shift
                yield result

    def _fitted(
        self, frames: Generator[Frame, None, None]
    ) -> Generator[tuple[Frame, _core.FittedFrame], None, None]:
        with contextlib.closing(frames):
            for frame in frames:
                yield frame, self.fit(frame)

    def _fitted_beside(
        self, frames: Generator[Frame, None, None]
    ) -> Generator[tuple[Frame, _core.FittedFrame], None, None]:
        """Read frames here while the engine's own thread fits those before them.

        Some are read before the first result is waited for, so it is nothing for live input. What reading or
        fitting raises is raised behind the results before it.
        """
        fitting = _core.FittingThread(self._tracking, self.program == "pictures")
        waiting: deque[Frame] = deque()
        failure: Exception | None = None
        ended = False
        with contextlib.closing(frames), contextlib.closing(fitting):
            while True:
                while len(waiting) < _AHEAD and not ended:
                    try:
                        frame = next(frames)
                        with _told_of(frame):
                            fitting.submit(frame.image)
                        waiting.append(frame)
                    except StopIteration:
                        ended = True
                    except Exception as error:
                        failure, ended = error, True
                if not waiting:
                    break
                with _told_of(waiting[0]):
                    fitted = fitting.take()
                yield waiting.popleft(), fitted
            if failure is not None:
                raise failure

    def _shift(self, source: Source) -> npt.NDArray[np.float64] | None:
        """What to add to every row so that pixel positions count from the whole picture's corner."""
        dx, dy = source.offset
        if (dx, dy) == (0, 0):
            return None
        names = self.columns
        shift = np.zeros(len(names))
        for i, name in enumerate(names):
            if name == "p_tx" or name.startswith(("x_", "eye_lmk_x_")):
                shift[i] = dx
            elif name == "p_ty" or name.startswith(("y_", "eye_lmk_y_")):
                shift[i] = dy
        return shift

    def finish(self, smooth: bool = True) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Post-processed action units of all frames since the beginning: (n, 17) and (n, 18); None without
        any.
        """
        return self._observer.finish(smooth) if self.program == "single_face" else None

    def finish_each(
        self, smooth: bool = True
    ) -> dict[int, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """The same per person, by face id, where several faces are calibrated each for itself; one row per
        row of that id.
        """
        return self._observer.finish_each(smooth)

    @property
    def detector_runs(self) -> int:
        """How often several faces have been looked for since the last reset."""
        return self._tracking.detector_runs

    def drop(self, face_id: int) -> None:
        """Forget one of several faces."""
        self._tracking.drop(face_id)
        self._observer.forget(face_id)

    def reset(self) -> None:
        """Forget the faces and their history, for the next video."""
        self._tracking.reset()
        self._observer.reset()
