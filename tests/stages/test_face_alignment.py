"""Similarity alignment, warp and mask of faces (action-units.md, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from au_models import SmallModel, write_small_model

import pyopenface
from pyopenface import FaceAnalyser, _core
from pyopenface._core import stages

Image = npt.NDArray[np.uint8]


@pytest.fixture
def instruction_set() -> Iterator[Callable[[str], None]]:
    before = _core._instruction_set()
    yield _core._set_instruction_set
    _core._set_instruction_set(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    return write_small_model(tmp_path_factory.mktemp("small"), dynamic=False)


@pytest.fixture(scope="module")
def noise() -> Image:
    return np.random.default_rng(3).integers(0, 256, (200, 220, 3), dtype=np.uint8)


def golden_frames(arrays: Any, samples: Path) -> Iterator[tuple[int, Image]]:
    """Each golden case's number and frame."""
    for video in sorted(set(arrays["video_name"])):
        wanted = {int(arrays["frame"][i]): i for i in np.flatnonzero(arrays["video_name"] == video)}
        capture = cv2.VideoCapture(str(samples / str(video)))
        for number in range(1, max(wanted) + 1):
            ok, image = capture.read()
            assert ok
            if number in wanted:
                yield wanted[number], image


def test_golden_faces_are_aligned_identically(
    golden_stage: Callable[[str], Any], samples: Path, models: Path
) -> None:
    arrays = golden_stage("align_hog")
    main_file = models / "AU_predictors/main_static_svms.txt"
    mean = stages.Pdm(models / "AU_predictors/In-the-wild_aligned_PDM_68.txt").mean_shape[:136]
    analyser = FaceAnalyser(main_file)
    seen = 0
    for i, image in golden_frames(arrays, samples):
        landmarks = arrays["landmarks"][i]
        tx, ty = arrays["global"][i][4:]
        warp = stages.alignment_warp(landmarks, mean, tx, ty, 112, 0.7)
        np.testing.assert_array_equal(warp, arrays["warp"][i])
        np.testing.assert_array_equal(stages.warp_face(image, warp, 112), arrays["aligned_unmasked"][i])
        corners = stages.mask_points(landmarks, warp, 0.7)
        np.testing.assert_array_equal(corners, arrays["mask_landmarks"][i])
        np.testing.assert_array_equal(stages.face_mask(main_file, corners, 112), arrays["mask"][i] != 0)
        # The whole way, our own fit of the shape model included.
        points = landmarks.reshape(2, 68).T
        face = analyser.analyse_image(image, points)
        np.testing.assert_array_equal(face.aligned_face, arrays["aligned_masked"][i])
        np.testing.assert_array_equal(analyser.align(image, points), arrays["aligned_masked"][i])
        np.testing.assert_array_equal(
            analyser.align(image, points, mask=False), arrays["aligned_unmasked"][i]
        )
        np.testing.assert_array_equal(face.fhog.ravel(), arrays["hog"][i])
        seen += 1
    assert seen == 20


def test_aligned_images_that_the_reference_wrote(
    golden_stage: Callable[[str], Any], golden: Path, samples: Path, models: Path
) -> None:
    landmarks = golden_stage("au")["dynamic.landmarks"]
    analyser = FaceAnalyser(models / "AU_predictors/main_dynamic_svms.txt")
    capture = cv2.VideoCapture(str(samples / "clip60.avi"))
    folder = golden / "csv/feature_extraction_all_outputs/clip60_aligned"
    seen = 0
    for number in range(1, 61):
        ok, image = capture.read()
        assert ok
        written = folder / f"frame_det_00_{number:06d}.bmp"
        if written.exists():
            aligned = analyser.align(image, landmarks[number - 1].reshape(2, 68).T)
            np.testing.assert_array_equal(aligned, cv2.imread(str(written)))
            seen += 1
    assert seen == 6


