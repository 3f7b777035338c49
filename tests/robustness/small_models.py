"""A complete small landmark model (five landmarks, no weights needed), and the formats that tests damage."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import patch_expert_files as experts
from au_models import MODES, matrix_text, write_small_model
from mutations import Format, damage_bytes, damage_text
from network_files import tiny_mtcnn
from test_cen_experts import small_file as small_cen
from test_svr_experts import small_file as small_svr
from test_validation import made_up, tiny_validator

from pyopenface import _core
from pyopenface._core import stages

LANDMARKS = 5
VIEWS = 3


def grid_laplacian(window: int) -> np.ndarray:
    """The smoothness matrix of a window's 4-neighbourhood: an edge component as published files have it."""
    size = window * window
    matrix = np.zeros((size, size), np.float32)
    for y in range(window):
        for x in range(window):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < window and x + dx < window:
                    a, b = y * window + x, (y + dy) * window + x + dx
                    matrix[a, a] += 1
                    matrix[b, b] += 1
                    matrix[a, b] -= 1
                    matrix[b, a] -= 1
    return matrix


def ccnf_bytes(
    *,
    scale: float = 0.5,
    views: int = VIEWS,
    landmarks: int = LANDMARKS,
    support: int = 3,
    windows: tuple[int, ...] = (3, 5),
    components: int = 2,
    neurons: int = 2,
    beta: float = 0.5,
) -> bytes:
    """A CCNF file (models.md, section 9) with random neurons and smoothing matrices."""
    rng = np.random.default_rng(3)
    centres = [np.array([[0.0], [5.0 * (view - views // 2)], [0.0]]) for view in range(views)]
    out = [struct.pack("<di", scale, views)]
    out += [experts.matrix_bytes(centre) for centre in centres]
    out += [experts.matrix_bytes(np.ones((landmarks, 1), np.int32))] * views
    out.append(struct.pack("<i", len(windows)))
    for window in windows:
        out.append(struct.pack("<2i", window, components))
        out += [experts.matrix_bytes(grid_laplacian(window))] * components
    for _ in range(views * landmarks):
        out.append(struct.pack("<4i", 5, support, support, neurons))
        for _ in range(neurons):
            out.append(struct.pack("<2i3d", 2, 0, 1.5, 0.1, 0.8))
            out.append(experts.matrix_bytes(rng.normal(size=(support, support)).astype(np.float32)))
        out.append(struct.pack(f"<{components + 1}d", *[beta] * components, 0.7))
    return b"".join(out)


def pdm_text(landmarks: int, modes: int = 2) -> bytes:
    rng = np.random.default_rng(4)
    angles = np.linspace(0.0, 5.0, landmarks)
    mean = np.concatenate([30 * np.cos(angles), 30 * np.sin(angles), 5 * rng.random(landmarks)])
    vectors = np.linalg.qr(rng.normal(size=(3 * landmarks, modes)))[0]
    return (
        f"# mean\n{matrix_text(mean[:, None], 6)}# modes\n{matrix_text(vectors, 6)}"
        f"# variances\n{matrix_text(np.linspace(90.0, 20.0, modes)[None], 6)}"
    ).encode()


def landmark_model_files() -> dict[str, bytes]:
    """Every file of a landmark model with a part for an eye, a validator and early termination."""
    terms = " ".join(["1.5"] * VIEWS) + "\r\n" + " ".join(["-2"] * VIEWS) + "\r\n" + " ".join(["0.3"] * VIEWS)
    return {
        "main.txt": b"LandmarkDetector face.txt\r\n"
        b"LandmarkDetector_part eye/main_eye.txt left_eye_28 0 8 2 10\r\nDetectionValidator validator.bin",
        "face.txt": b"PDM pdm.txt\r\nPatchesCCNF ccnf_1.bin\r\nPatchesCCNF ccnf_2.bin\r\n"
        b"EarlyTermination early.txt\r\n",
        "eye/main_eye.txt": b"LandmarkDetector eye.txt\r\n",
        "eye/eye.txt": b"PDM eye_pdm.txt\r\nPatchesCCNF eye_ccnf.bin\r\n",
        "pdm.txt": pdm_text(LANDMARKS),
        "ccnf_1.bin": ccnf_bytes(scale=0.25),
        "ccnf_2.bin": ccnf_bytes(scale=0.5),
        "early.txt": terms.encode(),
        "validator.bin": tiny_validator(made_up()),
        "eye/eye_pdm.txt": pdm_text(28),
        "eye/eye_ccnf.bin": ccnf_bytes(views=1, landmarks=28, windows=(), components=0),
    }


def action_unit_files(folder: Path) -> dict[str, bytes]:
    """Every file of a face analyser, as `write_small_model` writes them."""
    write_small_model(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _use_pdm(folder: Path) -> None:
    pdm = stages.Pdm(str(folder / "pdm.txt"))
    pdm.shape2d([1, 0.1, 0.2, 0.3, 5, 6], np.zeros(pdm.mode_count, np.float32))


def _use_ccnf(folder: Path) -> None:
    model = stages.CcnfExperts([str(folder / "ccnf.bin")], LANDMARKS)
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    points = np.full(2 * LANDMARKS, 32, np.float32)
    for window in (3, 5, 7):
        model.respond(grey, points, 1.0, 0.1, 0, 0, window)


def _use_validator(folder: Path) -> None:
    validator = stages.Validator(folder / "validator.bin", LANDMARKS)
    points = [10, 40, 25, 20, 45, 10, 12, 30, 45, 40]
    confidence = validator.confidence(np.full((64, 64), 9, np.uint8), [0, 0, 0], points)
    assert 0 <= confidence <= 1


def _use_detector(folder: Path) -> None:
    _core.FaceDetector(folder / "detector.txt").detect(np.full((64, 60, 3), 7, np.uint8))


def _use_landmark_model(folder: Path) -> None:
    assert _core.LandmarkModel(folder / "main.txt").landmark_count >= 3


def _use_analyser(folder: Path) -> None:
    assert len(_core.FaceAnalyserModel(folder / "main.txt").files) >= 4


def _use_early_termination(folder: Path) -> None:
    stages.early_termination(folder / "early.txt", VIEWS)


def formats(folder: Path) -> dict[str, Format]:
    """Every format whose loader tests/stages does not already damage ten thousand times."""
    whole = landmark_model_files()
    networks = tiny_mtcnn(np.random.default_rng(2))
    units = action_unit_files(folder)
    others = tuple(whole)
    unit_names = tuple(units)
    forms = {
        "pdm": Format("pdm.txt", _use_pdm, damage_text, {"pdm.txt": whole["pdm.txt"]}),
        "ccnf": Format("ccnf.bin", _use_ccnf, damage_bytes, {"ccnf.bin": ccnf_bytes()}),
        "validator": Format(
            "validator.bin", _use_validator, damage_bytes, {"validator.bin": whole["validator.bin"]}
        ),
        "early termination": Format(
            "early.txt", _use_early_termination, damage_text, {"early.txt": whole["early.txt"]}
        ),
        "detector listing": Format("detector.txt", _use_detector, damage_text, networks, tuple(networks)),
        "main file": Format("main.txt", _use_landmark_model, damage_text, whole, others),
        "part's main file": Format("eye/main_eye.txt", _use_landmark_model, damage_text, whole, others),
        "model listing": Format("face.txt", _use_landmark_model, damage_text, whole, others),
        "AU main file": Format("main.txt", _use_analyser, damage_text, units, unit_names),
        "AU list": Format("list.txt", _use_analyser, damage_text, units, unit_names),
        "AU shape model": Format("pdm.txt", _use_analyser, damage_text, units, unit_names),
        "triangles": Format("triangles.txt", _use_analyser, damage_text, units),
        "AU predictor": Format("AU45_intensity.dat", _use_analyser, damage_bytes, units),
    }
    for net in "PRO":
        forms[f"{net}Net"] = Format(f"{net}.dat", _use_detector, damage_bytes, networks)
    return forms


__all__ = ["MODES", "ccnf_bytes", "formats", "landmark_model_files", "pdm_text", "small_cen", "small_svr"]
