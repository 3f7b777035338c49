"""The small networks of detector and validator, on made-up files: no weights needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_files import (
    FullyConnected,
    Logistic,
    MaxPooling,
    Network,
    Rectifier,
    convolution,
    fully_connected,
    prelu,
    random_values,
)

from pyopenface import _core
from pyopenface.errors import ModelError

# Sums of at most a few hundred float products of size 1 in another order than numpy's double ones. (Where the
# order counts, for MTCNN, test_face_detection.py and the test of convolutions below ask for equality.)
TOLERANCE = {"rtol": 1e-5, "atol": 2e-5}
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run_interleaved(
    folder: Path, network: Network, maps: np.ndarray, side: int, any_size: bool
) -> np.ndarray:
    path = folder / "net.dat"
    path.write_bytes(network.write(mtcnn=True))
    order = list(range(len(maps)))
    return _core.stages.run_interleaved_network(path, maps.transpose(1, 2, 0), order, side, any_size)


def run_planar(folder: Path, network: Network, plane: np.ndarray) -> np.ndarray:
    path = folder / "net.dat"
    path.write_bytes(network.write(mtcnn=False))
    return _core.stages.run_planar_network(path, plane)


@MANY
@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 4),
    maps=st.integers(1, 40),
    more=st.integers(1, 70),
    size=st.integers(9, 23),
    pool=st.sampled_from([(2, 2), (3, 2), (3, 3), (1, 1), (2, 3)]),
)
def test_interleaved_network_of_any_shape(
    tmp_path: Path, seed: int, inputs: int, maps: int, more: int, size: int, pool: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    layers = Network(
        [
            convolution(rng, inputs, maps, 3, 2),
            prelu(rng, maps),
            MaxPooling((pool[0], pool[0]), (pool[1], pool[1])),
            convolution(rng, maps, more, 1, 2),
            prelu(rng, more),
        ]
    )
    values = random_values(rng, inputs, size, size)
    shape = layers.run(values).shape
    units = int(rng.integers(1, 40))
    layers.layers += [
        FullyConnected(random_values(rng, int(np.prod(shape)), units) / 8, random_values(rng, units)),
        prelu(rng, units),
        fully_connected(rng, units, 6),
    ]
    result = run_interleaved(tmp_path, layers, values, size, any_size=False)
    np.testing.assert_allclose(result, layers.run(values), rtol=1e-4, atol=1e-4)


def chain(weights: np.ndarray, values: np.ndarray, terms: Iterable[int]) -> np.ndarray:
    """Fused multiply-adds from zero on: a product of floats is exact in double."""
    total = np.zeros((weights.shape[0], values.shape[1]), np.float32)
    for k in terms:
        product = weights[:, k, None].astype(float) * values[k].astype(float)
        total = (product + total).astype(np.float32)
    return total


def in_tile_order(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The product in the order that convolution_layer.h describes."""
    outputs, positions = weights.shape[0], values.shape[1]
    eights, fours = outputs // 8, positions // 12 * 12 + positions % 12 // 4 * 4
    two_chains = np.zeros((outputs, positions), bool)
    for p in range(positions // 12 * 12 if eights >= 2 else 0):
        in_first_six = p % 12 < 6
        two_chains[:8, p] = in_first_six
        two_chains[8 * eights - 8 : 8 * eights, p] = in_first_six == (eights % 2 == 0)
    two_chains[: 8 * eights, positions // 12 * 12 : fours] = True
    result, start, terms = np.zeros((outputs, positions), np.float32), 0, weights.shape[1]
    while start < terms:
        left = terms - start
        part = 320 if left >= 640 else left if left <= 320 else (left // 2 + 7) // 8 * 8
        paired, end = start + part // 8 * 8, start + part
        first = chain(weights, values, [*range(start, paired, 2), *range(paired, end)])
        both = first + chain(weights, values, range(start + 1, paired, 2))
        result += np.where(two_chains, both, chain(weights, values, range(start, end)))
        start = end
    return result


@MANY
@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 60),
    outputs=st.integers(1, 75),
    height=st.integers(3, 12),
    width=st.integers(3, 12),
)
def test_convolutions_sum_in_the_order_of_the_reference(
    tmp_path: Path, seed: int, inputs: int, outputs: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    layer = convolution(rng, inputs, outputs, 3, 3)
    maps = random_values(rng, inputs, height, width).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), axis=(1, 2))
    positions = windows.shape[1] * windows.shape[2]
    values = windows.transpose(0, 4, 3, 1, 2).reshape(-1, positions)
    weights = layer.kernels.transpose(1, 0, 3, 2).reshape(outputs, -1)
    expected = in_tile_order(
        np.hstack([weights, layer.bias[:, None]]).astype(np.float32),
        np.vstack([values, np.ones((1, positions), np.float32)]),
    )
    result = run_interleaved(tmp_path, Network([layer]), maps, 3, any_size=True)
    np.testing.assert_array_equal(result.reshape(positions, outputs).T, expected)