def plain_warp(image: Image, warp: npt.NDArray[np.float32], size: int) -> Image:
    """Section 4.4 in numpy."""
    m = warp.astype(np.float64)
    d = 1.0 / (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0])
    i00, i01, i10, i11 = m[1, 1] * d, -m[0, 1] * d, -m[1, 0] * d, m[0, 0] * d
    i02, i12 = -i00 * m[0, 2] - i01 * m[1, 2], -i10 * m[0, 2] - i11 * m[1, 2]
    y, x = np.mgrid[:size, :size]
    position_x = (np.rint((i01 * y + i02) * 1024) + 16 + np.rint(i00 * x * 1024)).astype(np.int64) >> 5
    position_y = (np.rint((i11 * y + i12) * 1024) + 16 + np.rint(i10 * x * 1024)).astype(np.int64) >> 5
    f, e = (position_x & 31)[..., None], (position_y & 31)[..., None]
    height, width = image.shape[:2]

    def pixels(dx: int, dy: int) -> npt.NDArray[np.int64]:
        px, py = (position_x >> 5) + dx, (position_y >> 5) + dy
        inside = (px >= 0) & (px < width) & (py >= 0) & (py < height)
        return np.where(inside[..., None], image[np.clip(py, 0, height - 1), np.clip(px, 0, width - 1)], 0)

    total = (32 - f) * (32 - e) * pixels(0, 0).astype(np.int64) + f * (32 - e) * pixels(1, 0)
    total = total + (32 - f) * e * pixels(0, 1) + f * e * pixels(1, 1)
    return ((32 * total + 16384) >> 15).astype(np.uint8)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (-60.0, 30.0), (95.0, 85.0), (400.0, 0.0)])
@pytest.mark.parametrize("size", [112, 113, 40, 7])
def test_warp_equals_a_plain_computation(noise: Image, offset: tuple[float, float], size: int) -> None:
    warp = np.array([[0.5, 0.1, -30 + offset[0] / 2], [-0.1, 0.5, -10 + offset[1] / 2]], np.float32)
    np.testing.assert_array_equal(stages.warp_face(noise, warp, size), plain_warp(noise, warp, size))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (3, 200, 3), (200, 4, 3)])
