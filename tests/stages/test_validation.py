"""Landmark validation (validation.md) against the reference, stage by stage, and on made-up files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_files import MaxPooling, Network, Rectifier, convolution, fully_connected, matrix, random_values

from pyopenface import _core
from pyopenface.errors import InputError, ModelError

# Scores of size 10 to 100, float sums of up to 1000 products in another order than the reference's.
SCORES = 2e-4


@cache
def grey_frame(path: Path, number: int) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    for _ in range(number - 1):
        assert capture.grab()
    found, frame = capture.read()
    assert found
    return _core.stages.to_grey(frame)


@pytest.fixture(scope="module")
def validator(models: Path) -> Any:
    return _core.stages.Validator(models / "model/detection_validation/validator_cnn.txt")


@dataclass
class Case:
    grey: np.ndarray
    rotation: np.ndarray
    landmarks: np.ndarray
    golden: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def cases(golden_stage: Callable[[str], Any], samples: Path) -> list[Case]:
    archive = golden_stage("validator")
    arrays = {name: archive[name] for name in archive.files}
    return [
        Case(
            grey_frame(samples / str(arrays["video_name"][i]), int(arrays["frame"][i])),
            arrays["orientation"][i].astype(np.float32),
            arrays["landmarks"][i],
            {name: values[i] for name, values in arrays.items()},
        )
        for i in range(20)
    ]


@pytest.mark.parametrize("number", range(20))
def test_every_stage_of_a_golden_case(number: int, cases: list[Case], validator: Any) -> None:
    case = cases[number]
    found = validator.trace(case.grey, case.rotation, case.landmarks)
    assert found["view"] == case.golden["view"]
    np.testing.assert_array_equal(found["region"], case.golden["roi"])
    # Section 5 fixes every rounding, so the warp is exact; then so is the normalisation of section 6.
    np.testing.assert_array_equal(found["warped"], case.golden["warped"])
    normalised = case.golden["normalised"]
    np.testing.assert_array_equal(found["normalised"], normalised[~np.isnan(normalised)])
    np.testing.assert_allclose(found["outputs"], case.golden["network_out"], rtol=0, atol=SCORES)
    assert found["confidence"] == case.golden["confidence"]


def test_the_networks_for_cen_models_load_and_differ_only_in_the_network(
    models: Path, cases: list[Case]
) -> None:
    validator = _core.stages.Validator(models / "model/detection_validation/validator_cnn_68.txt")
    for case in cases[::5]:
        found = validator.trace(case.grey, case.rotation, case.landmarks)
        np.testing.assert_array_equal(found["warped"], case.golden["warped"])
        assert found["outputs"].shape == (20,)
        assert round((1 - found["confidence"]) * 40) % 2 == 1


@pytest.mark.parametrize("name", ["validator_cnn.txt", "validator_cnn_68.txt"])
def test_every_instruction_set_gives_the_same_bits(name: str, models: Path, cases: list[Case]) -> None:
    validator = _core.stages.Validator(models / "model/detection_validation" / name)
    active = _core._instruction_set()
    results = set()
    try:
        for isa in _core._available_instruction_sets():
            _core._set_instruction_set(isa)
            traces = [validator.trace(case.grey, case.rotation, case.landmarks) for case in cases[::6]]
            results.add(b"".join(t["warped"].tobytes() + t["outputs"].tobytes() for t in traces))
    finally:
        _core._set_instruction_set(active)
    assert len(results) == 1


def test_the_obsolete_type_is_refused(models: Path) -> None:
    with pytest.raises(ModelError, match="type 2 is not supported"):
        _core.stages.Validator(models / "model/detection_validation/validator_general_68.txt")


# ---- without weights: 5 landmarks, a reference frame of 12 x 10 pixels, four triangles around the middle


@dataclass
class TinyView:
    orientation: tuple[float, float, float]
    network: Network
    mean: np.ndarray
    deviation: np.ndarray
    mask: np.ndarray
    index: np.ndarray
    triangles: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    shape: np.ndarray = field(default_factory=lambda: np.zeros(10))
    origin: tuple[float, float] = (-2.0, -3.0)

    def write(self) -> bytes:
        return b"".join(
            [
                matrix(self.mean, 6),
                matrix(self.deviation, 6),
                self.network.write(mtcnn=False),
                struct.pack("<i2d", int(self.mask.sum()), *self.origin),
                matrix(self.shape[:, None], 6),
                matrix(self.triangles, 4),
                matrix(self.index, 4),
                matrix(self.mask, 4),
                matrix(self.alpha, 6),
                matrix(self.beta, 6),
            ]
        )


def tiny_view(rng: np.random.Generator, orientation: tuple[float, float, float], bins: int = 6) -> TinyView:
    height, width = 12, 10
    layers = [
        convolution(rng, 1, 3, 3, 3),
        Rectifier(),
        MaxPooling(),
        fully_connected(rng, 60, 7),
        Rectifier(),
        fully_connected(rng, 7, bins),
    ]
    mask = rng.integers(0, 4, (height, width)) > 0
    index = rng.integers(0, 4, (height, width))
    index[~mask] = -1
    count = int(mask.sum())
    return TinyView(
        orientation,
        Network(layers),  # type: ignore[arg-type]
        random_values(rng, count),
        np.abs(random_values(rng, count)) + 0.5,
        mask.astype(int),
        index,
        np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]),
        random_values(rng, 4, 3) / 4,
        random_values(rng, 4, 3) / 4,
    )


def tiny_validator(views: list[TinyView]) -> bytes:
    head = struct.pack("<2i", 3, len(views))
    orientations = b"".join(matrix(np.array(view.orientation)[:, None], 6) for view in views)
    return head + orientations + b"".join(view.write() for view in views)


def made_up(seed: int = 8) -> list[TinyView]:
    rng = np.random.default_rng(seed)
    return [tiny_view(rng, (0, yaw, 0)) for yaw in (0, -30, 30)]


def by_specification(view: TinyView, grey: np.ndarray, landmarks: np.ndarray) -> dict[str, Any]:
    """Sections 4 to 8 in double."""
    x, y = landmarks[:5], landmarks[5:]
    x0, y0 = max(int(x.min() - 3), 0), max(int(y.min() - 3), 0)
    x1 = min(int(x.max() + 3), grey.shape[1] - 1)
    y1 = min(int(y.max() + 3), grey.shape[0] - 1)
    region = np.pad(grey[y0:y1, x0:x1].astype(float), 1)
    warped = np.zeros(view.mask.shape)
    for row, column in zip(*np.nonzero(view.mask), strict=True):
        t = view.index[row, column]
        i, j, k = view.triangles[t]
        place = np.array([1, column + view.origin[0], row + view.origin[1]])
        u, v = view.alpha[t] @ place, view.beta[t] @ place
        px = x[i] + u * (x[j] - x[i]) + v * (x[k] - x[i]) - x0
        py = y[i] + u * (y[j] - y[i]) + v * (y[k] - y[i]) - y0
        qx, qy = round(32 * px), round(32 * py)
        ix, iy, fx, fy = qx // 32, qy // 32, qx % 32 / 32, qy % 32 / 32
        if -1 <= ix < x1 - x0 and -1 <= iy < y1 - y0:
            taps = region[iy + 1 : iy + 3, ix + 1 : ix + 3]
            warped[row, column] = np.array([1 - fy, fy]) @ taps @ np.array([1 - fx, fx])
    inside = view.mask.T != 0
    values = warped.T[inside]
    normalised = ((values - values.mean()) / (values.std() or 1) - view.mean) / view.deviation
    frame = np.zeros(view.mask.T.shape)
    frame[inside] = normalised
    return {"region": [x0, y0, x1, y1], "warped": warped, "outputs": view.network.run(frame.T[None])}


@pytest.mark.parametrize("yaw", [0.0, -0.4, 0.5])
def test_a_made_up_validator_computes_what_the_specification_says(tmp_path: Path, yaw: float) -> None:
    views = made_up()
    path = tmp_path / "validator.txt"
    path.write_bytes(tiny_validator(views))
    validator = _core.stages.Validator(path, 5)
    rng = np.random.default_rng(9)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (70, 90), dtype=np.uint8), (9, 9), 3)
    landmarks = np.array([30, 60, 62, 31, 45, 20, 22, 50, 52, 36], np.float32)
    found = validator.trace(grey, [0.0, yaw, 0.0], landmarks)
    assert found["view"] == {0.0: 0, -0.4: 1, 0.5: 2}[yaw]
    expected = by_specification(views[found["view"]], grey, landmarks)
    np.testing.assert_array_equal(found["region"], expected["region"])
    # A position computed in float may fall into the neighbouring 1/32 px step: gradient / 32.
    np.testing.assert_allclose(found["warped"], expected["warped"], atol=2)
    assert np.mean(found["warped"] == expected["warped"]) > 0.95
    np.testing.assert_allclose(found["outputs"], expected["outputs"], atol=0.02)
    best = int(np.argmax(found["outputs"]))
    assert found["confidence"] == np.float32(1 - (2 * best + 1) / 12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    landmarks=st.lists(st.floats(-150, 250, width=32), min_size=10, max_size=10),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_landmarks_anywhere_around_an_image(
    tmp_path: Path, landmarks: list[float], height: int, width: int
) -> None:
    path = tmp_path / "validator.txt"
    views = made_up()
    path.write_bytes(tiny_validator(views))
    grey = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
    points = np.array(landmarks, np.float32)
    found = _core.stages.Validator(path, 5).trace(grey, [0, 0, 0], points)
    x, y = points[:5], points[5:]
    sides = [
        min(int(np.float32(v.max() + np.float32(3))), n - 1)
        - max(int(np.float32(v.min() - np.float32(3))), 0)
        for v, n in ((x, width), (y, height))
    ]
    if min(sides) <= 1:
        assert found["confidence"] == 0
        assert "outputs" not in found
    else:
        difference = np.abs(found["warped"] - by_specification(views[0], grey, points)["warped"])
        # Noise of full contrast: a neighbouring 1/32 px step is worth up to 2 * 255 / 32; those are rare.
        assert difference.max() <= 16
        assert np.mean(difference == 0) > 0.8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_impossible_landmarks_have_no_confidence_or_a_defined_one(tmp_path: Path, value: float) -> None:
    path = tmp_path / "validator.txt"
    path.write_bytes(tiny_validator(made_up()))
    landmarks = np.array([3, 30, 31, 4, 15, 3, 3, 30, 30, value], np.float32)
    confidence = _core.stages.Validator(path, 5).confidence(
        np.zeros((40, 40), np.uint8), [0, 0, 0], landmarks
    )
    assert 0 <= confidence <= 1
    if not np.isfinite(value):
        assert confidence == 0


def test_a_colour_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "validator.txt"
    path.write_bytes(tiny_validator(made_up()))
    with pytest.raises(InputError, match="grey"):
        _core.stages.Validator(path, 5).confidence(np.zeros((9, 9, 3), np.uint8), [0, 0, 0], np.zeros(10))


def test_inconsistent_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "validator.txt"

    def refused(change: Callable[[TinyView], None], cause: str) -> None:
        views = made_up()
        change(views[1])
        path.write_bytes(tiny_validator(views))
        with pytest.raises(ModelError, match=cause):
            _core.stages.Validator(path, 5)

    def shorter(view: TinyView) -> None:
        view.mean = view.mean[:-1]

    def flat(view: TinyView) -> None:
        view.deviation[3] = 0

    def beyond(view: TinyView) -> None:
        view.index[view.index >= 0] = 4

    def uncovered(view: TinyView) -> None:
        view.index[:] = -1

    def sixth(view: TinyView) -> None:
        view.triangles[0, 0] = 5

    def infinite(view: TinyView) -> None:
        view.alpha[0, 0] = np.inf

    def huge(view: TinyView) -> None:
        view.beta[0, 0] = 1e300

    def more_triangles(view: TinyView) -> None:
        view.triangles = np.vstack([view.triangles, [0, 1, 2]])

    def turned(view: TinyView) -> None:
        view.orientation = (0, 361, 0)

    def pointed(view: TinyView) -> None:
        view.shape = np.zeros(12)

    for change, cause in [
        (shorter, "the mean has"),
        (flat, "not positive"),
        (beyond, "triangle that doesn't exist"),
        (uncovered, "no triangle"),
        (sixth, "landmark that doesn't exist"),
        (infinite, "finite"),
        (huge, "finite"),
        (more_triangles, "one row of 3 per triangle"),
        (turned, "360"),
        (pointed, "6 landmarks"),
    ]:
        refused(change, cause)


MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE = tiny_validator(made_up())


@MANY
@given(end=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused(tmp_path: Path, end: int) -> None:
    path = tmp_path / "validator.txt"
    path.write_bytes(WHOLE[:end])
    with pytest.raises(ModelError, match=r"validator\.txt.*byte"):
        _core.stages.Validator(path, 5)


@MANY
@given(
    offset=st.one_of(st.integers(0, 400), st.integers(0, len(WHOLE) - 4)),
    damage=st.lists(st.integers(0, 255), min_size=1, max_size=4),
)
def test_a_damaged_file_is_refused_or_works_without_a_crash(
    tmp_path: Path, offset: int, damage: list[int]
) -> None:
    path = tmp_path / "validator.txt"
    path.write_bytes(WHOLE[:offset] + bytes(damage) + WHOLE[offset + len(damage) :])
    landmarks = np.array([3, 30, 31, 4, 15, 3, 3, 30, 30, 16], np.float32)
    try:
        validator = _core.stages.Validator(path, 5)
    except ModelError as error:
        assert "validator.txt" in str(error)
    else:
        grey = np.random.default_rng(1).integers(0, 256, (40, 40), dtype=np.uint8)
        assert 0 <= validator.confidence(grey, [0, 0, 0], landmarks) <= 1
