"""Association matrices against a plain inverse in double (landmark-fitting.md, 4.4 and 9.3, item 9)."""

from __future__ import annotations

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
