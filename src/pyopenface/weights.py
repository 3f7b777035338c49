"""Loaded weights: read once, kept for the life of the process, shared by every run.

Nothing here needs numpy, so that a program can begin to load weights (`preload`) before it imports numpy and
OpenCV, which takes as long.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pyopenface import _core
from pyopenface import models as model_files
from pyopenface._manifest import sha256_of
from pyopenface.errors import InputError

if TYPE_CHECKING:
    from pyopenface import columns

__all__ = ["ActionUnits", "Models", "PathLike", "kind_of_units", "load_models", "preload"]

ActionUnits = Literal["dynamic", "static"]
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

    def layout(self, kind: columns.Kind = "sequence", groups: Iterable[str] | None = None) -> columns.Layout:
        """The columns that this model gives; of the groups wanted (None: all), those that it can't give are
        left out.
        """
        from pyopenface import columns

        groups = columns.GROUPS if groups is None else groups
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

    def fit_parameters(self, wild: bool = False) -> _core.LandmarkParameters:
        """OpenFace's settings of the fit for this model; `wild`: those for difficult images."""
        parameters = _core.LandmarkParameters(bool(wild))
        parameters.apply_model_factors(self.landmark.stem)
        return parameters

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
    >>> from pyopenface.weights import load_models
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


def kind_of_units(
    action_units: ActionUnits | None, max_faces: int, identity: str, pictures: bool = False
) -> ActionUnits | None:
    """Choose the predictors for faces that are followed in this way, of those that were asked for.

    OpenFace calibrates action units to the person only where there is one; here, also where people are told
    apart.

    Examples
    --------
    >>> from pyopenface.weights import kind_of_units
    >>> kind_of_units("dynamic", max_faces=3, identity="slot")
    'static'
    """
    one_person = not pictures and (max_faces == 1 or identity == "track")
    return action_units if one_person or action_units is None else "static"


def preload(
    models: PathLike | None = None,
    model: PathLike = "auto",
    action_units: ActionUnits | None = "dynamic",
    *,
    wild: bool = False,
    all_rotations: bool = True,
) -> None:
    """Begin to load weights and to prepare the first fit, in a thread of its own.

    `load_models` with the same arguments waits for what is being loaded, and raises what goes wrong.

    Parameters
    ----------
    models, model, action_units
        As for `load_models`.
    wild
        Whether the settings for difficult images will be used.
    all_rotations
        Whether the first fit will try all initial rotations (videos of one face do).

    Examples
    --------
    >>> from pyopenface.weights import load_models, preload
    >>> preload(model="clnf")
    >>> load_models(model="clnf").name  # doctest: +SKIP
    'clnf'
    """

    def load() -> None:
        with contextlib.suppress(Exception):  # who asks for the weights meets the same and tells it
            loaded = load_models(models, model, action_units)
            loaded.landmark.prepare_first_fits(loaded.fit_parameters(wild), all_rotations)

    threading.Thread(target=load, name="pyopenface-preload", daemon=True).start()
