"""Memory stays flat: over long input, over many objects, over many arrays."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pyopenface

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has /proc/self/statm"
)

#: PYOPENFACE_FRAMES=20000 for the long run.
FRAMES = int(os.environ.get("PYOPENFACE_FRAMES", "2000"))


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def frames(count: int, face: np.ndarray) -> Iterator[np.ndarray]:
    """Mostly small empty pictures, now and then a face, each in an array of its own."""
    for number in range(count):
        image = face if number % 200 < 4 else np.full(face.shape, number % 251, np.uint8)
        yield image.copy()


@pytest.mark.parametrize("au", [None, "dynamic", "static"])
@pytest.mark.parametrize("threads", [1, 2])
def test_endless_input_needs_no_more_memory(
    au: str | None, threads: int, models: Path, face_frames: list[np.ndarray]
) -> None:
    face = face_frames[0][::2, ::2].copy()
    walk = pyopenface.analyze_iter(
        frames(FRAMES, face),
        models=models,
        model="clnf",
        au=au,
        threads=threads,
        fps=30,  # type: ignore[arg-type]
    )
    settled = 0
    for number, _, _ in walk:
        if number == FRAMES // 4:
            settled = resident()
    # 57 kB per picture and 6 kB per row: keeping every tenth of them would already be more than this.
    assert resident() - settled < 6 << 20


def test_objects_give_their_memory_back(models: Path, face_frames: list[np.ndarray]) -> None:
    def use() -> None:
        detector = pyopenface.LandmarkDetector("clnf", models)
        detector.update(face_frames[0][::2, ::2].copy())
        pyopenface.FaceAnalyser(models).frames  # noqa: B018

    for _ in range(5):
        use()
    before = resident()
    for _ in range(40):
        use()
    # A detector's own buffers are megabytes: forty that leak are far more.
    assert resident() - before < 16 << 20


def test_detectors_can_be_made_hundreds_of_times(models: Path) -> None:
    for _ in range(20):
        pyopenface.LandmarkDetector("clnf", models)
    before = resident()
    for _ in range(200):
        pyopenface.LandmarkDetector("clnf", models)
    assert resident() - before < 8 << 20


def test_no_references_to_arrays_are_left(models: Path, face_frames: list[np.ndarray]) -> None:
    detector = pyopenface.LandmarkDetector("clnf", models)
    analyser = pyopenface.FaceAnalyser(models)
    image = face_frames[0].copy()
    boxes = np.array([[100.0, 60, 90, 90]], np.float32)
    points = detector.update(image).landmarks_2d.astype(np.float32)
    before = [sys.getrefcount(array) for array in (image, boxes, points)]
    for _ in range(5):
        detector.update(image)
        detector.detect(image, boxes=boxes)
        analyser.update(image, points)
        for bad in ("x", np.zeros((3, 3)), [[np.nan] * 4]):
            with pytest.raises(pyopenface.InputError):
                detector.detect(image, boxes=bad)  # type: ignore[arg-type]
    assert [sys.getrefcount(array) for array in (image, boxes, points)] == before
