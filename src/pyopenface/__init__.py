"""OpenFace 2.2's landmarks, head pose, gaze and action units as a native Python extension.

Everything is imported when it is first used, numpy included, so that ``import pyopenface`` is fast and the
command line can choose numpy's settings before it is loaded.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pyopenface._core import __version__
from pyopenface.build_config import build_config
from pyopenface.errors import (
    DownloadError,
    Error,
    InputError,
    ModelError,
    OutputError,
    SourceError,
    StateError,
)

if TYPE_CHECKING:
    from pyopenface import accessor, columns, models, plot, sources, synchrony, table, youtube
    from pyopenface._core import LandmarkParameters
    from pyopenface.analyze import analyze, analyze_iter
    from pyopenface.annotate import annotate, draw_face, show
    from pyopenface.face import Face
    from pyopenface.face_analyser import AnalysedFace, FaceAnalyser
    from pyopenface.gaze_analyser import Gaze, GazeAnalyser
    from pyopenface.hog import HogWriter, read_hog
    from pyopenface.landmark_detector import LandmarkDetector
    from pyopenface.table import read_openface_csv, read_parquet, to_openface_csv, to_parquet
    from pyopenface.tracker import FaceTracker

# Where each lazy name lives; an empty string stands for a module of that name.
_HOMES = {
    "AnalysedFace": "face_analyser",
    "Face": "face",
    "FaceAnalyser": "face_analyser",
    "FaceTracker": "tracker",
    "Gaze": "gaze_analyser",
    "GazeAnalyser": "gaze_analyser",
    "HogWriter": "hog",
    "LandmarkDetector": "landmark_detector",
    "LandmarkParameters": "_core",
    "accessor": "",
    "analyze": "analyze",
    "analyze_iter": "analyze",
    "annotate": "annotate",
    "columns": "",
    "draw_face": "annotate",
    "models": "",
    "plot": "",
    "read_hog": "hog",
    "read_openface_csv": "table",
    "read_parquet": "table",
    "show": "annotate",
    "sources": "",
    "synchrony": "",
    "table": "",
    "to_openface_csv": "table",
    "to_parquet": "table",
    "youtube": "",
}

__all__ = [
    "AnalysedFace",
    "DownloadError",
    "Error",
    "Face",
    "FaceAnalyser",
    "FaceTracker",
    "Gaze",
    "GazeAnalyser",
    "HogWriter",
    "InputError",
    "LandmarkDetector",
    "LandmarkParameters",
    "ModelError",
    "OutputError",
    "SourceError",
    "StateError",
    "__version__",
    "accessor",
    "analyze",
    "analyze_iter",
    "annotate",
    "build_config",
    "columns",
    "draw_face",
    "models",
    "plot",
    "read_hog",
    "read_openface_csv",
    "read_parquet",
    "show",
    "sources",
    "synchrony",
    "table",
    "to_openface_csv",
    "to_parquet",
    "youtube",
]


class _Package(ModuleType):
    """Lets ``analyze`` and ``annotate`` be the functions, whoever imports the modules of these names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pyopenface' has no attribute {name!r}")
    module = importlib.import_module(f"pyopenface.{_HOMES[name] or name}")
    value = getattr(module, name) if _HOMES[name] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


# Tables that pandas reads have ``df.openface`` as well; who has not imported pandas yet gets it with the
# first function that returns a table.
if hasattr(sys.modules.get("pandas"), "DataFrame"):
    importlib.import_module("pyopenface.accessor")
