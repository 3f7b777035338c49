"""Time face detection and landmark validation: milliseconds per call and multiply-adds per second.

Run ``taskset -c 0 python benchmarks/bench_detector_validator.py --models DIR``, where ``DIR`` holds
OpenFace's ``model`` folder. Pin it to one core: the engine's stages use one thread each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pyopenface import _core

# Multiply-adds of one evaluation, from the layers' shapes (validation.md 7, face-detection.md 2.3).
VALIDATORS = {
    "validator_cnn.txt": 52 * 52 * 81 * 10 + 20 * 20 * 490 * 10 + 1000 * 50 + 50 * 30,
    "validator_cnn_68.txt": 56 * 56 * 25 * 20 + 24 * 24 * 500 * 50 + 10 * 10 * 450 * 20 + 500 * 50 + 50 * 20,
}
REFINEMENT = 22 * 22 * 27 * 28 + 9 * 9 * 252 * 48 + 3 * 3 * 192 * 64 + 576 * 128 + 128 * 6
OUTPUT = 46 * 46 * 27 * 32 + 21 * 21 * 288 * 64 + 8 * 8 * 576 * 64 + 3 * 3 * 256 * 128 + 1152 * 256 + 256 * 16


def proposal_work(rows: int, columns: int) -> int:
    """Multiply-adds of the proposal network for an output map of the given size."""
    pooled = (rows + 4, columns + 4)
    return (
        4 * pooled[0] * pooled[1] * 27 * 10
        + (rows + 2) * (columns + 2) * 90 * 16
        + rows * columns * (144 * 32 + 32 * 6)
    )


def seconds(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Minimum and median of the time that a call takes."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times), float(np.median(times))


def report(what: str, call: Callable[[], Any], work: int, repeats: int) -> None:
    least, median = seconds(call, repeats)
    print(
        f"{what:<44} {least * 1e3:8.3f} ms  median {median * 1e3:8.3f} ms  {work / least / 1e9:6.1f} GFMA/s"
    )


def picture_with_face(picture: Path | None) -> np.ndarray:
    if picture is None:
        rng = np.random.default_rng(1)
        return cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), (9, 9), 3)
    image = cv2.imread(str(picture))
    if image is None:
        raise SystemExit(f"can't read {picture}")
    return image


def bench_detection(models: Path, image: np.ndarray, repeats: int) -> None:
    detector = _core.FaceDetector(models / "model/mtcnn_detector/MTCNN_detector.txt")
    for width, height in ((640, 480), (1280, 720)):
        frame = cv2.resize(image, (width, height))
        trace = _core.stages.mtcnn_trace(detector, frame)
        refined = len(trace["refinement"]["squares"])
        put_out = len(trace["output"]["squares"])
        work = sum(proposal_work(*level["outputs"].shape[:2]) for level in trace["levels"])
        work += refined * REFINEMENT + put_out * OUTPUT
        what = f"detection {width} x {height} ({refined} + {put_out} candidates)"
        report(what, lambda frame=frame: detector.detect(frame), work, repeats)


def bench_validation(models: Path, image: np.ndarray, repeats: int) -> None:
    grey = _core.stages.to_grey(cv2.resize(image, (640, 480)))
    # A face-like cloud of points of 200 px; the time doesn't depend on where they are.
    angles = np.linspace(0, 2 * np.pi, 68, dtype=np.float32)
    landmarks = np.concatenate([320 + 100 * np.cos(angles), 240 + 100 * np.sin(angles)])
    for name, work in VALIDATORS.items():
        validator = _core.stages.Validator(models / "model/detection_validation" / name)
        report(name, lambda v=validator: v.confidence(grey, [0, 0, 0], landmarks), work, 20 * repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", type=Path, required=True, help="folder that holds OpenFace's model folder"
    )
    parser.add_argument("--picture", type=Path, help="a picture with faces; otherwise noise without any")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    image = picture_with_face(options.picture)
    for isa in reversed(_core._available_instruction_sets()):
        if isa == "portable":
            continue
        _core._set_instruction_set(isa)
        print(f"-- {isa}")
        grey_work = 3 * 640 * 480
        frame = cv2.resize(image, (640, 480))
        report(
            "grey 640 x 480", lambda frame=frame: _core.stages.to_grey(frame), grey_work, 20 * options.repeats
        )
        bench_detection(options.models, image, options.repeats)
        bench_validation(options.models, image, options.repeats)


if __name__ == "__main__":
    main()
