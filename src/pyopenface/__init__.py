"""OpenFace 2.2's landmarks, head pose, gaze and action units as a native Python extension."""

from __future__ import annotations

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
    "build_config",
    "read_hog",
]
