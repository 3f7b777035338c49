"""Fixtures of the robustness tests; makes the writers of small model files in tests/stages importable."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

# The files' writers live beside the tests of the stages that read them.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))


@pytest.fixture(scope="session")
def face_frames(samples: Path) -> list[np.ndarray]:
    """Twelve frames of a video of one face at half size, (240, 320, 3) uint8, so that the tests are quick."""
    capture = cv2.VideoCapture(str(samples / "default.wmv"))
    frames = [capture.read()[1] for _ in range(12)]
    capture.release()
    return [cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA) for frame in frames]
