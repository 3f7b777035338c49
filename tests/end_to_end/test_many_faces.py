"""Several faces in a video by OpenFace's rules, against both builds of the reference."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import pyopenface

# Groups of columns, their printed digit.
GROUPS = {
    r"gaze_[01]_[xyz]": 1e-6,
    r"gaze_angle_[xy]": 1e-3,
    r"eye_lmk_[xy]_\d+": 0.1,
    r"eye_lmk_[XYZ]_\d+": 0.1,
    r"pose_T[xyz]": 0.1,
    r"pose_R[xyz]": 1e-3,
    r"[xy]_\d+": 0.1,
    r"[XYZ]_\d+": 0.1,
    r"p_(scale|rx|ry|rz|tx|ty)": 1e-3,
    r"p_\d+": 1e-3,
    r"AU\d+_r": 0.01,
}
NAME = "vid_multi_clnf_aus/multi_face_h264.csv.gz"


def keyed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(["frame", "face_id"]).sort_index()


@pytest.fixture(scope="module")
def ours(models: Path, samples: Path) -> pd.DataFrame:
    return keyed(
        pyopenface.analyze(samples / "multi_face_h264.avi", models=models, model="clnf", max_faces=4)
    )


@pytest.fixture(scope="module")
def reference(golden: Path) -> pd.DataFrame:
    return keyed(pd.read_csv(golden / "csv" / NAME))


@pytest.fixture(scope="module")
def second(golden: Path) -> pd.DataFrame:
    return keyed(pd.read_csv(golden / "csv_second_build" / NAME))


def test_rows_are_those_of_the_reference(
    ours: pd.DataFrame, reference: pd.DataFrame, second: pd.DataFrame
) -> None:
    """Same trackers on the same faces.

    The builds of the reference disagree about 25 rows. Our own builds, which differ in last bits only, gave
    either exactly the rows of the second build (2108), or went another way in frame 228, where a fit of a
    blurred face is started anew after a rejection: then one of three faces is followed where the reference
    loses it, and gets its rows under another number for 120 frames.
    """
    missing, extra = reference.index.difference(ours.index), ours.index.difference(reference.index)
    assert len(missing) <= 130
    assert len(extra) <= 140
    assert abs(len(ours) - len(reference)) <= len(second.index.difference(reference.index))
    early = [index for index in missing.union(extra) if index[0] < 228]
    assert not early


@pytest.mark.parametrize("pattern", GROUPS)
def test_well_tracked_faces_are_inside_the_noise_floor(
    pattern: str, ours: pd.DataFrame, reference: pd.DataFrame, second: pd.DataFrame
) -> None:
    """A floor measured from one pair of runs is itself a draw: twice its 99th percentile is allowed."""
    columns = [c for c in reference.columns if re.fullmatch(pattern, c)]
    index = reference.index[reference["confidence"] >= 0.7].intersection(ours.index)
    index = index.intersection(second.index)
    # Only where the fit is in the same optimum (see above): all but a few percent.
    nose = ["x_30", "y_30"]
    same = (ours.loc[index, nose] - reference.loc[index, nose]).abs().max(axis=1) < 1.0
    assert same.mean() > 0.95
    index = index[same.to_numpy()]
    want = reference.loc[index, columns].to_numpy()
    # Ours are not rounded to the printed digit.
    differences = np.abs(ours.loc[index, columns].to_numpy() - want)
    floor = np.abs(second.loc[index, columns].to_numpy() - want)
    digit = GROUPS[pattern]
    for percent, factor in ((50, 1.25), (95, 1.5), (99, 2.0)):
        allowed = factor * np.percentile(floor, percent) + digit
        assert np.percentile(differences, percent) <= allowed, f"{percent} %"


def test_success_and_presences_agree_as_the_builds_do(
    ours: pd.DataFrame, reference: pd.DataFrame, second: pd.DataFrame
) -> None:
    columns = ["success", *(c for c in reference.columns if re.fullmatch(r"AU\d+_c", c))]
    index = reference.index.intersection(ours.index).intersection(second.index)
    want = reference.loc[index, columns].to_numpy()
    agree = (ours.loc[index, columns].to_numpy() == want).mean()
    assert agree >= (second.loc[index, columns].to_numpy() == want).mean() - 0.02


def test_trackers_start_where_the_detector_runs(ours: pd.DataFrame) -> None:
    """On frames 1, 9, 17, ... : the detector is not run more often than by the reference."""
    for _, rows in ours.reset_index().groupby("face_id"):
        frames = rows["frame"].to_numpy()
        starts = frames[np.diff(frames, prepend=-9) > 1]
        assert (starts % 8 == 1).all()


def test_more_than_four_faces(models: Path, samples: Path) -> None:
    import cv2

    image = cv2.imread(str(samples / "sample6.jpg"))
    df = pyopenface.analyze(
        np.stack([image, image]), models=models, model="clnf", max_faces=16, fps=30, au=None, kind="video"
    )
    assert len(df.query("frame == 1")) == 12
    assert sorted(df.query("frame == 2")["face_id"]) == list(range(12))


@pytest.mark.parametrize("trackers", [2, 3, 4])
def test_the_detector_runs_when_the_reference_runs_it(trackers: int, models: Path, samples: Path) -> None:
    """On every eighth frame in which a tracker is free, and on no other."""
    tracker = pyopenface.FaceTracker("clnf", models, trackers, "slot", None)
    capture = cv2.VideoCapture(str(samples / "multi_face_h264.avi"))
    active = runs = 0
    for frame in range(120):
        runs += frame % 8 == 0 and active < trackers
        active = len(tracker.update(capture.read()[1]))
        assert tracker.detector_runs == runs, frame
    assert runs == 15 if trackers > 3 else runs < 15
    tracker.reset()
    assert tracker.detector_runs == 0


def test_tracking_people_asks_the_detector_no_more_often(models: Path, samples: Path) -> None:
    tracker = pyopenface.FaceTracker("clnf", models, 4, "track", None)
    capture = cv2.VideoCapture(str(samples / "multi_face_h264.avi"))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 400)
    for frame in range(80):
        tracker.update(capture.read()[1])
        assert tracker.detector_runs <= frame // 8 + 1
