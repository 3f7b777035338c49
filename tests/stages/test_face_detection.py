"""MTCNN (face-detection.md, section 2) against the reference, stage by stage and as a whole.

Everything is equal to the last bit: a video's first fit starts from the box, and each later one from the fit
before, so no deviation here would stay small.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_files import tiny_mtcnn

from pyopenface import _core
from pyopenface.errors import InputError, ModelError

STILLS = {f"sample{i}": f"sample{i}.jpg" for i in range(1, 7)} | {
    "sample3_16bit_gray": "sample3_16bit_gray.png",
    "sample3_16bit_rgb": "sample3_16bit_rgb.png",
    "image_sequence_f001": "image_sequence/001.jpg",
}
FRAMES = {
    "default_f001": ("default.wmv", 1),
    "changeLighting_f001": ("changeLighting.wmv", 1),
    "v2015_f001": ("2015-10-15-15-14.avi", 1),
    "multi_face_h264_f001": ("multi_face_h264.avi", 1),
    "multi_face_h264_f300": ("multi_face_h264.avi", 300),
}


@cache
def video_frame(path: Path, number: int) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    for _ in range(number - 1):
        assert capture.grab()
    found, frame = capture.read()
    assert found
    return frame


def picture(samples: Path, name: str) -> np.ndarray:
    if name in FRAMES:
        return video_frame(samples / FRAMES[name][0], FRAMES[name][1])
    image = cv2.imread(str(samples / STILLS[name]))
    assert image is not None
    return image


@pytest.fixture(scope="module")
def detector(models: Path) -> _core.FaceDetector:
    return _core.FaceDetector(models / "model/mtcnn_detector/MTCNN_detector.txt")


@pytest.fixture(scope="module")
def arrays(golden_stage: Callable[[str], Any]) -> dict[str, np.ndarray]:
    archive = golden_stage("mtcnn")
    return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def trace(detector: _core.FaceDetector, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return _core.stages.mtcnn_trace(detector, arrays["small.image"])


@pytest.mark.parametrize("name", [*STILLS, *FRAMES])
def test_boxes_and_confidences_of_whole_images(
    name: str, detector: _core.FaceDetector, arrays: dict[str, np.ndarray], samples: Path
) -> None:
    boxes, confidences = detector.detect(picture(samples, name))
    assert boxes.dtype == confidences.dtype == np.float32
    np.testing.assert_array_equal(boxes, arrays[f"{name}.boxes"])
    np.testing.assert_array_equal(confidences, arrays[f"{name}.confidences"])


@pytest.mark.parametrize("level", range(5))
def test_pyramid_levels_are_exact(level: int, arrays: dict[str, np.ndarray], trace: dict[str, Any]) -> None:
    image, expected = arrays["small.image"], arrays[f"small.pnet.s{level}.resized"]
    height, width = expected.shape[:2]
    resized = _core.stages.resize_bilinear(image, (0, 320), (0, 240), width, height)
    np.testing.assert_array_equal(resized, expected)
    assert trace["levels"][level]["scale"] == pytest.approx(
        float(arrays[f"small.pnet.s{level}.scale"]), rel=1e-15
    )
    assert len(trace["levels"]) == 5


@pytest.mark.parametrize("level", range(5))
def test_proposals_of_a_level(level: int, arrays: dict[str, np.ndarray], trace: dict[str, Any]) -> None:
    found = trace["levels"][level]
    golden = {
        name: arrays[f"small.pnet.s{level}.{name}"]
        for name in ["boxes", "scores", "corrections", "nms_keep", *(f"out{k}" for k in range(6))]
    }
    maps = np.stack([golden[f"out{k}"] for k in range(6)], axis=-1)
    np.testing.assert_array_equal(found["outputs"], maps)
    np.testing.assert_array_equal(found["boxes"], golden["boxes"])
    np.testing.assert_array_equal(found["scores"], golden["scores"])
    np.testing.assert_array_equal(found["offsets"], golden["corrections"])
    np.testing.assert_array_equal(found["kept"], golden["nms_keep"])


def test_proposals_of_all_levels(arrays: dict[str, np.ndarray], trace: dict[str, Any]) -> None:
    found = trace["proposals"]
    np.testing.assert_array_equal(found["boxes"], arrays["small.pnet.merged.boxes_in"])
    np.testing.assert_array_equal(found["scores"], arrays["small.pnet.merged.scores_in"])
    np.testing.assert_array_equal(found["offsets"], arrays["small.pnet.merged.corrections_in"])
    np.testing.assert_array_equal(found["kept"], arrays["small.pnet.merged.nms_keep"])
    np.testing.assert_array_equal(found["corrected"], arrays["small.pnet.merged.boxes_corrected"])


def test_refinement(arrays: dict[str, np.ndarray], trace: dict[str, Any]) -> None:
    found = trace["refinement"]
    np.testing.assert_array_equal(found["squares"], arrays["small.pnet.merged.boxes_square"])
    outputs = found["outputs"].reshape(-1, 6)
    np.testing.assert_array_equal(outputs, arrays["small.rnet.out"])
    np.testing.assert_array_equal(found["boxes"], arrays["small.rnet.merged.boxes_in"])
    np.testing.assert_array_equal(found["scores"], arrays["small.rnet.merged.scores_in"])
    np.testing.assert_array_equal(found["offsets"], arrays["small.rnet.merged.corrections_in"])
    np.testing.assert_array_equal(found["kept"], arrays["small.rnet.merged.nms_keep"])
    np.testing.assert_array_equal(found["corrected"], arrays["small.rnet.merged.boxes_corrected"])


def test_output(arrays: dict[str, np.ndarray], trace: dict[str, Any]) -> None:
    found = trace["output"]
    np.testing.assert_array_equal(found["squares"], arrays["small.rnet.merged.boxes_square"])
    np.testing.assert_array_equal(found["outputs"].reshape(-1, 16), arrays["small.onet.out"])
    np.testing.assert_array_equal(found["boxes"], arrays["small.onet.boxes_corrected"])
    np.testing.assert_array_equal(found["scores"], arrays["small.onet.scores"])
    np.testing.assert_array_equal(found["kept"], arrays["small.onet.nms_keep"])


@pytest.mark.parametrize(("network", "squares", "side"), [("rnet", "pnet", 24), ("onet", "rnet", 48)])
def test_crops_are_exact(network: str, squares: str, side: int, arrays: dict[str, np.ndarray]) -> None:
    boxes, crops = arrays[f"small.{squares}.merged.boxes_square"], arrays[f"small.{network}.input"]
    for (x, y, length, _), crop in zip(boxes.astype(int).tolist(), crops, strict=True):
        columns, rows = (x - 1, length + 1), (y - 1, length + 1)
        resized = _core.stages.resize_bilinear(arrays["small.image"], columns, rows, side, side)
        np.testing.assert_array_equal(resized, crop)


def by_specification(image: np.ndarray, x: int, y: int, length: int, side: int) -> np.ndarray:
    """Sections 2.7 and 2.2 word by word: a black square, the image's part copied into it, resized."""
    height, width = image.shape[:2]
    square = np.zeros((length, length, 3), np.float32)
    left, right = max(x, 0), min(x + length, width)
    top, bottom = max(y, 0), min(y + length, height)
    if left < right and top < bottom:
        square[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    positions = ((np.arange(side) + 0.5) * (1 / (side / length)) - 0.5).astype(np.float32)
    index = np.floor(positions).astype(int)
    fraction = (positions - index).astype(np.float32)
    outside = (index < 0) | (index >= length - 1)
    fraction[outside] = 0
    index = index.clip(0, length - 1)
    after = np.minimum(index + 1, length - 1)
    one = np.float32(1)
    wide = square[:, index] * (one - fraction)[:, None] + square[:, after] * fraction[:, None]
    return wide[index] * (one - fraction)[:, None, None] + wide[after] * fraction[:, None, None]


@settings(max_examples=80, deadline=None)
@given(x=st.integers(-60, 90), y=st.integers(-60, 70), length=st.integers(2, 130), side=st.integers(1, 50))
def test_crops_that_reach_beyond_the_image_are_black_there(x: int, y: int, length: int, side: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (65, 83, 3), dtype=np.uint8)
    resized = _core.stages.resize_bilinear(image, (x, length), (y, length), side, side)
    np.testing.assert_array_equal(resized, by_specification(image, x, y, length, side))


def test_every_instruction_set_gives_the_same_bits(
    detector: _core.FaceDetector, arrays: dict[str, np.ndarray]
) -> None:
    active = _core._instruction_set()
    results = set()
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            trace = _core.stages.mtcnn_trace(detector, arrays["small.image"])
            boxes, confidences = detector.detect(arrays["small.image"])
            maps = b"".join(level["outputs"].tobytes() for level in trace["levels"])
            results.add(
                boxes.tobytes() + confidences.tobytes() + maps + trace["refinement"]["outputs"].tobytes()
            )
    finally:
        _core._set_instruction_set(active)
    assert len(results) == 1


def test_grey_alpha_and_rows_apart_make_no_difference(
    detector: _core.FaceDetector, arrays: dict[str, np.ndarray]
) -> None:
    image = arrays["small.image"]
    boxes, confidences = detector.detect(image)
    for same in (cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), np.pad(image, ((3, 0), (0, 9), (0, 0)))[3:, :320]):
        np.testing.assert_array_equal(detector.detect(same)[0], boxes)
        np.testing.assert_array_equal(detector.detect(same)[1], confidences)
    grey = _core.stages.to_grey(image)
    np.testing.assert_array_equal(
        detector.detect(grey)[0], detector.detect(np.repeat(grey[..., None], 3, 2))[0]
    )


