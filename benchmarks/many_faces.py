"""Time per frame with one to four faces in a picture of one size, on one core.

    python benchmarks/many_faces.py [--frames 120] [--repeats 5] [--json FILE]

The pictures are 1280x960, a quarter each for two sample videos and their mirror images, as many as there are
faces; the rest is black. Boxes are given in the first frame, so that the detector, whose time depends on the
picture and not on the faces, doesn't run. Landmarks, pose, gaze and static action units; processor time, the
best of the repetitions, first frame left out.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from measure import MODELS, SAMPLES, machine, table
from pyopenface import FaceTracker

MOST = 4


def frames_of(name: str, count: int) -> list[np.ndarray]:
    """The first frames of a sample video, decoded."""
    capture = cv2.VideoCapture(str(SAMPLES / name))
    frames = [capture.read()[1] for _ in range(count)]
    capture.release()
    return frames


def pictures(faces: int, count: int) -> list[np.ndarray]:
    """Pictures with so many faces, each in its quarter."""
    videos = [frames_of(name, count) for name in ("default.wmv", "2015-10-15-15-14.avi")]
    result = []
    for pair in zip(*videos, strict=True):
        parts = [*pair, *(frame[:, ::-1] for frame in pair)]
        parts = [part if i < faces else np.zeros_like(part) for i, part in enumerate(parts)]
        result.append(np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]))
    return result


def seconds(frames: list[np.ndarray], identity: str) -> tuple[int, float]:
    """Faces that were followed, and processor seconds per frame."""
    start = FaceTracker("clnf", MODELS, max_faces=MOST, identity="slot")
    boxes = [face.box for face in start.update(frames[0])]
    tracker = FaceTracker("clnf", MODELS, max_faces=MOST, identity=identity)
    tracker.update(frames[0], boxes=boxes)
    none = np.empty((0, 4))
    began = time.process_time()
    for frame in frames[1:]:
        found = tracker.update(frame, boxes=none)
    return len(found), (time.process_time() - began) / (len(frames) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    record: dict[str, Any] = {"machine": machine()}
    rows = []
    clips = {faces: pictures(faces, options.frames) for faces in range(1, MOST + 1)}
    for identity in ("slot", "track"):
        times = dict.fromkeys(clips, np.inf)
        for _ in range(options.repeats):
            for faces, clip in clips.items():
                followed, taken = seconds(clip, identity)
                if followed != faces:
                    raise SystemExit(f"{followed} faces instead of {faces} were followed")
                times[faces] = min(times[faces], taken)
        milliseconds = 1e3 * np.array(list(times.values()))
        slope, start = np.polyfit(list(times), milliseconds, 1)
        apart = np.abs(milliseconds - start - slope * np.array(list(times))).max()
        record[identity] = {
            "ms_per_frame": milliseconds.tolist(),
            "ms_per_face": slope,
            "ms_without_face": start,
            "largest_deviation_ms": apart,
        }
        rows.append(
            [identity, *(f"{ms:.2f}" for ms in milliseconds), f"{start:.2f}", f"{slope:.2f}", f"{apart:.2f}"]
        )
    print(machine())
    header = ["ids", *(f"{n} faces ms" for n in clips), "line: at 0", "per face", "largest deviation"]
    print(table(header, rows))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
