"""Annotated videos: drawn where the numbers say, with times and sound kept, and played by a real browser."""

from __future__ import annotations

import base64
import contextlib
import doctest
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from media import av, label_of, labelled, serve, write_video

from pyopenface import Error, InputError, OutputError, drawing
from pyopenface.accessor import OpenFaceAccessor
from pyopenface.annotate import OverlayWriter, annotate, draw_face, save_overlay_image, show
from pyopenface.drawing import FaceMarks, draw_faces, draw_marks
from pyopenface.sources import default_camera, open_source, read_image

EVERYTHING_OFF = dict.fromkeys(["landmarks", "eyes", "gaze", "head_box", "ids", "action_units"], False)


@pytest.fixture(scope="session")
def table(golden: Path) -> pd.DataFrame:
    return pd.read_csv(golden / "csv" / "feature_extraction_clnf" / "default.csv.gz")


@pytest.fixture(scope="session")
def people(golden: Path) -> pd.DataFrame:
    return pd.read_csv(golden / "csv" / "vid_multi_clnf_aus" / "multi_face_h264.csv.gz")


@pytest.fixture(scope="session")
def picture(samples: Path) -> np.ndarray:
    with open_source(samples / "default.wmv", end=0.01) as source:
        return next(iter(source)).image


def only(**layers: bool) -> dict[str, bool]:
    return {**EVERYTHING_OFF, **layers}


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Tell which pixels were drawn on."""
    return (before != after).any(axis=2)


def head(**values: float) -> dict[str, float]:
    return {
        "pose_Tx": 0.0,
        "pose_Ty": 0.0,
        "pose_Tz": 1000.0,
        **dict.fromkeys(["pose_Rx", "pose_Ry", "pose_Rz"], 0.0),
    } | values


# --- drawing ----------------------------------------------------------------------------------------------


def test_landmarks_are_drawn_where_the_columns_say(table: pd.DataFrame, picture: np.ndarray) -> None:
    row = table.iloc[0]
    before = picture.copy()
    drawn = draw_face(picture, row, **only(landmarks=True))
    assert np.array_equal(picture, before), "the picture given stays as it was"
    marked = changed(picture, drawn)
    points = np.array([[row[f"x_{i}"], row[f"y_{i}"]] for i in range(68)])
    assert all(marked[round(y), round(x)] for x, y in points)
    rows, columns = np.nonzero(marked)
    distance = np.hypot(columns[:, None] - points[:, 0], rows[:, None] - points[:, 1]).min(axis=1)
    # Circles of radius 1 with a line of 3 px and OpenCV's soft edge of 2 px, in whole pixels.
    assert distance.max() < 5.5


def test_the_head_box_is_the_projected_cube() -> None:
    drawn = draw_face(np.zeros((480, 640, 3), np.uint8), head(), **only(head_box=True))
    rows, columns = np.nonzero(drawn.any(axis=2))
    # The near face: 100 mm from the axis at 900 mm, focal length 500, so 55.6 px; a line of 2 px, soft edge.
    assert (columns.min(), columns.max()) == pytest.approx((320 - 55.6, 320 + 55.6), abs=3)
    assert (rows.min(), rows.max()) == pytest.approx((240 - 55.6, 240 + 55.6), abs=3)
    far = round(500 * 100 / 1100)
    assert drawn[240, 320 - far].any() and drawn[240, 320 + far].any()


def test_the_box_turns_with_the_head() -> None:
    plain = draw_face(np.zeros((480, 640, 3), np.uint8), head(), **only(head_box=True))
    turned = draw_face(np.zeros((480, 640, 3), np.uint8), head(pose_Rz=np.pi / 2), **only(head_box=True))
    yawed = draw_face(np.zeros((480, 640, 3), np.uint8), head(pose_Ry=0.5), **only(head_box=True))
    assert changed(plain, turned).mean() < 0.001, "a quarter turn maps the cube onto itself"
    assert changed(plain, yawed).mean() > 0.005


def test_the_box_s_colour_tells_the_confidence() -> None:
    def colour(confidence: float) -> list[int]:
        values = head(confidence=confidence)
        drawn = draw_face(np.zeros((480, 640, 3), np.uint8), values, **only(head_box=True))
        return [int(value) for value in drawn.reshape(-1, 3).max(axis=0)]

    assert colour(1.0) == [255, 0, 0]
    assert colour(0.7) == pytest.approx([128, 0, 128], abs=2)
    assert colour(0.4) == [0, 0, 0]
    assert colour(0.41)[2] > 240


def test_gaze_rays_start_at_the_pupils_and_follow_the_direction(
    table: pd.DataFrame, picture: np.ndarray
) -> None:
    row = table.iloc[0]
    marked = changed(picture, draw_face(picture, row, **only(gaze=True)))
    for eye in (0, 1):
        iris = [np.mean([row[f"eye_lmk_{axis}_{28 * eye + i}"] for i in range(8)]) for axis in "XYZ"]
        tip = np.array(iris) + 50 * np.array([row[f"gaze_{eye}_{axis}"] for axis in "xyz"])
        for x, y, z in (iris, tip):
            assert marked[round(240 + 500 * y / z), round(320 + 500 * x / z)]


def test_the_look_is_openface_s(golden: Path, samples: Path, tmp_path: Path) -> None:
    """The reference's tracked video, frames 1, 30, 60, beside ours through the same lossy encoder.

    Landmarks come from the CSV (rounded to 0.1 px, visibility unknown) and MPEG-4 blurs thin lines, so what
    is compared is how far the pictures are apart, against how far the undrawn picture is.
    """
    folder = golden / "csv" / "feature_extraction_all_outputs"
    df = pd.read_csv(folder / "clip60.csv.gz")
    path = tmp_path / "clip60.avi"
    plain = []
    with (
        open_source(samples / "clip60.avi") as source,
        OverlayWriter(path, source.size, source.fps) as writer,
    ):
        for frame, (_, row) in zip(source, df.iterrows(), strict=True):
            plain.append(frame.image)
            writer.write(draw_face(frame.image, row, ids=False, action_units=False))
    assert b"DIVX" in path.read_bytes()[:400]
    ours = [frame.image for frame in open_source(path)]
    assert len(ours) == 60
    for number in (1, 30, 60):
        theirs = read_image(folder / f"tracked_frame_{number:03d}.png").astype(float)
        drawn_on = changed(
            draw_face(plain[number - 1], df.iloc[number - 1], ids=False, action_units=False),
            plain[number - 1],
        )
        drawn_on[:30, :80] = False  # the FPS text depends on the machine
        distance = np.abs(ours[number - 1] - theirs)[drawn_on].mean()
        undrawn = np.abs(plain[number - 1] - theirs)[drawn_on].mean()
        assert distance < 0.15 * undrawn, (number, distance, undrawn)
        elsewhere = ~cv2.dilate(drawn_on.astype(np.uint8), np.ones((25, 25))).astype(bool)
        elsewhere[:30, :80] = False
        assert np.abs(ours[number - 1] - theirs)[elsewhere].mean() < 2.0


def test_missing_groups_and_values_are_skipped(table: pd.DataFrame, picture: np.ndarray) -> None:
    assert np.array_equal(draw_face(picture, {}), picture)
    assert np.array_equal(draw_face(picture, {"confidence": 0.9, "face_id": 1}), picture)
    row = table.iloc[0].copy()
    row["x_3"] = np.nan
    assert np.array_equal(draw_face(picture, row, **only(landmarks=True)), picture)
    assert np.array_equal(draw_face(picture, row | {} if isinstance(row, dict) else row, **only()), picture)
    behind = head(pose_Tz=-500.0)
    assert np.array_equal(draw_face(picture, behind), picture)


def test_action_units_that_are_missing_have_no_bars(table: pd.DataFrame, picture: np.ndarray) -> None:
    units = [name for name in table if name.startswith("AU")]
    row = table.iloc[0].copy()
    row[units] = np.nan
    assert np.array_equal(draw_face(picture, row, **only(action_units=True)), picture)
    row["AU12_r"] = 3.0
    some = changed(picture, draw_face(picture, row, **only(action_units=True)))
    every = changed(picture, draw_face(picture, table.iloc[0], **only(action_units=True)))
    assert 0 < some.any(axis=1).sum() < 0.2 * every.any(axis=1).sum(), "a panel of one line"
    untracked = OpenFaceAccessor(table.head(1).assign(success=0, confidence=0.7)).missing("nan")
    assert np.array_equal(draw_face(picture, untracked.iloc[0]), picture)


def test_a_doubtful_face_is_not_drawn(table: pd.DataFrame, picture: np.ndarray) -> None:
    row = table.iloc[0].copy()
    row["confidence"] = 0.4
    assert np.array_equal(draw_face(picture, row), picture)


def test_old_headers_and_dictionaries_draw_the_same(table: pd.DataFrame, picture: np.ndarray) -> None:
    row = table.iloc[0]
    expected = draw_face(picture, row)
    assert np.array_equal(draw_face(picture, row.to_dict()), expected)
    assert np.array_equal(draw_face(picture, {f" {name}": value for name, value in row.items()}), expected)


def test_positions_far_outside_the_picture_do_no_harm(table: pd.DataFrame, picture: np.ndarray) -> None:
    row = table.iloc[0].to_dict()
    for factor in (-1e12, 1e12, 50.0):
        wild = {
            n: v * factor if n[0] in "xyXYZ" or n.startswith(("eye", "pose_T")) else v for n, v in row.items()
        }
        assert draw_face(picture, wild).shape == picture.shape


def test_hidden_landmarks_are_darker() -> None:
    points = np.full((68, 2), 50.0)
    image = np.zeros((100, 640, 3), np.uint8)
    marks = FaceMarks(landmarks=points, visible=np.zeros(68, bool))
    draw_marks(image, marks, default_camera(640, 480))
    assert image.max() == 155


def someone(x: float, y: float, **values: Any) -> FaceMarks:
    """A face of 60 x 60 px without lines of its own."""
    points = np.stack(np.meshgrid(np.linspace(x, x + 60, 17), np.linspace(y, y + 60, 4)), axis=-1)
    units = {f"AU{i:02}": 5.0 for i in range(1, 18)}
    return FaceMarks(landmarks=points.reshape(68, 2), **{"intensities": units, **values})


def bars(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """The boxes left, top, width, height of the panels of action units, by their green bars."""
    green = ((image == (90, 230, 90)).all(axis=2)).astype(np.uint8)
    joined = cv2.morphologyEx(green, cv2.MORPH_CLOSE, np.ones((9, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    return sorted(tuple(int(v) for v in box[:4]) for box in stats[1:] if box[3] > 100)


def test_no_panel_hides_another_face_or_panel() -> None:
    camera = default_camera(640, 480)
    quiet = drawing.Layers(landmarks=False)
    alone, crowded = (np.zeros((480, 640, 3), np.uint8) for _ in range(2))
    draw_marks(alone, someone(200, 200), camera, quiet)
    ((x, *_),) = bars(alone)
    assert x > 260, "to the right where there is room"
    pair = [someone(200, 200), someone(290, 200)]
    draw_faces(crowded, pair, camera, quiet)
    (first, _, width, _), (second, *_) = bars(crowded)
    assert first + width < 200 and second > 350, "away from each other"


def test_labels_lie_above_the_lines_of_all_faces() -> None:
    camera = default_camera(640, 480)
    first, second = (someone(200, y, label=f"face {y}", intensities={}) for y in (200, 155))
    label, lines, both = (np.zeros((480, 640, 3), np.uint8) for _ in range(3))
    draw_faces(label, [first], camera, drawing.Layers(landmarks=False))
    draw_faces(lines, [second], camera, drawing.Layers(ids=False))
    draw_faces(both, [first, second], camera)
    white = (label > 240).all(axis=2)
    assert (white & lines.any(axis=2)).any(), "they cross"
    assert (both[white] > 240).all()


def test_a_label_is_not_much_wider_than_its_face_and_stays_in_the_picture() -> None:
    for x in (50.0, 1930.0):
        image = np.zeros((1500, 2000, 3), np.uint8)
        layers = drawing.Layers(landmarks=False)
        draw_marks(
            image, someone(x, 700, label="face 12", intensities={}), default_camera(2000, 1500), layers
        )
        columns = np.nonzero(image.any(axis=(0, 2)))[0]
        assert 50 < columns.max() - columns.min() < 130 and columns.max() < 2000 - 1


def test_names_are_written_in_their_own_letters() -> None:
    """OpenCV before version 5 writes ASCII only: accents are left off."""

    def drawn(name: str) -> np.ndarray:
        image = np.zeros((200, 640, 3), np.uint8)
        marks = FaceMarks(landmarks=np.full((68, 2), 100.0), label=name)
        draw_marks(image, marks, default_camera(640, 200), drawing.Layers(landmarks=False))
        return image

    old = int(cv2.__version__.split(".")[0]) < 5
    assert np.array_equal(drawn("André"), drawn("Andre")) == old


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), None])
def test_what_is_no_picture_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="image: expected a uint8 array"):
        draw_face(bad, {})
    with pytest.raises(InputError, match="row: expected values by column names"):
        draw_face(np.zeros((4, 4, 3), np.uint8), 7)


def test_examples_run() -> None:
    assert doctest.testmod(drawing).failed == 0


def test_an_overlay_picture_is_a_jpeg_of_quality_95(tmp_path: Path, picture: np.ndarray) -> None:
    save_overlay_image(tmp_path / "face.jpg", picture)
    expected = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    assert (tmp_path / "face.jpg").read_bytes() == expected
    with pytest.raises(OutputError, match=r"\.unknown"):
        save_overlay_image(tmp_path / "face.unknown", picture)
    with pytest.raises(OutputError, match="can't be written"):
        save_overlay_image(tmp_path / "missing" / "face.jpg", picture)
    with pytest.raises(OutputError, match="can't be written"):
        OverlayWriter(tmp_path / "missing" / "face.avi", (64, 48), 25)


# --- videos -----------------------------------------------------------------------------------------------


def empty_table() -> pd.DataFrame:
    return pd.DataFrame({"frame": [], "face_id": [], "confidence": []})


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="bgr24")) for f in container.decode(container.streams.video[0])]


def test_every_frame_keeps_its_place_and_time(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 540, 1000]
    video = write_video(tmp_path / "in.mkv", labelled(6), times=times, codec="ffv1", pixels="bgr0")
    frames = decoded(annotate(video, empty_table(), tmp_path / "out.mp4"))
    assert [label_of(image) for _, image in frames] == list(range(6))
    assert [seconds for seconds, _ in frames] == pytest.approx([t / 1000 for t in times], abs=1e-3)


def test_the_file_is_what_browsers_want(tmp_path: Path) -> None:
    path = annotate(labelled(10), empty_table(), tmp_path / "out.mp4", fps=10)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=0.11)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_odd_sizes_keep_their_last_row_and_column(tmp_path: Path) -> None:
    frames = np.zeros((3, 33, 45, 3), np.uint8)
    frames[:, -1], frames[:, :, -1] = 255, 255
    ((_, image), *_) = decoded(annotate(frames, empty_table(), tmp_path / "odd.mp4", fps=5, quality=0))
    assert image.shape == (34, 46, 3)
    assert image[32].mean() > 200 and image[:, 44].mean() > 200


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (640, 16)])
def test_tiny_pictures_can_be_annotated(size: tuple[int, int], tmp_path: Path, table: pd.DataFrame) -> None:
    frames = np.zeros((2, *size, 3), np.uint8)
    assert len(decoded(annotate(frames, table.head(2), tmp_path / "tiny.mp4", fps=5))) == 2


def test_pictures_become_a_slide_show(samples: Path, golden: Path, tmp_path: Path) -> None:
    df = pd.read_csv(golden / "csv" / "img_clnf" / "sample2.csv.gz")
    ((_, drawn),) = decoded(annotate(samples / "sample2.jpg", df, tmp_path / "faces.mp4"))
    original = read_image(samples / "sample2.jpg")
    difference = np.abs(drawn[: original.shape[0], : original.shape[1]].astype(int) - original).max(axis=2)
    for _, face in df[df["confidence"] > 0.4].iterrows():
        assert difference[round(face["y_30"]), round(face["x_30"])] > 60


def test_pictures_get_the_rows_of_their_file(
    samples: Path, golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("sample1.jpg", "sample5.jpg"):
        shutil.copy(samples / name, folder)
    df = pd.read_csv(golden / "csv" / "img_clnf" / "sample5.csv.gz").copy()
    with pytest.raises(InputError, match="neither a column 'frame' nor 'file'"):
        annotate(folder, df, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    df.insert(0, "file", str(folder / "sample5.jpg"))
    frames = decoded(annotate(folder, df, tmp_path / "out.mp4"))
    assert [seconds for seconds, _ in frames] == [0.0, 1.0]
    plain = decoded(annotate(folder, empty_table(), tmp_path / "plain.mp4"))
    drawn = [
        (np.abs(a.astype(int) - b).max(axis=2) > 120).mean()
        for (_, a), (_, b) in zip(frames, plain, strict=True)
    ]
    assert drawn[0] == 0 and drawn[1] > 0.01
    monkeypatch.chdir(tmp_path)
    again = decoded(annotate("pictures", df, "again.mp4"))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, again, strict=True)), "a relative path"
    with pytest.raises(InputError, match="other files are none of pictures"):
        annotate(folder, df.assign(file="elsewhere/sample5.jpg"), tmp_path / "third.mp4")
    assert not (tmp_path / "third.mp4").exists()


def test_pictures_without_files_get_the_rows_of_their_number(
    samples: Path, golden: Path, tmp_path: Path
) -> None:
    picture = read_image(samples / "sample5.jpg")
    df = pd.read_csv(golden / "csv" / "img_clnf" / "sample5.csv.gz").copy()
    df.insert(0, "file", "2")
    frames = decoded(annotate(np.stack([picture] * 2), df, tmp_path / "out.mp4"))
    height, width, _ = picture.shape
    lines = [
        (np.abs(image[:height, :width].astype(int) - picture).max(axis=2) > 120).mean() for _, image in frames
    ]
    assert lines[0] < 0.001 and lines[1] > 0.01
    with pytest.raises(InputError, match="3 and its other files are none of frames"):
        annotate(picture, df.assign(file="3"), tmp_path / "third.mp4")


def test_numbered_pictures_taken_as_a_video_go_by_at_its_rate(
    samples: Path, golden: Path, tmp_path: Path
) -> None:
    df = pd.read_csv(golden / "csv" / "feature_extraction_clnf" / "image_sequence.csv.gz")
    frames = decoded(annotate(samples / "image_sequence", df, tmp_path / "out.mp4"))
    assert [seconds for seconds, _ in frames] == pytest.approx([i / 30 for i in range(30)], abs=1e-3)


def test_of_a_table_of_several_videos_one_is_drawn(
    samples: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    video = samples / "default.wmv"
    both = pd.concat([table.head(2), table], ignore_index=True)
    files = pd.DataFrame({"file": [str(video)] * 2 + ["other.mp4"] * len(table)})
    both = pd.concat([files, both], axis=1)
    annotate(video, both, tmp_path / "both.mp4", end=0.3)
    annotate(video, table.head(2), tmp_path / "one.mp4", end=0.3)
    pairs = zip(decoded(tmp_path / "both.mp4"), decoded(tmp_path / "one.mp4"), strict=True)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in pairs)
    with pytest.raises(InputError, match=r"faces of 2 videos \(.*\) but none of third.mp4"):
        annotate("third.mp4", both, tmp_path / "third.mp4")
    with pytest.raises(InputError, match="but none of the frames of a ndarray"):
        annotate(labelled(2), both, tmp_path / "third.mp4", fps=5)


def test_a_video_is_found_in_a_table_however_its_path_is_written(
    samples: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = samples / "default.wmv"
    files = pd.DataFrame({"file": [str(video)] * 2 + ["other.mp4"] * len(table)})
    both = pd.concat([files, pd.concat([table.head(2), table], ignore_index=True)], axis=1)
    monkeypatch.chdir(samples)
    with open_source(video, end=0.1) as opened:
        for number, source in enumerate((video, "default.wmv", "./default.wmv", b"default.wmv", opened)):
            options = {} if source is opened else {"end": 0.1}
            annotate(source, both, tmp_path / f"{number}.mp4", **options)
    first, *others = [decoded(tmp_path / f"{number}.mp4") for number in range(5)]
    assert len(first) == 2
    for other in others:
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, other, strict=True))


@pytest.mark.parametrize(("part", "count"), [({"every": 100}, 3), ({"fps": 0.5}, 10)])
def test_a_whole_table_is_drawn_on_a_thinned_video(
    part: dict[str, float], count: int, samples: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    """The last frame that is drawn lies before the table's last, which is no sign of another video."""
    df = table.copy()
    df.attrs["source_options"] = {"every": 5, "fps": None}  # what is asked for counts, not this
    assert len(decoded(annotate(samples / "default.wmv", df, tmp_path / "out.mp4", **part))) == count


