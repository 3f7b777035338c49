"""Analyse a real face, write a CSV, an annotated picture and an annotated video, and say what was found.

The face is a sample video if one is beside the checkout, else the public-domain portrait of astronaut Eileen
Collins that ships with scikit-image, panned and zoomed into a short clip.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

import pyopenface
from pyopenface import models
from pyopenface.sources import open_source

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
OUTPUT = Path("demo_output")


def find_weights() -> Path | None:
    """The folder of the weights; None: the usual places, downloading if nothing is there."""
    if not os.environ.get("PYOPENFACE_MODELS") and (SHARED / "openface-models").is_dir():
        return SHARED / "openface-models"
    try:
        models.find()
    except pyopenface.ModelError:
        print("No weights found; downloading the CLNF model (18 MB) from OpenFace's publisher.")
        models.download("clnf")
    return None


def portrait_clip() -> np.ndarray:
    """Sixty frames, uint8 (60, 480, 640, 3): the portrait, panned and zoomed."""
    from skimage import data

    portrait = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    frames = []
    for i in range(60):
        zoom = 1.6 + 0.2 * np.sin(i / 10)
        shift = np.array([320 - zoom * 225 + 20 * np.sin(i / 7), 240 - zoom * 130 + 8 * np.cos(i / 9)])
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        frames.append(cv2.warpAffine(portrait, matrix, (640, 480)))
    return np.stack(frames)


def main() -> int:
    """Run the demonstration."""
    weights = find_weights()
    OUTPUT.mkdir(exist_ok=True)
    video = SHARED / "samples" / "default.wmv"
    source = video if video.is_file() else portrait_clip()
    options = {} if video.is_file() else {"fps": 30.0}

    began = time.perf_counter()
    df = pyopenface.analyze(source, models=weights, output=OUTPUT / "faces.csv", **options)
    seconds = time.perf_counter() - began

    with open_source(source, **options) as opened:
        frame = next(iter(opened))
    picture = pyopenface.draw_face(frame.image, df.iloc[0])
    cv2.imwrite(str(OUTPUT / "first_frame.png"), picture)
    pyopenface.annotate(source, df, OUTPUT / "annotated.mp4", progress=False, **options)

    tracked = df[df["success"] == 1]
    print(
        f"Input:            {video.name if video.is_file() else 'the astronaut portrait, panned and zoomed'}"
    )
    print(f"Model:            {df.attrs['model']} (weights of OpenFace 2.2)")
    print(f"Frames:           {df['frame'].nunique()}, a face in {len(tracked)} of them")
    print(f"Speed:            {len(df) / seconds:.0f} frames per second, everything included")
    print(f"Mean confidence:  {tracked['confidence'].mean():.2f}")
    strongest = tracked.filter(regex=r"AU\d+_r").mean().nlargest(3)
    print(
        "Strongest action units: " + ", ".join(f"{name[:4]} {value:.1f}" for name, value in strongest.items())
    )
    for name, what in (
        ("faces.csv", "all numbers, OpenFace's columns"),
        ("first_frame.png", "the first frame with what was found"),
        ("annotated.mp4", "the whole video with what was found"),
    ):
        print(f"{OUTPUT / name}: {what}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except pyopenface.Error as error:
        sys.exit(f"pyopenface: {error}")
