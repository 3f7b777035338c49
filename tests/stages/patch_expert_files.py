"""Patch expert files in numpy: parsers and writers made from models.md alone, and formulas in double."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyopenface._core import stages

SUPPORT = 11


@dataclass
class Network:
    """A CEN expert: layers of (activation, bias, weights)."""

    layers: list[tuple[int, np.ndarray, np.ndarray]]
    confidence: float = 0.0


@dataclass
class CenFile:
    """What one CEN file holds; experts[view][landmark]."""

    scale: float
    centres: np.ndarray
    visible: np.ndarray
    mirror_landmarks: np.ndarray
    mirror_views: np.ndarray
    experts: list[list[Network]]


@dataclass
class Modality:
    """An SVR modality; the kernel has rows = y, so files hold its transpose."""

    kind: int
    confidence: float
    scaling: float
    bias: float
    kernel: np.ndarray


@dataclass
class SvrFile:
    """What one SVR file holds; experts[view][landmark] is a list of modalities."""

    scale: float
    centres: np.ndarray
    visible: np.ndarray
    experts: list[list[list[Modality]]] = field(default_factory=list)


class Bytes:
    """Sequential access to a binary file."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.offset = 0

    def number(self, code: str) -> Any:
        value = struct.unpack_from("<" + code, self.data, self.offset)[0]
        self.offset += struct.calcsize("<" + code)
        return value

    def matrix(self) -> np.ndarray:
        rows, cols, code = (self.number("i") for _ in range(3))
        dtype = np.dtype({4: "<i4", 5: "<f4", 6: "<f8"}[code])
        values = np.frombuffer(self.data, dtype, rows * cols, self.offset)
        self.offset += values.nbytes
        return values.reshape(rows, cols)


def matrix_bytes(values: np.ndarray) -> bytes:
    values = np.atleast_2d(values)
    code = {"i": 4, "f": 5 if values.dtype.itemsize == 4 else 6}[values.dtype.kind]
    return struct.pack("<3i", *values.shape, code) + values.astype(values.dtype.newbyteorder("<")).tobytes()


def read_cen(path: Path) -> CenFile:
    data = Bytes(path)
    scale = data.number("d")
    views = data.number("i")
    centres = np.array([data.matrix().ravel() for _ in range(views)])
    visible = np.array([data.matrix().ravel() for _ in range(views)])
    mirror_landmarks, mirror_views = data.matrix().ravel(), data.matrix().ravel()
    experts = []
    for _ in range(views):
        row = []
        for _ in range(visible.shape[1]):
            code, width, height, depth = (data.number("i") for _ in range(4))
            assert (code, width, height) == (6, SUPPORT, SUPPORT)
            layers = []
            for _ in range(depth):
                activation = data.number("i")
                bias = data.matrix().ravel()
                layers.append((activation, bias, data.matrix()))
            row.append(Network(layers, data.number("d")))
        experts.append(row)
    assert data.offset == len(data.data)
    return CenFile(scale, centres, visible, mirror_landmarks, mirror_views, experts)


def cen_bytes(content: CenFile) -> bytes:
    out = [struct.pack("<di", content.scale, len(content.centres))]
    out += [matrix_bytes(np.asarray(c, np.float64).reshape(3, 1)) for c in content.centres]
    out += [matrix_bytes(np.asarray(v, np.int32).reshape(-1, 1)) for v in content.visible]
    out += [matrix_bytes(np.asarray(content.mirror_landmarks, np.int32).reshape(1, -1))]
    out += [matrix_bytes(np.asarray(content.mirror_views, np.int32).reshape(1, -1))]
    for row in content.experts:
        for network in row:
            out.append(struct.pack("<4i", 6, SUPPORT, SUPPORT, len(network.layers)))
            for activation, bias, weights in network.layers:
                out += [struct.pack("<i", activation), matrix_bytes(bias), matrix_bytes(weights)]
            out.append(struct.pack("<d", network.confidence))
    return b"".join(out)