def test_a_part_and_a_region_are_drawn_in_the_right_place(
    samples: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    options = {"start": 1.0, "end": 1.2, "roi": (100, 50, 400, 400)}
    frames = decoded(annotate(samples / "default.wmv", table, tmp_path / "part.mp4", **options))
    assert len(frames) == 3
    row = table.iloc[15]
    with open_source(samples / "default.wmv", **options) as source:
        plain = next(iter(source)).image
    assert plain.shape == frames[0][1].shape == (400, 400, 3)
    x, y = round(row["x_30"]) - 100, round(row["y_30"]) - 50
    # The tip of the nose: skin in the original, the saturated blue of a landmark in the drawing.
    assert (
        int(frames[0][1][y, x, 0]) - int(frames[0][1][y, x, 1])
        > int(plain[y, x, 0]) - int(plain[y, x, 1]) + 60
    )


def test_a_table_remembers_its_camera_and_part(samples: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    df = table.head(3).copy()
    df.attrs["camera"] = (900.0, 900.0, 320.0, 240.0)
    df.attrs["source_options"] = {"end": 0.2, "start": None, "every": 1, "roi": None}
    annotate(samples / "default.wmv", df, tmp_path / "a.mp4", **only(head_box=True))
    del df.attrs["camera"]
    annotate(samples / "default.wmv", df, tmp_path / "b.mp4", **only(head_box=True))
    first, second = decoded(tmp_path / "a.mp4"), decoded(tmp_path / "b.mp4")
    assert len(first) == len(second) == 3
    assert np.abs(first[0][1].astype(int) - second[0][1]).max() > 100
    df.attrs["camera"] = "wide"
    with pytest.raises(InputError, match="expected fx, fy, cx, cy"):
        annotate(samples / "default.wmv", df, tmp_path / "c.mp4")


def test_people_are_labelled_with_their_names(samples: Path, people: pd.DataFrame, tmp_path: Path) -> None:
    options = {"end": 0.05, **only(ids=True)}
    named = people.assign(face_id=people["face_id"].map({0: "Ada", 1: "Ben", 2: "Cy", 3: "Dé"}))
    for name, df in (("numbers", people), ("names", named)):
        annotate(samples / "multi_face_h264.avi", df, tmp_path / f"{name}.mp4", **options)
    a, b = (decoded(tmp_path / f"{name}.mp4")[0][1].astype(int) for name in ("numbers", "names"))
    assert np.abs(a - b).max() > 100


# --- sound ------------------------------------------------------------------------------------------------


def loudness(path: Path) -> np.ndarray:
    """Return the sound's level per tenth of a second, from the time of the first picture on."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        levels = np.zeros(200)
        for frame in container.decode(track):
            level = np.abs(frame.to_ndarray().astype(float)).max()
            index = int(frame.time * 10)
            levels[index] = max(levels[index], level)
            end = frame.time + frame.samples / frame.sample_rate
    return levels[: round(end * 10)]


def video_with_sound(path: Path, codec: str) -> Path:
    """Make a video of 4 s whose sound is silent but for the third second."""
    from fractions import Fraction

    wave = np.zeros(4 * 44100, np.float32)
    wave[2 * 44100 : 3 * 44100] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=44100)
        sound.codec_context.layout = "mono"
        for image in labelled(100):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode(None))
        for begin in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, begin, Fraction(1, 44100)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mkv"), ("libmp3lame", ".avi"), ("flac", ".mkv")])
@pytest.mark.parametrize("start", [None, 1.0])
def test_sound_stays_with_the_pictures(codec: str, suffix: str, start: float | None, tmp_path: Path) -> None:
    video = video_with_sound(tmp_path / f"in{suffix}", codec)
    path = annotate(video, empty_table(), tmp_path / "out.mp4", start=start, end=3.6)
    levels = loudness(path)
    begin = 2.0 - (start or 0)
    # Lossy codecs smear by one block (23 ms) to either side, and the coders delay by up to two blocks.
    loud = np.nonzero(levels > 0.1)[0] / 10
    assert loud.min() == pytest.approx(begin, abs=0.11)
    assert loud.max() == pytest.approx(begin + 0.9, abs=0.21)
    assert len(levels) / 10 == pytest.approx(3.6 - (start or 0), abs=0.2), "the sound ends with the pictures"
    assert label_of(decoded(path)[0][1]) == round((start or 0) * 25)


def test_a_hole_in_the_sound_stays_where_it_is(tmp_path: Path) -> None:
    """Packets from 0.5 to 1.5 s got lost, as in recordings of calls; the tone still begins at 2 s."""
    whole, video = video_with_sound(tmp_path / "whole.mkv", "flac"), tmp_path / "in.mkv"
    with av.open(str(whole)) as source, av.open(str(video), "w") as container:
        add = getattr(container, "add_stream_from_template", lambda s: container.add_stream(template=s))
        streams = {s.index: add(s) for s in source.streams}
        for packet in source.demux():
            if packet.pts is None or (
                packet.stream.type == "audio" and 0.5 < packet.pts * packet.time_base < 1.5
            ):
                continue
            packet.stream = streams[packet.stream_index]
            container.mux(packet)
    for start in (0.0, 0.2, 1.0):
        levels = loudness(annotate(video, empty_table(), tmp_path / "out.mp4", start=start))
        loud = np.nonzero(levels > 0.1)[0] / 10
        assert loud.min() == pytest.approx(2.0 - start, abs=0.11)
        assert loud.max() == pytest.approx(2.9 - start, abs=0.21)


def test_sound_can_be_left_out_and_may_be_missing(tmp_path: Path) -> None:
    video = video_with_sound(tmp_path / "in.mkv", "aac")
    for source, sound in ((video, False), (labelled(3), True), (iter(labelled(3)), True)):
        options = {} if source is video else {"fps": 5}
        annotate(source, empty_table(), tmp_path / "out.mp4", sound=sound, **options)
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert not container.streams.audio


def test_the_sample_s_windows_media_sound_is_converted(
    samples: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = annotate(samples / "default.wmv", table, tmp_path / "out.mp4", end=2)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert float(container.duration / 1e6) == pytest.approx(2.0, abs=0.1)


# --- failures ---------------------------------------------------------------------------------------------


def test_an_error_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"the video of yesterday")

    def frames() -> Iterator[np.ndarray]:
        yield from labelled(5)
        raise RuntimeError("the user's own error")

    with pytest.raises(RuntimeError, match="the user's own error"):
        annotate(frames(), empty_table(), target, fps=5)
    assert target.read_bytes() == b"the video of yesterday"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_bad_targets_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a name ending in \.mp4"):
        annotate(labelled(2), empty_table(), tmp_path / "out.avi", fps=5)
    with pytest.raises(OutputError, match="can't be written"):
        annotate(labelled(2), empty_table(), tmp_path / "missing" / "out.mp4", fps=5)
    video = write_video(tmp_path / "in.mp4", labelled(3))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        annotate(labelled(2), empty_table(), tmp_path / "folder.mp4", fps=5)
    with pytest.raises(InputError, match="path=None: expected a path"):
        annotate(labelled(2), empty_table(), None, fps=5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="this is the source itself"):
        annotate(video, empty_table(), video)
    with pytest.raises(InputError, match="has no frame"):
        annotate(video, empty_table(), tmp_path / "out.mp4", start=100)
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize(
    ("df", "message"),
    [
        (None, "expected a table of results, not a NoneType"),
        ([1], "expected a table of results, not a list"),
        (pd.DataFrame({"a": [1]}), "none of OpenFace's columns"),
        (pd.DataFrame({"frame": [1], "confidence": ["high"]}), "'confidence' .* holds no numbers"),
        (pd.DataFrame({"frame": [np.nan], "confidence": [1.0]}), "'frame' has missing values"),
    ],
)
def test_what_is_no_table_of_faces_is_refused(df: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        annotate(labelled(2), df, tmp_path / "out.mp4", fps=5)
    assert not list(tmp_path.iterdir())


def test_a_table_of_another_video_is_refused(
    samples: Path, table: pd.DataFrame, people: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out.mp4"
    with pytest.raises(InputError, match=r"frames up to 702, but .*gap\.avi ends with frame 140"):
        annotate(samples / "gap.avi", people, target)
    small = write_video(tmp_path / "small.mp4", labelled(3))
    with pytest.raises(InputError, match=r"outside the pictures of .*small\.mp4, 64 x 48 pixels"):
        annotate(small, table, target)
    assert [path.name for path in tmp_path.iterdir()] == ["small.mp4"]
    df = table.head(3).copy()
    df.attrs["input"] = "talks/monday.mp4"
    annotate(samples / "default.wmv", df, target, end=0.1)
    assert "df was made from talks/monday.mp4 and is drawn on" in caplog.text
    caplog.clear()
    df.attrs["input"] = "elsewhere/default.wmv"
    annotate(samples / "default.wmv", df, target, end=0.1)
    assert not caplog.text, "the same video in another folder"
    annotate(samples / "gap.avi", people[people["frame"] <= 141], target)
    assert len(decoded(target)) == 140, "one frame more may be a matter of the decoder"


def test_a_camera_is_not_asked_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="camera 0: a camera doesn't show again"):
        annotate(0, empty_table(), tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 99}, "quality=99: expected a whole number, 0 to 51"),
        ({"quality": "best"}, "quality='best'"),
        ({"camera": (1, 2)}, "expected fx, fy, cx, cy"),
        ({"camera": (0, 500, 32, 24)}, "expected fx, fy, cx, cy"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        annotate(labelled(2), empty_table(), tmp_path / "out.mp4", fps=5, **options)
    assert not list(tmp_path.iterdir())


def test_pictures_that_h264_cannot_hold_are_refused(tmp_path: Path) -> None:
    wide = np.zeros((1, 20, 20_000, 3), np.uint8)
    with pytest.raises(InputError, match=r"20000 x 20 pixels: H\.264 holds at most 16384"):
        annotate(wide, empty_table(), tmp_path / "out.mp4", fps=5)
    assert not list(tmp_path.iterdir())


def test_a_missing_pyav_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Error, match=r"pip install 'pyopenface\[video\]'"):
        annotate(labelled(2), empty_table(), tmp_path / "out.mp4", fps=5)


def test_ctrl_c_leaves_a_valid_video_of_what_was_finished(tmp_path: Path) -> None:
    program = tmp_path / "endless.py"
    program.write_text(
        "import sys, time\n"
        "import numpy as np, pandas as pd\n"
        "from pyopenface.annotate import annotate\n"
        "def frames():\n"
        "    for n in range(10**6):\n"
        "        if n == 30: print('running', flush=True)\n"
        "        yield np.full((48, 64, 3), 100, np.uint8)\n"
        "        time.sleep(0.005)\n"
        "annotate(frames(), pd.DataFrame({'frame': []}), sys.argv[1], fps=25)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(program), str(tmp_path / "out.mp4")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert len(decoded(tmp_path / "out.mp4")) >= 20
    assert not list(tmp_path.glob(".*partial*"))


# --- where it is watched ----------------------------------------------------------------------------------


def test_show_puts_the_video_into_the_notebook(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="IPython (the extra 'notebook') shows videos")
    path = annotate(labelled(5), empty_table(), tmp_path / "out.mp4", fps=5)
    html = show(path, width=320).data
    assert base64.b64encode(path.read_bytes()).decode() in html
    assert 'width="320"' in html and "controls" in html
    assert "data:video/mp4" in show(labelled(5), empty_table(), fps=5).data
    with pytest.raises(InputError, match="can't be read"):
        show(tmp_path / "missing.mp4")
    (tmp_path / "talk.avi").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"talk\.avi: browsers play \.mp4"):
        show(tmp_path / "talk.avi")
    with pytest.raises(InputError, match="width="):
        show(path, width="wide")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="source=None: expected a path"):
        show(None)


PAGE = """<!DOCTYPE html><html><body><video id="v" src="annotated.mp4" muted playsinline></video><script>
const video = document.getElementById("v");
function report(result) { fetch("/result", {method: "POST", body: JSON.stringify(result)}); }
video.onerror = () => report({error: video.error.code + " " + video.error.message});
video.onloadeddata = () => { video.currentTime = 1.5; };
video.onseeked = () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const seen = {duration: video.duration, width: video.videoWidth, height: video.videoHeight,
                time: video.currentTime, frame: canvas.toDataURL("image/png")};
  video.onseeked = null;
  video.play().then(() => setTimeout(() => report({...seen, played: video.currentTime}), 500),
                    error => report({...seen, error: String(error)}));
};
</script></body></html>
"""


@contextlib.contextmanager
def chromium(url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium): the browser test can't run")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --mute-audio --autoplay-policy=no-user-gesture-required "
        f"--no-proxy-server --remote-debugging-port=0 --user-data-dir={folder}"
    )
    command = [program, *flags.split(), url]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def test_a_browser_plays_the_annotated_video(samples: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    www = tmp_path / "www"
    www.mkdir()
    annotate(samples / "default.wmv", table, www / "annotated.mp4", end=4)
    (www / "index.html").write_text(PAGE)
    with serve(www) as server, chromium(f"{server.url}/index.html", tmp_path / "profile") as process:
        deadline = time.monotonic() + 60
        while "/result" not in server.posted and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        posted = server.posted.get("/result")
    assert posted, "Chromium reported nothing"
    result = json.loads(posted)
    assert "error" not in result, result["error"]
    assert result["duration"] == pytest.approx(4.0, abs=0.1)
    assert (result["width"], result["height"]) == (640, 480)
    assert result["played"] > result["time"], "the video runs"
    png = base64.b64decode(result["frame"].partition(",")[2])
    (tmp_path / "seen_in_chromium.png").write_bytes(png)
    seen = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)
    shown = [image for seconds, image in decoded(www / "annotated.mp4") if seconds <= 1.5 + 1e-3][-1]
    # Two decoders of one stream differ in the conversion to RGB only: a few grey levels, more at edges.
    assert np.abs(seen - shown).mean() < 4
    assert np.percentile(np.abs(seen - shown), 99) < 40
