"""Areas of interest and CCNF responses against patch_experts.npz (landmark-fitting.md, sections 4, 10.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pyopenface import _core
from pyopenface._core import stages

FACE_FILES = [f"model/patch_experts/ccnf_patches_{s}_general.txt" for s in ("0.25", "0.35", "0.5")]
PARTS = {
    "inner": (["model/model_inner/patch_experts/ccnf_patches_1.00_inner.txt"], 51),
    "left_eye_28": (
        [f"model/model_eye/patch_experts/left_ccnf_patches_{s}_synth_lid_.txt" for s in ("1.00", "1.50")],
        28,
    ),
    "right_eye_28": (
        [f"model/model_eye/patch_experts/ccnf_patches_{s}_synth_lid_.txt" for s in ("1.00", "1.50")],
        28,
    ),
}
PDM_FILES = {
    "face": "model/pdms/In-the-wild_aligned_PDM_68.txt",
    "inner": "model/model_inner/pdms/pdm_51_inner.txt",
    "left_eye_28": "model/model_eye/pdms/pdm_28_l_eye_3D_closed.txt",
    "right_eye_28": "model/model_eye/pdms/pdm_28_eye_3D_closed.txt",
}
FRAMES = {"default": "default.wmv", "v2015": "2015-10-15-15-14.avi"}


@pytest.fixture(scope="module")
def arrays(golden: Path) -> Any:
    with np.load(golden / "stages" / "patch_experts.npz") as archive:
        return {name: archive[name] for name in archive.files if not name.startswith("svr.")}


@pytest.fixture(scope="module")
def experts(models: Path) -> dict[str, Any]:
    found = {"face": stages.CcnfExperts([str(models / f) for f in FACE_FILES], 68)}
    for name, (files, count) in PARTS.items():
        found[name] = stages.CcnfExperts([str(models / f) for f in files], count)
    return found


@pytest.fixture(scope="module")
def grey_frames(samples: Path, arrays: Any) -> dict[str, np.ndarray]:
    """The grey image of each golden case, by its name."""
    wanted: dict[str, set[int]] = {}
    for name in {key.split(".")[0] for key in arrays}:
        video, number = name.rsplit("_f", 1)
        wanted.setdefault(video.split("_")[-1], set()).add(int(number))
    frames = {}
    for video, numbers in wanted.items():
        capture = cv2.VideoCapture(str(samples / FRAMES[video]))
        for number in range(1, max(numbers) + 1):
            _, frame = capture.read()
            if number in numbers:
                frames[f"{video}_f{number:03d}"] = stages.to_grey(frame)
    return frames


def cases(arrays: Any) -> list[str]:
    return sorted(key[: -len(".responses")] for key in arrays if key.endswith(".responses"))


def image_of(case: str, grey_frames: dict[str, np.ndarray]) -> np.ndarray:
    return grey_frames["_".join(case.split(".")[0].split("_")[-2:])]


def test_sampled_areas_are_bit_exact_from_the_golden_matrix(
    arrays: Any, grey_frames: dict[str, np.ndarray]
) -> None:
    compared = 0
    for key in arrays:
        if not key.endswith(".area_warp"):
            continue
        case = key[: -len(".area_warp")]
        for warp, want in zip(arrays[key], arrays[case + ".area_of_interest"], strict=True):
            got = stages.sample_area(
                image_of(case, grey_frames), warp[0, 0], warp[1, 0], warp[0, 2], warp[1, 2], want.shape[0]
            )
            np.testing.assert_array_equal(got, want)
            compared += 1
    assert compared > 100


def test_view_choice(arrays: Any, experts: dict[str, Any]) -> None:
    for case in cases(arrays):
        _, model, scale = case.split(".")
        g = arrays[case + ".global"]
        assert experts[model].nearest_view(int(scale[1:]), *g[1:4]) == arrays[case + ".view"]


def test_responses_from_the_golden_parameters(
    arrays: Any, experts: dict[str, Any], models: Path, grey_frames: dict[str, np.ndarray]
) -> None:
    for case in cases(arrays):
        _, model, scale = case.split(".")
        pdm = stages.Pdm(str(models / PDM_FILES[model]))
        g, q = arrays[case + ".global"], arrays[case + ".local"]
        landmarks = pdm.shape2d(g, q)
        to_image = arrays[case + ".sim_ref_to_img"]
        got = experts[model].respond(
            image_of(case, grey_frames), landmarks, to_image[0, 0], -to_image[0, 1],
            int(scale[1:]), int(arrays[case + ".view"]), int(arrays[case + ".window_size"]),
        )  # fmt: skip
        visible = arrays[case + ".visibility"].astype(bool)
        want = arrays[case + ".responses"]
        np.testing.assert_array_equal(got[visible], want[visible], err_msg=case)


def test_every_instruction_set_gives_the_same_bits(
    arrays: Any, experts: dict[str, Any], models: Path, grey_frames: dict[str, np.ndarray]
) -> None:
    active = _core._instruction_set()
    for case in cases(arrays):
        _, model, scale = case.split(".")
        landmarks = stages.Pdm(str(models / PDM_FILES[model])).shape2d(
            arrays[case + ".global"], arrays[case + ".local"]
        )
        to_image = arrays[case + ".sim_ref_to_img"]
        view, window = int(arrays[case + ".view"]), int(arrays[case + ".window_size"])
        visible = arrays[case + ".visibility"].astype(bool)
        results = []
        try:
            for name in _core._available_instruction_sets():
                _core._set_instruction_set(name)
                maps = experts[model].respond(
                    image_of(case, grey_frames),
                    landmarks,
                    to_image[0, 0],
                    -to_image[0, 1],
                    int(scale[1:]),
                    view,
                    window,
                )
                results.append(maps[visible].view(np.uint32))
        finally:
            _core._set_instruction_set(active)
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])
