"""SVR patch experts (landmark-fitting.md, section 4.5; models.md, sections 10 and 17)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import patch_expert_files as files
import pytest

from pyopenface import _core
from pyopenface._core import stages
from pyopenface.errors import InputError, ModelError

GENERAL = [f"svr_patches_{s}_general.txt" for s in ("0.25", "0.35", "0.5")]


def small_file(seed: int = 0, landmarks: int = 4, views: int = 2) -> files.SvrFile:
    """Two modalities per landmark, as the shipped files have them, with random kernels of support 5."""
    rng = np.random.default_rng(seed)
    visible = np.ones((views, landmarks), np.int32)
    visible[1:, -1] = 0
    content = files.SvrFile(0.25, np.array([[0.0, 20.0 * v, 0.0] for v in range(views)]), visible)
    for _ in range(views):
        row = []
        for _ in range(landmarks):
            modalities = []
            for kind in (0, 1):
                kernel = rng.normal(size=(5, 5))
                kernel -= kernel.mean()
                kernel = (kernel / np.linalg.norm(kernel)).astype(np.float32)
                numbers = rng.uniform([0.1, 2.0, -6.0], [0.5, 20.0, -3.0])
                modalities.append(files.Modality(kind, *map(float, numbers), kernel))
            row.append(modalities)
        content.experts.append(row)
    return content


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "svr.txt") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    rng = np.random.default_rng(5)
    return cv2.GaussianBlur(rng.integers(0, 256, (120, 160), dtype=np.uint8), (5, 5), 1.2)


@pytest.fixture(scope="module")
def experts(models: Path) -> Any:
    return stages.SvrExperts([str(models / "model/patch_experts" / f) for f in GENERAL], 68)


@pytest.fixture(scope="module")
def grey(samples: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(samples / "default.wmv"))
    capture.read()
    return np.asarray(stages.to_grey(capture.read()[1]))


@pytest.fixture(scope="module")
def golden_svr(golden: Path) -> Any:
    with np.load(golden / "stages" / "patch_experts.npz") as archive:
        return {name[4:]: archive[name] for name in archive.files if name.startswith("svr.")}


def golden_query(arrays: Any, models: Path, scale: int) -> tuple[Any, ...]:
    case = f"default_f002.face.s{scale}."
    pdm = stages.Pdm(str(models / "model/pdms/In-the-wild_aligned_PDM_68.txt"))
    landmarks = pdm.shape2d(arrays[case + "global"], arrays[case + "local"])
    to_image = arrays[case + "sim_ref_to_img"]
    return landmarks, to_image[0, 0], -to_image[0, 1], scale, int(arrays[case + "view"]), int(
        arrays[case + "window_size"]
    )  # fmt: skip


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_responses_equal_the_reference(
    experts: Any, golden_svr: Any, models: Path, grey: np.ndarray, scale: int
) -> None:
    case = f"default_f002.face.s{scale}."
    assert experts.scaling(scale) == golden_svr[case + "patch_scaling"]
    visible = golden_svr[case + "visibility"].astype(bool)
    np.testing.assert_array_equal(experts.visible(scale, int(golden_svr[case + "view"])), visible)
    got = experts.respond(grey, *golden_query(golden_svr, models, scale))
    np.testing.assert_array_equal(got[visible], golden_svr[case + "responses"][visible])


@pytest.mark.parametrize("window", [5, 7, 9, 11, 13, 15, 21])
def test_responses_equal_a_double_evaluation_in_every_view(
    experts: Any, models: Path, golden_svr: Any, grey: np.ndarray, window: int
) -> None:
    content = files.read_svr(models / "model/patch_experts" / GENERAL[1])
    landmarks, a, b, *_ = golden_query(golden_svr, models, 1)
    for view in range(7):
        got = experts.respond(grey, landmarks, a, b, 1, view, window)
        for i in np.flatnonzero(content.visible[view])[::5]:
            area = files.area_of(grey, landmarks, a, b, int(i), window + 10)
            want = files.svr_map(content.experts[view][i], area)
            # One rounding of the correlation (6e-8) times a slope of at most scaling / 4 (22.8 / 4).
            np.testing.assert_allclose(got[i], want, rtol=0, atol=4e-7)
        assert np.isnan(got[content.visible[view] == 0]).all()


def test_confidence_is_the_sum_over_modalities(experts: Any, models: Path) -> None:
    content = files.read_svr(models / "model/patch_experts" / GENERAL[0])
    for view in range(7):
        want = [sum(m.confidence for m in modalities) for modalities in content.experts[view]]
        np.testing.assert_array_equal(experts.confidence(0, view), np.float32(want))
    np.testing.assert_allclose(experts.centres(0), np.deg2rad(content.centres), rtol=1e-15)


def test_every_instruction_set_gives_the_same_bits(
    experts: Any, golden_svr: Any, models: Path, grey: np.ndarray
) -> None:
    active = _core._instruction_set()
    query = golden_query(golden_svr, models, 0)
    try:
        results = []
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            results.append(experts.respond(grey, *query).view(np.uint32))
    finally:
        _core._set_instruction_set(active)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_a_self_made_file_gives_the_formulas_values(write: Any, noise: np.ndarray) -> None:
    content = small_file()
    experts = stages.SvrExperts([write(files.svr_text(content))], 4)
    assert (experts.kind, experts.scale_count) == ("SVR", 1)
    # Inside, across the border of the image, and entirely outside of it.
    landmarks = np.float32([50, 100, 1, -300, 60, 20, 110, 400])
    for view in range(2):
        got = experts.respond(noise, landmarks, 0.9, 0.2, 0, view, 7)
        for i in np.flatnonzero(content.visible[view]):
            area = files.area_of(noise, landmarks, 0.9, 0.2, int(i), 11)
            want = files.svr_map(content.experts[view][i], area)
            np.testing.assert_allclose(got[i], want, rtol=0, atol=4e-7)


def test_equal_pixels_correlate_to_zero_and_a_flat_kernel_to_one(write: Any) -> None:
    content = small_file(landmarks=3, views=1)
    modality = content.experts[0][0][1]
    content.experts[0][0] = [modality]
    flat = files.Modality(1, 0.1, modality.scaling, modality.bias, np.full((5, 5), 0.25, np.float32))
    content.experts[0][1] = [flat]
    experts = stages.SvrExperts([write(files.svr_text(content))], 3)
    got = experts.respond(np.full((80, 80), 77, np.uint8), np.float32([40] * 6), 1.0, 0.0, 0, 0, 5)
    np.testing.assert_allclose(got[0], files.logistic(np.float64(modality.bias)), rtol=2e-7)
    np.testing.assert_allclose(got[1], files.logistic(modality.scaling + modality.bias), rtol=2e-7)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda t: t[: len(t) // 2], "line"),
        (lambda t: t + "\n1", "more numbers than expected"),
        (lambda t: t.replace("3 5 5 2", "4 5 5 2", 1), "expert type"),
        (lambda t: t.replace("3 5 5 2", "3 5 7 2", 1), "not square"),
        (lambda t: t.replace("3 5 5 2", "3 33 33 2", 1), "support"),
        (lambda t: t.replace("3 5 5 2", "3 7 7 2", 1), "weights"),
        (lambda t: t.replace("3 5 5 2", "3 5 5 9", 1), "number of modalities"),
        (lambda t: t.replace("\n2 0 ", "\n2 2 ", 1), "modality kind"),
        (lambda t: t.replace("\n2 0 ", "\n2 0 nan ", 1), "confidence"),
        (lambda t: t.replace("0.25", "11", 1), "scale"),
        (lambda t: t.replace("\n4\n1\n4\n", "\n5\n1\n4\n", 1), "visibility"),
        (lambda t: t.replace("# number of views\n2", "# number of views\n65"), "number of views"),
    ],
)
def test_a_damaged_file_is_refused_with_line_and_field(write: Any, change: Any, cause: str) -> None:
    text = files.svr_text(small_file())
    assert change(text) != text
    with pytest.raises(ModelError, match=cause) as caught:
        stages.SvrExperts([write(change(text))], 4)
    assert "svr.txt" in str(caught.value)


def test_scales_must_have_the_same_views(write: Any) -> None:
    first, second = write(files.svr_text(small_file())), write(files.svr_text(small_file(views=1)), "b.txt")
    with pytest.raises(ModelError, match="number of views"):
        stages.SvrExperts([first, second], 4)


def test_a_query_that_makes_no_sense_is_refused(write: Any, noise: np.ndarray) -> None:
    experts = stages.SvrExperts([write(files.svr_text(small_file()))], 4)
    good = [noise, np.zeros(8, np.float32), 1.0, 0.0, 0, 0, 5]
    experts.respond(*good)
    for position, value in [
        (0, np.zeros((5, 5, 3), np.uint8)),
        (4, 1),
        (4, -1),
        (5, 2),
        (6, 4),
        (6, -1),
        (6, 101),
    ]:
        with pytest.raises(InputError):
            experts.respond(*good[:position], value, *good[position + 1 :])
