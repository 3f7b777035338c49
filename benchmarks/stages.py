"""Cost of the engine's stages on one core, beside what this machine's core reaches at best.

    taskset -c 0 python benchmarks/stages.py [--model clnf] [--json FILE]

The picture is a frame of default.wmv (640 x 480), the weights are OpenFace's. Times are the fastest of
several rounds in processor time. Rates count the multiply-adds (as two operations) or the bytes that the
stage can't do without; "peak" is a large matrix product in numpy's BLAS and a copy of 64 MB.
bench_face_analyser.py, bench_cen.py and bench_detector_validator.py look closer at single stages.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402  (the number of BLAS threads is read when numpy loads)

from measure import MODELS, SAMPLES, best_time, machine, peak_bandwidth, peak_gflops, table  # noqa: E402
from pyopenface import _core  # noqa: E402
from pyopenface.engine import Run, load_models  # noqa: E402
from pyopenface.sources import open_source  # noqa: E402

NEURONS = 7  # of a published CCNF expert
SUPPORT = 11
WINDOW = 11


def measure_stages(model: str) -> list[dict[str, Any]]:
    """One record per stage: name, milliseconds, GFLOP/s or GB/s (None where it says nothing)."""
    results: list[dict[str, Any]] = []

    def add(
        name: str, function: Callable[[], Any], flops: float = 0.0, size: float = 0.0, per: int = 1
    ) -> None:
        seconds = best_time(function) / per
        results.append(
            {
                "stage": name,
                "ms": seconds * 1e3,
                "gflops": flops / seconds / 1e9 if flops else None,
                "gbytes": size / seconds / 1e9 if size else None,
            }
        )

    video = SAMPLES / "default.wmv"
    with open_source(video) as source:
        frames = list(itertools.islice(source, 60))
        camera = source.camera()
    image = frames[40].image

    def decode() -> None:
        with open_source(video) as opened:
            for _ in itertools.islice(opened, 60):
                pass

    add("decode, per frame", decode, per=60)
    add("grey", lambda: _core.stages.to_grey(image), size=image.nbytes * 4 / 3)

    models = load_models(MODELS, model)
    detector = _core.FaceDetector(_listing())
    add("face detection (MTCNN)", lambda: detector.detect(image))
    if models.landmark.expert_kind == "CCNF":
        experts, landmarks = _experts(models, image)
        visible = int(np.sum(experts.visible(0, 0)))
        positions = WINDOW * WINDOW
        add(
            f"CCNF responses, {visible} landmarks, window {WINDOW}",
            lambda: experts.respond(_core.stages.to_grey(image), landmarks, 1.0, 0.0, 0, 0, WINDOW),
            flops=visible * NEURONS * positions * SUPPORT * SUPPORT * 2.0,
        )

    run = Run(models)
    for frame in frames[:40]:
        fitted = run.fit(frame)
        run.measure(frame, fitted, camera)

    # Frame after frame of the video and back, so that the face moves as in a video.
    there_and_back = itertools.cycle(frames[20:] + frames[:19:-1])
    add("landmark fit while tracking, with parts and validation", lambda: run.fit(next(there_and_back)))
    add("pose, gaze and action units", lambda: run.measure(frame, fitted, camera))
    plain = Run(load_models(MODELS, model, None))
    add("  of which pose and gaze", lambda: plain.measure(frame, fitted, camera))
    first = Run(models)

    def first_frame() -> None:
        first.reset()
        first.fit(frames[0])

    add("first frame: detection and 11 initial rotations", first_frame)
    layout = models.layout()
    row = np.random.default_rng(0).normal(100, 50, (1, len(layout)))
    decimals = layout.decimals
    add("text of a CSV row", lambda: _core.format_rows(row, decimals, nan=""), size=8 * len(layout))
    return results


def _listing() -> Path:
    from pyopenface import models

    return models.find(MODELS).face_detector_file()


def _experts(models: Any, image: np.ndarray) -> tuple[Any, np.ndarray]:
    """The coarsest CCNF experts, and landmarks spread over the picture's middle."""
    folder = Path(models.main_file).parent / "patch_experts"
    suffix = "wild" if "wild" in models.name else "general"
    experts = _core.stages.CcnfExperts([folder / f"ccnf_patches_0.25_{suffix}.txt"], 68)
    height, width = image.shape[:2]
    rng = np.random.default_rng(1)
    points = [rng.uniform(0.3, 0.7, 68) * width, rng.uniform(0.3, 0.7, 68) * height]
    return experts, np.concatenate(points).astype(np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="clnf")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SAMPLES.is_dir() or not MODELS.is_dir():
        sys.exit(f"samples or weights not found: {SAMPLES}, {MODELS}")
    record = {
        "machine": machine(),
        "peak_gflops": peak_gflops(),
        "peak_gbytes": peak_bandwidth(),
        "stages": measure_stages(options.model),
    }
    print(record["machine"])
    print(f"peak of one core: {record['peak_gflops']:.0f} GFLOP/s, {record['peak_gbytes']:.1f} GB/s")
    rows = [
        [
            s["stage"],
            f"{s['ms']:.3f}",
            f"{s['gflops']:.1f}" if s["gflops"] else "",
            f"{s['gbytes']:.2f}" if s["gbytes"] else "",
        ]
        for s in record["stages"]
    ]
    print(table(["stage", "ms", "GFLOP/s", "GB/s"], rows))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
