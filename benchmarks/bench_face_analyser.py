"""
Cost of the face analyser per frame and per step, on one core, for every instruction set of this machine.

    taskset -c 0 python benchmarks/bench_face_analyser.py [--models FOLDER] [--frames N]

The face is that of the first frame of default.wmv, with its golden landmarks.
Prints the median and the minimum in microseconds. Medians are updated on every second frame only, so odd
and even frames are given apart; what counts is their mean.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from pyopenface import _core, models

SHARED = Path(__file__).resolve().parents[2] / "shared"
STEPS = ["fit", "align", "describe", "medians (odd)", "medians (even)", "predict (odd)", "predict (even)"]
WHOLE = ["frame (odd)", "frame (even)"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    golden = Path(os.environ.get("PYOPENFACE_GOLDEN") or SHARED / "golden")
    samples = Path(os.environ.get("PYOPENFACE_SAMPLES") or SHARED / "samples")
    default = os.environ.get("PYOPENFACE_MODELS") or SHARED / "openface-models"
    parser.add_argument("--models", type=Path, default=default)
    parser.add_argument("--frames", type=int, default=300, help="repetitions")
    options = parser.parse_args()

    main_file = models.find(options.models).action_unit_file()
    ok, image = cv2.VideoCapture(str(samples / "default.wmv")).read()
    if not ok:
        parser.error(f"no frame in {samples / 'default.wmv'}")
    with np.load(golden / "stages/au.npz") as arrays:
        landmarks = arrays["dynamic.landmarks"][0]

    print(
        f"{'microseconds (median / minimum)':34}"
        + "".join(f"{n:>18}" for n in _core._available_instruction_sets())
    )
    columns = []
    for name in _core._available_instruction_sets():
        _core._set_instruction_set(name)
        columns.append(_core.stages.analyser_times(main_file, image, landmarks, options.frames))
    for step in STEPS + WHOLE:
        cells = [f"{np.median(times[step]):9.1f} / {min(times[step]):6.1f}" for times in columns]
        print(f"{step:34}" + "".join(f"{cell:>18}" for cell in cells))
    means = [np.mean([np.median(times[step]) for step in WHOLE]) for times in columns]
    print(f"{'mean frame':34}" + "".join(f"{mean:18.1f}" for mean in means))


if __name__ == "__main__":
    main()