def text_matrix(values: np.ndarray, code: int) -> str:
    numbers = "\n".join(" ".join(repr(v.item()) for v in row) for row in values)
    return f"{values.shape[0]}\n{values.shape[1]}\n{code}\n{numbers}\n"


def svr_text(content: SvrFile) -> str:
    out = [
        "# scale",
        repr(content.scale),
        "# number of views",
        str(len(content.centres)),
    ]
    out += ["# centres"] + [text_matrix(np.asarray(c, float).reshape(3, 1), 6) for c in content.centres]
    out += ["# visibilities"] + [text_matrix(np.asarray(v).reshape(-1, 1), 4) for v in content.visible]
    for row in content.experts:
        for modalities in row:
            size = modalities[0].kernel.shape[0]
            out.append(f"3 {size} {size} {len(modalities)}")
            for m in modalities:
                out.append(f"2 {m.kind} {m.confidence!r} {m.scaling!r} {m.bias!r}")
                out.append(text_matrix(m.kernel.T, 5))
    return "\n".join(out)


def read_svr(path: Path) -> SvrFile:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    tokens = iter(" ".join(lines).split())

    def matrix() -> np.ndarray:
        rows, cols, _ = (int(next(tokens)) for _ in range(3))
        return np.array([float(next(tokens)) for _ in range(rows * cols)]).reshape(rows, cols)

    scale, views = float(next(tokens)), int(next(tokens))
    centres = np.array([matrix().ravel() for _ in range(views)])
    visible = np.array([matrix().ravel() for _ in range(views)])
    content = SvrFile(scale, centres, visible)
    for _ in range(views):
        row = []
        for _ in range(visible.shape[1]):
            code, _, _, count = (int(next(tokens)) for _ in range(4))
            assert code == 3
            modalities = []
            for _ in range(count):
                assert int(next(tokens)) == 2
                kind = int(next(tokens))
                confidence, scaling, bias = (float(next(tokens)) for _ in range(3))
                modalities.append(Modality(kind, confidence, scaling, bias, matrix().T.astype(np.float32)))
            row.append(modalities)
        content.experts.append(row)
    assert next(tokens, None) is None
    return content


@dataclass
class CcnfExpert:
    """The part of a CCNF expert that the stand-in CEN networks are made from."""

    neurons: list[tuple[float, float, float, np.ndarray]]  # norm, bias, alpha, weights
    confidence: float


def read_ccnf(path: Path) -> tuple[np.ndarray, np.ndarray, list[list[CcnfExpert]]]:
    """Centres, visibilities, experts[view][landmark]."""
    data = Bytes(path)
    data.number("d")
    views = data.number("i")
    centres = np.array([data.matrix().ravel() for _ in range(views)])
    visible = np.array([data.matrix().ravel() for _ in range(views)])
    first_components = None
    for _ in range(data.number("i")):
        data.number("i")
        components = data.number("i")
        first_components = components if first_components is None else first_components
        for _ in range(components):
            data.matrix()
    experts = []
    for _ in range(views):
        row = []
        for _ in range(visible.shape[1]):
            assert data.number("i") == 5
            data.number("i"), data.number("i")
            neurons = []
            count = data.number("i")
            for _ in range(count):
                assert data.number("i") == 2
                data.number("i")
                norm, bias, alpha = (data.number("d") for _ in range(3))
                neurons.append((norm, bias, alpha, data.matrix()))
            if count == 0:
                data.number("i")
                row.append(CcnfExpert([], 0.0))
                continue
            for _ in range(first_components or 0):
                data.number("d")
            row.append(CcnfExpert(neurons, data.number("d")))
        experts.append(row)
    assert data.offset == len(data.data)
    return centres, visible, experts


# ---- formulas of landmark-fitting.md, section 4, in double


def area_of(
    grey: np.ndarray, landmarks: np.ndarray, a: float, b: float, landmark: int, size: int
) -> np.ndarray:
    """Sample the area of interest (size, size) around a landmark; the sampler has its own tests."""
    n = len(landmarks) // 2
    u = stages.area_map(a, b, landmarks[landmark], landmarks[landmark + n], size)
    return np.asarray(stages.sample_area(grey, *u, size))


