"""Head pose, 3D landmarks and gaze (tracking.md, sections 6 to 8)

From the reference's own fitted shapes everything has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyopenface import _core

stages = _core.stages

EYES = {"left": 0, "right": 1}


@pytest.fixture(scope="module")
def fitting(models: Path) -> Any:
    return stages.LandmarkFitting(models / "model/main_clnf_general.txt")


@pytest.fixture(scope="module")
def arrays(golden_stage: Callable[[str], Any]) -> dict[str, np.ndarray]:
    archive = golden_stage("gaze")
    return {name: archive[name] for name in archive.files}


def face(arrays: dict[str, np.ndarray], i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return arrays["face_global"][i], arrays["face_local"][i], arrays["face_landmarks"][i]


def test_face_landmarks_in_millimetres(fitting: Any, arrays: dict[str, np.ndarray]) -> None:
    for i, camera in enumerate(arrays["intrinsics"]):
        got = fitting.landmarks_3d(-1, *face(arrays, i), camera)
        np.testing.assert_array_equal(np.float32(got), arrays["face_shape3d"][i])


def test_head_pose(fitting: Any, arrays: dict[str, np.ndarray]) -> None:
    for i, camera in enumerate(arrays["intrinsics"]):
        got = fitting.head_pose(*face(arrays, i), camera)
        np.testing.assert_array_equal(np.float32(got), arrays["head_pose"][i])


@pytest.mark.parametrize("eye", EYES)
def test_eye_landmarks_in_millimetres(fitting: Any, arrays: dict[str, np.ndarray], eye: str) -> None:
    part = fitting.part_names.index(f"{eye}_eye_28")
    for i, camera in enumerate(arrays["intrinsics"]):
        state = arrays[f"{eye}.global"][i], arrays[f"{eye}.local"][i], arrays[f"{eye}.landmarks2d"][i]
        got = fitting.landmarks_3d(part, *state, camera)
        np.testing.assert_array_equal(np.float32(got), arrays[f"{eye}.landmarks3d"][i])


@pytest.mark.parametrize("eye", EYES)
def test_gaze_vector(arrays: dict[str, np.ndarray], eye: str) -> None:
    for i, pose in enumerate(arrays["head_pose"]):
        got = stages.estimate_gaze(
            arrays[f"{eye}.landmarks3d"][i], arrays["face_shape3d"][i], pose, EYES[eye]
        )
        # The ray meets the eyeball at the root of a quadratic whose terms are 1e5 times larger than their
        # difference: anything but the same bits would show as 1e-5.
        np.testing.assert_array_equal(np.float32(got), arrays[f"{eye}.gaze"][i])


def test_gaze_angle(arrays: dict[str, np.ndarray]) -> None:
    for left, right, want in zip(
        arrays["left.gaze"], arrays["right.gaze"], arrays["gaze_angle"], strict=True
    ):
        np.testing.assert_array_equal(np.float32(stages.gaze_angle(left, right)), want)


def test_everything_from_the_fitted_shape(fitting: Any, arrays: dict[str, np.ndarray]) -> None:
    for i, camera in enumerate(arrays["intrinsics"]):
        pose = fitting.head_pose(*face(arrays, i), camera)
        shape = fitting.landmarks_3d(-1, *face(arrays, i), camera)
        vectors = []
        for eye, index in EYES.items():
            part = fitting.part_names.index(f"{eye}_eye_28")
            state = arrays[f"{eye}.global"][i], arrays[f"{eye}.local"][i], arrays[f"{eye}.landmarks2d"][i]
            points = fitting.landmarks_3d(part, *state, camera)
            vectors.append(stages.estimate_gaze(points, shape, pose, index))
        np.testing.assert_array_equal(np.float32(stages.gaze_angle(*vectors)), arrays["gaze_angle"][i])


def test_looking_straight_ahead_is_zero_degrees() -> None:
    np.testing.assert_array_equal(np.abs(stages.gaze_angle([0.0, 0.0, -1.0], [0.0, 0.0, -1.0])), [0.0, 0.0])
    horizontal, vertical = stages.gaze_angle([0.5, 0.25, -1.0], [0.5, 0.25, -1.0])
    assert horizontal == pytest.approx(np.arctan(0.5))
    assert vertical == pytest.approx(np.arctan(0.25))
