"""The landmark fit (landmark-fitting.md, sections 4 to 7) against the reference's own fits, step by step.

Two kinds of check. From the golden responses the optimisation alone is compared: there, equal means equal to
float rounding. From the image everything is compared, first scale by scale from golden parameters, then as a
whole. Whole fits amplify last bits (a kernel position is rounded to 0.1 px, a sample position to 1/32 px), so
they state section 10.1's tolerances for chained fits.
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

    @property
    def yaw(self) -> float:
        return abs(float(self.arrays["global_in"][2]))

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


def difference(got: Any, want: Any) -> float:
    return float(np.abs(np.asarray(got, np.float64) - np.asarray(want, np.float64)).max(initial=0.0))


def test_similarity_to_the_reference_frame_is_exact(fitting: Any, cases: list[Case]) -> None:
    total = exact = 0
    for case in cases:
        for prefix, part, scale, windows in case.scales():
            golden = {k.removeprefix(prefix): v for k, v in case.arrays.items() if k.startswith(prefix)}
            start = golden["global_before"], golden["local_before"]
            _, (trace,) = fitting.fit_shape(part, case.image, *start, windows)
            assert trace["scale"] == scale
            assert trace["view"] == golden["view"], case.name
            np.testing.assert_array_equal(trace["base_shape"], golden["base_shape"])
            got = np.float32(trace["image_to_reference"]).reshape(2, 2)
            # A last bit (1.2e-7 at this size) may differ where the reference's hypot rounds otherwise.
            assert difference(got, golden["sim_img_to_ref"]) <= 2.5e-7
            exact += int((got == golden["sim_img_to_ref"]).all())
            total += 1
            for ours, theirs in (("regularisation", "reg_factor"), ("sigma", "sigma")):
                assert trace[ours] == pytest.approx(float(golden[theirs]), rel=1e-6)
    # It decides where the image is sampled (in steps of 1/32 px), so only a few cases may differ at all.
    assert total == 169
    assert exact >= 0.97 * total


def test_responses_from_golden_parameters(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        for prefix, part, _, windows in case.scales():
            start = case.arrays[f"{prefix}global_before"], case.arrays[f"{prefix}local_before"]
            _, (trace,) = fitting.fit_shape(part, case.image, *start, windows)
            visible = case.arrays[f"{prefix}visibility"] > 0
            error = np.abs(trace["responses"] - case.arrays[f"{prefix}responses"])[visible]
            # 10.1: 7e-7 from the golden area; a sample position that flips by 1/32 px moves a landmark's map
            # by up to 3e-3. With the exact similarity that happens to next to none.
            worst = error.reshape(len(error), -1).max(axis=1)
            assert np.median(worst) <= 7e-7, (case.name, prefix)
            assert np.count_nonzero(worst > 2e-6) <= 2, (case.name, prefix)
            assert worst.max() <= 3e-3, (case.name, prefix)


def test_optimisation_from_golden_responses(fitting: Any, cases: list[Case]) -> None:
    shifts, flipped, passes = [], 0, 0
    for case in cases:
        for prefix, part, scale, windows in case.scales():
            responses: list[np.ndarray | None] = [None] * len(windows)
            responses[scale] = np.nan_to_num(case.arrays[f"{prefix}responses"])
            start = case.arrays[f"{prefix}global_before"], case.arrays[f"{prefix}local_before"]
            state, (trace,) = fitting.fit_shape(part, case.image, *start, windows, responses)
            largest = 0.0
            for kind in ("rigid", "nonrigid"):
                golden = {
                    k.removeprefix(f"{prefix}{kind}."): v
                    for k, v in case.arrays.items()
                    if k.startswith(f"{prefix}{kind}.")
                }
                done = int(np.count_nonzero(~np.isnan(golden["global"][:, 0])))
                ours = trace[kind]
                assert len(ours["global"]) == done, (case.name, prefix, kind)
                first = difference(ours["mean_shifts"][0], golden["mean_shift_img"][0])
                if kind == "rigid":
                    # The same parameters, the same responses: 10.1's 5e-5 px, nothing chained. (Near a yaw
                    # of 90 degrees the similarity is nearly degenerate.)
                    assert first <= (5e-5 if case.yaw < 1.5 else 7e-4), (case.name, prefix)
                    shifts.append(first)
                last = difference(ours["global"][done - 1], golden["global"][done - 1])
                largest = max(largest, last)
                passes += 1
                flipped += last > 1e-3
                # 10.1: 1e-4 px after a pass (translation is in the global parameters); a kernel position that
                # flips by a step of 0.1 px moves a landmark's mean shift by up to 0.05 px, landmarks by 6e-3
                assert last <= 1e-2, (case.name, prefix, kind)
            if f"{prefix}nonrigid.log_likelihood" in case.arrays:
                want = float(case.arrays[f"{prefix}nonrigid.log_likelihood"])
                # 10.1: 2e-6 relative at given offsets; here the offsets are those after up to nine chained
                # iterations, and what they differ by shows.
                allowed = 5e-5 if largest <= 1e-4 else 2e-3
                assert state["likelihood"] == pytest.approx(want, rel=2e-6, abs=allowed), (case.name, prefix)
    assert np.median(shifts) <= 1e-5
    assert flipped <= 0.05 * passes


def test_parts_start_from_the_mapped_landmarks(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        for prefix, part in PARTS.items():
            if part < 0:
                continue
            started = fitting.fit_to_landmarks(part, case.arrays[f"{prefix}landmarks_in"])
            # 10.1: 2e-4 in the local parameters, 6e-5 px in the landmarks, here seen through scale and
            # angles. The angles of a profile face (hypotheses at 90 degrees) are worse conditioned.
            tolerance = 4e-4 if case.yaw < 1.2 else 2e-2
            assert difference(started["global"], case.arrays[f"{prefix}init_global"]) <= tolerance, case.name
            assert difference(started["local"], case.arrays[f"{prefix}init_local"]) <= 10 * tolerance


def test_merge_of_the_golden_parts(fitting: Any, cases: list[Case]) -> None:
    for case in cases:
        if "merge.landmarks_in" not in case.arrays:
            continue
        merged = fitting.fit_to_landmarks(-1, case.arrays["merge.landmarks_in"])
        # 10.1: 6e-5 px; hypothesis 7 has an erratic path from rotation 0 (7e-3 px).
        tolerance = 2e-2 if case.name == "hypothesis 7" else 2e-4
        assert difference(merged["landmarks"], case.arrays["merge.landmarks"]) <= tolerance, case.name


def test_whole_fits(fitting: Any, cases: list[Case]) -> None:
    typical = []
    for case in cases:
        golden = case.arrays
        got = fitting.fit(
            case.image, golden["global_in"], golden["local_in"], golden["window_sizes"].tolist()
        )
        assert got["ok"] == bool(golden["success"]), case.name
        assert got["certainty"] == pytest.approx(float(golden["certainty"]), abs=1e-6), case.name
        after_scales = difference(got["after_scales"]["landmarks"], golden["landmarks_fit"])
        # 10.1, chained: up to 1.2e-2 px when tracking, 0.2 px from the hypotheses; after parts and merge 0.08
        # and 0.4 px (8 px for hypothesis 7, whose merge is erratic and which always loses the choice).
        tracking = case.name.startswith("track")
        assert after_scales <= (0.06 if tracking else 0.25), case.name
        for index, part in enumerate(got["parts"]):
            assert part["used"] == bool(golden[f"part{index}.used"]), case.name
            assert difference(part["landmarks_in"], golden[f"part{index}.landmarks_in"]) <= 0.25
            assert difference(part["landmarks"], golden[f"part{index}.landmarks_out"]) <= 0.4
        final = difference(got["landmarks"], golden["landmarks_out_final"])
        assert final <= (0.08 if tracking else 8.5 if case.name == "hypothesis 7" else 0.4), case.name
        typical.append(np.abs(got["landmarks"] - golden["landmarks_out_final"]).mean())
    assert np.median(typical) <= 5e-3  # px, far below the CSV's step of 0.1


def test_eleven_rotations_from_the_detected_box_keep_the_likeliest(
    fitting: Any, golden_stage: Callable[[str], Any], cases: list[Case]
) -> None:
    golden = golden_stage("fitting")
    upright = next(case for case in cases if case.name == "hypothesis 0")
    # The detected box, from the parameters that it gave: section 3.3 backwards.
    scale, _, _, _, tx, ty = (float(v) for v in upright.arrays["global_in"])
    mean = fitting.fit_to_landmarks(-1, upright.arrays["landmarks_fit"])["local"] * 0
    flat, _ = fitting.fit_shape(-1, upright.image, np.float32([1, 0, 0, 0, 0, 0]), mean, [0])
    x, y = flat["landmarks"].reshape(2, 68) * scale
    box = [x.min() + tx, y.min() + ty, np.ptp(x), np.ptp(y)]
    got = fitting.fit_from_box(upright.image, box, True)
    assert len(got["scales"]) == 3 * int(golden["init_multi.result.calls"])
    assert difference(got["landmarks"], golden["init_multi.result.landmarks"]) <= 0.4  # 10.1, chained
    # The likelihoods of the winner and the runner-up differ by much more than this.
    assert got["likelihood"] == pytest.approx(float(golden["init_multi.result.likelihood"]), abs=5e-3)
    assert got["certainty"] == pytest.approx(float(golden["init_multi.result.certainty"]), abs=1e-6)


def test_fit_of_an_upright_first_detection(fitting: Any, cases: list[Case]) -> None:
    by_name = {case.name: case for case in cases}
    for name in ("init_sample1", "init_small"):
        case = by_name[name]
        got = fitting.fit_from_box(case.image, case.arrays["bbox"][0].tolist(), False)
        assert difference(got["landmarks"], case.arrays["landmarks_out_final"]) <= 0.4  # 10.1, chained
        assert got["ok"] == bool(case.arrays["success"])


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
