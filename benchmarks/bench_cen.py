"""CEN networks of the published layer sizes against the same products in OpenBLAS, in one run on one core.

Ours is the whole network (products, biases, activations), OpenBLAS does the bare products with numpy.matmul
into arrays that exist already. Each measurement walks through as many networks as a frontal view has, with
random weights, so that weights come from memory as they do in use; the two take turns, and the fastest round
of each counts.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_cen.py [--rounds 40] [--instruction-set avx2]
"""

from __future__ import annotations

import argparse
import itertools
import os
import time

import numpy as np

from pyopenface import _core
from pyopenface._core import stages

LAYERS = [(122, 300, 100, 50, 1), (122, 500, 200, 100, 1)]  # scales 0.25 and 0.35; 0.50 and 1.00
NETWORKS = 39  # stored experts of the frontal view
WINDOWS = (5, 7, 9, 11)


def compare(sizes: tuple[int, ...], positions: int, rounds: int) -> tuple[float, float]:
    """Seconds per network: ours, OpenBLAS's."""
    rng = np.random.default_rng(0)
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.normal(0, 0.05, (NETWORKS, o, i)).astype(np.float32) for i, o in pairs]
    biases = [rng.normal(0, 0.05, (NETWORKS, o)).astype(np.float32) for _, o in pairs]
    networks = stages.DenseNetworks(weights, biases, [2, 2, 0, 0])
    rows = rng.normal(0, 0.1, (positions, sizes[0])).astype(np.float32)
    columns = np.ascontiguousarray(rows.T)
    outputs = [np.empty((o, positions), np.float32) for _, o in pairs]

    def blas() -> float:
        start = time.perf_counter()
        for network in range(NETWORKS):
            x = columns
            for layer, out in zip(weights, outputs, strict=True):
                np.matmul(layer[network], x, out=out)
                x = out
        return time.perf_counter() - start

    times = [(networks.evaluate(rows)[1], blas()) for _ in range(rounds)]
    ours, theirs = np.min(times, axis=0) / NETWORKS
    return float(ours), float(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description="CEN networks against OpenBLAS on one core.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--instruction-set", choices=_core._available_instruction_sets())
    arguments = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OPENBLAS_NUM_THREADS=1: one core against one core")
    if arguments.instruction_set:
        _core._set_instruction_set(arguments.instruction_set)
    print(f"{_core._instruction_set()}, {NETWORKS} networks, best of {arguments.rounds} rounds")
    print(f"{'layers':18} window uses positions      us  GFLOP/s OpenBLAS ratio")
    for sizes in LAYERS:
        flops = 2 * sum(i * o for i, o in itertools.pairwise(sizes))
        for window, uses in itertools.product(WINDOWS, (1, 2)):  # alone, or with the mirrored landmark
            positions = uses * (window * window // 2)
            ours, theirs = compare(sizes, positions, arguments.rounds)
            rates = [flops * positions / seconds / 1e9 for seconds in (ours, theirs)]
            print(
                f"{'-'.join(map(str, sizes)):18} {window:6} {uses:4} {positions:9} {ours * 1e6:7.1f} "
                f"{rates[0]:8.1f} {rates[1]:8.1f} {rates[0] / rates[1]:5.2f}"
            )


if __name__ == "__main__":
    main()
