"""Every kind of input gives the right frames, numbers and times, and bad input a message that helps."""

from __future__ import annotations

import doctest
import gc
import gzip
import hashlib
import importlib
import json
import logging
import os
import re
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import label_of, labelled, write_video

from pyopenface import InputError, SourceError
from pyopenface.sources import Frame, default_camera, open_source, prefetch, read_image
from pyopenface.sources.read_ahead import ahead

VIDEOS = ["default.wmv", "changeLighting.wmv", "2015-10-15-15-14.avi", "multi_face_h264.avi", "clip60.avi"]


def sha256(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image)).hexdigest()


def numbered(count: int, height: int = 12, width: int = 16) -> np.ndarray:
    """Frames whose pixels say which frame they are."""
    values = np.arange(count, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None, None], (count, height, width, 3)).copy()


# --- decoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIDEOS)
def test_every_video_frame_decodes_to_the_reference_s_bytes(name: str, samples: Path, golden: Path) -> None:
    with gzip.open(golden / "decode_sha256_all_frames.json.gz") as file:
        expected = json.load(file)[name]
    with open_source(samples / name) as source:
        frames = [(frame.number, sha256(frame.image)) for frame in source]
        assert not source.truncated
    assert frames == list(enumerate(expected, start=1))


@pytest.mark.skipif(
    not hasattr(cv2, "CAP_PROP_N_THREADS"), reason="OpenCV before 4.7 decodes in as many threads as it likes"
)
@pytest.mark.parametrize(("height", "width", "more"), [(480, 640, False), (1080, 1920, True)])
def test_only_large_frames_are_decoded_by_several_threads(
    tmp_path: Path, height: int, width: int, more: bool
) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, labelled(12, height, width))
    program = """
        import os, sys
        from pyopenface.sources import open_source

        with open_source(sys.argv[1]) as source:
            source.decoding_threads = int(sys.argv[2])
            frames = iter(source)
            pixels = next(frames).image.tobytes() + next(frames).image.tobytes()
            print(len(os.listdir("/proc/self/task")), hash(pixels))
    """

    def run(threads: int) -> tuple[int, int]:
        command = [sys.executable, "-c", textwrap.dedent(program), str(path), str(threads)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        tasks, pixels = out.split()
        return int(tasks), int(pixels)

    if not Path("/proc/self/task").exists():
        pytest.skip("the system doesn't list the threads of a process in /proc")
    one, several = run(1), run(3)
    assert one[1] == several[1]
    assert (several[0] > one[0]) == more


def test_every_picture_decodes_to_the_reference_s_bytes(samples: Path, golden: Path) -> None:
    images = json.loads((golden / "decode_sha256.json").read_text())["images"]
    assert len(images) > 30
    for name, expected in images.items():
        with open_source(samples / name) as source:
            assert source.is_images
            assert source.size == (expected["width"], expected["height"])
            (frame,) = source
        assert sha256(frame.image) == expected["sha256"], name
        assert frame.path == samples / name


def test_openface_s_times_are_multiples_of_the_frame_period(samples: Path) -> None:
    with open_source(samples / "default.wmv", timestamps="openface") as source:
        times = [frame.timestamp for frame in source]
        assert source.fps == 15.0
        assert source.size == (640, 480)
        assert source.name == "default"
        assert source.frame_count == 288
        assert source.camera() == (500.0, 500.0, 320.0, 240.0)
        assert "FFmpeg" in source.decoder and cv2.__version__ in source.decoder
    assert times == [n * (1 / 15.0) for n in range(288)]


def test_steady_videos_get_openface_s_times_by_default(samples: Path) -> None:
    """The stored times of this file jitter by up to 0.4 frames, which is no varying rate."""
    with open_source(samples / "default.wmv", end=5) as source:
        assert [frame.timestamp for frame in source] == [n * (1 / 15.0) for n in range(75)]


def test_a_video_of_varying_rate_gets_the_container_s_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 120, 500, 540, 1000, 1040]
    video = write_video(tmp_path / "varying.mkv", labelled(8), times=times, codec="ffv1", pixels="bgr0")
    for rule in ("container", "auto"):
        with open_source(video, timestamps=rule) as source:
            frames = list(source)
        assert [frame.timestamp for frame in frames] == pytest.approx([t / 1000 for t in times], abs=1e-9)
        assert [label_of(frame.image) for frame in frames] == list(range(8))
    with open_source(video, timestamps="openface") as source:
        fps = source.fps
        assert [frame.timestamp for frame in source] == [n * (1 / fps) for n in range(8)]


