"""Face packages that pip installs, beside ours, on one video: frames per second on one core.

    python benchmarks/compare_peers.py [VIDEO] [--frames 60] [--json FILE]

Runs what is installed and says what is missing. The packages don't measure the same things: mediapipe gives a
face mesh (no action units, no gaze angles), py-feat landmarks and action units by deep networks. Loading
of models and decoding are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measure import MODELS, SAMPLES, machine, table
from pyopenface.sources import open_source

Frames = list[np.ndarray]


def ours(frames: Frames) -> Callable[[], None]:
    """Landmarks, pose, gaze and action units of the CLNF pipeline."""
    from pyopenface.engine import Run, load_models

    models = load_models(MODELS, "clnf")

    def run() -> None:
        with open_source(np.stack(frames)) as source:
            for _ in Run(models).results(source):
                pass

    return run


def mediapipe(frames: Frames) -> Callable[[], None]:
    """The face mesh with refined eyes."""
    import mediapipe as mp

    mesh = mp.solutions.face_mesh.FaceMesh(refine_landmarks=True)

    def run() -> None:
        for frame in frames:
            mesh.process(np.ascontiguousarray(frame[..., ::-1]))

    return run


def py_feat(frames: Frames) -> Callable[[], None]:
    """Detection, landmarks and action units with the default networks."""
    import torch
    from feat import Detector

    detector = Detector(device="cpu")

    def run() -> None:
        for frame in frames:
            tensor = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1].transpose(2, 0, 1)))
            detector.detect(tensor[None], data_type="tensor")

    return run


PEERS: dict[str, tuple[str, Callable[[Frames], Callable[[], None]]]] = {
    "pyopenface": ("pyopenface", ours),
    "mediapipe": ("mediapipe", mediapipe),
    "py-feat": ("feat", py_feat),
}


def main() -> None:
    """Measure what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", nargs="?", type=Path, default=SAMPLES / "default.wmv")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    with open_source(options.video) as source:
        frames = [frame.image for frame in itertools.islice(source, options.frames)]
    results: dict[str, Any] = {}
    for name, (module, prepare) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            results[name] = "not installed"
            continue
        try:
            run = prepare(frames)
            start = time.process_time()
            run()
            results[name] = len(frames) / (time.process_time() - start)
        except Exception as error:  # a peer may fail in its own ways; the others still count
            results[name] = f"{type(error).__name__}: {error}"
    print(machine())
    rows = [[name, f"{r:.1f}" if isinstance(r, float) else r] for name, r in results.items()]
    print(table(["package", "frames/s of processor time"], rows))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "frames_per_second": results}, indent=2))


if __name__ == "__main__":
    main()
