"""Broken and strange media: the error names file or frame, and the CSV keeps the rows before it.

What the sources alone do with unreadable files is in tests/package/test_sources.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import pyopenface
from pyopenface import InputError, SourceError, table


def analyze(source: Any, models: Path, **options: Any) -> Any:
    return pyopenface.analyze(source, models=models, model="clnf", **({"au": None} | options))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.mp4", b"Dear diary, this is no video.\n" * 50),
        ("empty.mp4", b""),
        ("zeros.avi", bytes(10_000)),
        ("header.avi", b"RIFF\x00\x01\x00\x00AVI LIST"),
        ("text.jpg", b"no picture"),
        ("empty.png", b""),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"),
    ],
)
def test_files_that_are_no_media(name: str, data: bytes, models: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    output = tmp_path / "rows.csv"
    with pytest.raises(SourceError, match=name.replace(".", r"\.")):
        analyze(path, models, output=output)
    assert not output.exists() or len(output.read_bytes().splitlines()) <= 1


def test_a_video_without_frames(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 64))
    writer.release()
    if not path.exists():
        pytest.skip("this OpenCV writes no empty video")
    with pytest.raises(SourceError, match=r"none\.avi"):
        analyze(path, models)


@pytest.mark.parametrize("name", ["default.wmv", "multi_face.avi"])
def test_a_video_that_breaks_off_keeps_its_rows(
    name: str, models: Path, samples: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    data = (samples / name).read_bytes()
    path.write_bytes(data[: len(data) // 6])
    output = tmp_path / "rows.csv"
    frame = analyze(path, models, output=output, threads=2)
    whole = analyze(samples / name, models, end=0.2)
    assert len(frame) > len(whole) > 0
    # What comes before the break is what the whole file gives.
    same = len(whole)
    np.testing.assert_array_equal(
        frame.drop(columns="timestamp").to_numpy()[:same], whole.drop(columns="timestamp").to_numpy()
    )
    assert len(table.read_openface_csv(output)) == len(frame)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((240, 320, 3), np.float32), "float32"),
        (np.zeros((240, 320, 2), np.uint8), "shape"),
        ("frame.png", "str"),
        (None, "NoneType"),
    ],
    ids=["dtype", "channels", "string", "none"],
)
def test_a_bad_frame_in_the_middle(
    bad: Any, message: str, threads: int, models: Path, face_frames: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "rows.csv"
    frames = [*face_frames[:4], bad, *face_frames[4:]]
    with pytest.raises(InputError, match=rf"frame 5.*{message}"):
        analyze(iter(frames), models, fps=30, output=output, threads=threads, au="dynamic")
    rows = table.read_openface_csv(output)
    assert rows["frame"].tolist() == [1, 2, 3, 4]
    assert rows["success"].all()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_of_the_generator_comes_through(
    threads: int, models: Path, face_frames: list[np.ndarray], tmp_path: Path
) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from face_frames[:3]
        raise ZeroDivisionError("mine")

    output = tmp_path / "rows.csv"
    with pytest.raises(ZeroDivisionError, match="mine"):
        analyze(frames(), models, fps=30, output=output, threads=threads)
    assert table.read_openface_csv(output)["frame"].tolist() == [1, 2, 3]


def test_frames_that_change_size(models: Path, face_frames: list[np.ndarray]) -> None:
    sizes = [(320, 240), (160, 120), (640, 480), (1, 1), (320, 240)]
    frames = [cv2.resize(face_frames[0], size) for size in sizes]
    try:
        frame = analyze(iter(frames), models, fps=30, au="dynamic")
    except (InputError, SourceError) as error:
        assert "frame 2" in str(error)
    else:
        assert len(frame) == len(sizes)
        assert np.isfinite(frame.to_numpy(float)).all()


def test_the_same_picture_in_other_formats_gives_the_same_numbers(
    models: Path, face_frames: list[np.ndarray], tmp_path: Path
) -> None:
    image = cv2.cvtColor(cv2.cvtColor(face_frames[0], cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    versions = {
        "colour.png": image,
        "grey.png": image[..., 0],
        "alpha.png": np.dstack([image, np.full(image.shape[:2], 7, np.uint8)]),
        "deep.png": image.astype(np.uint16) * 256 + 99,
        "deep_grey.png": image[..., 0].astype(np.uint16) * 256,
        "colour.bmp": image,
    }
    tables = {}
    for name, pixels in versions.items():
        assert cv2.imwrite(str(tmp_path / name), pixels)
        tables[name] = analyze(tmp_path / name, models).to_numpy()
    assert len(tables["colour.png"]) == 1
    for name, values in tables.items():
        np.testing.assert_array_equal(values, tables["colour.png"], err_msg=name)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (59, 59), (6000, 4000)], ids=str)
def test_pictures_of_extreme_size(size: tuple[int, int], models: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), 128, np.uint8))
    assert len(analyze(path, models, au="static")) == 0


def test_a_broken_picture_among_good_ones_is_named(models: Path, samples: Path, tmp_path: Path) -> None:
    shutil.copyfile(samples / "sample1.jpg", tmp_path / "ann.jpg")
    shutil.copyfile(samples / "sample3.jpg", tmp_path / "cleo.jpg")
    (tmp_path / "bob.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    output = tmp_path / "rows.csv"
    with pytest.raises(SourceError, match=r"bob\.jpg"):
        analyze(tmp_path, models, output=output)
    assert len(output.read_bytes().splitlines()) >= 2