def test_threads_share_a_detector(
    detector: _core.FaceDetector, arrays: dict[str, np.ndarray], samples: Path
) -> None:
    images = [arrays["small.image"], picture(samples, "sample1"), picture(samples, "default_f001")]
    alone = [detector.detect(image) for image in images]
    failures: list[str] = []

    def work(first: int) -> None:
        for turn in range(12):
            i = (first + turn) % len(images)
            boxes, confidences = detector.detect(images[i])
            if boxes.tobytes() != alone[i][0].tobytes() or confidences.tobytes() != alone[i][1].tobytes():
                failures.append(f"image {i}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# ---- without weights


@pytest.fixture
def tiny_files(tmp_path: Path) -> Path:
    for name, data in tiny_mtcnn(np.random.default_rng(11)).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("shape", [(59, 200), (200, 59), (42, 42), (0, 0), (1, 1), (60, 0)])
def test_images_below_the_smallest_face_have_none(tiny_files: Path, shape: tuple[int, int]) -> None:
    boxes, confidences = _core.FaceDetector(tiny_files / "detector.txt").detect(
        np.zeros((*shape, 3), np.uint8)
    )
    assert boxes.shape == (0, 4)
    assert confidences.shape == (0,)


@pytest.mark.parametrize("shape", [(60, 60), (60, 61), (61, 400), (333, 60), (101, 97)])
def test_any_size_from_60_on_is_searched(tiny_files: Path, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    boxes, confidences = _core.FaceDetector(tiny_files / "detector.txt").detect(image)
    assert np.isfinite(boxes).all()
    assert (np.diff(confidences) <= 0).all()


def test_proposals_of_a_made_up_network_find_the_cells_of_the_specification(tiny_files: Path) -> None:
    image = np.random.default_rng(2).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    detector = _core.FaceDetector(tiny_files / "detector.txt")
    for level in _core.stages.mtcnn_trace(detector, image)["levels"]:
        maps, scale = level["outputs"].astype(float), np.float32(level["scale"])
        probability = 1 / (1 + np.exp(maps[..., 0] - maps[..., 1]))
        # Column by column; cells on the threshold itself may fall either way.
        cells = [
            (x, y)
            for x in range(maps.shape[1])
            for y in range(maps.shape[0])
            if probability[y, x] >= 0.6 and abs(probability[y, x] - 0.6) > 1e-6
        ]
        corners = [[np.trunc(np.float32(2 * c + e) / scale) for e in (1, 12) for c in cell] for cell in cells]
        expected = [[x, y, right - x, bottom - y] for x, y, right, bottom in corners]
        np.testing.assert_array_equal(level["boxes"], np.array(expected, np.float32).reshape(-1, 4))


@pytest.mark.parametrize("image", [np.zeros((80, 80, 3), np.float32), np.zeros((80, 80, 2), np.uint8)])
def test_other_arrays_are_refused(tiny_files: Path, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="image"):
        _core.FaceDetector(tiny_files / "detector.txt").detect(image)


def test_listing_errors_name_the_cause(tiny_files: Path) -> None:
    listing = tiny_files / "detector.txt"
    for text, cause in [
        (b"PNet P.dat\nRNet R.dat\n", "ONet is not named"),
        (b"PNet P.dat\nPNet P.dat\n", "named twice"),
        (b"PNet P.dat\nRNet R.dat\nONet missing.dat\n", r"missing\.dat"),
        (b"PNet R.dat\nRNet R.dat\nONet O.dat\n", "R.dat"),
        (b"PNet P.dat\nRNet O.dat\nONet O.dat\n", "O.dat"),
    ]:
        listing.write_bytes(text)
        with pytest.raises(ModelError, match=cause):
            _core.FaceDetector(listing)
    with pytest.raises(ModelError, match="nowhere"):
        _core.FaceDetector(tiny_files / "nowhere.txt")


MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(name=st.sampled_from(["P.dat", "R.dat", "O.dat"]), data=st.data())
def test_a_truncated_file_is_refused(tiny_files: Path, name: str, data: st.DataObject) -> None:
    whole = tiny_mtcnn(np.random.default_rng(11))[name]
    (tiny_files / name).write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ModelError, match=name):
        _core.FaceDetector(tiny_files / "detector.txt")
    (tiny_files / name).write_bytes(whole)


@MANY
@given(
    name=st.sampled_from(["P.dat", "R.dat", "O.dat"]),
    data=st.data(),
    damage=st.lists(st.integers(0, 255), min_size=1, max_size=4),
)
def test_a_damaged_file_is_refused_or_works_without_a_crash(
    tiny_files: Path, name: str, data: st.DataObject, damage: list[int]
) -> None:
    whole = bytearray(tiny_mtcnn(np.random.default_rng(11))[name])
    # Half of the time in the first bytes, where counts and sizes are.
    offset = data.draw(st.one_of(st.integers(0, 60), st.integers(0, len(whole) - len(damage))))
    whole[offset : offset + len(damage)] = bytes(damage)
    (tiny_files / name).write_bytes(whole)
    image = np.random.default_rng(4).integers(0, 256, (70, 75, 3), dtype=np.uint8)
    try:
        _core.FaceDetector(tiny_files / "detector.txt").detect(image)
    except ModelError as error:
        assert name in str(error)
    (tiny_files / name).write_bytes(tiny_mtcnn(np.random.default_rng(11))[name])
