"""df.openface: faces, views, time and identities, on real tables and on small ones with known answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyopenface.accessor
from pyopenface import InputError, columns, table


@pytest.fixture(scope="module")
def multi(golden: Path) -> pd.DataFrame:
    return table.read_openface_csv(golden / "csv/vid_multi_clnf_aus/multi_face_h264.csv.gz")


@pytest.fixture(scope="module")
def gap(golden: Path) -> pd.DataFrame:
    """One face, 140 frames at 15 per second, lost in frames 41 to 66 and 106 to 108."""
    return table.read_openface_csv(golden / "csv/feature_extraction_clnf/gap.csv.gz")


@pytest.fixture(scope="module")
def picture(golden: Path) -> pd.DataFrame:
    return table.read_openface_csv(golden / "csv/img_clnf/sample2.csv.gz")


def small(frames: Any, fps: float = 10.0, **cells: Any) -> pd.DataFrame:
    frames = np.asarray(frames)
    df = pd.DataFrame({"frame": frames, "face_id": 0, "timestamp": (frames - 1) / fps, "confidence": 0.98})
    df["success"] = 1
    return df.assign(**cells)


def two_faces() -> pd.DataFrame:
    """Face 0 in frames 1 to 6, face 1 in 2, 3 and 5; both failed in frame 3."""
    a = small([1, 2, 3, 4, 5, 6], AU12_r=[0.0, 1, 0, 3, 4, 5], AU12_c=[0.0, 0, 0, 1, 1, 1])
    b = small([2, 3, 5], face_id=1, AU12_r=[2.0, 0, 5], AU12_c=[1.0, 0, 1])
    df = pd.concat([a, b]).sort_values(["frame", "face_id"], ignore_index=True)
    df.loc[df["frame"] == 3, ["success", "confidence"]] = [0, 0.3]
    df.attrs["openface"] = {"kind": "sequence", "presence_decimals": 1}
    return df


# --- registration ----------------------------------------------------------------------------------------


def test_importing_the_package_imports_neither_pandas_nor_scipy_nor_matplotlib() -> None:
    program = (
        "import sys, pyopenface; pyopenface.columns.describe('AU12_r'); dir(pyopenface)\n"
        "print([m for m in ('pandas', 'scipy', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    source = str(Path(table.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": source, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == "[]", run.stderr


def test_what_needs_pandas_is_there_when_it_is_asked_for() -> None:
    assert pyopenface.read_openface_csv is table.read_openface_csv
    assert pyopenface.columns is columns and "plot" in dir(pyopenface)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pyopenface.nonsense


def test_tables_that_pandas_reads_have_the_accessor() -> None:
    program = "import pandas as pd\nimport pyopenface\nprint(pd.DataFrame({'frame': [1]}).openface.faces)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[0]", run.stderr


def test_the_accessor_does_not_disturb_other_tables() -> None:
    df = pd.DataFrame({"name": ["Ann"]})
    assert "openface" in dir(df), "asking for the accessor itself must not raise"
    with pytest.raises(InputError, match="none of OpenFace's columns"):
        _ = df.openface.faces


# --- faces and rows --------------------------------------------------------------------------------------


def test_faces_of_a_video_and_of_a_picture(multi: pd.DataFrame, picture: pd.DataFrame) -> None:
    assert multi.openface.faces == [0, 1, 2, 3]
    assert picture.openface.faces == [0, 1, 2]
    assert len(multi.openface.face(3)) == 263


def test_rows_of_a_face_are_in_the_order_of_time() -> None:
    df = two_faces().sample(frac=1.0, random_state=1)
    assert df.openface.face(0)["frame"].tolist() == [1, 2, 3, 4, 5, 6]


def test_names_with_spaces_are_refused_with_the_remedy(multi: pd.DataFrame) -> None:
    """What pandas makes of an old header: without its face_id all rows would be one face."""
    spaced = multi.rename(columns=lambda name: name if name == "frame" else f" {name}")
    assert hasattr(spaced, "openface")
    for method in ("summary", "missing", "pose"):
        with pytest.raises(InputError, match=r"' face_id' has spaces.*read_openface_csv"):
            getattr(spaced.openface, method)()
    assert spaced.rename(columns=str.strip).openface.faces == multi.openface.faces


def test_ids_and_frames_that_are_no_numbers_are_refused_with_the_row() -> None:
    df = two_faces()
    floats = df.astype({"face_id": float, "frame": float})
    assert floats.openface.faces == [0, 1] and floats.openface.split_face(0, 4).openface.faces == [0, 1, 2]
    with pytest.raises(InputError, match="row 2 of the table says no face"):
        floats.assign(face_id=floats["face_id"].where(floats.index != 2)).openface.summary()
    for odd in (float("nan"), 2.5):
        with pytest.raises(InputError, match="row 3 is no number of a frame"):
            floats.assign(frame=floats["frame"].where(floats.index != 3, odd)).openface.smooth()


def test_an_unknown_face_or_none_among_several_is_refused(multi: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="there is no face 7; the faces are \\[0, 1, 2, 3\\]"):
        multi.openface.landmarks(7)
    with pytest.raises(InputError, match="say which; the faces are 0, 1, 2, 3"):
        multi.openface.landmarks()


def test_confident_keeps_rows_from_the_threshold_on(multi: pd.DataFrame) -> None:
    kept = multi.openface.confident(0.8)
    assert kept["confidence"].min() >= 0.8 and len(kept) == (multi["confidence"] >= 0.8).sum()
    assert kept.attrs == multi.attrs
    with pytest.raises(InputError, match="between 0 and 1"):
        multi.openface.confident(80)


def test_failed_rows_become_nan_or_are_left_out_or_kept(gap: pd.DataFrame) -> None:
    failed = gap["success"] == 0
    nan = gap.openface.missing("nan")
    measured = [c.name for c in columns.layout() if c.group != "id"]
    assert nan.loc[failed, measured].isna().all(axis=None) and nan.loc[~failed].equals(gap[~failed])
    assert nan[["frame", "confidence", "success"]].equals(gap[["frame", "confidence", "success"]])
    assert len(gap.openface.missing("drop")) == (~failed).sum()
    assert gap.openface.missing("keep").equals(gap)
    assert gap.openface.missing("drop", threshold=0.97)["confidence"].min() >= 0.97
    assert not gap["AU12_r"].isna().any(), "the table itself is not changed"
    with pytest.raises(InputError, match="'nan', 'drop', 'keep', not 'zero'"):
        gap.openface.missing("zero")


def test_a_row_index_with_repeats_does_no_harm() -> None:
    df = two_faces()
    df.index = pd.Index([0] * len(df))
    assert df.openface.missing("nan")["AU12_r"].isna().sum() == 2
    assert df.openface.smooth(3)["AU12_r"].notna().all()
    assert df.openface.wide("AU12_r").shape == (6, 2)
    assert len(df.openface.interpolate(0.5)) == 10
    assert len(df.openface.rename_faces({0: "Ann"})) == len(df)


# --- arrays ----------------------------------------------------------------------------------------------


def test_landmarks_are_points_per_frame(multi: pd.DataFrame) -> None:
    points = multi.openface.landmarks(1, missing="keep")
    face = multi[multi["face_id"] == 1]
    assert points.shape == (len(face), 68, 2) and points.dtype == np.float64
    assert np.array_equal(points[10, 30], face.iloc[10][["x_30", "y_30"]].to_numpy(float))
    solid = multi.openface.landmarks_3d(1, missing="keep")
    assert np.array_equal(solid[10, 30], face.iloc[10][["X_30", "Y_30", "Z_30"]].to_numpy(float))
    eyes = multi.openface.eye_landmarks(1, missing="keep")
    assert eyes.shape == (len(face), 2, 28, 2)
    assert np.array_equal(eyes[10, 1, 3], face.iloc[10][["eye_lmk_x_31", "eye_lmk_y_31"]].to_numpy(float))
    assert multi.openface.eye_landmarks(1, dimensions=3).shape == (len(face), 2, 28, 3)


def test_landmarks_of_failed_frames(gap: pd.DataFrame) -> None:
    points = gap.openface.landmarks()
    lost = gap["success"].to_numpy() == 0
    assert np.isnan(points[lost]).all() and not np.isnan(points[~lost]).any()
    assert len(gap.openface.landmarks(missing="drop")) == (~lost).sum()


def test_absent_groups_are_named() -> None:
    df = table.to_dataframe(np.zeros((1, 11)), columns.layout(groups=["pose"]))
    for view, text in (
        (df.openface.landmarks, "without 2D landmarks"),
        (df.openface.landmarks_3d, "without 3D landmarks"),
        (df.openface.eye_landmarks, "without gaze"),
        (df.openface.action_units, "without the group 'aus'"),
        (df.openface.gaze, "no column 'gaze_0_x'"),
        (df.openface.blinks, "no column 'AU45_r'"),
    ):
        with pytest.raises(InputError, match=text):
            view()


def test_gaze_and_pose_in_degrees(gap: pd.DataFrame) -> None:
    gaze = gap.openface.gaze()
    tracked = gap["success"] == 1
    assert np.allclose(gaze["gaze_angle_x"][tracked], np.degrees(gap["gaze_angle_x"][tracked]))
    assert gaze["gaze_angle_x"][~tracked].isna().all()
    assert gap.openface.gaze(degrees=False, missing="keep")["gaze_angle_y"].equals(gap["gaze_angle_y"])
    pose = gap.openface.pose(missing="keep")
    assert np.allclose(pose["pose_Ry"], np.degrees(gap["pose_Ry"])) and pose["pose_Tz"].equals(gap["pose_Tz"])
    assert list(pose.columns)[:3] == ["frame", "face_id", "timestamp"]


def test_gaze_angles_of_files_without_them_come_from_the_vectors(gap: pd.DataFrame) -> None:
    old = gap.drop(columns=["gaze_angle_x", "gaze_angle_y"])
    both = old.openface.gaze(degrees=False).dropna()[["gaze_angle_x", "gaze_angle_y"]]
    # 0.0006: the angles are printed with 3 decimals, the vectors with 6
    assert np.abs(both - gap.loc[both.index, both.columns]).max(axis=None) < 0.0006


def test_action_units_tidy_and_wide(gap: pd.DataFrame) -> None:
    wide = gap.openface.action_units(missing="keep")
    tidy = gap.openface.action_units("tidy", missing="keep")
    assert wide.shape == (140, 3 + 35) and tidy.shape == (140 * 18, 6)
    part = tidy[tidy["unit"] == "AU12"]
    assert part["intensity"].tolist() == gap["AU12_r"].tolist()
    assert part["presence"].tolist() == gap["AU12_c"].tolist()
    assert tidy[tidy["unit"] == "AU28"]["intensity"].isna().all()
    assert tidy["frame"].is_monotonic_increasing


def test_views_of_a_picture(picture: pd.DataFrame) -> None:
    assert picture.openface.landmarks(1).shape == (1, 68, 2)
    assert list(picture.openface.gaze().columns) == ["face", "gaze_angle_x", "gaze_angle_y"]
    assert picture.openface.summary()["rows"].tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="no column 'frame'"):
        picture.openface.wide("AU12_r")


def test_a_table_without_face_id_is_one_face() -> None:
    df = small([1, 2, 3], AU12_r=[1.0, 2, 3]).drop(columns="face_id")
    assert df.openface.faces == [0]
    assert df.openface.wide("AU12_r")[0].tolist() == [1, 2, 3]
    assert df.openface.split_face(0, 2)["face_id"].tolist() == [0, 1, 1]


# --- one clock -------------------------------------------------------------------------------------------


def test_wide_has_a_column_per_person_and_a_row_per_frame(multi: pd.DataFrame) -> None:
    wide = multi.openface.wide("AU12_r", missing="keep")
    assert list(wide.columns) == [0, 1, 2, 3] and len(wide) == 702 and wide.index.name == "timestamp"
    assert wide.notna().sum().tolist() == multi.groupby("face_id").size().tolist()
    assert wide.attrs["column"] == "AU12_r"
    tracked = multi.openface.wide("AU12_r")
    assert tracked.notna().sum().tolist() == multi.groupby("face_id")["success"].sum().tolist()


def test_wide_puts_frames_without_any_face_on_the_clock() -> None:
    df = small([1, 2, 5, 6], AU12_r=[1.0, 2, 5, 6])
    wide = df.openface.wide("AU12_r")
    assert np.allclose(wide.index, [0, 0.1, 0.2, 0.3, 0.4, 0.5]) and wide[0].isna().sum() == 2
    assert df.openface.wide("AU12_r", clock="frame").index.tolist() == [1, 2, 3, 4, 5, 6]


def test_every_nth_frame_is_a_clock_of_its_own() -> None:
    wide = small([1, 6, 11, 26], AU12_r=[1.0, 2, 3, 4]).openface.wide("AU12_r", clock="frame")
    assert wide.index.tolist() == [1, 6, 11, 16, 21, 26]


def thinned(fps: float, end: float = 8.0) -> pd.DataFrame:
    """A table at 15 frames per second of which one to a lower rate was looked at."""
    times = np.arange(round(15 * end)) / 15
    _, first = np.unique(np.floor(times * fps + 1e-6), return_index=True)
    closed = np.where(np.arange(len(first)) % 20 == 5, 2.0, 0.0)
    df = small(first + 1, 15.0, AU12_r=np.arange(len(first)) % 5 * 1.0, AU45_r=closed)
    df.attrs["source_options"] = {"fps": fps, "every": 1}
    return df


@pytest.mark.parametrize("fps", [4, 7, 10, 12])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_lower_rate_is_a_clock_of_its_own(fps: float, remembered: bool) -> None:
    """Frames that nobody looked at are not missing, also in a file that doesn't say they weren't."""
    df = thinned(fps)
    if not remembered:
        df.attrs = {}
    assert len(df.openface.wide("AU12_r")) == len(df) == 8 * fps
    assert len(df.openface.interpolate(1)) == len(df)
    assert np.allclose(df.openface.smooth(5)["AU12_r"].iloc[2:-2], 2)
    assert len(df.openface.resample(fps)) == len(df)
    assert np.isclose(df.openface.summary()["time_visible"][0], 8, atol=0.2)


def test_what_is_missing_at_a_lower_rate_is_missing() -> None:
    df = thinned(10)
    present = df.drop(index=range(20, 30))
    wide = present.openface.wide("AU12_r", clock="frame")
    assert wide.index.tolist() == df["frame"].tolist() and wide[0].isna().sum() == 10
    assert np.isclose(present.openface.summary()["time_visible"][0], 7, atol=0.1)
    every = small([1, 11, 21], AU12_r=[1.0, 2, 3])
    every.attrs["source_options"] = {"every": 5}
    assert every.openface.wide("AU12_r", clock="frame").index.tolist() == [1, 6, 11, 16, 21]


def test_a_resampled_table_has_left_the_frames_of_the_video() -> None:
    df = thinned(10).openface.resample(25)
    assert "fps" not in df.attrs["source_options"]
    rest = df.drop(index=range(50, 60))
    assert len(rest.openface.wide("AU12_r")) == len(df)


def test_frames_that_are_missing_by_chance_are_no_lower_rate() -> None:
    frames = np.sort(np.random.default_rng(3).permutation(np.arange(1, 121))[:90])
    assert len(small(frames, AU12_r=1.0).openface.wide("AU12_r")) == frames[-1] - frames[0] + 1
    one_lost = np.delete(np.arange(1, 61), 30)
    assert len(small(one_lost, AU12_r=1.0).openface.wide("AU12_r")) == 60


def test_a_folder_of_pictures_is_timed_by_its_frames(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/feature_extraction_clnf/image_sequence.csv.gz")
    assert df.openface.wide("AU12_r").index.name == "frame"
    with pytest.raises(InputError, match="no increasing timestamps"):
        df.openface.wide("AU12_r", clock="timestamp")
    with pytest.raises(InputError, match="no increasing timestamps"):
        df.openface.resample(10)
    assert df.openface.summary()[["time_visible", "blinks_per_minute"]].isna().all(axis=None)
    assert len(df.openface.smooth(5)) == len(df)


def test_tables_of_several_videos_and_unknown_columns_are_refused(gap: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"frame 1 has several rows of face 0; .*groupby"):
        pd.concat([gap, gap]).openface.wide("AU12_r")
    with pytest.raises(InputError, match="did you mean AU12_r"):
        gap.openface.wide("AU12")


def test_resampling_a_straight_line_gives_the_line() -> None:
    df = small(range(1, 31), fps=30.0, pose_Tx=np.arange(30) * 2.0, AU12_c=np.repeat([0.0, 1.0], 15))
    for fps in (10.0, 25.0, 60.0):
        out = df.openface.resample(fps)
        assert np.allclose(out["timestamp"], np.arange(len(out)) / fps)
        assert np.allclose(out["pose_Tx"], out["timestamp"] * 60) and (out["success"] == 1).all()
        assert set(out["AU12_c"]) == {0.0, 1.0} and out["frame"].tolist() == list(range(1, len(out) + 1))
    assert np.allclose(df.openface.resample(60, "nearest")["pose_Tx"] % 2, 0)


def test_resampling_to_the_same_rate_changes_nothing(gap: pd.DataFrame) -> None:
    exact = gap.assign(timestamp=(gap["frame"] - 1) / 15)
    same = exact.openface.resample(15)
    tracked = exact["success"] == 1
    assert len(same) == len(gap) and same["success"].tolist() == gap["success"].tolist()
    # 1e-9: products with weights 0 and 1, and angles that are turned round once
    pd.testing.assert_frame_equal(same[tracked], exact[tracked], rtol=0, atol=1e-9)
    assert same.loc[~tracked, "AU12_r"].isna().all()


def test_resampling_by_means_averages() -> None:
    df = small(range(1, 41), fps=40.0, AU12_r=np.tile([1.0, 3.0], 20))
    out = df.openface.resample(10, "mean")
    assert np.allclose(out["AU12_r"].iloc[1:-1], 2.0)


def test_resampling_a_variable_frame_rate() -> None:
    """Times 0, 0.1, 0.5, 0.6: the long frame is no gap, but with a largest gap it is."""
    df = small([1, 2, 3, 4], pose_Tx=[0.0, 1, 5, 6]).assign(timestamp=[0.0, 0.1, 0.5, 0.6])
    assert np.allclose(df.openface.resample(10)["pose_Tx"], np.arange(7))
    strict = df.openface.resample(10, max_gap=0.2)
    assert np.allclose(strict["timestamp"], [0, 0.1, 0.5, 0.6])


def test_resampling_does_not_invent_what_was_not_tracked() -> None:
    out = two_faces().openface.resample(20)
    face = out[out["face_id"] == 0].set_index("timestamp")
    assert (
        face.loc[0.2, "success"] == 0
        and np.isnan(face.loc[0.15, "AU12_r"])
        and face.loc[0.05, "AU12_r"] == 0.5
    )
    other = out[out["face_id"] == 1]
    assert np.allclose(other["timestamp"], [0.1, 0.15, 0.2, 0.4]), "no rows where the face has none"
    bridged = two_faces().openface.resample(20, max_gap=0.25)
    assert np.allclose(
        bridged[bridged["face_id"] == 0]["AU12_r"], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    )


def test_resampling_angles_goes_the_short_way_round() -> None:
    out = small([1, 2], pose_Rz=[3.1, -3.1]).openface.resample(20)
    assert abs(abs(out["pose_Rz"][1]) - np.pi) < 1e-9


def test_resampling_carries_other_columns_along(multi: pd.DataFrame) -> None:
    named = multi.openface.rename_faces({0: "Ann"}).assign(video="a.mp4")
    out = named.openface.resample(10)
    assert set(out["video"]) == {"a.mp4"} and out.openface.faces == [1, 2, 3, "Ann"]
    assert out.dtypes[["frame", "success"]].eq(np.int64).all() and out.attrs == multi.attrs
    assert list(out.columns) == list(named.columns)


@pytest.mark.parametrize(
    ("fps", "gap_"), [(0, None), (-1, None), (1e9, None), (float("nan"), None), (10, -1)]
)
def test_impossible_rates_are_refused(fps: float, gap_: float | None) -> None:
    with pytest.raises(InputError, match="fps|max_gap"):  # noqa: RUF043
        two_faces().openface.resample(fps, max_gap=gap_)


@pytest.mark.parametrize("method", ["mean", "median", "savgol"])
def test_smoothing_keeps_lines_and_does_not_cross_gaps(method: str) -> None:
    values = np.concatenate([np.zeros(9), np.full(9, 4.0)])
    frames = np.concatenate([np.arange(1, 10), np.arange(12, 21)])  # a gap where the step is
    out = small(frames, AU12_r=values).openface.smooth(5, method)
    assert np.allclose(out["AU12_r"], values)


def test_smoothing_by_parabolas_keeps_parabolas() -> None:
    x = np.linspace(-1, 1, 21)
    out = small(range(1, 22), pose_Tx=x**2, AU12_r=5 - x**2).openface.smooth(7, "savgol")
    assert np.allclose(out["pose_Tx"], x**2) and out["AU12_r"].between(0, 5).all()


def test_smoothing_leaves_failed_rows_and_other_columns(gap: pd.DataFrame) -> None:
    out = gap.openface.smooth(5)
    failed = gap["success"] == 0
    names = [c.name for c in columns.layout() if c.group != "id" and not c.name.endswith("_c")]
    pd.testing.assert_frame_equal(out.loc[failed, names], gap.loc[failed, names])
    kept = [c for c in gap.columns if c not in names]
    assert out[kept].equals(gap[kept]) and out["AU12_r"].std() < gap["AU12_r"].std()
    only = gap.openface.smooth(3, columns=["AU12_r"])
    assert only.drop(columns="AU12_r").equals(gap.drop(columns="AU12_r"))


@pytest.mark.parametrize("method", ["mean", "median", "savgol"])
def test_smoothing_goes_around_missing_cells(method: str) -> None:
    holes = np.r_[1.0:8.0, np.nan, 9.0:10.0, np.nan, 11.0:21.0] / 4
    out = small(np.arange(1, len(holes) + 1), AU12_r=holes, AU06_r=2.0).openface.smooth(5, method)
    assert np.array_equal(np.isnan(out["AU12_r"]), np.isnan(holes)) and np.allclose(out["AU06_r"], 2)
    if method == "savgol":
        assert np.allclose(out["AU12_r"], holes, equal_nan=True)


def test_a_missing_angle_does_not_stop_the_others_from_going_the_short_way_round() -> None:
    angles = [np.nan, 3.1, -3.1, 3.1, -3.1, 3.1]
    out = small(range(1, 7), pose_Rz=angles).openface.smooth(3)
    assert (out["pose_Rz"].iloc[1:].abs() > 3).all()


def test_smoothing_refuses_what_it_cannot_do(gap: pd.DataFrame) -> None:
    for window, method, names in (
        (4, "mean", None),
        (0, "mean", None),
        (5, "mode", None),
        (5, "mean", ["AU99_r"]),
    ):
        with pytest.raises(InputError):
            gap.openface.smooth(window, method, columns=names)


def test_interpolation_fills_short_gaps_only(gap: pd.DataFrame) -> None:
    gap = gap.assign(timestamp=(gap["frame"] - 1) / 15)  # exact times, not the printed ones
    out = gap.openface.interpolate(max_gap=0.5)
    assert out.loc[out["interpolated"], "frame"].tolist() == [106, 107, 108]
    points = out.openface.landmarks()
    assert not np.isnan(points[105:108]).any() and np.isnan(points[45]).all()
    ends = points[104], points[108]
    assert np.allclose(points[106], (ends[0] + ends[1]) / 2), "halfway in the middle frame"
    assert set(out["AU12_c"]) <= {0.0, 1.0}
    both = out.openface.interpolate(max_gap=10)
    assert both["interpolated"].sum() == (gap["success"] == 0).sum(), "an earlier filling is remembered"


def test_interpolation_adds_rows_where_a_face_had_none() -> None:
    out = two_faces().openface.interpolate(max_gap=0.35)
    face = out.openface.face(1)
    assert face["frame"].tolist() == [2, 3, 4, 5] and np.allclose(face["AU12_r"], [2, 3, 4, 5])
    assert face["interpolated"].tolist() == [False, True, True, False]
    assert face["success"].tolist() == [1, 0, 0, 1] and np.allclose(face["timestamp"], [0.1, 0.2, 0.3, 0.4])
    assert out["frame"].dtype == np.int64 and out["face_id"].dtype == np.int64
    assert out.openface.wide("AU12_r").notna().sum().tolist() == [6, 4], "views take filled rows as tracked"
    with pytest.raises(InputError, match="max_gap"):
        two_faces().openface.interpolate(-1)


# --- summaries -------------------------------------------------------------------------------------------


def test_the_summary_of_a_known_table() -> None:
    row = two_faces().openface.summary().loc[0]
    assert row["rows"] == 6 and row["tracked"] == 5 / 6
    assert np.isclose(row["time_visible"], 0.5) and row["first"] == 0 and row["last"] == 0.5
    assert np.isclose(row["confidence"], (5 * 0.98 + 0.3) / 6)
    assert np.isclose(row["AU12_r_mean"], np.mean([0, 1, 3, 4, 5]))
    assert np.isclose(row["AU12_r_sd"], np.std([0, 1, 3, 4, 5], ddof=1))
    assert np.isclose(row["AU12_c_percent"], 60)


def test_the_summary_of_several_people(multi: pd.DataFrame) -> None:
    summary = multi.openface.rename_faces({0: "Ann", 1: "Ben"}).openface.summary()
    assert summary.index.tolist() == [2, 3, "Ann", "Ben"] and len(summary.columns) == 6 + 2 * 17 + 18 + 1
    # 1/30 s per frame; 0.01: timestamps are printed with 3 decimals
    assert abs(summary.loc["Ben", "time_visible"] - multi.query("face_id == 1")["success"].sum() / 30) < 0.01


def test_blinks_are_counted() -> None:
    """Two blinks of 0.2 s and a closure of 1 s in 6 s."""
    closed = np.zeros(60)
    closed[[5, 6, 40, 41]] = 2.0
    closed[20:30] = 3.0
    df = small(range(1, 61), AU45_r=closed)
    blinks = df.openface.blinks()
    assert np.allclose(blinks["onset"], [0.5, 4.0]) and np.allclose(blinks["duration"], 0.2)
    assert np.isclose(df.openface.summary()["blinks_per_minute"][0], 20)
    assert len(df.openface.blinks(max_duration=2)) == 3 and len(df.openface.blinks(threshold=2.5)) == 0


def test_a_face_that_was_never_tracked_has_a_summary() -> None:
    df = small([1, 2], AU12_r=[0.0, 0], AU12_c=[0.0, 0], AU45_r=0.0).assign(success=0)
    row = df.openface.summary().loc[0]
    assert row["tracked"] == 0 and row["time_visible"] == 0
    assert np.isnan(row[["AU12_r_mean", "AU12_c_percent", "blinks_per_minute"]].astype(float)).all()
    assert (
        df.openface.resample(10)["AU12_r"].isna().all()
        and not df.openface.interpolate(1)["interpolated"].any()
    )


def test_tables_without_rows() -> None:
    df = table.to_dataframe(np.zeros((0, 714)), columns.layout())
    assert df.openface.faces == [] and df.openface.summary().shape == (0, 6 + 2 * 17 + 18 + 1)
    assert len(df.openface.wide("AU12_r")) == 0 and len(df.openface.resample(10)) == 0
    assert len(df.openface.smooth(3)) == 0 and len(df.openface.interpolate(1)) == 0
    assert len(df.openface.action_units("tidy")) == 0 and len(df.openface.blinks()) == 0


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("confident", ("high",), "threshold='high'"),
        ("confident", (1.5,), "threshold=1.5"),
        ("missing", ("nan", "low"), "threshold='low'"),
        ("resample", ("fast",), "fps='fast'"),
        ("resample", (10, "mean", "long"), "max_gap='long'"),
        ("smooth", ("wide",), "window='wide'"),
        ("smooth", (2.5,), "window=2.5"),
        ("smooth", (10**400,), "window=1000"),
        ("interpolate", (None,), "max_gap=None"),
        ("blinks", ("closed",), "threshold='closed'"),
        ("wide", (["AU12_r"],), "column=['AU12_r']"),
        ("face", ([0, 1],), "no face [0, 1]"),
        ("rename_faces", (["Ann"],), "names=['Ann']"),
        ("rename_faces", ({0: None},), "None is neither"),
        ("merge_faces", (0,), "faces=0"),
        ("split_face", (0, "late"), "at_frame='late'"),
        ("swap_faces", (0, 1, "late"), "from_frame='late'"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(method: str, arguments: tuple[Any, ...], named: str) -> None:
    df = two_faces().assign(AU45_r=0.0)
    names = ("missing", "threshold") if method == "missing" else ("fps", "method", "max_gap")
    with pytest.raises(InputError, match=re.escape(named)):
        if method in ("missing", "resample"):
            getattr(df.openface, method)(**dict(zip(names, arguments, strict=False)))
        else:
            getattr(df.openface, method)(*arguments)


def test_smoothing_nothing_changes_nothing(gap: pd.DataFrame) -> None:
    assert gap.openface.smooth(1).equals(gap)
    twice = gap.openface.smooth(3.0, columns=["AU12_r", "AU12_r"])  # type: ignore[arg-type]
    assert list(twice.columns) == list(gap.columns)
    with pytest.raises(InputError, match="columns=3: expected names of columns"):
        gap.openface.smooth(columns=3)  # type: ignore[arg-type]


# --- identities ------------------------------------------------------------------------------------------


def test_faces_get_names(multi: pd.DataFrame) -> None:
    named = multi.openface.rename_faces({0: "Ann", 1: "Ben"})
    assert named.openface.faces == [2, 3, "Ann", "Ben"] and multi.openface.faces == [0, 1, 2, 3]
    assert np.array_equal(named.openface.landmarks("Ann"), multi.openface.landmarks(0), equal_nan=True)
    swapped = multi.openface.rename_faces({0: 1, 1: 0})
    assert swapped["face_id"].dtype == np.int64 and (swapped["face_id"] == 0).sum() == 702
    with pytest.raises(InputError, match="merge_faces"):
        multi.openface.rename_faces({0: 1})
    with pytest.raises(InputError, match="no face 9"):
        multi.openface.rename_faces({9: "Zoe"})


def test_faces_are_merged(multi: pd.DataFrame) -> None:
    split = multi.openface.split_face(1, at_frame=300)
    assert split.openface.faces == [0, 1, 2, 3, 4] and (split["face_id"] == 4).sum() == 403
    pd.testing.assert_frame_equal(split.openface.merge_faces([1, 4]), multi)
    with pytest.raises(InputError, match=r"together in \d+ frames.*on_conflict"):
        multi.openface.merge_faces([0, 1])
    once = iter([1, 4])
    pd.testing.assert_frame_equal(split.openface.merge_faces(once), multi)  # type: ignore[arg-type]
    best = multi.openface.merge_faces([0, 1], into="both", on_conflict="confident")
    pair = multi[multi["face_id"].isin([0, 1])].groupby("frame")["confidence"].max()
    assert best[best["face_id"] == "both"]["confidence"].tolist() == pair.tolist()
    with pytest.raises(InputError, match="another face"):
        multi.openface.merge_faces([0, 1], into=2)


def test_faces_are_split_and_swapped() -> None:
    df = two_faces()
    assert df.openface.split_face(0, 4, "Ben").openface.face("Ben")["frame"].tolist() == [4, 5, 6]
    for at, new in ((1, None), (7, None), (4, 1)):
        with pytest.raises(InputError, match="at_frame|new_id"):  # noqa: RUF043
            df.openface.split_face(0, at, new)
    swapped = df.openface.swap_faces(0, 1, from_frame=4)
    assert swapped.openface.face(1)["frame"].tolist() == [2, 3, 4, 5, 6]
    pd.testing.assert_frame_equal(swapped.openface.swap_faces(0, 1, from_frame=4), df)


def test_named_tables_go_to_files_and_back(multi: pd.DataFrame, tmp_path: Path) -> None:
    named = multi.head(50).openface.rename_faces({0: "Ann"})
    named.openface.to_csv(tmp_path / "named.csv")
    again = table.read_openface_csv(tmp_path / "named.csv")
    assert again["face_id"].tolist() == named["face_id"].tolist()