@pytest.mark.skipif(
    tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 10),
    reason="OpenCV before 4.10 does not tell the times of packets",
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("slow_first", [True, False])
def test_the_first_frames_of_a_varying_video_have_the_container_s_times(
    suffix: str, slow_first: bool, tmp_path: Path
) -> None:
    """Containers that announce the mean rate would let counted times run ahead of the stored ones."""
    steps = [100] * 20 + [40] * 20 if slow_first else [40] * 20 + [100] * 20
    times = [0, *np.cumsum(steps).tolist()]
    video = write_video(tmp_path / f"varying{suffix}", labelled(41), times=times)
    with open_source(video) as source:
        assert [frame.timestamp for frame in source] == pytest.approx([t / 1000 for t in times], abs=1e-6)
    with open_source(video, end=0.3) as part:
        assert [frame.timestamp for frame in part] == pytest.approx([t / 1000 for t in times if t < 300])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("rule", ["auto", "container", "openface"])
def test_frames_coded_out_of_order_keep_number_and_time(suffix: str, rule: str, tmp_path: Path) -> None:
    """B-frames; AVI stores no times for them, so that FFmpeg's are shifted by two frames and end early."""
    video = write_video(tmp_path / f"out_of_order{suffix}", labelled(60), options={"bf": "2"})
    with open_source(video, timestamps=rule) as source:
        frames = list(source)
    assert [label_of(frame.image) for frame in frames] == list(range(60))
    assert [frame.timestamp for frame in frames] == pytest.approx([n / 25 for n in range(60)], abs=1e-9)


def test_a_video_can_be_iterated_twice_and_side_by_side(samples: Path) -> None:
    with open_source(samples / "default.wmv", end=0.5) as source:
        pairs = list(zip(source, source, strict=True))
        assert len(pairs) == len(list(source)) == 8
    assert all(np.array_equal(a.image, b.image) for a, b in pairs)


# --- choosing a part --------------------------------------------------------------------------------------


def test_a_part_keeps_the_numbers_times_and_pixels_of_the_whole(samples: Path) -> None:
    with open_source(samples / "default.wmv", end=4) as source:
        whole = {frame.number: frame for frame in source}
    with open_source(samples / "default.wmv", start=2, end=4, every=7) as source:
        part = list(source)
        assert source.frame_count == len(part)
    assert [frame.number for frame in part] == [31, 38, 45, 52, 59]
    for frame in part:
        assert frame.timestamp == whole[frame.number].timestamp
        assert np.array_equal(frame.image, whole[frame.number].image)


@pytest.mark.parametrize(
    ("rate", "expected"), [(5, [1, 4, 7, 10, 13]), (10, [1, 3, 4, 6, 7, 9, 10, 12, 13, 15])]
)
def test_a_target_rate_is_reached_by_leaving_out_frames(
    rate: int, expected: list[int], samples: Path
) -> None:
    with open_source(samples / "default.wmv", end=1, fps=rate) as source:
        assert [frame.number for frame in source] == expected
        assert source.frame_count == len(expected)


def test_a_target_rate_above_the_video_s_keeps_every_frame_once(samples: Path) -> None:
    with open_source(samples / "default.wmv", end=1, fps=60) as source:
        assert [frame.number for frame in source] == list(range(1, 16))


