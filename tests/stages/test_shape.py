"""Point distribution model and rotations against pdm.npz (landmark-fitting.md, sections 3 and 10.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyopenface import ModelError
from pyopenface._core import stages

PDM_FILES = {
    "face68": "model/pdms/In-the-wild_aligned_PDM_68.txt",
    "inner51": "model/model_inner/pdms/pdm_51_inner.txt",
    "left_eye_28": "model/model_eye/pdms/pdm_28_l_eye_3D_closed.txt",
    "right_eye_28": "model/model_eye/pdms/pdm_28_eye_3D_closed.txt",
}


@pytest.fixture(scope="module")
def arrays(golden: Path) -> Any:
    with np.load(golden / "stages" / "pdm.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module", params=list(PDM_FILES))
def model(request: pytest.FixtureRequest, models: Path, arrays: Any) -> Any:
    prefix = request.param
    fields = {k[len(prefix) + 1 :]: v for k, v in arrays.items() if k.startswith(prefix + ".")}
    return stages.Pdm(str(models / PDM_FILES[prefix])), fields


def test_model_file_is_read_as_the_reference_reads_it(model: Any) -> None:
    pdm, golden = model
    np.testing.assert_array_equal(pdm.mean_shape, golden["mean_shape"])
    np.testing.assert_array_equal(pdm.eigenvalues, golden["eigenvalues"])


def test_shapes(model: Any) -> None:
    pdm, golden = model
    got3d = np.array([pdm.shape3d(q) for q in golden["params_local"]])
    got2d = np.array(
        [pdm.shape2d(g, q) for g, q in zip(golden["params_global"], golden["params_local"], strict=True)]
    )
    np.testing.assert_array_equal(got3d, golden["shape3d"])
    np.testing.assert_array_equal(got2d, golden["shape2d"])


def test_clamping_is_exact(model: Any) -> None:
    pdm, golden = model
    np.testing.assert_array_equal([pdm.clamp(q) for q in golden["clamp.in"]], golden["clamp.out"])


def test_parameter_update(model: Any) -> None:
    pdm, golden = model
    for i, delta in enumerate(golden["update.delta"]):
        g, q = golden["params_global"][i], golden["params_local"][i]
        got_global, got_local = pdm.update(delta, g, q)
        np.testing.assert_array_equal(got_global, golden["update.global_out"][i])
        np.testing.assert_array_equal(got_local, golden["update.local_out"][i])
        rigid_global, rigid_local = pdm.update(delta[:6], g, q)
        np.testing.assert_array_equal(rigid_global, golden["update.rigid_only_global_out"][i])
        np.testing.assert_array_equal(rigid_local, q)


def test_start_from_a_box(model: Any) -> None:
    pdm, golden = model
    for row, local, want in zip(
        golden["init_bbox.in"], golden["init_bbox.local_in"], golden["init_bbox.global_out"], strict=True
    ):
        got = pdm.global_from_box(list(row[:4]), local, list(row[4:]))
        np.testing.assert_array_equal(got, want)


def test_step_solves_the_normal_equations_of_the_golden_jacobian(model: Any) -> None:
    pdm, golden = model
    n = pdm.landmark_count
    random = np.random.default_rng(5)
    for i in range(3):
        weights = golden["jacobian_weights"][i][:n]
        residual = random.standard_normal(2 * n).astype(np.float32)
        q = golden["params_local"][i]
        for rigid in (True, False):
            jacobian = golden["jacobian_rigid" if rigid else "jacobian_full"][i].astype(np.float64)
            weighted = golden["jacobian_rigid_wt" if rigid else "jacobian_full_wt"][i].astype(np.float64)
            strength = np.zeros(jacobian.shape[1])
            if not rigid:
                strength[6:] = 2.5 / golden["eigenvalues"]
            hessian = weighted @ jacobian + np.diag(strength)
            right = weighted @ residual
            right[6:] -= strength[6:] * q[: len(right) - 6]
            want = np.linalg.solve(hessian, right)
            got = pdm.solve_step(golden["params_global"][i], q, weights, residual, 2.5, rigid)
            # Float storage of a matrix whose condition number is 1e4 to 1e6: the rounding of its entries,
            # 6e-8, is amplified accordingly.
            assert np.linalg.norm(got - want) <= 2e-4 * np.linalg.norm(want)


def test_fit_to_tracked_landmarks(model: Any) -> None:
    pdm, golden = model
    for i, landmarks in enumerate(golden["fit.landmarks_in"]):
        got_global, got_local = pdm.fit_to_landmarks(landmarks)
        np.testing.assert_array_equal(got_global, golden["fit.global_out"][i])
        np.testing.assert_array_equal(got_local, golden["fit.local_out"][i])
        np.testing.assert_array_equal(pdm.shape2d(got_global, got_local), golden["fit.shape2d_out"][i])


def test_fit_of_the_action_unit_model(models: Path, arrays: Any) -> None:
    pdm = stages.Pdm(str(models / "AU_predictors/In-the-wild_aligned_PDM_68.txt"))
    for i, landmarks in enumerate(arrays["face68.fit.landmarks_in"]):
        got_global, got_local = pdm.fit_to_landmarks(landmarks)
        np.testing.assert_array_equal(got_local, arrays["au_face68.fit.local_out"][i])
        np.testing.assert_array_equal(got_global, arrays["au_face68.fit.global_out"][i])


def test_rotation_conversions(arrays: Any) -> None:
    for i, euler in enumerate(arrays["rotation.euler"]):
        matrix = arrays["rotation.matrix"][i]
        axis_angle = arrays["rotation.axis_angle"][i]
        np.testing.assert_array_equal(
            np.float32(stages.rotation_from_euler_in_float(euler)).reshape(matrix.shape), matrix
        )
        # The other golden conversions use single-precision trigonometry too: last-bit differences, at most
        # 3e-7 (section 3.1).
        np.testing.assert_allclose(stages.rotation_from_euler(euler), matrix.ravel(), rtol=0, atol=3e-7)
        np.testing.assert_allclose(stages.axis_angle_from_rotation(matrix), axis_angle, rtol=0, atol=1e-6)
        np.testing.assert_allclose(
            stages.euler_from_rotation(matrix), arrays["rotation.euler_from_matrix"][i], atol=2e-6
        )
        back = stages.euler_from_rotation(stages.rotation_from_axis_angle(axis_angle))
        np.testing.assert_allclose(back, arrays["rotation.euler_from_axis_angle"][i], atol=2e-6)


def test_similarity_between_point_sets(arrays: Any) -> None:
    for source, target, want in zip(
        arrays["rotation.similarity.src"],
        arrays["rotation.similarity.dst"],
        arrays["rotation.similarity.out"],
        strict=True,
    ):
        got = np.reshape(stages.similarity_between(source, target), (2, 2)).astype(np.float32)
        # To the last bit: the image is sampled at positions rounded to 1/32 px, so a last bit can flip one.
        np.testing.assert_array_equal(got, want)


def test_every_instruction_set_gives_the_same_bits(model: Any) -> None:
    from pyopenface import _core

    pdm, golden = model
    landmarks = golden["fit.landmarks_in"][0]
    results = []
    active = _core._instruction_set()
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            fitted = pdm.fit_to_landmarks(landmarks)
            results.append(np.concatenate([*fitted, pdm.shape2d(*fitted)]).view(np.uint32))
    finally:
        _core._set_instruction_set(active)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.fixture
def tiny_pdm_file(tmp_path: Path) -> Path:
    """A model of four landmarks and two modes, as text."""
    random = np.random.default_rng(1)
    n, m = 4, 2
    modes = np.linalg.qr(random.standard_normal((3 * n, m)))[0]
    lines = ["# mean", f"{3 * n}", "1", "6", *(f"{v:.6f}" for v in random.standard_normal(3 * n) * 10)]
    lines += ["# modes", f"{3 * n}", f"{m}", "6", *(" ".join(f"{v:.6f}" for v in row) for row in modes)]
    lines += ["# eigenvalues", "1", f"{m}", "6", "4.0 1.0"]
    path = tmp_path / "tiny_pdm.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tiny_model_projects_like_plain_numpy(tiny_pdm_file: Path) -> None:
    pdm = stages.Pdm(str(tiny_pdm_file))
    flat = pdm.shape3d([0.0, 0.0]).reshape(3, 4)
    got = pdm.shape2d([2.0, 0.0, 0.0, 0.0, 5.0, 7.0], [0.0, 0.0]).reshape(2, 4)
    np.testing.assert_allclose(got, 2.0 * flat[:2] + [[5.0], [7.0]], atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_model_file_is_refused_with_its_name(tiny_pdm_file: Path, share: float) -> None:
    text = tiny_pdm_file.read_text()
    tiny_pdm_file.write_text(text[: int(len(text) * share) - 2] if share else "")
    with pytest.raises(ModelError, match=r"tiny_pdm\.txt"):
        stages.Pdm(str(tiny_pdm_file))
