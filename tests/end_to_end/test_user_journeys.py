"""What people do with the package, from files to results: batches, exports, pictures, empty results."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

import pyopenface
from pyopenface import InputError, ModelError, SourceError, StateError
from pyopenface.batch import csv_names
from pyopenface.cli import main
from pyopenface.engine import Run, load_models
from pyopenface.sources import open_source


def analyze(source: Any, models: Path, **options: Any) -> pd.DataFrame:
    return pyopenface.analyze(source, models=models, model="clnf", **options)


@pytest.fixture(scope="module")
def short(models: Path, samples: Path) -> pd.DataFrame:
    return analyze(samples / "default.wmv", models, end=0.3)


# --- many videos ---


def test_a_list_with_a_bad_video_stops_or_goes_on(
    models: Path, samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.avi"
    bad.write_bytes(b"not a video")
    videos = [str(samples / "default.wmv"), str(bad), str(samples / "clip60.avi")]
    with pytest.raises(SourceError, match=r"bad\.avi"):
        analyze(videos, models, end=0.1, au=None)
    df = analyze(videos, models, end=0.1, au=None, on_error="skip")
    assert df["file"].unique().tolist() == [videos[0], videos[2]] == df.attrs["input"]
    assert list(df.attrs["failed"]) == [str(bad)]
    assert "bad.avi" in caplog.text
    with pytest.raises(SourceError, match=r"bad\.avi"):
        analyze([str(bad)], models, on_error="skip")


def test_workers_give_the_same_table_and_a_file_for_each_video(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    videos = [samples / name for name in ("default.wmv", "clip60.avi", "gap.avi")]
    one = analyze(videos, models, end=0.2)
    two = analyze(videos, models, end=0.2, workers=2, output=tmp_path / "results")
    pd.testing.assert_frame_equal(one, two)
    written = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert written == ["clip60.csv", "default.csv", "gap.csv"]
    rows = sum(len(pyopenface.read_openface_csv(tmp_path / "results" / name)) for name in written)
    assert rows == len(two)


def test_a_list_may_hold_paths_as_bytes(models: Path, samples: Path) -> None:
    video = os.fsencode(samples / "default.wmv")
    df = analyze([video, samples / "clip60.avi"], models, end=0.1, au=None)
    assert df["file"].unique().tolist() == [os.fsdecode(video), str(samples / "clip60.avi")]


def test_one_frame_left_of_several_is_still_a_video(models: Path) -> None:
    df = analyze(np.zeros((3, 60, 80, 3), np.uint8), models, every=3, au=None)
    assert df.attrs["taken_as"] == "video" and df["frame"].tolist() == [1]


def test_a_fault_that_is_not_the_videos_is_never_skipped(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        analyze([samples / "default.wmv"] * 2, tmp_path, on_error="skip")


@pytest.mark.parametrize("options", [{"on_error": "ignore"}, {"workers": 0}])
def test_batch_options_are_checked(models: Path, samples: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        analyze([samples / "default.wmv"], models, **options)


def test_no_two_videos_share_an_output() -> None:
    def names(*paths: str) -> list[str]:
        return [name.as_posix() for name in csv_names(paths)]

    assert names("x/a.mp4", "y/b.mp4") == ["a.csv", "b.csv"]
    assert names("x/a.mp4", "y/a.mp4") == ["x/a.csv", "y/a.csv"]
    assert names("x/a.mp4", "x/a.avi") == ["a.mp4.csv", "a.avi.csv"]
    assert names("https://youtu.be/abc?t=1", "https://youtu.be/def") == ["abc_t_1.csv", "def.csv"]
    with pytest.raises(InputError, match="given twice"):
        names("x/a.mp4", "x/../x/a.mp4")


def test_extract_keeps_videos_of_the_same_name_apart(
    models: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("p1", "p2"):
        (tmp_path / person).mkdir()
        shutil.copy(samples / "default.wmv", tmp_path / person / "session.wmv")
    line = [
        "extract", *(str(tmp_path / person / "session.wmv") for person in ("p1", "p2")),
        "-o", str(tmp_path / "out"), "--model", "clnf", "--models", str(models), "--end", "0.2",
        "--workers", "2", "--resume",
    ]  # fmt: skip
    assert main(line) == 0
    assert (tmp_path / "out/p1/session.csv").read_bytes() == (tmp_path / "out/p2/session.csv").read_bytes()
    assert not list(tmp_path.rglob("*.part"))
    capsys.readouterr()
    assert main(line) == 0
    assert "is there, left out" in capsys.readouterr().err


def test_the_annotated_video_of_extract_shows_the_part_that_was_analysed(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    pytest.importorskip("av")
    code = main([
        "extract", str(samples / "default.wmv"), "-o", str(tmp_path / "part.csv"), "--model", "clnf",
        "--models", str(models), "--start", "1", "--end", "1.5", "--quiet",
        "--video", str(tmp_path / "part.mp4"),
    ])  # fmt: skip
    assert code == 0
    shown = cv2.VideoCapture(str(tmp_path / "part.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)
    assert shown == len(pyopenface.read_openface_csv(tmp_path / "part.csv"))


def test_resume_makes_a_video_that_is_missing(models: Path, samples: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    line = [
        "extract", str(samples / "default.wmv"), "-o", str(tmp_path / "a.csv"), "--model", "clnf",
        "--models", str(models), "--end", "0.2", "--quiet", "--resume",
    ]  # fmt: skip
    assert main(line) == 0
    rows = (tmp_path / "a.csv").read_bytes()
    assert main([*line, "--video", str(tmp_path / "a.mp4")]) == 0
    assert (tmp_path / "a.csv").read_bytes() == rows and (tmp_path / "a.mp4").exists()
    written = (tmp_path / "a.mp4").stat().st_mtime_ns
    assert main([*line, "--video", str(tmp_path / "a.mp4")]) == 0
    assert (tmp_path / "a.mp4").stat().st_mtime_ns == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.mp4"]


def test_the_annotated_video_of_pictures_shows_each_with_its_own_faces(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    pytest.importorskip("av")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("sample1.jpg", "sample5.jpg"):
        shutil.copy(samples / name, folder)
    line = [
        "extract",
        str(folder),
        "-o",
        str(tmp_path / "faces.csv"),
        "--models",
        str(models),
        "--model",
        "clnf",
    ]
    assert main([*line, "--quiet", "--video", str(tmp_path / "faces.mp4")]) == 0
    shown = cv2.VideoCapture(str(tmp_path / "faces.mp4"))
    for name in ("sample1.jpg", "sample5.jpg"):
        df = analyze(samples / name, models)
        image = shown.read()[1].astype(int)
        plain = cv2.imread(str(samples / name))
        scale = min(400 / plain.shape[0], 640 / plain.shape[1])
        left = (640 - scale * plain.shape[1]) / 2
        for i in (30, 8):  # tip of the nose, chin: red or blue there
            x, y = df.loc[0, f"x_{i}"] * scale + left, df.loc[0, f"y_{i}"] * scale
            near = image[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
            assert (near.max(axis=2) - near[..., 1]).max() > 100, (name, i)


def test_a_video_that_cannot_be_written_is_told_before_the_work(
    models: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av")
    video = tmp_path / "session.avi"
    shutil.copy(samples / "gap.avi", video)
    wrong = {
        "out.avi": "expected a name ending in .mp4",
        "missing/out.mp4": "there is no folder",
        ".": "expected a name ending in .mp4",
    }
    line = [
        "extract",
        str(video),
        "-o",
        str(tmp_path / "out.csv"),
        "--models",
        str(models),
        "--model",
        "clnf",
    ]
    for name, message in wrong.items():
        assert main([*line, "--video", str(tmp_path / name)]) != 0
        assert message in capsys.readouterr().err
    assert main(["extract", "0", "--video", str(tmp_path / "camera.mp4")]) != 0
    assert "camera 0 doesn't show again" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["session.avi"]


# --- what goes in ---


def test_arrays_in_rgb_order(short: pd.DataFrame, models: Path, samples: Path) -> None:
    capture = cv2.VideoCapture(str(samples / "default.wmv"))
    frames = np.stack([capture.read()[1][..., ::-1] for _ in range(len(short))])
    df = analyze(frames, models, rgb=True, timestamps=short["timestamp"].to_numpy())
    np.testing.assert_array_equal(df.to_numpy(), short.to_numpy())


def test_camera_may_be_any_sequence_of_four(models: Path, samples: Path) -> None:
    intrinsics = np.array([700, 700, 320, 240.0])
    df = analyze(samples / "default.wmv", models, end=0.1, au=None, camera=intrinsics)
    assert df.attrs["camera"] == [700.0, 700.0, 320.0, 240.0]


# --- what comes out ---


def test_attrs_survive_parquet_and_pandas(models: Path, samples: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    df = analyze(samples / "default.wmv", models, end=0.2, au=None, roi=np.array([60, 0, 540, 480]))
    pyopenface.to_parquet(df, tmp_path / "df.parquet")
    read = pyopenface.read_parquet(tmp_path / "df.parquet")
    pd.testing.assert_frame_equal(read, df)
    assert read.attrs == df.attrs
    assert pd.concat([df, read]).attrs == df.attrs


def test_times_given_by_the_user_are_not_copied_into_attrs(models: Path) -> None:
    frames = np.zeros((5, 60, 80, 3), np.uint8)
    df = analyze(frames, models, au=None, timestamps=np.arange(5) / 10)
    assert df["timestamp"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert "timestamps" not in df.attrs["source_options"]


def test_a_csv_is_not_written_under_another_formats_name(models: Path, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="to_parquet"):
        analyze(samples / "default.wmv", models, end=0.1, output=tmp_path / "df.parquet")
    with pytest.raises(InputError, match=r"plain CSV.*to_openface_csv"):
        analyze(samples / "default.wmv", models, end=0.1, output=tmp_path / "df.csv.gz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes (os.mkfifo)")
def test_a_pipe_gets_the_rows_that_stay_as_they_are(models: Path, samples: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "rows"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="post-processed in the file at the end"):
        analyze(samples / "default.wmv", models, end=0.1, output=pipe)
    text: list[str] = []
    reader = threading.Thread(target=lambda: text.append(pipe.read_text()))
    reader.start()
    df = analyze(samples / "default.wmv", models, end=0.3, output=pipe, postprocess=False)
    reader.join(20)
    assert len(text[0].splitlines()) == len(df) + 1


def test_rows_of_several_pictures_say_of_which(models: Path, samples: Path, tmp_path: Path) -> None:
    odd = tmp_path / 'a, "b".jpg'
    shutil.copyfile(samples / "sample1.jpg", odd)
    pictures = [odd, samples / "sample2.jpg"]
    df = analyze(pictures, models, output=tmp_path / "rows.csv")
    assert df["file"].tolist() == [str(odd), *[str(pictures[1])] * 3]
    pyopenface.to_openface_csv(df, tmp_path / "table.csv")
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    again = pyopenface.read_openface_csv(tmp_path / "rows.csv")
    assert again["file"].tolist() == df["file"].tolist() and again["face"].tolist() == [0, 0, 1, 2]
    frames = analyze(samples / "default.wmv", models, kind="pictures", end=0.3, every=2)
    assert frames["file"].tolist() == ["1", "3", "5"]


def test_pictures_have_no_identity_to_track(models: Path, samples: Path) -> None:
    df = analyze(samples / "sample2.jpg", models, max_faces=3, identity="track")
    pd.testing.assert_frame_equal(df, analyze(samples / "sample2.jpg", models))


def test_a_video_given_twice_is_analysed_once(
    models: Path, samples: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    videos = [samples / "clip60.avi", str(samples / "clip60.avi"), samples / "default.wmv"]
    df = analyze(videos, models, end=0.1, au=None, on_frame=lambda number, *_: seen.append(number))
    assert len(df) == len(seen) == 4 and "2 of 3 videos" in caplog.text


def test_faces_carry_the_likelihood_of_every_landmark(models: Path, samples: Path) -> None:
    walk = pyopenface.analyze_iter(samples / "default.wmv", models=models, model="clnf", au=None, end=0.1)
    for _, _, faces in walk:
        likelihoods = faces[0].landmark_likelihoods
        assert likelihoods is not None
        assert likelihoods.shape == (68,)
        assert np.isfinite(likelihoods).all()


def test_pictures_of_several_sizes_become_a_video(models: Path, samples: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    pictures = [samples / "sample1.jpg", samples / "sample2.jpg"]
    df = analyze(pictures, models, au=None)
    path = pyopenface.annotate(pictures, df, tmp_path / "pictures.mp4")
    capture = cv2.VideoCapture(str(path))
    drawn = [capture.read()[1] for _ in range(2)]
    first, second = (cv2.imread(str(picture)) for picture in pictures)
    assert drawn[0].shape[:2] == tuple(length // 2 * 2 for length in first.shape[:2])
    # Landmarks are red: the reddest pixel near a face's nose tells that it was drawn on its own picture.
    scale = min(drawn[1].shape[0] / second.shape[0], drawn[1].shape[1] / second.shape[1])
    top = (drawn[1].shape[0] - scale * second.shape[0]) / 2
    left = (drawn[1].shape[1] - scale * second.shape[1]) / 2
    for _, face in df[df["file"] == str(pictures[1])].iterrows():
        x, y = int(left + scale * face["x_30"]), int(top + scale * face["y_30"])
        around = drawn[1][y - 8 : y + 9, x - 8 : x + 9].astype(int)
        assert (around[..., 2] - around[..., 1]).max() > 40


@pytest.mark.parametrize("options", [{}, {"max_faces": 3}], ids=["one face", "several faces"])
def test_a_video_without_a_face_goes_through_everything(
    models: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    frames = np.zeros((30, 120, 160, 3), np.uint8)
    df = analyze(frames, models, fps=30, **options)
    faces = df.openface.faces
    assert len(df) == (0 if options else 30)
    assert df.openface.confident().empty
    assert np.isnan(df.openface.landmarks()).all()
    assert df.openface.wide("AU12_r").isna().all(axis=None)
    for view in (
        df.openface.pose(), df.openface.gaze(), df.openface.action_units("tidy"), df.openface.resample(10),
        df.openface.smooth(), df.openface.interpolate(0.5), df.openface.missing("nan"),
    ):  # fmt: skip
        assert view["face_id"].isin(faces).all()
    assert df.openface.missing("drop").empty
    assert df.openface.blinks().empty
    assert df.openface.summary()["time_visible"].sum() == 0 if faces else df.openface.summary().empty
    pyopenface.to_openface_csv(df, tmp_path / "none.csv")
    assert len(pyopenface.read_openface_csv(tmp_path / "none.csv")) == len(df)


def test_figures_of_a_table_without_rows_say_why(models: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    df = analyze(np.zeros((60, 80, 3), np.uint8), models)
    with pytest.raises(InputError, match="no face was found"):
        pyopenface.plot.face(df)


def test_memory_stays_flat_over_thousands_of_frames(models: Path, samples: Path) -> None:
    resource = pytest.importorskip("resource")
    image = cv2.resize(cv2.imread(str(samples / "sample1.jpg")), (320, 200))
    frames = (image for _ in range(3000))
    peaks = []
    walk = pyopenface.analyze_iter(frames, models=models, model="clnf", au=None, fps=30, threads=2)
    for number, _, _ in walk:
        if number in (500, 3000):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # A table's row alone has 5.7 kB: keeping rows or frames would show as 14 MB or 480 MB.
    assert peaks[1] - peaks[0] < 8_000


def test_walking_keeps_no_history_of_the_action_units(models: Path, samples: Path) -> None:
    run = Run(load_models(models, "clnf"), history=False)
    with open_source(samples / "default.wmv", end=0.2) as source:
        assert len(list(run.results(source))) == 3
    with pytest.raises(StateError, match="no history"):
        run.finish()


def test_extract_times_frames_by_the_rule_that_is_asked_for(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    line = [
        "extract",
        str(samples / "default.wmv"),
        "--models",
        str(models),
        "--model",
        "clnf",
        "--end",
        "0.3",
    ]
    for rule, times in (("openface", [0, 0.067, 0.133, 0.2, 0.267]), ("container", [0, 0.064, 0.128])):
        more = ["--end", "0.3", "--quiet", "--timestamps", rule, "-o", str(tmp_path / "a.csv")]
        assert main([*line, *more]) == 0
        assert pyopenface.read_openface_csv(tmp_path / "a.csv")["timestamp"].tolist()[: len(times)] == times


def test_extract_writes_what_analyze_gives_for_every_choice_of_identity(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    video = samples / "multi_face_h264.avi"
    for identity in ("slot", "track"):
        path = tmp_path / f"{identity}.csv"
        line = [
            "extract",
            str(video),
            "-o",
            str(path),
            "--model",
            "clnf",
            "--models",
            str(models),
            "--end",
            "1",
        ]
        assert main([*line, "--quiet", "--max-faces", "3", "--identity", identity]) == 0
        written = pyopenface.read_openface_csv(path)
        df = analyze(video, models, end=1, max_faces=3, identity=identity)
        assert written["face_id"].tolist() == df["face_id"].tolist()
        np.testing.assert_allclose(written["AU12_r"], df["AU12_r"], atol=0.0051)
