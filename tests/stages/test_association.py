"""Association matrices against a plain inverse in double (landmark-fitting.md, 4.4 and 9.3, item 9)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from pyopenface import _core
from pyopenface._core import stages

WINDOWS = [3, 5, 7, 9, 11, 15]


@pytest.fixture(params=_core._available_instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    active = _core._instruction_set()
    _core._set_instruction_set(request.param)
    yield request.param
    _core._set_instruction_set(active)


def similarity_laplacian(window: int, distances: set[int]) -> np.ndarray:
    """The graph Laplacian of positions that are this far apart along a row or a column."""
    y, x = np.divmod(np.arange(window * window), window)
    dy, dx = abs(y[:, None] - y), abs(x[:, None] - x)
    linked = ((dy == 0) & np.isin(dx, list(distances))) | ((dx == 0) & np.isin(dy, list(distances)))
    return np.asarray(np.diag(linked.sum(axis=1)) - linked, np.float32)


def edge_matrices(window: int) -> list[np.ndarray]:
    return [similarity_laplacian(window, {1}), similarity_laplacian(window, {1, 2})]


@pytest.mark.parametrize("window", WINDOWS)
def test_matrix_is_the_inverse(window: int, instruction_set: str) -> None:
    alpha_sum, betas = np.float32(1.3), np.array([0.7, 0.21], np.float32)
    edges = edge_matrices(window)
    got, positive = stages.association_matrix(window, alpha_sum, betas, edges)
    edge_sum = sum(float(b) * e.astype(float) for b, e in zip(betas, edges, strict=True))
    want = np.linalg.inv(2 * (float(alpha_sum) * np.eye(window**2) + edge_sum))
    assert positive
    assert np.abs(got - want).max() < 1e-6 * np.abs(want).max()


@pytest.mark.parametrize("window", WINDOWS)
def test_every_instruction_set_gives_the_same_bits(window: int) -> None:
    active = _core._instruction_set()
    results = []
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            results.append(stages.association_matrix(window, 1.3, [0.7, 0.21], edge_matrices(window))[0])
    finally:
        _core._set_instruction_set(active)
    for other in results[1:]:
        np.testing.assert_array_equal(other.view(np.uint32), results[0].view(np.uint32))


def inverse_with_double_sums(matrix: np.ndarray) -> np.ndarray:
    """The inverse by 9.3, item 13, for all unit vectors at a time."""
    n = len(matrix)
    lower, scale = np.zeros((n, n), np.float32), np.zeros(n, np.float32)
    for j in range(n):
        pivot = np.float64(matrix[j, j])
        for k in range(j):
            pivot -= np.float64(lower[j, k]) ** 2
        scale[j] = 1 / np.sqrt(pivot)
        column = matrix[j + 1 :, j].astype(np.float64)
        for k in range(j):
            column -= lower[j + 1 :, k] * lower[j, k]
        lower[j + 1 :, j] = column * np.float64(scale[j])
    x = np.eye(n, dtype=np.float32)
    for order, factor in ((range(n), lower), (range(n - 1, -1, -1), lower.T)):
        done: list[int] = []
        for i in order:
            rest = x[i].astype(np.float64)
            for k in done:
                rest -= factor[i, k] * x[k]
            x[i] = rest * np.float64(scale[i])
            done.append(i)
    return x


@pytest.mark.parametrize("window", [3, 7, 9])
def test_small_windows_to_the_last_bit(window: int) -> None:
    # Halves and integers: the sum of edges is exact.
    alpha_sum, betas, edges = np.float32(1.3), [0.5, 2.0], edge_matrices(window)
    matrix = (0.5 * edges[0] + 2 * edges[1]).astype(np.float32)
    matrix = 2 * (alpha_sum * np.eye(window**2, dtype=np.float32) + matrix)
    got, _ = stages.association_matrix(window, alpha_sum, betas, edges)
    np.testing.assert_array_equal(got, inverse_with_double_sums(matrix))


@pytest.mark.parametrize(
    ("window", "digest"),
    [(11, "ea7c081866be12f3"), (13, "6f33553e38cafb94"), (15, "892a530041355e53")],
)
def test_large_windows_as_openblas_inverts_them(window: int, digest: str) -> None:
    # Of what sposv gives in OpenBLAS 0.3.21 (OPENBLAS_CORETYPE=Haswell, OPENBLAS_NUM_THREADS=1).
    got, _ = stages.association_matrix(window, 1.3, [0.5, 2.0], edge_matrices(window))
    assert hashlib.sha256(np.ascontiguousarray(got).tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("window", [3, 13])
def test_without_edges_it_is_what_the_inversion_gives(window: int) -> None:
    nothing = np.zeros((window**2, window**2), np.float32)
    for alpha_sum in np.random.default_rng(1).uniform(0.1, 50, 20).astype(np.float32):
        matrix, _ = stages.association_matrix(window, alpha_sum, [1.0], [nothing])
        diagonal = np.float32(stages.association_without_edges(alpha_sum, window))
        np.testing.assert_array_equal(matrix, diagonal * np.eye(window**2, dtype=np.float32))


@pytest.mark.parametrize("window", [5, 11])
def test_indefinite_edges_give_zeros(window: int) -> None:
    matrix, positive = stages.association_matrix(window, 1.0, [-3.0, 0.1], edge_matrices(window))
    assert not positive
    assert not matrix.any()
