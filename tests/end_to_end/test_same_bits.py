"""The same pixels give the same bits: with every instruction set, with one thread or two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyopenface import _core

RUN = """
import hashlib, itertools, sys
import numpy as np
import pyopenface
from pyopenface import _core
from pyopenface.sources import open_source

video, models, program, threads, frames = sys.argv[1:]
_core._set_instruction_set(program)
faces = 4 if "multi" in video else 1
with open_source(video) as source:
    pictures = (frame.image for frame in itertools.islice(iter(source), int(frames)))
    table = pyopenface.analyze(
        pictures, models=models, model="clnf", max_faces=faces, fps=30.0, threads=int(threads), progress=False
    )
values = table.to_numpy(np.float64)
print(len(values), hashlib.sha256(values.tobytes()).hexdigest())
"""

# Trackers in several threads at a time, each of them with as many threads for its faces.
TRACK = """
import hashlib, sys, threading
import cv2
import numpy as np
import pyopenface
from pyopenface import _core

video, models, program, threads, frames = sys.argv[1:]
_core._set_instruction_set(program)
capture = cv2.VideoCapture(video)
pictures = [capture.read()[1] for _ in range(int(frames))]
sums = []

def follow():
    tracker = pyopenface.FaceTracker("clnf", models, 4, "track", "dynamic", threads=int(threads))
    digest, faces = hashlib.sha256(), 0
    for picture in pictures:
        for face in tracker.update(picture):
            faces += 1
            values = [face.id, face.identity_confidence, face.confidence, *face.pose, *face.gaze_angle]
            values += [value for _, value in sorted(face.action_units.items())]
            digest.update(np.array(values, np.float64).tobytes())
            for points in (face.landmarks_2d, face.landmarks_3d, face.eye_landmarks_3d):
                digest.update(np.ascontiguousarray(points).tobytes())
    sums.append((faces, digest.hexdigest()))

workers = [threading.Thread(target=follow) for _ in range(int(threads))]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert len(sums) == int(threads)
assert len(set(sums)) == 1, sums
print(*sums[0])
"""

VIDEOS = {"default.wmv": 24, "multi_face_h264.avi": 10}  # frames: the portable path is slow


def run(
    video: Path, models: Path, instruction_set: str, threads: int, frames: int, program: str = RUN
) -> str:
    arguments = [str(video), str(models), instruction_set, str(threads), str(frames)]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", VIDEOS)
def test_instruction_sets_and_threads_give_identical_rows(name: str, samples: Path, models: Path) -> None:
    frames = VIDEOS[name]
    sets = _core._available_instruction_sets()
    want = run(samples / name, models, _core._instruction_set(), 1, frames)
    assert int(want.split()[0]) >= frames
    assert run(samples / name, models, _core._instruction_set(), 2, frames) == want
    for instruction_set in sets:
        if instruction_set != _core._instruction_set():
            assert run(samples / name, models, instruction_set, 2, frames) == want, instruction_set


def test_face_tracker_gives_identical_faces(samples: Path, models: Path) -> None:
    video, frames = samples / "multi_face_h264.avi", 10
    own = _core._instruction_set()
    want = run(video, models, own, 1, frames, TRACK)
    assert int(want.split()[0]) >= 2 * frames
    for threads in (2, 3):
        assert run(video, models, own, threads, frames, TRACK) == want, threads
    for instruction_set in _core._available_instruction_sets():
        if instruction_set != own:
            assert run(video, models, instruction_set, 2, frames, TRACK) == want, instruction_set
