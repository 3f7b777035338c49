"""analyze(), analyze_iter(), LandmarkDetector and GazeAnalyser on real videos and pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import pyopenface
from pyopenface import InputError, SourceError


@pytest.fixture(scope="module")
def table(models: Path, samples: Path) -> pd.DataFrame:
    """Two seconds of a video of one face."""
    return pyopenface.analyze(samples / "default.wmv", models=models, model="clnf", end=2.0, threads=1)


def frames_of(path: Path, count: int) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    return [capture.read()[1] for _ in range(count)]


def test_columns_are_openfaces(table: pd.DataFrame, golden: Path) -> None:
    header = pd.read_csv(golden / "csv/feature_extraction_clnf/default.csv.gz", nrows=0).columns
    assert list(table.columns) == list(header)
    assert table["frame"].tolist() == list(range(1, len(table) + 1))
    assert (table["success"] == 1).all()


def test_attrs_say_how_the_numbers_came_about(table: pd.DataFrame) -> None:
    attrs = table.attrs
    assert attrs["model"] == "clnf"
    assert attrs["action_units"] == {"kind": "dynamic", "postprocessed": True}
    assert attrs["camera"] == [500.0, 500.0, 320.0, 240.0]
    assert any(name.endswith("main_clnf_general.txt") for name in attrs["model_files"])
    assert all(len(checksum) == 64 for checksum in attrs["model_files"].values())
    assert "OpenCV" in attrs["decoder"]
    assert attrs["version"] == pyopenface.__version__


def test_threads_generator_and_array_give_the_same_numbers(
    table: pd.DataFrame, models: Path, samples: Path
) -> None:
    frames = frames_of(samples / "default.wmv", len(table))
    ways = {
        "two threads": pyopenface.analyze(
            samples / "default.wmv", models=models, model="clnf", end=2.0, threads=2
        ),
        "generator": pyopenface.analyze(
            (frame for frame in frames), models=models, model="clnf", fps=1 / table["timestamp"][1]
        ),
        "array": pyopenface.analyze(
            np.stack(frames), models=models, model="clnf", fps=1 / table["timestamp"][1]
        ),
    }
    want = table.drop(columns="timestamp").to_numpy()
    for name, other in ways.items():
        np.testing.assert_array_equal(other.drop(columns="timestamp").to_numpy(), want, err_msg=name)


def test_iterating_gives_the_same_landmarks(table: pd.DataFrame, models: Path, samples: Path) -> None:
    walk = pyopenface.analyze_iter(samples / "default.wmv", models=models, model="clnf", au=None, end=0.4)
    for number, timestamp, faces in walk:
        row = table.iloc[number - 1]
        assert len(faces) == 1
        assert timestamp == row["timestamp"]
        np.testing.assert_array_equal(faces[0].landmarks_2d[:, 0], row["x_0":"x_67"].to_numpy(float))  # type: ignore[misc]
        np.testing.assert_array_equal(faces[0].pose, row["pose_Tx":"pose_Rz"].to_numpy(float))  # type: ignore[misc]


def test_landmark_detector_follows_and_forgets(table: pd.DataFrame, models: Path, samples: Path) -> None:
    detector = pyopenface.LandmarkDetector("clnf", models)
    frames = frames_of(samples / "default.wmv", 3)
    first = detector.update(frames[0])
    second = detector.update(frames[1])
    assert (first.landmarks_2d.shape, first.landmarks_3d.shape) == ((68, 2), (68, 3))
    assert (first.eye_landmarks_2d.shape, first.eye_landmarks_3d.shape) == ((56, 2), (56, 3))
    assert first.pdm_local.shape == (34,)
    np.testing.assert_array_equal(second.landmarks_2d[:, 1], table.loc[1, "y_0":"y_67"].to_numpy(float))  # type: ignore[misc]
    detector.reset()
    np.testing.assert_array_equal(detector.update(frames[0]).landmarks_2d, first.landmarks_2d)


def test_gaze_analyser_agrees_with_the_tracker(models: Path, samples: Path) -> None:
    face = pyopenface.LandmarkDetector("clnf", models).update(frames_of(samples / "default.wmv", 1)[0])
    gaze = pyopenface.GazeAnalyser().analyse(face)
    np.testing.assert_array_equal(gaze.gaze_0, face.gaze_0)
    np.testing.assert_array_equal(gaze.gaze_1, face.gaze_1)
    np.testing.assert_array_equal(gaze.gaze_angle, face.gaze_angle)


def test_grey_frames_are_taken(models: Path, samples: Path) -> None:
    grey = cv2.cvtColor(frames_of(samples / "default.wmv", 1)[0], cv2.COLOR_BGR2GRAY)
    assert pyopenface.LandmarkDetector("clnf", models).update(grey).success


def test_a_picture_gives_every_face(models: Path, samples: Path) -> None:
    faces = pyopenface.analyze(samples / "sample2.jpg", models=models, model="clnf")
    assert faces["face"].tolist() == list(range(len(faces)))
    assert len(faces) == 3
    same = pyopenface.analyze(cv2.imread(str(samples / "sample2.jpg")), models=models, model="clnf")
    np.testing.assert_array_equal(same.to_numpy(), faces.to_numpy())


def test_a_folder_of_numbered_frames_is_a_video_unless_told_otherwise(models: Path, samples: Path) -> None:
    video = pyopenface.analyze(samples / "image_sequence", models=models, model="clnf", au=None)
    assert (len(video), video.attrs["taken_as"]) == (30, "video")
    pictures = pyopenface.analyze(
        sorted((samples / "image_sequence").iterdir())[:3],
        models=models,
        model="clnf",
        au=None,
        kind="pictures",
    )
    assert pictures.attrs["taken_as"] == "pictures"
    assert len(set(pictures["file"])) == 3


def test_region_of_interest_keeps_positions_of_the_whole_picture(
    table: pd.DataFrame, models: Path, samples: Path
) -> None:
    part = pyopenface.analyze(
        samples / "default.wmv", models=models, model="clnf", end=0.2, roi=(100, 20, 500, 440), au=None
    )
    whole = table.iloc[: len(part)]
    points = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    # Another crop makes another detection, so the fit starts elsewhere: a pixel or two, not a hundred.
    assert np.abs(part[points].to_numpy() - whole[points].to_numpy()).mean() < 2.0
    assert np.abs(part["pose_Tx"] - whole["pose_Tx"]).max() < 10.0


def test_callback_sees_every_frame_and_can_end_the_run(models: Path, samples: Path) -> None:
    seen: list[int] = []

    def stop_after_five(number: int, timestamp: float, faces: list[pyopenface.Face]) -> bool:
        seen.append(number)
        return number < 5

    df = pyopenface.analyze(
        samples / "default.wmv", models=models, model="clnf", au=None, on_frame=stop_after_five
    )
    assert seen == [1, 2, 3, 4, 5]
    assert len(df) == 5


def test_output_is_written_while_running(
    table: pd.DataFrame, models: Path, samples: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    pyopenface.analyze(samples / "default.wmv", models=models, model="clnf", end=2.0, output=path)
    read = pyopenface.read_openface_csv(path)
    assert list(read.columns) == list(table.columns)
    np.testing.assert_allclose(read["AU12_r"], table["AU12_r"], atol=0.005)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"au": "both"}, "au='both'"),
        ({"max_faces": 0}, "max_faces=0"),
        ({"max_faces": 2**40}, "1 to 1000"),
        ({"camera": (1.0, 2.0)}, "camera="),
        ({"kind": "film"}, "kind='film'"),
        ({"threads": 0}, "threads=0"),
        ({"threads": "many"}, "threads='many'"),
        ({"threads": 2**40}, "threads=1099511627776: expected a whole number, 1 to 1000"),
        ({"max_faces": "all"}, "max_faces='all'"),
        ({"max_faces": None}, "max_faces=None"),
        ({"on_frame": 5}, "on_frame=5"),
        ({"parameters": 5}, "parameters=5"),
        ({"parameters": pyopenface.LandmarkParameters(), "wild": True}, "wild= and multi_view="),
        ({"output": 5}, "output=5"),
        ({"model": None}, "model=None"),
        ({"models": 5}, "models=5"),
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_options_that_make_no_sense_are_named(
    models: Path, samples: Path, options: dict[str, object], text: str
) -> None:
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        pyopenface.analyze(samples / "sample1.jpg", **{"models": models, "model": "clnf", **options})  # type: ignore[arg-type]


def test_missing_file_is_named(models: Path) -> None:
    with pytest.raises(SourceError, match="no_such_video"):
        pyopenface.analyze("no_such_video.mp4", models=models, model="clnf")


@pytest.mark.parametrize("shape", [(1, 1, 3), (0, 10, 3), (10, 0, 3), (30, 30, 3), (59, 200, 3)])
def test_tiny_images_have_no_face(models: Path, shape: tuple[int, ...]) -> None:
    face = pyopenface.LandmarkDetector("clnf", models).update(np.zeros(shape, np.uint8))
    assert not face.success


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((100, 100, 3), np.float32),
        np.zeros((100, 100, 2), np.uint8),
        np.zeros((100,), np.uint8),
        np.zeros((100, 100, 3), np.uint8)[:, ::2],
    ],
)
def test_unusable_arrays_are_refused(models: Path, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="image"):
        pyopenface.LandmarkDetector("clnf", models).update(image)