def test_warp_of_tiny_images(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    warp = np.array([[7.0, 0.3, 5], [-0.3, 7.0, 4]], np.float32)
    np.testing.assert_array_equal(stages.warp_face(image, warp, 64), plain_warp(image, warp, 64))


def test_rows_of_an_image_may_be_apart(noise: Image) -> None:
    warp = np.array([[0.5, 0.1, -30], [-0.1, 0.5, -10]], np.float32)
    part = noise[5:150, 10:170]
    np.testing.assert_array_equal(stages.warp_face(part, warp, 64), stages.warp_face(part.copy(), warp, 64))


def test_mask_is_the_union_of_the_triangles(small: SmallModel) -> None:
    corners = small.landmarks(scale=0.6, x=50.0, y=55.0).T.ravel()
    got = stages.face_mask(small.main_file, corners, 112)
    x, y = corners.reshape(2, 68)
    py, px = np.mgrid[:112, :112].astype(np.float32)
    expected = np.zeros((112, 112), bool)
    for i in range(1, 67):
        triangle = [0, i, i + 1]
        inside = (px >= x[triangle].min()) & (px <= x[triangle].max())
        inside &= (py >= y[triangle].min()) & (py <= y[triangle].max())
        for p, q, o in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            a, b, c = triangle[p], triangle[q], triangle[o]
            side = (x[b] - x[a]) * (py - y[a]) - (px - x[a]) * (y[b] - y[a])
            inner = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
            inside &= side * inner >= 0
        expected |= inside
    np.testing.assert_array_equal(got, expected)


def test_options_of_the_output_alignment(small: SmallModel, noise: Image) -> None:
    analyser = FaceAnalyser(small.main_file)
    points = small.landmarks()
    unmasked = analyser.align(noise, points, size=150, scale=1.0, mask=False)
    masked = analyser.align(noise, points, size=150, scale=1.0)
    grey = analyser.align(noise, points, size=150, scale=1.0, grey=True)
    assert unmasked.shape == masked.shape == (150, 150, 3)
    assert grey.shape == (150, 150)
    kept = masked.any(axis=2)
    assert 0.05 < kept.mean() < 0.95
    np.testing.assert_array_equal(masked[kept], unmasked[kept])
    b, g, r = masked.astype(np.int64).transpose(2, 0, 1)
    np.testing.assert_array_equal(grey, (3735 * b + 19235 * g + 9798 * r + 16384) >> 15)
    np.testing.assert_array_equal(
        analyser.align(noise, points, size=200),
        analyser.align(noise, points, size=200, scale=200 * 0.7 / 112),
    )
    failed = analyser.align(noise, None, False, size=30, grey=True)
    assert failed.shape == (30, 30)
    assert not failed.any()


def test_grey_and_four_channel_frames(small: SmallModel, noise: Image) -> None:
    analyser = FaceAnalyser(small.main_file)
    points = small.landmarks()
    grey = noise[..., 0].copy()
    np.testing.assert_array_equal(
        analyser.align(grey, points), analyser.align(np.repeat(grey[..., None], 3, axis=2), points)
    )
    with_alpha = np.dstack([noise, noise[..., :1]])
    np.testing.assert_array_equal(analyser.align(with_alpha, points), analyser.align(noise, points))


def test_every_instruction_set_gives_the_same_bits(
    small: SmallModel, noise: Image, instruction_set: Callable[[str], None]
) -> None:
    results = set()
    for name in _core._available_instruction_sets():
        instruction_set(name)
        analyser = FaceAnalyser(small.main_file)
        bits = b""
        for x in (-20.0, 60.0, 120.0):
            face = analyser.analyse_image(noise, small.landmarks(x=x))
            bits += face.aligned_face.tobytes() + face.fhog.tobytes() + face.au_intensity.tobytes()
            bits += analyser.align(noise, small.landmarks(x=x), size=75, mask=False).tobytes()
        results.add(bits)
    assert len(results) == 1


def test_unusable_arguments_are_refused(small: SmallModel, noise: Image) -> None:
    analyser = FaceAnalyser(small.main_file)
    points = small.landmarks()
    with pytest.raises(pyopenface.InputError, match=r"shape \(68, 2\)"):
        analyser.align(noise, points.T)
    with pytest.raises(pyopenface.InputError, match=r"shape \(68, 2\)"):
        analyser.update(noise, points.ravel())
    with pytest.raises(pyopenface.InputError, match=r"shape \(68, 2\)"):
        analyser.update(noise, None)
    broken = points.copy()
    broken[7, 1] = np.nan
    with pytest.raises(pyopenface.InputError, match="landmark 7"):
        analyser.update(noise, broken)
    with pytest.raises(pyopenface.InputError, match=r"alignment|landmark"):
        analyser.update(noise, np.full((68, 2), 5.0))
    with pytest.raises(pyopenface.InputError, match="pixels"):
        analyser.update(np.zeros((0, 0, 3), np.uint8), points)
    with pytest.raises(pyopenface.InputError, match="uint8"):
        analyser.update(noise.astype(np.float32), points)
    for picture in (None, noise.tolist(), "picture"):
        with pytest.raises(pyopenface.InputError, match="uint8"):
            analyser.update(picture, points)  # type: ignore[arg-type]
        with pytest.raises(pyopenface.InputError, match="uint8"):
            analyser.analyse_image(picture, points)  # type: ignore[arg-type]
    for options in (
        {"size": 0}, {"size": 5000}, {"size": 50.5}, {"size": "50"}, {"scale": 0.0}, {"scale": float("nan")},
        {"scale": "large"},
    ):  # fmt: skip
        with pytest.raises(pyopenface.InputError, match=r"size|scale"):
            analyser.align(noise, points, **options)  # type: ignore[arg-type]
    for name in ("mask", "grey", "success"):
        with pytest.raises(pyopenface.InputError, match=f"{name}='no': expected True or False"):
            analyser.align(noise, points, **{name: "no"})  # type: ignore[arg-type]
    with pytest.raises(pyopenface.InputError, match="success=None"):
        analyser.update(noise, points, success=None)  # type: ignore[arg-type]
    with pytest.raises(pyopenface.InputError, match="keep_calibration=1"):
        analyser.reset(keep_calibration=1)  # type: ignore[arg-type]
    assert analyser.align(noise, points, success=np.False_).max() == 0
    assert analyser.frames == 0
