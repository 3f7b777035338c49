"""The landmark fit (landmark-fitting.md, sections 4 to 7) against the reference's own fits, step by step.

Everything follows the reference's order of operations (section 9.3), so everything is compared bit by bit:
each iteration from the golden responses, each response map from the golden parameters, and whole fits with
their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pyopenface import _core
from pyopenface.errors import InputError

stages = _core.stages

PARTS = {"": -1, "part0.": 0, "part1.": 1, "part2.": 2}  # the face, inner face, left eye, right eye


@dataclass
class Case:
    """One golden fit."""

    name: str
    image: np.ndarray
    arrays: dict[str, np.ndarray]

    def scales(self) -> Iterator[tuple[str, int, int, list[int]]]:
        """Prefix of the arrays, part, index and windows of every scale that the reference fitted."""
        for prefix, part in PARTS.items():
            windows = self.arrays.get(f"{prefix}window_sizes")
            for scale in range(0 if windows is None else len(windows)):
                if f"{prefix}scale{scale}.base_shape" in self.arrays:
                    only = [int(w) if s == scale else 0 for s, w in enumerate(windows)]
                    yield f"{prefix}scale{scale}.", part, scale, only


def grey_frames(path: Path, numbers: set[int]) -> dict[int, np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames: dict[int, np.ndarray] = {}
    for number in range(1, max(numbers) + 1):
        found, frame = capture.read()
        assert found
        if number in numbers:
            frames[number] = stages.to_grey(frame)
    return frames


@pytest.fixture(scope="module")
def fitting(models: Path) -> Any:
    return stages.LandmarkFitting(models / "model/main_clnf_general.txt")


@pytest.fixture(scope="module")
def cases(golden_stage: Callable[[str], Any], samples: Path) -> list[Case]:
    archive = golden_stage("fitting")
    arrays = {name: archive[name] for name in archive.files}
    default = grey_frames(samples / "default.wmv", {1, *(int(f) for f in arrays["track.frame"])})
    single = {
        "init_sample1": stages.to_grey(cv2.imread(str(samples / "sample1.jpg"))),
        "init_small": grey_frames(samples / "multi_face_h264.avi", {1})[1],
    }

    def of_group(group: str, index: int | None) -> dict[str, np.ndarray]:
        own = {k.removeprefix(f"{group}."): v for k, v in arrays.items() if k.startswith(f"{group}.")}
        if index is None:
            return own
        return {k: v[index] for k, v in own.items() if not k.startswith("result.")}

    result = [
        Case(f"track {frame}", default[int(frame)], of_group("track", i))
        for i, frame in enumerate(arrays["track.frame"])
    ]
    result += [Case(f"hypothesis {h}", default[1], of_group("init_multi", h)) for h in range(11)]
    return result + [Case(name, image, of_group(name, None)) for name, image in single.items()]


def assert_same_bits(got: Any, want: Any, what: object) -> None:
    np.testing.assert_array_equal(np.asarray(got, np.float32), want, err_msg=str(what))


def test_similarity_and_parameters_of_each_scale(fitting: Any, cases: list[Case]) -> None:
    total = 0
    for case in cases:
        for prefix, part, scale, windows in case.scales():
            golden = {k.removeprefix(prefix): v for k, v in case.arrays.items() if k.startswith(prefix)}
            start = golden["global_before"], golden["local_before"]
            _, (trace,) = fitting.fit_shape(part, case.image, *start, windows)
            assert trace["scale"] == scale
            assert trace["view"] == golden["view"], case.name
            assert_same_bits(trace["base_shape"], golden["base_shape"], case.name)
            similarity = np.reshape(trace["image_to_reference"], (2, 2))
            assert_same_bits(similarity, golden["sim_img_to_ref"], (case.name, prefix))
            total += 1
            for ours, theirs in (("regularisation", "reg_factor"), ("sigma", "sigma")):
                assert np.float32(trace[ours]) == golden[theirs]
    assert total == 169


def test_responses_from_golden_parameters(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        for prefix, part, _, windows in case.scales():
            start = case.arrays[f"{prefix}global_before"], case.arrays[f"{prefix}local_before"]
            _, (trace,) = fitting.fit_shape(part, case.image, *start, windows)
            visible = case.arrays[f"{prefix}visibility"] > 0
            want = case.arrays[f"{prefix}responses"][visible]
            assert_same_bits(trace["responses"][visible], want, (case.name, prefix))


def test_optimisation_from_golden_responses(fitting: Any, cases: list[Case]) -> None:
    iterations = 0
    for case in cases:
        for prefix, part, scale, windows in case.scales():
            responses: list[np.ndarray | None] = [None] * len(windows)
            responses[scale] = np.nan_to_num(case.arrays[f"{prefix}responses"])
            start = case.arrays[f"{prefix}global_before"], case.arrays[f"{prefix}local_before"]
            state, (trace,) = fitting.fit_shape(part, case.image, *start, windows, responses)
            for kind in ("rigid", "nonrigid"):
                golden = {
                    k.removeprefix(f"{prefix}{kind}."): v
                    for k, v in case.arrays.items()
                    if k.startswith(f"{prefix}{kind}.")
                }
                done = int(np.count_nonzero(~np.isnan(golden["global"][:, 0])))
                assert len(trace[kind]["global"]) == done, (case.name, prefix, kind)
                for ours, theirs in (
                    ("mean_shifts", "mean_shift_img"),
                    ("increments", "param_update"),
                    ("global", "global"),
                    ("local", "local"),
                ):
                    what = (case.name, prefix, kind, ours)
                    assert_same_bits(trace[kind][ours][:done], golden[theirs][:done], what)
                iterations += done
            if f"{prefix}nonrigid.log_likelihood" in case.arrays:
                want = float(case.arrays[f"{prefix}nonrigid.log_likelihood"])
                # The order of this sum is not known (9.3); it only decides between rotation hypotheses.
                assert state["likelihood"] == pytest.approx(want, rel=2e-6), (case.name, prefix)
    assert iterations > 1600


def test_parts_start_from_the_mapped_landmarks(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        for prefix, part in PARTS.items():
            if part < 0:
                continue
            started = fitting.fit_to_landmarks(part, case.arrays[f"{prefix}landmarks_in"])
            assert_same_bits(started["global"], case.arrays[f"{prefix}init_global"], (case.name, part))
            assert_same_bits(started["local"], case.arrays[f"{prefix}init_local"], (case.name, part))


def test_merge_of_the_golden_parts(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        if "merge.landmarks_in" not in case.arrays:
            continue
        merged = fitting.fit_to_landmarks(-1, case.arrays["merge.landmarks_in"])
        for name in ("global", "local", "landmarks"):
            assert_same_bits(merged[name], case.arrays[f"merge.{name}"], case.name)


def test_whole_fits(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        golden = case.arrays
        got = fitting.fit(
            case.image, golden["global_in"], golden["local_in"], golden["window_sizes"].tolist()
        )
        assert got["ok"] == bool(golden["success"]), case.name
        assert got["certainty"] == pytest.approx(float(golden["certainty"]), abs=1e-6), case.name
        assert_same_bits(got["after_scales"]["landmarks"], golden["landmarks_fit"], case.name)
        for index, part in enumerate(got["parts"]):
            assert part["used"] == bool(golden[f"part{index}.used"]), case.name
            assert_same_bits(part["landmarks_in"], golden[f"part{index}.landmarks_in"], case.name)
            assert_same_bits(part["landmarks"], golden[f"part{index}.landmarks_out"], case.name)
        assert_same_bits(got["landmarks"], golden["landmarks_out_final"], case.name)


def test_eleven_rotations_from_the_detected_box_keep_the_likeliest(
    fitting: Any, golden_stage: Callable[[str], Any], cases: list[Case]
) -> None:
    golden, detected = golden_stage("fitting"), golden_stage("mtcnn")
    image = next(case for case in cases if case.name == "hypothesis 0").image
    got = fitting.fit_from_box(image, detected["default_f001.boxes"][0].tolist(), True)
    assert len(got["scales"]) == 3 * int(golden["init_multi.result.calls"])
    assert_same_bits(got["landmarks"], golden["init_multi.result.landmarks"], "landmarks")
    assert got["likelihood"] == pytest.approx(float(golden["init_multi.result.likelihood"]), rel=2e-6)
    assert got["certainty"] == pytest.approx(float(golden["init_multi.result.certainty"]), abs=1e-6)


def test_fit_of_an_upright_first_detection(fitting: Any, cases: list[Case]) -> None:
    by_name = {case.name: case for case in cases}
    for name in ("init_sample1", "init_small"):
        case = by_name[name]
        got = fitting.fit_from_box(case.image, case.arrays["bbox"][0].tolist(), False)
        assert_same_bits(got["landmarks"], case.arrays["landmarks_out_final"], name)
        assert got["ok"] == bool(case.arrays["success"])


# x, y, width, height: in the middle, across each border, tiny, larger than the picture, beside it.
BOXES = [
    (250.0, 150.0, 160.0, 160.0),
    (-60.0, 200.0, 150.0, 150.0),
    (560.0, -50.0, 170.0, 170.0),
    (300.0, 400.0, 140.0, 140.0),
    (100.0, 100.0, 31.0, 31.0),
    (-100.0, -200.0, 900.0, 900.0),
    (700.0, 500.0, 150.0, 150.0),
    (1e5, -1e5, 3e4, 3e4),
]


@pytest.mark.parametrize("model", ["clnf", "clm"])
def test_only_the_pixels_that_a_fit_reads_have_to_be_converted(
    models: Path, cases: list[Case], model: str
) -> None:
    """Grey pictures are converted where they are read; what the one before left around it has no effect."""
    fitting = stages.LandmarkFitting(models / f"model/main_{model}_general.txt")
    height, width = cases[0].image.shape
    noise = np.random.default_rng(5).integers(0, 256, (height, width), dtype=np.uint8)
    for image in (cases[0].image, noise):
        for box in BOXES:
            rotations = box == BOXES[0]
            results = []
            for before in (0, 255):
                fitting.convert(np.full_like(image, before))
                got = fitting.fit_from_box(image, list(box), rotations)
                results.append((got["landmarks"].tobytes(), got["local"].tobytes(), got["certainty"]))
                if image is noise and box == BOXES[4]:
                    assert np.mean(fitting.converted() == before) > 0.5
            assert results[0] == results[1], box


def test_every_instruction_set_fits_to_the_same_bits(fitting: Any, cases: list[Case]) -> None:
    case = cases[0]
    start = case.arrays["global_in"], case.arrays["local_in"]
    active = _core._instruction_set()
    results = []
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            got = fitting.fit(case.image, *start, case.arrays["window_sizes"].tolist())
            results.append((got["landmarks"].tobytes(), got["local"].tobytes(), got["certainty"]))
    finally:
        _core._set_instruction_set(active)
    assert all(result == results[0] for result in results)


def test_wrong_arguments_are_refused(fitting: Any, cases: list[Case]) -> None:
    case = cases[0]
    start = case.arrays["global_in"], case.arrays["local_in"]
    with pytest.raises(InputError, match="global"):
        fitting.fit(case.image, start[0][:5], start[1], [0, 9, 7, 0])
    with pytest.raises(InputError, match="part"):
        fitting.fit_shape(7, case.image, *start, [0, 9, 7, 0])
