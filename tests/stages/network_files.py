"""Small made-up networks: written in OpenFace's file format, and evaluated with plain numpy in double."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

Maps = np.ndarray  # (maps, height, width), or (units,) once flattened


def matrix(values: np.ndarray, code: int = 5) -> bytes:
    """A matrix as the binary files hold it (models.md, section 4)."""
    dtype = {4: "<i4", 5: "<f4", 6: "<f8"}[code]
    values = np.atleast_2d(values)
    return struct.pack("<3i", *values.shape, code) + values.astype(dtype).tobytes()


@dataclass
class Convolution:
    kernels: np.ndarray  # (inputs, outputs, height, width)
    bias: np.ndarray

    def write(self, mtcnn: bool) -> bytes:
        inputs, outputs = self.kernels.shape[:2]
        head = struct.pack("<3i", 0, inputs, outputs) + self.bias.astype("<f4").tobytes()
        return head + b"".join(matrix(k) for maps in self.kernels for k in maps)

    def run(self, maps: Maps) -> Maps:
        height, width = self.kernels.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(maps, (height, width), axis=(1, 2))
        return np.einsum("iyxrc,iorc->oyx", windows, self.kernels) + self.bias[:, None, None]


@dataclass
class MaxPooling:
    kernel: tuple[int, int] = (2, 2)  # x, y
    stride: tuple[int, int] = (2, 2)

    def write(self, mtcnn: bool) -> bytes:
        return struct.pack("<5i", 1, *self.kernel, *self.stride) if mtcnn else struct.pack("<i", 1)

    def run(self, maps: Maps) -> Maps:
        (kx, ky), (sx, sy) = self.kernel, self.stride
        rows = int(np.floor((maps.shape[1] - ky) / sy + 0.5)) + 1
        columns = int(np.floor((maps.shape[2] - kx) / sx + 0.5)) + 1
        pooled = np.empty((len(maps), rows, columns))
        for y in range(rows):
            for x in range(columns):
                pooled[:, y, x] = maps[:, y * sy : y * sy + ky, x * sx : x * sx + kx].max(axis=(1, 2))
        return pooled


@dataclass
class FullyConnected:
    weights: np.ndarray  # (inputs, outputs)
    bias: np.ndarray

    def write(self, mtcnn: bool) -> bytes:
        return struct.pack("<i", 2) + matrix(self.bias[:, None]) + matrix(self.weights)

    def run(self, maps: Maps) -> Maps:
        if maps.ndim == 3 and len(maps) > 1 and len(maps) == len(self.weights):
            return np.einsum("iyx,io->oyx", maps, self.weights) + self.bias[:, None, None]
        flat = maps.transpose(0, 2, 1).ravel() if maps.ndim == 3 else maps
        return flat @ self.weights + self.bias


@dataclass
class Rectifier:
    slopes: np.ndarray | None = None  # None: ReLU, which only validators have

    def write(self, mtcnn: bool) -> bytes:
        code = struct.pack("<i", 3)
        return code + matrix(self.slopes[:, None]) if self.slopes is not None else code

    def run(self, maps: Maps) -> Maps:
        slopes = np.zeros(len(maps)) if self.slopes is None else self.slopes
        return np.where(maps >= 0, maps, maps * slopes.reshape(-1, *[1] * (maps.ndim - 1)))


@dataclass
class Logistic:
    def write(self, mtcnn: bool) -> bytes:
        return struct.pack("<i", 4)

    def run(self, maps: Maps) -> Maps:
        return 1 / (1 + np.exp(-maps))


@dataclass
class Network:
    layers: list[Convolution | MaxPooling | FullyConnected | Rectifier | Logistic] = field(
        default_factory=list
    )

    def write(self, mtcnn: bool) -> bytes:
        return struct.pack("<i", len(self.layers)) + b"".join(layer.write(mtcnn) for layer in self.layers)

    def run(self, maps: Maps) -> Maps:
        maps = maps.astype(float)
        for layer in self.layers:
            maps = layer.run(maps)
        return maps


def random_values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Values that a float holds exactly, so that the file says what numpy computes with."""
    return rng.normal(0, 0.3, shape).astype(np.float32).astype(float)


def convolution(rng: np.random.Generator, inputs: int, outputs: int, height: int, width: int) -> Convolution:
    return Convolution(random_values(rng, inputs, outputs, height, width), random_values(rng, outputs))


def fully_connected(rng: np.random.Generator, inputs: int, outputs: int) -> FullyConnected:
    return FullyConnected(random_values(rng, inputs, outputs), random_values(rng, outputs))


def prelu(rng: np.random.Generator, count: int) -> Rectifier:
    return Rectifier(random_values(rng, count))


def tiny_mtcnn(rng: np.random.Generator) -> dict[str, bytes]:
    """Three networks of MTCNN's shape with few maps, and the listing that names them."""
    proposal = Network(
        [
            convolution(rng, 3, 4, 3, 3),
            prelu(rng, 4),
            MaxPooling(),
            convolution(rng, 4, 5, 3, 3),
            prelu(rng, 5),
            convolution(rng, 5, 7, 3, 3),
            prelu(rng, 7),
            fully_connected(rng, 7, 6),
        ]
    )
    refinement = Network(
        [
            convolution(rng, 3, 3, 5, 5),
            prelu(rng, 3),
            MaxPooling((3, 3), (2, 2)),
            fully_connected(rng, 300, 9),
            prelu(rng, 9),
            fully_connected(rng, 9, 6),
        ]
    )
    output = Network(
        [
            convolution(rng, 3, 2, 9, 9),
            prelu(rng, 2),
            MaxPooling((4, 4), (4, 4)),
            fully_connected(rng, 200, 16),
        ]
    )
    return {
        "detector.txt": b"PNet P.dat\r\nRNet R.dat\r\nONet O.dat",
        "P.dat": proposal.write(mtcnn=True),
        "R.dat": refinement.write(mtcnn=True),
        "O.dat": output.write(mtcnn=True),
    }