def normalised_patches(area: np.ndarray) -> np.ndarray:
    """Contrast-normalised 11x11 patches, (w, w, 121): window row, window column, pixels column by column."""
    patches = np.lib.stride_tricks.sliding_window_view(area.astype(np.float64), (SUPPORT, SUPPORT))
    flat = patches.transpose(0, 1, 3, 2).reshape(*patches.shape[:2], -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    norm = np.linalg.norm(flat, axis=2, keepdims=True)
    # A patch of equal pixels has norm 0 up to the rounding of its mean in double.
    return flat / np.where(norm < 1e-9, 1.0, norm)


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def dense_map(network: Network, area: np.ndarray) -> np.ndarray:
    patches = normalised_patches(area)
    values = np.concatenate([np.ones((*patches.shape[:2], 1)), patches], axis=2)
    for activation, bias, weights in network.layers:
        values = values @ weights.astype(np.float64).T + bias.astype(np.float64)
        values = {0: logistic, 1: lambda v: v, 2: lambda v: np.maximum(v, 0.0)}[activation](values)
    return values[..., 0]


def checkerboard(dense: np.ndarray) -> np.ndarray:
    """Keep k = x w + y odd, the rest are means of their neighbours."""
    w = dense.shape[0]
    y, x = np.mgrid[:w, :w]
    known = (x * w + y) % 2 == 1
    padded = np.pad(np.where(known, dense, 0.0), 1)
    count = np.pad(known.astype(float), 1)
    around = [(slice(0, -2), slice(1, -1)), (slice(2, None), slice(1, -1)),
              (slice(1, -1), slice(0, -2)), (slice(1, -1), slice(2, None))]  # fmt: skip
    total = sum(padded[s] for s in around)
    return np.where(known, dense, total / np.maximum(sum(count[s] for s in around), 1.0))


def cen_map(content: CenFile, view: int, landmark: int, area: np.ndarray, dense: bool = False) -> np.ndarray:
    """The response of a landmark in a view; `content` must be the file whose mirror tables count."""
    network = content.experts[view][landmark]
    mirrored = not network.layers
    if mirrored:
        network = content.experts[content.mirror_views[view]][content.mirror_landmarks[landmark]]
        area = area[:, ::-1]
    result = dense_map(network, area)
    if not dense:
        result = checkerboard(result)
    return result[:, ::-1] if mirrored else result


def svr_map(modalities: list[Modality], area: np.ndarray) -> np.ndarray:
    result: Any = 1.0
    area = area.astype(np.float64)
    for m in modalities:
        if m.kind == 0:
            feature = (area - area.mean()) / (area.std() or 1.0)
        else:
            feature = np.zeros_like(area)
            dx = area[1:-1, 2:] - area[1:-1, :-2]
            dy = area[2:, 1:-1] - area[:-2, 1:-1]
            feature[1:-1, 1:-1] = dx**2 + dy**2
        kernel = m.kernel.astype(np.float64)
        patches = np.lib.stride_tricks.sliding_window_view(feature, kernel.shape)
        count = kernel.size
        numerator = (patches * kernel).sum(axis=(2, 3)) - patches.sum(axis=(2, 3)) * kernel.mean()
        spread = (patches**2).sum(axis=(2, 3)) - patches.sum(axis=(2, 3)) ** 2 / count
        denominator = np.sqrt(np.maximum(spread, 0.0)) * kernel.std() * np.sqrt(count)
        size = np.abs(numerator)
        with np.errstate(all="ignore"):
            rho = np.where(
                size < denominator,
                numerator / denominator,
                np.where(size < 1.125 * denominator, np.sign(numerator), 0.0),
            )
        if kernel.var() < np.finfo(float).eps:
            rho = np.ones_like(rho)
        result = result * logistic(rho * m.scaling + m.bias)
    return np.asarray(result)