def test_tiles_are_counted_anew_in_large_maps(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    layer = convolution(rng, 9, 16, 1, 1)
    maps = random_values(rng, 9, 325, 324).astype(np.float32)
    weights = np.hstack([layer.kernels[:, :, 0, 0].T, layer.bias[:, None]]).astype(np.float32)
    values = np.vstack([maps.reshape(9, -1), np.ones((1, 325 * 324), np.float32)])
    result = run_interleaved(tmp_path, Network([layer]), maps, 1, any_size=True)
    expected = [in_tile_order(weights, part) for part in (values[:, :104512], values[:, 104512:])]
    np.testing.assert_array_equal(result.reshape(-1, 16).T, np.hstack(expected))


@MANY
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(12, 40), width=st.integers(12, 40))
def test_fully_connected_layer_of_as_many_rows_as_maps_keeps_the_map(
    tmp_path: Path, seed: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    layers = Network(
        [
            convolution(rng, 3, 5, 3, 3),
            MaxPooling(),
            convolution(rng, 5, 9, 5, 5),
            Logistic(),
            fully_connected(rng, 9, 6),
        ]
    )
    values = random_values(rng, 3, height, width)
    result = run_interleaved(tmp_path, layers, values, 12, any_size=True)
    np.testing.assert_allclose(result.transpose(2, 0, 1), layers.run(values), **TOLERANCE)


@MANY
@given(
    seed=st.integers(0, 2**32 - 1),
    maps=st.integers(1, 23),
    more=st.integers(1, 13),
    height=st.integers(9, 40),
    width=st.integers(9, 40),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_planar_network_of_any_shape(
    tmp_path: Path, seed: int, maps: int, more: int, height: int, width: int, kernel: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    layers = Network(
        [
            convolution(rng, 1, maps, *kernel),
            Rectifier(),
            MaxPooling(),
            convolution(rng, maps, more, 2, 3),
            Rectifier(),
            MaxPooling(),
        ]
    )
    values = random_values(rng, height, width)
    shape = layers.run(values[None]).shape
    units = int(np.prod(shape))
    layers.layers += [
        FullyConnected(random_values(rng, units, 5) / 8, random_values(rng, 5)),
        Rectifier(),
        fully_connected(rng, 5, 3),
    ]
    np.testing.assert_allclose(
        run_planar(tmp_path, layers, values), layers.run(values[None]).ravel(), rtol=1e-4, atol=1e-4
    )


def test_every_instruction_set_gives_the_same_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    interleaved = Network(
        [
            convolution(rng, 3, 28, 3, 3),
            prelu(rng, 28),
            MaxPooling((3, 3), (2, 2)),
            convolution(rng, 28, 50, 2, 2),
            prelu(rng, 50),
            fully_connected(rng, 50 * 4 * 4, 21),
        ]
    )
    planar = Network(
        [
            convolution(rng, 1, 11, 5, 4),
            Rectifier(),
            MaxPooling(),
            convolution(rng, 11, 7, 3, 3),
            Logistic(),
            fully_connected(rng, 7 * 13 * 11, 9),
        ]
    )
    maps, plane = random_values(rng, 3, 13, 13), random_values(rng, 33, 29)
    active = _core._instruction_set()
    results = set()
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            results.add(
                run_interleaved(tmp_path, interleaved, maps, 13, False).tobytes()
                + run_planar(tmp_path, planar, plane).tobytes()
            )
    finally:
        _core._set_instruction_set(active)
    assert len(results) == 1


def refused(folder: Path, layers: Network, cause: str, side: int = 12, any_size: bool = False) -> None:
    with pytest.raises(ModelError, match=cause):
        run_interleaved(folder, layers, np.zeros((3, side, side)), side, any_size)


def test_networks_that_dont_fit_together_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    first = convolution(rng, 3, 4, 3, 3)
    refused(tmp_path, Network([convolution(rng, 2, 4, 3, 3)]), "a convolution of 2 maps where 3 come in")
    refused(tmp_path, Network([convolution(rng, 3, 4, 13, 3)]), "larger than its map")
    refused(tmp_path, Network([first, prelu(rng, 5)]), "5 PReLU slopes where 4")
    refused(tmp_path, Network([first, prelu(rng, 4), prelu(rng, 4)]), "follows neither")
    refused(tmp_path, Network([first, fully_connected(rng, 99, 6)]), "99 inputs where 400 come in")
    refused(tmp_path, Network([first, fully_connected(rng, 400, 6)]), "varying size", any_size=True)
    refused(tmp_path, Network([first]), "doesn't end in one output")
    refused(tmp_path, Network([first, MaxPooling((2, 2), (4, 4))]), "less than twice the window")
    refused(tmp_path, Network([first, MaxPooling((17, 1), (1, 1))]), "not between 1 and 16")
    refused(tmp_path, Network([MaxPooling()]), "before the first convolution")
    refused(tmp_path, Network([]), "not between 1 and 64")


@pytest.mark.parametrize("mtcnn", [True, False])
def test_every_truncation_and_any_extra_byte_is_refused(tmp_path: Path, mtcnn: bool) -> None:
    rng = np.random.default_rng(7)
    layers = Network(
        [
            convolution(rng, 3 if mtcnn else 1, 3, 3, 3),
            prelu(rng, 3) if mtcnn else Rectifier(),
            MaxPooling(),
            fully_connected(rng, 75, 4),
        ]
    )
    whole = layers.write(mtcnn)
    path = tmp_path / "net.dat"

    def load() -> None:
        if mtcnn:
            _core.stages.run_interleaved_network(path, np.zeros((12, 12, 3)), [0, 1, 2], 12, False)
        else:
            _core.stages.run_planar_network(path, np.zeros((12, 12)))

    path.write_bytes(whole)
    load()
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError, match=r"net\.dat.*byte"):
            load()
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelError, match="too many"):
        load()
