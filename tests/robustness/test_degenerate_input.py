"""Senseless pictures, boxes anywhere, impossible numbers: a clear error or finite values, never a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pyopenface
from pyopenface import InputError

RNG = np.random.default_rng(11)
CHECKS = (np.indices((240, 320)).sum(axis=0) // 7 % 2 * 255).astype(np.uint8)
PICTURES = {
    "black": np.zeros((240, 320, 3), np.uint8),
    "white": np.full((240, 320, 3), 255, np.uint8),
    "noise": RNG.integers(0, 256, (240, 320, 3), dtype=np.uint8),
    "grey noise": RNG.integers(0, 256, (240, 320), dtype=np.uint8),
    "checks": CHECKS,
    "one pixel": np.full((1, 1, 3), 9, np.uint8),
    "no rows": np.zeros((0, 320, 3), np.uint8),
    "no columns": np.zeros((240, 0, 3), np.uint8),
    "one row": np.full((1, 400, 3), 100, np.uint8),
    "just large enough": RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8),
    "just too small": RNG.integers(0, 256, (59, 59, 3), dtype=np.uint8),
    "very wide": RNG.integers(0, 256, (60, 10_000, 3), dtype=np.uint8),
    "very tall": RNG.integers(0, 256, (10_000, 60, 3), dtype=np.uint8),
    "four channels": RNG.integers(0, 256, (240, 320, 4), dtype=np.uint8),
}


@pytest.fixture(scope="module")
def detector(models: Path) -> pyopenface.LandmarkDetector:
    return pyopenface.LandmarkDetector("clnf", models)


@pytest.fixture(scope="module")
def analyser(models: Path) -> pyopenface.FaceAnalyser:
    return pyopenface.FaceAnalyser(models)


def check(face: pyopenface.Face) -> None:
    assert np.isfinite(face.row).all()
    assert 0 <= face.confidence <= 1


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_without_a_face(name: str, detector: pyopenface.LandmarkDetector) -> None:
    picture = PICTURES[name]
    detector.reset()
    for _ in range(2):
        face = detector.update(picture)
        check(face)
        assert not face.success
    for face in detector.detect(picture):
        check(face)


@pytest.mark.parametrize("name", [name for name in PICTURES if min(PICTURES[name].shape[:2]) > 0])
def test_pictures_without_a_face_in_a_given_box(name: str, detector: pyopenface.LandmarkDetector) -> None:
    height, width = PICTURES[name].shape[:2]
    boxes = [
        [0, 0, width, height],
        [width / 2, height / 2, 3, 2],
        [-500, -500, 100, 100],
        [width + 1000, 10, 80, 80],
        [0, 0, 1, 1],
        [-1000, -1000, 5000, 5000],
    ]
    for box in boxes:
        for face in detector.detect(PICTURES[name], boxes=[box]):
            check(face)
        detector.reset()
        check(detector.update(PICTURES[name], boxes=[box]))
        check(detector.update(PICTURES[name]))


BAD_BOXES: list[Any] = [
    [[np.nan, 0, 10, 10]],
    [[0, 0, np.inf, 10]],
    [[0, 0, -5, 10]],
    [[0, 0, 0, 0]],
    [1, 2, 3, 4],
    [[1, 2, 3]],
    "box",
]


@pytest.mark.parametrize("boxes", BAD_BOXES, ids=str)
def test_impossible_boxes_are_refused(boxes: Any, detector: pyopenface.LandmarkDetector) -> None:
    with pytest.raises(InputError, match="boxes"):
        detector.detect(PICTURES["noise"], boxes=boxes)


@pytest.mark.parametrize("size", [1e-30, 0.5, 1e4, 1e5, 1e6, 1e20, 3e38])
def test_boxes_of_absurd_size_give_finite_numbers_or_an_error(
    size: float, detector: pyopenface.LandmarkDetector
) -> None:
    for box in ([0, 0, size, size], [size, -size, 100, 100], [10, 10, size, 1]):
        try:
            faces = detector.detect(PICTURES["noise"], boxes=[box])
        except InputError as error:
            assert "box" in str(error)
        else:
            for face in faces:
                check(face)


@pytest.mark.parametrize(
    "camera",
    [
        (np.nan, 500, 320, 240),
        (500, np.inf, 320, 240),
        (0, 500, 320, 240),
        (-500, 500, 320, 240),
        (500, 500, 320),
        "500",
        (1, 2, "x", 3),
    ],
    ids=str,
)
def test_impossible_cameras_are_refused(camera: Any, models: Path) -> None:
    with pytest.raises(InputError, match="camera"):
        pyopenface.LandmarkDetector("clnf", models, camera=camera)
    with pytest.raises(InputError, match="camera"):
        pyopenface.analyze(PICTURES["black"], models=models, model="clnf", camera=camera)


@pytest.mark.parametrize("margin", [(0, 0), (60, 0), (0, 60), (-90, 0), (0, -90), (110, 70)])
def test_a_face_that_touches_or_crosses_a_border(
    margin: tuple[int, int], detector: pyopenface.LandmarkDetector, face_frames: list[np.ndarray]
) -> None:
    detector.reset()
    picture = face_frames[0]
    check(detector.update(picture))
    # The face is followed while the picture moves under it, beyond the border.
    for step in range(1, 9):
        shift = np.array([[1.0, 0, margin[0] * step / 4], [0, 1, margin[1] * step / 4]])
        face = detector.update(cv2.warpAffine(picture, shift, (320, 240)))
        check(face)


def test_a_followed_face_survives_any_change_of_the_frame_size(
    detector: pyopenface.LandmarkDetector, face_frames: list[np.ndarray]
) -> None:
    detector.reset()
    assert detector.update(face_frames[0]).success
    for size in ((640, 480), (1, 1), (60, 60), (320, 240), (30, 900), (2000, 61)):
        check(detector.update(cv2.resize(face_frames[0], size)))


IMPOSSIBLE = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_landmarks_that_are_no_numbers_are_refused(value: float, analyser: pyopenface.FaceAnalyser) -> None:
    points = np.full((68, 2), 100.0)
    points[7, 1] = value
    with pytest.raises(InputError, match="landmarks"):
        analyser.update(PICTURES["noise"], points)


@pytest.mark.parametrize("place", [-1e9, -500.0, 0.0, 319.0, 5000.0, 1e9, 1e30])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 40.0, 1e5])
def test_landmarks_anywhere_give_finite_action_units(
    place: float, spread: float, analyser: pyopenface.FaceAnalyser
) -> None:
    points = place + spread * np.random.default_rng(3).normal(size=(68, 2))
    try:
        result = analyser.update(PICTURES["noise"], points)
    except InputError as error:
        assert "landmarks" in str(error)
        return
    assert np.isfinite(result.au_intensity).all()
    assert np.isfinite(result.au_presence).all()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(0, 9), min_size=0, max_size=5),
    dtype=st.sampled_from(["uint8", "int8", "uint16", "float32", "float64", "bool", "complex64", "U3", "O"]),
    order=st.sampled_from("CF"),
    step=st.sampled_from([1, 2, -1]),
)
def test_any_array_is_an_image_or_refused(
    shape: list[int], dtype: str, order: str, step: int, detector: pyopenface.LandmarkDetector
) -> None:
    array: Any = np.zeros(shape, dtype, order=order)  # type: ignore[call-overload]
    if array.ndim:
        array = array[::step]
    good = array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)))
    try:
        faces = detector.detect(array)
    except InputError as error:
        # An image can still be refused for its layout; then the text says how to mend that.
        assert not good or "ascontiguousarray" in str(error)
    else:
        assert good
        assert faces == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.one_of(st.floats(-500, 500), st.floats(1, 131072), st.floats(width=32)), min_size=4, max_size=4
    )
)
def test_any_box_gives_finite_numbers_or_is_refused(
    values: list[float], detector: pyopenface.LandmarkDetector
) -> None:
    try:
        faces = detector.detect(CHECKS, boxes=[values])
    except InputError as error:
        assert "box" in str(error)
    else:
        for face in faces:
            check(face)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            "start": st.sampled_from([-1, 0, 0.1, np.nan, np.inf, 1e300]),
            "end": st.sampled_from([-1, 0, 0.2, np.nan, np.inf]),
            "every": st.sampled_from([-1, 0, 1, 2, 1.5, True, 10**9]),
            "max_faces": st.sampled_from([-1, 0, 1, 2, 2.5, True]),
            "threads": st.sampled_from([-1, 0, 1, 2, 1.5, True]),
            "kind": st.sampled_from(["auto", "video", "pictures", "x"]),
            "au": st.sampled_from(["dynamic", "static", None, "x"]),
            "roi": st.sampled_from([None, (0, 0, 60, 60), (300, 0, 60, 60), (0, 0, 0, 5), (1, 2), "abcd"]),
            "timestamps": st.sampled_from(["auto", [0, 1, 2], [2, 1, 0], [np.nan] * 3, [0.0]]),
        },
    )
)
def test_any_options_work_or_are_refused(options: dict[str, Any], models: Path) -> None:
    frames = np.zeros((3, 70, 80, 3), np.uint8)
    try:
        table = pyopenface.analyze(frames, models=models, model="clnf", fps=30, **options)
    except (InputError, pyopenface.SourceError) as error:
        assert str(error)
    else:
        assert len(table) <= 3
        assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
