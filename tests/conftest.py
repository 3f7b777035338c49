"""Where the tests find weights, golden data and samples, and what they say when something is not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

# OpenCV reads this once in a process, when the first video is opened. pyopenface sets it before it opens one,
# but some tests open videos themselves, in whatever order they run.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def _skip_or_fail(reason: str) -> NoReturn:
    """Skip for want of weights or golden data; where everything has to run, that is a failure."""
    if os.environ.get("PYOPENFACE_REQUIRE_WEIGHTS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], NoReturn]:
    """For tests that find out by themselves that something of the golden data or weights is missing."""
    return _skip_or_fail


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable) or default)
    if not folder.is_dir():
        _skip_or_fail(f"{what} not found: set {variable} (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def models() -> Path:
    """OpenFace's published model files (the folder that holds model/ and AU_predictors/)."""
    return _folder("PYOPENFACE_MODELS", SHARED / "openface-models", "OpenFace's model files")


@pytest.fixture(scope="session")
def standin_models() -> Path:
    """The stand-in CEN weights (only the four patch expert files)."""
    return _folder("PYOPENFACE_STANDIN", SHARED / "openface-models-standin", "the stand-in CEN weights")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Sample videos and pictures."""
    return _folder("PYOPENFACE_SAMPLES", SHARED / "samples", "the sample videos")


@pytest.fixture(scope="session")
def golden() -> Path:
    """What the reference computed, stage by stage and as CSV files."""
    return _folder("PYOPENFACE_GOLDEN", SHARED / "golden", "the golden data")


@pytest.fixture(scope="session")
def golden_stage(golden: Path) -> Callable[[str], Any]:
    """Load one archive of golden/stages by its name without suffix."""

    def load(name: str) -> Any:
        return np.load(golden / "stages" / f"{name}.npz")

    return load
