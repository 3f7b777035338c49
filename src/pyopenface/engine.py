"""Weights loaded once, and the run of a pipeline over a source: frames in, rows of numbers out.

Everything that analyses faces (``analyze``, the live tracker, the command lines) stands on these two:
`load_models` keeps loaded weights for the life of the process, `Run` drives the engine over a source with one
or more threads. The rows are the same, bit for bit, whatever the number of threads.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from pyopenface import _core, columns
from pyopenface import models as model_files
from pyopenface._manifest import sha256_of
from pyopenface._options import whole_number
from pyopenface.errors import InputError
from pyopenface.sources.base import Frame, Source, default_camera
from pyopenface.sources.read_ahead import ahead, prefetch

__all__ = ["Models", "Program", "Result", "Run", "load_models", "thread_count"]

Program = Literal["single_face", "several_faces", "pictures"]
ActionUnits = Literal["dynamic", "static"]
Identity = Literal["slot", "track"]
PathLike = str | os.PathLike[str]
T = TypeVar("T")


@dataclass(frozen=True)
class Models:
    """Loaded weights, shared by every run of the process.

    Attributes
    ----------
    name : str
        The landmark model: ``"ceclm"``, ``"clnf"``, ... or the stem of its main file.
    landmark : LandmarkModel
        Shape model, patch experts, parts, validator.
    detector : MtcnnModel
        The face detector.
    analyser : FaceAnalyserModel or None
        The action-unit predictors; None where no action units are wanted.
    action_units : {"dynamic", "static"} or None
        Their kind.
    files : tuple of pathlib.Path
        The files that were read.
    """

    name: str
    landmark: _core.LandmarkModel
    detector: _core.MtcnnModel
    analyser: _core.FaceAnalyserModel | None
    action_units: ActionUnits | None
    main_file: Path
    files: tuple[Path, ...]

    def layout(
        self, kind: columns.Kind = "sequence", groups: Iterable[str] = columns.GROUPS
    ) -> columns.Layout:
        """The columns that this model gives; groups that it can't give are left out."""
        wanted = [g for g in groups if not (g == "aus" and self.analyser is None)]
        if not self.landmark.has_eyes:
            wanted = [g for g in wanted if g != "gaze"]
        return columns.layout(
            kind,
            wanted,
            landmarks=self.landmark.landmark_count,
            modes=self.landmark.mode_count,
            **self._units(),
        )

    def _units(self) -> dict[str, Any]:
        if self.analyser is None:
            return {}
        return {"intensities": self.analyser.intensity_names, "presences": self.analyser.presence_names}

    @cached_property
    def sha256(self) -> dict[str, str]:
        """The checksum of every file that was read, by file name."""
        return {str(path): sha256_of(path) for path in self.files}


_loaded: dict[tuple[str, str], Any] = {}
_loading = threading.Lock()


def _forget_lock() -> None:
    """A forked child has no thread that could still be loading."""
    global _loading
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def _once(kind: str, path: Path, load: Callable[[str], T]) -> T:
    """Load a file's weights, or take those of an earlier call if the file has not changed."""
    stamp = path.stat()
    key = (kind, f"{path.resolve()}|{stamp.st_mtime_ns}|{stamp.st_size}")
    with _loading:
        if key not in _loaded:
            _loaded[key] = load(str(path))
        value: T = _loaded[key]
        return value


def load_models(
    models: PathLike | None = None,
    model: PathLike = "auto",
    action_units: ActionUnits | None = "dynamic",
) -> Models:
    """Find and load weights; later calls with the same files are free.

    Parameters
    ----------
    models : path, optional
        A folder with OpenFace's weights; by default the usual places are searched (see
        `pyopenface.models.find`).
    model : str or path
        ``"auto"``, ``"ceclm"``, ``"clnf"``, ``"clm"``, ... or a main file.
    action_units : {"dynamic", "static"} or None
        Which predictors to load.

    Returns
    -------
    Models

    Raises
    ------
    ModelError
        Weights are missing or damaged; the text names the files and what to do.
    InputError
        A name or path is none.

    Examples
    --------
    >>> from pyopenface.engine import load_models
    >>> load_models(model="clnf").name  # doctest: +SKIP
    'clnf'
    """
    for name, path in (("models", models), ("model", model)):
        if not (isinstance(path, str | os.PathLike) or (path is None and name == "models")):
            raise InputError(f"{name}={path!r}: expected a name or a path")
    folder = model_files.find(models)
    main = folder.main_file(model)
    listing = folder.face_detector_file()
    landmark = _once("landmark", main.path, _core.LandmarkModel)
    detector = _once("detector", listing, _core.MtcnnModel)
    analyser = None
    files = list(model_files.required_files(main.path, folder, action_units=False))
    if action_units is not None:
        unit_file = folder.action_unit_file(static=action_units == "static")
        analyser = _once("analyser", unit_file, _core.FaceAnalyserModel)
        files += [Path(file) for file in analyser.files]
    return Models(
        main.name, landmark, detector, analyser, action_units, main.path, tuple(dict.fromkeys(files))
    )


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


def thread_count(threads: int | None) -> int:
    """The number of threads to use: the given one, or as many as this process may use, at most 4."""
    if threads is None:
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(4, allowed)
    return whole_number("threads", threads)


@dataclass
class Result:
    """What one frame gave.

    Attributes
    ----------
    frame : Frame
        The frame.
    rows : numpy.ndarray
        float64 (k, c): one row per face, the columns of `Run.columns`.
    accepted : list of bool
        Per face, whether the fit was accepted (can differ from the column success, see tracking.md, section
        3.1).
    identity_confidences : list of float or None
        Per face, how sure its id is; None where ids are those of trackers.
    fhog : numpy.ndarray or None
        float32 (k, 4464) if asked for.
    aligned : list of numpy.ndarray
        The aligned faces if asked for.
    likelihoods : list of numpy.ndarray
        Per face the likelihood of every landmark, see `Face.landmark_likelihoods`.
    """

    frame: Frame
    rows: npt.NDArray[np.float64]
    accepted: list[bool]
    identity_confidences: list[float] | None = None
    fhog: npt.NDArray[np.float32] | None = None
    aligned: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    likelihoods: list[npt.NDArray[np.float32]] | None = None


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
            parameters = _core.LandmarkParameters()
            parameters.apply_model_factors(models.landmark.stem)
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
        try:
            return fit(frame.image, boxes)
        except InputError as error:
            raise InputError(f"frame {frame.number}: {error}") from error

    def measure(
        self, frame: Frame, fitted: _core.FittedFrame, camera: tuple[float, float, float, float]
    ) -> Result:
        """Head pose, gaze and action units of the fitted faces."""
        values = self._observer.observe(
            fitted, camera, frame.number, frame.timestamp, fhog=self._fhog, alignment=self._alignment
        )
        sure = fitted.identity_confidences if self.identity == "track" else None
        if isinstance(values, tuple):
            rows, fhog, aligned = values
            return Result(frame, rows, fitted.accepted, sure, fhog, aligned, fitted.landmark_likelihoods)
        return Result(frame, values, fitted.accepted, sure, likelihoods=fitted.landmark_likelihoods)

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
        stream = ahead(self._fitted(prefetch(source))) if self.threads > 1 else self._fitted(iter(source))
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