def test_a_region_of_interest_is_cut_out_and_shifts_the_camera(samples: Path) -> None:
    with open_source(samples / "default.wmv", end=0.05) as source:
        (whole,) = source
    with open_source(samples / "default.wmv", end=0.05, roi=(100, 50, 301, 203)) as source:
        (part,) = source
        assert source.size == (301, 203)
        assert source.offset == (100, 50)
        assert source.camera() == (500.0, 500.0, 220.0, 190.0)
    assert part.image.flags.c_contiguous
    assert np.array_equal(part.image, whole.image[50:253, 100:401])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -1}, "start=-1"),
        ({"start": 3, "end": 2}, "end=2"),
        ({"every": 0}, "every=0"),
        ({"every": 1.5}, "every=1.5"),
        ({"fps": 0}, "fps=0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"fps": 5, "every": 2}, "can't be combined"),
        ({"roi": (0, 0, 0, 5)}, "roi="),
        ({"roi": (0, 0, 1.5, 5)}, "roi="),
        ({"roi": (1, 2, 3)}, "roi="),
        ({"roi": (600, 0, 100, 100)}, "outside frame 1, which is 640 x 480"),
        ({"timestamps": "real"}, "'auto', 'openface' or 'container'"),
        ({"timestamps": [0.0, 0.1]}, "goes with arrays and iterables"),
        ({"start": "now"}, "start='now': expected seconds"),
        ({"start": [1]}, "start="),
        ({"end": "late"}, "end='late': expected seconds"),
        ({"end": float("nan")}, "end=nan"),
        ({"every": "all"}, "every='all'"),
        ({"every": None}, "every=None"),
        ({"every": float("inf")}, "every=inf"),
        ({"every": 10**400}, "every=1000"),
        ({"fps": "fast"}, "fps='fast'"),
        ({"fps": True}, "fps=True"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str, samples: Path) -> None:
    with (
        pytest.raises(InputError, match=re.escape(message)),
        open_source(samples / "default.wmv", **options) as source,
    ):
        next(iter(source))


# --- pictures ---------------------------------------------------------------------------------------------


def test_a_folder_is_sorted_byte_by_byte_and_takes_lower_case_extensions(tmp_path: Path) -> None:
    names = ["2.jpg", "10.jpg", "é.png", "B.bmp", "a.jpeg"]
    for name in [*names, "X.JPG", "y.tif", "z.txt"]:
        encoded = cv2.imencode(Path(name).suffix if name in names else ".png", np.zeros((8, 9, 3), np.uint8))[
            1
        ]
        (tmp_path / name).write_bytes(encoded.tobytes())
    with open_source(tmp_path) as source:
        frames = list(source)
        assert (source.fps, source.frame_count, source.name) == (0, 5, tmp_path.name)
        assert source.path == tmp_path
    assert [frame.path.name for frame in frames if frame.path] == [
        "10.jpg",
        "2.jpg",
        "B.bmp",
        "a.jpeg",
        "é.png",
    ]
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert {frame.timestamp for frame in frames} == {0.0}


def test_sixteen_bit_grey_and_alpha_become_eight_bit_colour(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (40, 50, 4), dtype=np.uint16)
    for channels in (1, 3, 4):
        pixels = samples[:, :, :channels]
        cv2.imwrite(str(tmp_path / "deep.png"), pixels)
        expected = (pixels >> 8).astype(np.uint8)[:, :, :3]
        assert np.array_equal(read_image(tmp_path / "deep.png"), np.broadcast_to(expected, (40, 50, 3)))


def test_the_orientation_stored_by_a_camera_is_applied(tmp_path: Path) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, 16:] = 255
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    # A minimal EXIF block with one entry: orientation (0x0112) = 6, to be turned by 90 degrees clockwise.
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"
    block = b"Exif\0\0" + tiff
    (tmp_path / "turned.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]
    )
    upright = read_image(tmp_path / "turned.jpg")
    assert upright.shape == (32, 16, 3)
    assert upright[0].max() < 10 and upright[-1].min() > 245


def test_a_list_of_pictures_keeps_its_order(samples: Path) -> None:
    paths = [samples / "sample3.jpg", str(samples / "sample1.jpg"), os.fsencode(samples / "sample2.jpg")]
    with open_source(paths) as source:
        frames = list(source)
    assert [frame.path.name for frame in frames if frame.path] == [
        "sample3.jpg",
        "sample1.jpg",
        "sample2.jpg",
    ]
    assert len({frame.image.shape for frame in frames}) > 1


@pytest.mark.parametrize("name", ["ünïcødé 顔.jpg", b"not utf-8 \xff\xfe.jpg"])
def test_pictures_with_any_name_are_read(name: str | bytes, samples: Path, tmp_path: Path) -> None:
    target = os.path.join(os.fsencode(tmp_path), os.fsencode(name))  # noqa: PTH118
    shutil.copy(os.fsencode(samples / "sample1.jpg"), target)
    (frame,) = open_source(target)
    assert np.array_equal(frame.image, read_image(samples / "sample1.jpg"))


