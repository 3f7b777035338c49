"""OpenFace 2.2's landmarks, head pose, gaze and action units as a native Python extension."""

from __future__ import annotations

import importlib
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
from pyopenface.face_analyser import AnalysedFace, FaceAnalyser
from pyopenface.hog import HogWriter, read_hog

if TYPE_CHECKING:
    from pyopenface import accessor, columns, plot, synchrony, table
    from pyopenface.table import read_openface_csv, read_parquet, to_openface_csv, to_parquet

__all__ = [
    "AnalysedFace",
    "DownloadError",
    "Error",
    "FaceAnalyser",
    "HogWriter",
    "InputError",
    "ModelError",
    "OutputError",
    "SourceError",
    "StateError",
    "__version__",
    "accessor",
    "build_config",
    "columns",
    "plot",
    "read_hog",
    "read_openface_csv",
    "read_parquet",
    "synchrony",
    "table",
    "to_openface_csv",
    "to_parquet",
]

# What needs pandas is imported when it is first asked for: name -> its module, or "" for a module.
_LAZY = {
    "accessor": "",
    "columns": "",
    "plot": "",
    "read_openface_csv": "table",
    "read_parquet": "table",
    "synchrony": "",
    "table": "",
    "to_openface_csv": "table",
    "to_parquet": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pyopenface' has no attribute {name!r}")
    module = importlib.import_module(f"pyopenface.{_LAZY[name] or name}")
    return getattr(module, name) if _LAZY[name] else module


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
