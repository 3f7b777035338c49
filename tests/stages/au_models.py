"""Small, self-made model files for the face analyser: a shape model of 68 points, triangles, predictors."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

MODES = 4
FEATURES = 4464 + 204 + MODES
TYPE_CODES = {
    ("intensity", False): 0,
    ("intensity", True): 1,
    ("presence", False): 4,
    ("presence", True): 5,
}


@dataclass
class SmallPredictor:
    """One predictor and the bytes of its file."""

    name: str
    group: str
    dynamic: bool
    mean: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bias: float
    cutoff: float = -1.0
    labels: tuple[float, float] = (0.0, 1.0)

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.group}.dat"

    def file_bytes(self) -> bytes:
        data = struct.pack("<i", TYPE_CODES[self.group, self.dynamic])
        if self.group == "intensity" and self.dynamic:
            data += struct.pack("<d", self.cutoff)
        data += struct.pack("<iii", 1, self.mean.size, 6) + self.mean.tobytes()
        data += struct.pack("<iii", self.weights.size, 1, 6) + self.weights.tobytes()
        data += struct.pack("<d", self.bias)
        if self.group == "presence":
            data += struct.pack("<dd", *self.labels)
        return data


@dataclass
class SmallModel:
    """Files of a face analyser, written to a folder, and what was written."""

    main_file: Path
    mean_shape: npt.NDArray[np.float64]
    modes: npt.NDArray[np.float64]
    predictors: list[SmallPredictor] = field(default_factory=list)

    def landmarks(
        self, angle: float = 0.1, scale: float = 1.1, x: float = 100.0, y: float = 90.0
    ) -> npt.NDArray[np.float32]:
        """Project the mean shape: (68, 2), px."""
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        shape = self.mean_shape[:136].reshape(2, 68)
        return (np.array([[c, -s], [s, c]]) @ shape + [[x], [y]]).T.astype(np.float32)


def matrix_text(values: npt.NDArray[np.generic], code: int) -> str:
    rows = "\n".join(" ".join(repr(value.item()) for value in row) for row in values)
    return f"{values.shape[0]}\n{values.shape[1]}\n{code}\n{rows}\n"


def write_small_model(folder: Path, dynamic: bool = True, seed: int = 0) -> SmallModel:
    """Write main file, list, shape model, triangles and five predictors with random weights."""
    random = np.random.default_rng(seed)
    angles = np.linspace(0.0, 1.75 * np.pi, 68)
    radii = 30.0 + 40.0 * random.random(68)
    mean = np.concatenate([radii * np.cos(angles), radii * np.sin(angles), 20.0 * random.random(68)])
    modes = np.linalg.qr(random.normal(size=(204, MODES)))[0]
    variances = np.array([[300.0, 100.0, 30.0, 10.0]])
    (folder / "pdm.txt").write_text(
        "# mean\n"
        + matrix_text(mean[:, None], 6)
        + "# modes\n"
        + matrix_text(modes, 6)
        + "# variances\n"
        + matrix_text(variances, 6)
    )
    fan = np.array([[0, i, i + 1] for i in range(1, 67)])
    (folder / "triangles.txt").write_text(matrix_text(fan, 4))
    shared_mean = np.concatenate([random.random(4464) * 0.1, np.zeros(204 + MODES)])
    kinds = [
        ("AU12", "presence", True, -1.0, (1.0, 0.0)),
        ("AU02", "presence", False, -1.0, (0.0, 1.0)),
        ("AU45", "intensity", True, 0.7000000000000001, (0.0, 1.0)),
        ("AU12", "intensity", False, -1.0, (0.0, 1.0)),
        ("AU02", "intensity", True, 0.2, (0.0, 1.0)),
    ]
    model = SmallModel(folder / "main.txt", mean, modes)
    for name, group, wants_median, cutoff, labels in kinds:
        weights = random.normal(size=FEATURES) * 0.05
        weights[4464:] *= 0.2
        model.predictors.append(
            SmallPredictor(name, group, wants_median and dynamic, shared_mean, weights, 1.0, cutoff, labels)
        )
    for predictor in model.predictors:
        (folder / predictor.file_name).write_bytes(predictor.file_bytes())
    (folder / "list.txt").write_text("".join(f"{p.file_name} {p.name}\n" for p in model.predictors))
    model.main_file.write_text("AUPredictor list.txt\r\nPDM pdm.txt\r\nTriangulation triangles.txt")
    return model
