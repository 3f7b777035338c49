"""Whole videos through the command line, one core and two: frames per second, memory, and time per frame.

    python benchmarks/videos.py [VIDEO ...] [--program NAME] [--model clnf] [--repeats 5] [--json FILE]

Every run is a process of its own, start and imports included, with all columns of the CSV. "cpu" is the
processor time of that process: on a busy machine it says more than the clock. Times per frame (tracking,
first frame left out) are measured inside one process without decoding. Memory is the peak beyond that of a
Python that has imported numpy, pandas and OpenCV.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import MODELS, SAMPLES, machine, medians, run_process, table
from pyopenface.engine import Run, load_models
from pyopenface.models import find
from pyopenface.sources import open_source

DEFAULT_VIDEOS = ("default.wmv", "2015-10-15-15-14.avi", "multi_face_h264.avi")


def frame_times(video: Path, model: str, several: bool) -> tuple[int, np.ndarray]:
    """Number of frames, and milliseconds per frame (fit and measure, processor time) from the second on."""
    run = Run(
        load_models(MODELS, model, "static" if several else "dynamic"),
        "several_faces" if several else "single_face",
        max_faces=4 if several else 1,
    )
    times = []
    with open_source(video) as source:
        camera = source.camera()
        for frame in source:
            start = time.thread_time()
            run.measure(frame, run.fit(frame), camera)
            times.append(time.thread_time() - start)
    return len(times), np.array(times[1:]) * 1e3


def measure_video(video: Path, program: str, model: str, repeats: int, baseline: float) -> dict[str, Any]:
    """Everything about one video."""
    several = program == "FaceLandmarkVidMulti"
    frames, times = frame_times(video, model, several)
    record: dict[str, Any] = {
        "video": video.name,
        "program": program,
        "frames": frames,
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
    }
    for cores in ([0], [0, 1]):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pyopenface", program, "-f", str(video), "-out_dir", folder]
            command += ["-mloc", str(find(MODELS).main_file(model).path)]
            command += ["--models", str(MODELS), "--threads", str(len(cores)), "--quiet"]
            command += ["-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-aus", "-gaze"]
            runs = [run_process(command, cores) for _ in range(repeats)]
        middle = medians(runs)
        record[f"cores_{len(cores)}"] = {
            "wall_s": middle.wall,
            "best_wall_s": min(run.wall for run in runs),
            "cpu_s": middle.cpu,
            "best_cpu_s": min(run.cpu for run in runs),
            "fps": frames / min(run.wall for run in runs),
            "memory_mb": middle.memory - baseline,
        }
    return record


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--program", choices=["FeatureExtraction", "FaceLandmarkVidMulti"])
    parser.add_argument("--model", default="clnf")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    videos = options.videos or [SAMPLES / name for name in DEFAULT_VIDEOS]
    idle = run_process([sys.executable, "-c", "import numpy, pandas, cv2"]).memory
    records = []
    for video in videos:
        program = options.program or (
            "FaceLandmarkVidMulti" if "multi_face" in video.name else "FeatureExtraction"
        )
        records.append(measure_video(video, program, options.model, options.repeats, idle))
    print(machine())
    rows = [
        [
            f"{r['video']} ({r['program']})",
            str(r["frames"]),
            f"{r['p50_ms']:.2f}",
            f"{r['p99_ms']:.2f}",
            *(
                f"{r[key][figure]:{form}}"
                for key in ("cores_1", "cores_2")
                for figure, form in (("best_wall_s", ".2f"), ("best_cpu_s", ".2f"), ("fps", ".0f"))
            ),
            f"{r['cores_1']['memory_mb']:+.0f}",
        ]
        for r in records
    ]
    header = ["video", "frames", "p50 ms", "p99 ms", "1: s", "cpu s", "fps", "2: s", "cpu s", "fps", "MB"]
    print(table(header, rows))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "videos": records}, indent=2))


if __name__ == "__main__":
    main()