@pytest.mark.parametrize("name", ["ünïcødé 顔.avi", b"not utf-8 \xff\xfe.avi", "http:%03d.avi"])
def test_videos_with_any_name_are_read(name: str | bytes, samples: Path, tmp_path: Path) -> None:
    target = os.path.join(os.fsencode(tmp_path), os.fsencode(name))  # noqa: PTH118
    shutil.copy(os.fsencode(samples / "clip60.avi"), target)
    with open_source(target) as source:
        assert sum(1 for _ in source) == 60


# --- files that can't be read -----------------------------------------------------------------------------


def broken_input(kind: str, folder: Path, samples: Path) -> Path:
    path = folder / {"folder": "pictures", "picture": "face.png"}.get(kind, f"{kind}.mp4")
    if kind == "folder":
        path.mkdir()
        (path / "UPPER.JPG").write_bytes(b"")
    elif kind in ("text", "picture"):
        path.write_text("no pixels here\n" * 3)
    elif kind == "page":
        path.write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    elif kind == "empty":
        path.touch()
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(3).bytes(5000))
    elif kind == "header":
        path.write_bytes((samples / "clip60.avi").read_bytes().partition(b"movi")[0] + b"movi")
    elif kind == "forbidden":
        path.touch()
        path = path / "below.mp4"
    return path


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("missing", "no such file"),
        ("empty", "the file is empty"),
        ("text", "it contains text"),
        ("page", "it contains a web page"),
        ("noise", "unknown format"),
        ("header", "no frame of this video can be decoded"),
        ("picture", "it contains text"),
        ("folder", r"no \.jpg, \.jpeg, \.png or \.bmp file in this folder \(1 with"),
        ("forbidden", "Not a directory"),
    ],
)
def test_an_unreadable_file_is_named_with_its_cause(
    kind: str, cause: str, tmp_path: Path, samples: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = broken_input(kind, tmp_path, samples)
    with pytest.raises(SourceError, match=cause) as caught:
        next(iter(open_source(path)))
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", ""), "decoders must not chatter on the terminal"


def test_a_broken_video_is_quiet_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(2000))
    program = (
        "import sys, pyopenface.sources as sources\n"
        "try: next(iter(sources.open_source(sys.argv[1])))\n"
        "except sources.SourceError: print('refused')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENCV_FFMPEG_LOGLEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_a_video_that_breaks_off_yields_the_frames_before_the_break(
    samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = samples / "multi_face_h264.avi"
    (tmp_path / "half.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_source(tmp_path / "half.avi") as source, caplog.at_level(logging.WARNING, "pyopenface"):
        frames = [(frame.number, sha256(frame.image)) for frame in source]
        assert source.truncated
    assert 300 < len(frames) < 400
    assert f"breaks off after {len(frames)} frames; its container announces 702" in caplog.text
    # The last frame may be damaged: its data end in the middle.
    with open_source(whole, every=1) as source:
        expected = [(frame.number, sha256(frame.image)) for frame, _ in zip(source, frames, strict=False)]
    assert frames[:-1] == expected[:-1]
    assert capfd.readouterr() == ("", "")


def test_a_varying_rate_is_no_break(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Matroska announces no count: what OpenCV makes of duration and rate is more than there is."""
    times = [40 * i for i in range(200) if i % 5 < 2]
    video = write_video(tmp_path / "varying.mkv", labelled(len(times)), times=times)
    for rule in ("auto", "openface", "container"):
        with open_source(video, timestamps=rule) as source, caplog.at_level(logging.WARNING, "pyopenface"):
            assert source.frame_count is not None and source.frame_count > len(times) + 50
            assert len(list(source)) == len(times)
            assert not source.truncated and not caplog.text


def test_a_missing_camera_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 77: can't be opened"):
        open_source(77)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("index", [-1, -5, 1 << 31, 1 << 40])
def test_an_index_that_no_camera_has_is_refused(index: int) -> None:
    """OpenCV crashes, or raises an error of its own."""
    with pytest.raises(InputError, match=f"camera {index}: expected an index"):
        open_source(index)


def test_an_address_of_a_local_file_is_that_file(samples: Path, tmp_path: Path) -> None:
    video = tmp_path / "a clip.avi"
    shutil.copyfile(samples / "clip60.avi", video)
    with open_source(video.as_uri(), end=0.2) as source, open_source(video, end=0.2) as expected:
        assert [frame.timestamp for frame in source] == [frame.timestamp for frame in expected]


@pytest.mark.parametrize("source", ["", b""])
def test_an_empty_path_is_no_folder(source: str | bytes) -> None:
    with pytest.raises(InputError, match="an empty path"):
        open_source(source)


def test_reading_files_loads_nothing_for_the_network() -> None:
    program = "import sys, pyopenface.sources; print({'http.client', 'ssl'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_protocols_that_nothing_reads_are_refused() -> None:
    with pytest.raises(InputError, match="no way to read gopher://; expected http"):
        open_source("gopher://example.org/a.mp4")


@pytest.mark.parametrize(
    ("download", "message"), [({"hieght": 480}, "no option 'hieght'"), (480, "expected a mapping")]
)
def test_unknown_options_of_downloads_are_named(download: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source("http://127.0.0.1:9/a.mp4", download=download)


def test_options_of_downloads_are_looked_at_for_files_too(samples: Path) -> None:
    """Who analyses files and addresses must not find out after the first video."""
    with pytest.raises(InputError, match="download=480: expected a mapping"):
        open_source(samples / "default.wmv", download=480)  # type: ignore[arg-type]


def test_a_region_outside_a_picture_names_the_picture(samples: Path) -> None:
    with pytest.raises(InputError, match=r"outside .*sample1\.jpg, which is 640 x 400"):
        list(open_source([samples / "sample2.jpg", samples / "sample1.jpg"], roi=(0, 0, 100, 401)))


def test_a_list_with_a_video_is_refused(samples: Path) -> None:
    with pytest.raises(InputError, match="open videos one by one"):
        open_source([samples / "sample1.jpg", samples / "default.wmv"])
    with pytest.raises(InputError, match="a NoneType in it"):
        open_source([samples / "default.wmv", None])


@pytest.mark.parametrize("source", [None, 1.5, True, object()])
def test_things_without_frames_are_refused(source: Any) -> None:
    with pytest.raises(InputError, match="can't read frames from a"):
        open_source(source)


# --- arrays and iterables ---------------------------------------------------------------------------------


def test_array_generator_and_file_give_identical_frames(samples: Path) -> None:
    with open_source(samples / "default.wmv", end=1, timestamps="openface") as source:
        expected = list(source)
    stack = np.stack([frame.image for frame in expected])
    kinds: list[Any] = [
        stack,
        (image for image in stack),
        list(stack),
        ((image, frame.timestamp) for image, frame in zip(stack, expected, strict=True)),
        iter(expected),
    ]
    for frames in kinds:
        with open_source(frames, fps=15) as source:
            assert source.size == (640, 480)
            got = list(source)
        assert [(f.number, f.timestamp) for f in got] == [(f.number, f.timestamp) for f in expected]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(got, expected, strict=True))


def test_grey_alpha_flipped_and_rgb_arrays_become_contiguous_bgr() -> None:
    image = np.random.default_rng(2).integers(0, 256, (10, 12, 4), dtype=np.uint8)
    grey = np.repeat(image[:, :, :1], 3, axis=2)
    for frame, expected in [
        (image[:, :, 0], grey),
        (image[:, :, :1], grey),
        (image, image[:, :, :3]),
        (image[::-1, ::-1, 2::-1], image[::-1, ::-1, 2::-1]),
    ]:
        (got,) = open_source([frame])
        assert got.image.flags.c_contiguous and got.image.shape == (10, 12, 3)
        assert np.array_equal(got.image, expected)
    (got,) = open_source([image[:, :, :3]], rgb=True)
    assert np.array_equal(got.image, image[:, :, 2::-1])
    (got,) = open_source(image[:, :, :1])
    assert np.array_equal(got.image, grey)
    (got,) = open_source(image)
    assert np.array_equal(got.image, image[:, :, :3])
    assert len(list(open_source(np.zeros((5, 10, 12), np.uint8)))) == 5


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "frame 2 has dtype float32"),
        (np.zeros((4, 4, 3), np.uint16), "frame 2 has dtype uint16"),
        (np.zeros((4, 4, 2), np.uint8), r"frame 2 has shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"frame 2 has shape \(0, 4, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"frame 2 has shape \(2, 4, 4, 3\)"),
        (np.zeros((4, 5, 3), np.uint8), "frame 2 is 5 x 4 pixels, those before it 4 x 4"),
        ([[0]], "frame 2 is a builtins.list"),
        (Path("a.jpg"), "Path: expected a numpy array; files go in a list"),
        (None, "frame 2 is a builtins.NoneType"),
        ((np.zeros((4, 4, 3), np.uint8), "1 s"), "frame 2: expected an array or a pair"),
        ((np.zeros((4, 4, 3), np.uint8), float("nan")), "frame 2: time nan"),
        ((np.zeros((4, 4, 3), np.uint8), -1.0), "frame 2: time -1.0"),
    ],
)
def test_a_bad_frame_is_named_by_its_number(bad: Any, message: str) -> None:
    good = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InputError, match=message):
        list(open_source(iter([good, bad])))


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((2, 4, 4, 3)), {}, "dtype float64"),
        (np.zeros((0, 4, 4, 3), np.uint8), {}, r"shape \(0, 4, 4, 3\)"),
        (np.zeros(7, np.uint8), {}, r"shape \(7,\)"),
        (numbered(3), {"fps": -1}, "fps=-1"),
        (numbered(3), {"timestamps": [0, 1]}, "2 times for 3 frames"),
        (numbered(3), {"timestamps": [0, 2, 1]}, "rising order"),
        (numbered(3), {"timestamps": ["a", "b", "c"]}, "rising order"),
        (numbered(3), {"timestamps": "real"}, "'auto', 'openface' or 'container'"),
        (numbered(3), {"fps": "fast"}, "fps='fast'"),
        (numbered(3), {"start": 1}, "give fps= or timestamps="),
    ],
)
def test_bad_arrays_and_times_are_refused(array: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(array, **options)


def test_given_times_are_kept_and_select() -> None:
    with open_source(numbered(4), timestamps=[0.0, 0.5, 2.0, 9.0], start=0.5, end=9) as source:
        assert [(f.number, f.timestamp, int(f.image[0, 0, 0])) for f in source] == [(2, 0.5, 1), (3, 2.0, 2)]


def test_an_empty_iterable_is_an_error() -> None:
    with pytest.raises(SourceError, match="yields no frame"):
        list(open_source(iter([])))


def test_an_open_source_is_passed_through() -> None:
    source = open_source(numbered(2))
    assert open_source(source) is source
    with pytest.raises(InputError, match="belong to the call"):
        open_source(source, every=2)


def test_asking_for_the_size_of_a_generator_loses_no_frame() -> None:
    source = open_source(frame for frame in numbered(3))
    assert source.size == (16, 12)
    assert source.camera() == default_camera(16, 12)
    assert [frame.number for frame in source] == [1, 2, 3]


def test_memory_stays_flat_over_an_endless_generator() -> None:
    """20 000 frames of 0.9 MB would be 18 GB; the process may grow by 60 MB (allocator, threads)."""
    frame = np.zeros((480, 640, 3), np.uint8)
    source = open_source(frame for _ in range(20_000))
    frames = prefetch(source)
    for _ in range(500):
        next(frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in frames) == 19_500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


# --- reading ahead ----------------------------------------------------------------------------------------


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pyopenface-ahead"]


def test_reading_ahead_changes_nothing(samples: Path) -> None:
    with open_source(samples / "clip60.avi") as source:
        plain = [(f.number, f.timestamp, sha256(f.image)) for f in source]
        ahead = [(f.number, f.timestamp, sha256(f.image)) for f in prefetch(source, depth=3)]
    assert ahead == plain
    assert not threads()


def test_a_generator_may_reuse_its_array() -> None:
    buffer = np.zeros((6, 6, 3), np.uint8)

    def frames() -> Iterator[np.ndarray]:
        for level in range(50):
            buffer[:] = level
            yield buffer

    got = list(prefetch(open_source(frames())))
    assert [int(frame.image.min()) for frame in got] == list(range(50))


def test_at_most_depth_frames_wait() -> None:
    made = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal made
        for made in range(1, 101):  # noqa: B007
            yield np.zeros((4, 4, 3), np.uint8)

    consumer = prefetch(open_source(frames()), depth=3)
    next(consumer)
    next(consumer)
    deadline = time.monotonic() + 30
    while made < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # time enough for one more
    assert made == 6, "two consumed, three waiting, one in the hand of the thread"
    consumer.close()  # type: ignore[attr-defined]
    assert not threads()


def test_threads_of_reading_ahead_are_found() -> None:
    consumer = prefetch(open_source(numbered(9)))
    next(consumer)
    assert len(threads()) == 1
    consumer.close()  # type: ignore[attr-defined]
    assert not threads()


def test_what_cannot_be_walked_over_is_an_error_and_no_wait() -> None:
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        list(ahead(5))  # type: ignore[arg-type]
        assert not threads()


def test_an_error_arrives_after_the_frames_before_it() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from numbered(3)
        raise RuntimeError("the user's own error")

    got = []
    with pytest.raises(RuntimeError, match="the user's own error"):
        for frame in prefetch(open_source(frames()), depth=10):
            got.append(frame.number)
    assert got == [1, 2, 3]
    assert not threads()


def test_stopping_early_closes_the_generator_and_ends_the_thread() -> None:
    closed = threading.Event()

    def frames() -> Iterator[np.ndarray]:
        try:
            while True:
                yield np.zeros((4, 4, 3), np.uint8)
        finally:
            closed.set()

    for frame in prefetch(open_source(frames())):
        if frame.number == 5:
            break
    del frame
    gc.collect()
    assert closed.wait(5)
    assert not threads()


def test_a_source_that_is_stuck_does_not_hold_up_the_consumer() -> None:
    release = threading.Event()

    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((4, 4, 3), np.uint8)
        release.wait(60)

    consumer = prefetch(open_source(frames()))
    next(consumer)
    begun = time.monotonic()
    consumer.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 5
    release.set()
    for thread in threads():
        thread.join(5)
    assert not threads()


def test_ctrl_c_ends_the_wait_for_a_slow_source(tmp_path: Path) -> None:
    program = tmp_path / "wait.py"
    program.write_text(
        "import itertools, os, signal, threading, time\n"
        "import numpy as np\n"
        "from pyopenface.sources import open_source, prefetch\n"
        "def frames():\n"
        "    yield np.zeros((4, 4, 3), np.uint8)\n"
        "    time.sleep(60)\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    for frame in prefetch(open_source(frames())):\n"
        "        print(frame.number, flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    begun = time.monotonic()
    result = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.stdout.split() == ["1", "interrupted"], result.stderr
    assert result.returncode == 0
    assert time.monotonic() - begun < 30


def test_depth_must_be_positive() -> None:
    with pytest.raises(InputError, match="depth=0"):
        prefetch(open_source(numbered(2)), depth=0)


def test_default_camera_is_openface_s() -> None:
    assert default_camera(640, 480) == (500.0, 500.0, 320.0, 240.0)
    assert default_camera(640, 400) == (
        pytest.approx(458.3333, abs=1e-4),
        pytest.approx(458.3333, abs=1e-4),
        320,
        200,
    )


def test_frame_is_immutable() -> None:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 0.0, 1)
    with pytest.raises(AttributeError):
        frame.number = 2  # type: ignore[misc]


@pytest.mark.parametrize("module", ["", ".base", ".images", ".read_ahead"])
def test_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"pyopenface.sources{module}")).failed == 0


def test_asking_for_the_size_while_reading_takes_no_frame() -> None:
    frames = [np.full((48, 64, 3), value, np.uint8) for value in range(5)]
    with open_source(iter(frames), fps=10) as source:
        walk = iter(source)
        values = [int(next(walk).image[0, 0, 0])]
        assert source.size == (64, 48)
        values += [int(frame.image[0, 0, 0]) for frame in walk]
    assert values == [0, 1, 2, 3, 4]
