"""OpenFace's programs as commands: how their lines are read, and the files that they write."""

from __future__ import annotations

import gzip
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import pyopenface
from pyopenface import _core, cli
from pyopenface.compat.arguments import OUTPUTS, Input, parse
from pyopenface.compat.outputs import Destination
from pyopenface.compat.programs import read_boxes
from pyopenface.errors import InputError, SourceError
from pyopenface.hog import read_hog

CLNF = ["-mloc", "model/main_clnf_general.txt"]
DEFAULT_CAMERA = (500.0, 500.0, 320.0, 240.0)

# --- the line, without weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["FeatureExtraction", "FaceLandmarkVidMulti", "FaceLandmarkImg"])
def test_no_arguments_give_a_hint_and_code_0(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([program]) == 0
    assert f"usage: pyopenface {program}" in capsys.readouterr().out


def test_without_an_input_the_message_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["FeatureExtraction", "-pose"]) == 1
    assert "-f FILE, -fdir FOLDER or -device N" in capsys.readouterr().err


def test_inputs_come_in_the_order_given_behind_the_last_root() -> None:
    line = ["-f", "a.avi", "-root", "x", "-fdir", "pictures", "-inroot", "/data", "-f", "/b.avi"]
    assert parse("FeatureExtraction", line).inputs == [
        Input("file", "/data/a.avi"),
        Input("folder", "/data/pictures"),
        Input("file", "/data//b.avi"),
    ]


def test_a_camera_goes_before_files() -> None:
    options = parse("FeatureExtraction", ["-f", "a.avi", "-device", "2", "-cam_width", "1280"])
    assert options.inputs == [Input("camera", device=2)]
    assert options.camera_size == (1280, 480)


def test_the_image_program_ignores_folders_beside_files_and_all_but_the_first() -> None:
    assert parse("FaceLandmarkImg", ["-fdir", "d", "-f", "a.png", "-f", "b.png"]).inputs == [
        Input("file", "a.png"),
        Input("file", "b.png"),
    ]
    assert parse("FaceLandmarkImg", ["-fdir", "d", "-fdir", "e"]).inputs == [Input("folder", "d")]


def test_without_flags_all_outputs_are_on_else_the_named_ones() -> None:
    assert parse("FeatureExtraction", ["-f", "a.avi"]).outputs == frozenset(OUTPUTS)
    assert parse("FeatureExtraction", ["-f", "a.avi", "-pose", "-aus"]).outputs == {"-pose", "-aus"}


def test_unknown_words_are_ignored_and_told(caplog: pytest.LogCaptureFixture) -> None:
    line = ["-afdir", "x", "-2dfp", "-pose", "-vis-track", "-bboxdir", "b"]
    with caplog.at_level(logging.INFO, "pyopenface"):
        options = parse("FeatureExtraction", line)
    assert options.outputs == {"-pose"}
    assert "-afdir x -2dfp -bboxdir" in caplog.text
    assert "-vis-track: no windows are opened" in caplog.text


def test_the_haar_detector_is_refused_unless_it_would_not_be_used() -> None:
    with pytest.raises(InputError, match=r"-fdloc haar\.xml: the Haar cascade .* not part of pyopenface"):
        parse("FeatureExtraction", ["-f", "a.avi", "-wild", "-fdloc", "haar.xml"])
    parse("FaceLandmarkImg", ["-f", "a.png", "-fdloc", "haar.xml", "-wild"])  # -wild chooses MTCNN
    parse("FaceLandmarkVidMulti", ["-f", "a.avi", "-fdloc", "haar.xml"])  # always MTCNN


def test_numbers_are_read_as_a_stream_reads_them() -> None:
    options = parse("FeatureExtraction", ["-fx", "5e2px", "-fy", ".5", "-simsize", "200.7"])
    assert (options.fx, options.fy, options.size) == (500.0, 0.5, 200)
    with pytest.raises(InputError, match="-sigma wide: a number is expected"):
        parse("FeatureExtraction", ["-sigma", "wide"])
    with pytest.raises(InputError, match="-mloc: needs a value behind it"):
        parse("FeatureExtraction", ["-mloc"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ([], (1.5, 25.0, 0.0, 5, False, True, 11)),
        (["-wild"], (1.25, 35.0, 2.5, 10, True, True, 15)),
        (["-sigma", "2", "-validate_detections", "0", "-wild"], (1.25, 35.0, 2.5, 10, True, False, 15)),
        (["-wild", "-sigma", "2", "-n_iter", "3", "-multi_view", "0"], (2.0, 35.0, 2.5, 3, False, True, 15)),
        (["-w_reg", "2", "-multi_view", "1"], (1.5, 25.0, 2.0, 5, True, True, 11)),
    ],
)  # fmt: skip
def test_settings_of_the_fit_apply_in_their_order(line: list[str], expected: tuple[float, ...]) -> None:
    def values(p: _core.LandmarkParameters) -> tuple[float, ...]:
        return (
            p.sigma,
            p.regularisation,
            p.weight_factor,
            p.iterations,
            p.multi_view,
            p.validate,
            p.windows[0],
        )

    options = parse("FaceLandmarkImg", line)
    assert values(options.parameters("main_clnf_general")) == expected
    # CE-CLM's factors come on top of everything; single precision, hence approx.
    factored = (1.5 * expected[0], 0.9 * expected[1], *expected[2:])
    assert values(options.parameters("main_ceclm_general")) == pytest.approx(factored, rel=1e-6)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="sigma must be positive"):
        parse("FeatureExtraction", ["-sigma", "0"]).parameters("main_clnf_general")


@pytest.mark.parametrize(
    ("program", "line", "expected"),
    [
        ("FeatureExtraction", [], DEFAULT_CAMERA),
        ("FeatureExtraction", ["-fx", "600", "-cy", "9"], (600.0, -1.0, 320.0, 240.0)),
        ("FeatureExtraction", ["-fy", "600", "-cx", "9"], (500.0, 500.0, 9.0, -1.0)),
        ("FaceLandmarkImg", ["-fx", "600", "-cx", "9", "-cy", "8"], (500.0, 500.0, 9.0, 8.0)),
        ("FaceLandmarkVidMulti", ["-fx", "6", "-fy", "7", "-cx", "9", "-cy", "8"], (6.0, 7.0, 9.0, 8.0)),
    ],
)  # fmt: skip
def test_intrinsics_have_openfaces_quirks(program: str, line: list[str], expected: tuple[float, ...]) -> None:
    assert parse(program, line).camera(DEFAULT_CAMERA) == expected  # type: ignore[arg-type]


def test_the_size_of_aligned_faces_carries_their_scale() -> None:
    assert parse("FeatureExtraction", []).alignment == (112, 0.7, True, False)
    assert parse("FeatureExtraction", ["-simsize", "224", "-g"]).alignment == (224, 1.4, True, True)
    assert parse("FaceLandmarkImg", ["-simscale", "0.9", "-simsize", "224", "-g", "-nomask"]).alignment == (
        224, 0.9, False, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("out_dir", "name", "expected"),
    [
        ("", None, "processed/video"),
        ("out", None, "out/video"),
        ("", "face", "processed/face"),
        ("", "sub/a.b.txt", "sub/a.b"),
        ("out", "sub/a.b.txt", "out/sub/a.b"),
        ("out", "/abs/face.csv", "out/abs/face"),
        ("", "/abs/face.csv", "/abs/face"),
    ],
)
def test_files_go_where_openface_puts_them(out_dir: str, name: str | None, expected: str) -> None:
    destination = Destination.choose(out_dir, name, "video")
    assert (destination.folder / destination.base) == Path(expected)


def test_boxes_are_corners_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("10 20 110.5 140\n\n 1e1 0 20 40\n")
    assert read_boxes(file).tolist() == [[10.0, 20.0, 100.5, 120.0], [10.0, 0.0, 10.0, 40.0]]
    file.write_text("10 20 x 140\n")
    with pytest.raises(InputError, match="line 1: min_x min_y max_x max_y expected"):
        read_boxes(file)
    with pytest.raises(SourceError, match=r"missing\.txt"):
        read_boxes(tmp_path / "missing.txt")


def test_the_commands_start_without_pandas() -> None:
    heavy = {"pandas", "matplotlib", "scipy", "av", "cv2"}
    script = (
        "import sys; from pyopenface import cli; cli.main(['FeatureExtraction', '-pose']);"
        f"import pyopenface.compat.programs; print(set(sys.modules) & {heavy})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_all_lines_of_the_golden_data_are_understood(golden: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [
        line.split("#")[0].split()
        for file in sorted((golden / "csv").glob("*/command.txt"))
        for line in file.read_text().splitlines()
    ]
    assert len(lines) > 30
    with caplog.at_level(logging.INFO, "pyopenface"):
        for program, *words in lines:
            options = parse(program, words)  # type: ignore[arg-type]
            assert len(options.inputs) == 1
            assert options.out_dir == "out"
            assert options.outputs >= {"-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-gaze"}
            assert ("-aus" in options.outputs) == ("-aus" in words)
    assert not caplog.text


def test_missing_weights_of_a_named_model_are_said_by_its_name(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = tmp_path / "without"
    for file in models.rglob("*"):
        if file.is_file() and not file.name.startswith("cen_patches_"):
            link = without / file.relative_to(models)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    line = ["-f", "a.avi", "-mloc", "model/main_ceclm_general.txt", "--models", str(without)]
    assert cli.main(["FeatureExtraction", *line]) == 1
    message = capsys.readouterr().err
    assert "cen_patches_0.25_of.dat" in message
    assert "pyopenface models download ceclm" in message


# --- the files, with weights --------------------------------------------------------------------------------

Command = Callable[..., int]


@pytest.fixture
def command(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a program of OpenFace in an empty folder with the real weights."""
    monkeypatch.setenv("PYOPENFACE_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return lambda program, *words: cli.main([program, *CLNF, *map(str, words)])


@pytest.fixture(scope="module")
def short_clip(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 12 frames of clip60.avi as a folder of PNG files."""
    folder = tmp_path_factory.mktemp("frames") / "short"
    folder.mkdir()
    video = cv2.VideoCapture(str(samples / "clip60.avi"))
    for number in range(1, 13):
        ok, image = video.read()
        assert ok
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    video.release()
    return folder


@pytest.fixture(scope="module")
def all_outputs(models: Path, short_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with everything that FeatureExtraction writes about the short clip."""
    out = tmp_path_factory.mktemp("all")
    line = ["-fdir", str(short_clip), "-out_dir", str(out), "--models", str(models), "-q"]
    assert cli.main(["FeatureExtraction", *CLNF, *line]) == 0
    return out


def _unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _lines(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_all_outputs_of_feature_extraction(
    command: Command, samples: Path, golden: Path, tmp_path: Path
) -> None:
    reference = golden / "csv" / "feature_extraction_all_outputs"
    assert command("FeatureExtraction", "-f", samples / "clip60.avi", "-out_dir", "out", "-q") == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "clip60.avi", "clip60.csv", "clip60.hog", "clip60_aligned", "clip60_of_details.txt",
    ]  # fmt: skip

    assert (out / "clip60.csv").read_bytes() == _unzipped(reference / "clip60.csv.gz")
    assert (out / "clip60.hog").read_bytes() == _unzipped(reference / "clip60.hog.gz")

    details = (out / "clip60_of_details.txt").read_text().splitlines()
    assert details[:2] == [
        f"Input:{samples / 'clip60.avi'}",
        f"Input full path:{(samples / 'clip60.avi').resolve()}",
    ]
    assert details[2:] == (reference / "clip60_of_details.txt").read_text().splitlines()

    written = sorted(path.name for path in (out / "clip60_aligned").iterdir())
    assert written == [f"frame_det_00_{number:06d}.bmp" for number in range(1, 61)]
    faces = sorted((reference / "clip60_aligned").iterdir())
    assert len(faces) == 6
    for face in faces:
        assert (out / "clip60_aligned" / face.name).read_bytes() == face.read_bytes()

    assert b"DIVX" in (out / "clip60.avi").read_bytes()[:4096]
    video = cv2.VideoCapture(str(out / "clip60.avi"))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (60, 15)
    _, frame = video.read()
    video.release()
    drawn = cv2.imread(str(reference / "tracked_frame_001.png"))
    # Below the frame rate's text; two encoders of a lossy format.
    assert np.abs(frame[30:].astype(int) - drawn[30:]).mean() < 3.0


@pytest.mark.parametrize("flag", OUTPUTS)
def test_each_output_alone_is_what_it_is_among_all(
    flag: str, all_outputs: Path, command: Command, short_clip: Path, tmp_path: Path
) -> None:
    assert command("FeatureExtraction", "-fdir", short_clip, flag, "-q") == 0
    out = tmp_path / "processed"
    files = {"-hogalign": ["short.hog"], "-simalign": ["short_aligned"], "-tracked": ["short.avi"]}
    names = sorted(["short.csv", "short_of_details.txt", *files.get(flag, [])])
    assert sorted(path.name for path in out.iterdir()) == names

    cells = {name: column for name, *column in zip(*_lines(all_outputs / "short.csv"), strict=True)}
    mine = {name: column for name, *column in zip(*_lines(out / "short.csv"), strict=True)}
    identity = ["frame", "face_id", "timestamp", "confidence", "success"]
    assert list(mine)[:5] == identity
    assert (len(mine) > 5) == (flag not in files)
    assert {name: cells[name] for name in mine} == mine
    assert list(mine) == [name for name in cells if name in mine]  # in the same order

    for name in files.get(flag, []):
        if name == "short.hog":
            assert (out / name).read_bytes() == (all_outputs / name).read_bytes()
        elif name == "short_aligned":
            for face in (all_outputs / name).iterdir():
                assert (out / name / face.name).read_bytes() == face.read_bytes()

    details = (out / "short_of_details.txt").read_text().splitlines()
    said = {
        "-gaze": "Gaze", "-aus": "AUs", "-2Dfp": "Landmarks 2D", "-3Dfp": "Landmarks 3D", "-pose": "Pose",
        "-pdmparams": "Shape parameters",
    }  # fmt: skip
    assert details[-6:] == [f"{text}: {int(flag == own)}" for own, text in said.items()]
    others = {"-hogalign": "Output HOG", "-tracked": "Output video", "-simalign": "Output aligned directory"}
    assert details[3:-7] == [f"{text}:{files[own][0]}" for own, text in others.items() if own == flag]


@pytest.mark.parametrize(
    "words",
    ["-g", "-nomask", "-simsize 60", "-simscale 0.5", "-nobadaligned -format_aligned png"],
)
def test_how_faces_are_written_changes_no_number(
    words: str, all_outputs: Path, command: Command, short_clip: Path, tmp_path: Path
) -> None:
    assert command("FeatureExtraction", "-fdir", short_clip, "-q", *words.split()) == 0
    for name in ("short.csv", "short.hog"):
        assert (tmp_path / "processed" / name).read_bytes() == (all_outputs / name).read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_no_file_depends_on_the_number_of_threads(
    threads: int, all_outputs: Path, command: Command, short_clip: Path, tmp_path: Path
) -> None:
    assert command("FeatureExtraction", "-fdir", short_clip, "-q", "--threads", threads) == 0
    out = tmp_path / "processed"
    # But for the frame rate that is drawn on the overlay.
    files = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".avi"]
    assert len(files) == 3 + 12
    for path in files:
        assert path.read_bytes() == (all_outputs / path.relative_to(out)).read_bytes(), path.name


def test_static_predictors_change_the_action_units_only(
    all_outputs: Path, command: Command, short_clip: Path, tmp_path: Path
) -> None:
    assert command("FeatureExtraction", "-fdir", short_clip, "-q", "-au_static") == 0
    columns = zip(*_lines(tmp_path / "processed" / "short.csv"), strict=True)
    others = zip(*_lines(all_outputs / "short.csv"), strict=True)
    different = [mine[0] for mine, other in zip(columns, others, strict=True) if mine != other]
    assert different
    assert all(name.startswith("AU") for name in different)
    hog = (tmp_path / "processed" / "short.hog").read_bytes()
    assert hog == (all_outputs / "short.hog").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-format_aligned xyz", "-format_aligned xyz: pictures can't be written in this format"),
        ("-format_aligned a/b.png/c", "-format_aligned a/b.png/c: pictures can't be written"),
        ("-simsize 0", "-simsize 0: must be between 1 and 4096 px"),
        ("-simsize 99999", "-simsize 99999: must be between 1 and 4096 px"),
        ("-simscale 0", "-simscale 0: must be above 0"),
        ("-simscale 1e9", "-simscale 1e9: must be above 0 and at most 1000"),
    ],
)
def test_faces_that_cannot_be_written_are_refused_before_there_are_files(
    line: str, message: str, command: Command, short_clip: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert command("FeatureExtraction", "-fdir", short_clip, "-simalign", *line.split()) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_formats_of_files_that_nobody_asked_for_do_not_matter(
    command: Command, samples: Path, short_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-format_aligned", "xyz", "-format_vis_image", "xyz", "-pose", "-q"]
    assert command("FeatureExtraction", "-fdir", short_clip, *words) == 0
    assert command("FaceLandmarkImg", "-f", samples / "sample1.jpg", *words) == 0
    assert command("FaceLandmarkImg", "-f", samples / "sample1.jpg", *words, "-tracked") == 1
    assert "-format_vis_image xyz: pictures can't be written in this format" in capsys.readouterr().err


def test_sequences_run_one_after_the_other_as_if_alone(
    command: Command, short_clip: Path, tmp_path: Path
) -> None:
    clip = ["-fdir", short_clip]
    words = ["-aus", "-pose", "-2Dfp", "-quiet"]
    assert command("FeatureExtraction", *clip, *clip, "-of", "a", "-of", "b.csv", "--threads", 1, *words) == 0
    assert command("FeatureExtraction", *clip, "-of", "c", "--threads=3", *words) == 0
    first, second, threaded = ((tmp_path / "processed" / f"{n}.csv").read_bytes() for n in "abc")
    assert first == second == threaded
    rows = _lines(tmp_path / "processed" / "a.csv")
    assert [row[2] for row in rows[1:]] == ["0.000"] * 12
    assert {cell for row in rows[1:] for cell in row[-18:]} <= {"0.00", "1.00"}
    assert not (tmp_path / "processed" / "a.hog").exists()


def test_a_missing_input_ends_the_program(
    command: Command, short_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("FeatureExtraction", "-fdir", short_clip, "-f", "no.avi", "-fdir", short_clip, "-of", "a",
                   "-of", "b", "-of", "c", "-pose", "-q") == 1  # fmt: skip
    assert "no.avi: no such file" in capsys.readouterr().err
    assert len(_lines(tmp_path / "processed" / "a.csv")) == 13
    assert not (tmp_path / "processed" / "c.csv").exists()


def test_a_picture_that_cannot_be_read_ends_its_sequence(
    command: Command, short_clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for number in (1, 2, 4):
        (folder / f"{number:03d}.png").write_bytes((short_clip / f"{number:03d}.png").read_bytes())
    (folder / "003.png").write_text("no picture")
    assert command("FeatureExtraction", "-fdir", folder, "-aus", "-q") == 0
    rows = _lines(tmp_path / "processed" / "broken.csv")
    assert [row[0] for row in rows] == ["frame", "1", "2"]
    assert rows[1][-1] in ("0.00", "1.00")  # post-processed all the same


def test_aligned_faces_take_format_size_and_grey_and_leave_out_bad_ones(
    command: Command, short_clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gap"
    folder.mkdir()
    black = np.zeros((480, 640, 3), np.uint8)
    for number in range(1, 5):
        image = cv2.imread(str(short_clip / f"{number:03d}.png")) if number < 3 else black
        cv2.imwrite(str(folder / f"{number}.png"), image)
    line = ["-fdir", folder, "-simalign", "-format_aligned", "png", "-simsize", "96", "-g", "-q"]
    assert command("FeatureExtraction", *line) == 0
    aligned = tmp_path / "processed" / "gap_aligned"
    names = [f"frame_det_00_{number:06d}.png" for number in range(1, 5)]
    assert sorted(path.name for path in aligned.iterdir()) == names
    good, bad = (cv2.imread(str(aligned / names[i]), cv2.IMREAD_UNCHANGED) for i in (0, 3))
    assert good.shape == (96, 96)
    assert good.any()
    assert not bad.any()
    # Only id columns: other groups were not asked for.
    assert _lines(tmp_path / "processed" / "gap.csv")[0][-1] == "success"
    assert command("FeatureExtraction", *line, "-nobadaligned", "-out_dir", "good") == 0
    assert sorted(path.name for path in (tmp_path / "good" / "gap_aligned").iterdir()) == names[:2]


def test_a_first_detection_that_is_rejected_is_a_success_without_action_units(
    command: Command, short_clip: Path, models: Path, tmp_path: Path
) -> None:
    # The lower half of the face is hidden: the detector finds it, the validator rejects the fit.
    (tmp_path / "half").mkdir()
    hidden = cv2.imread(str(short_clip / "001.png"))
    hidden[260:] = 0
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "half" / f"{number}.png"), hidden)
    assert command("FeatureExtraction", "-fdir", "half", "-nobadaligned", "-q") == 0
    out = tmp_path / "processed"
    header, *lines = _lines(out / "half.csv")
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [(row["success"], float(row["confidence"]) < 0.725) for row in rows] == [("1", True), ("0", True)]
    assert {row[name] for row in rows for name in row if name.startswith("AU")} == {"0.00"}
    assert rows[0]["gaze_0_z"] != "0.000000"
    assert rows[1]["gaze_0_z"] == "0.000000"
    success, fhog = read_hog(out / "half.hog")
    assert success.tolist() == [True, False]
    assert not fhog.any()
    (aligned,) = (out / "half_aligned").iterdir()
    assert aligned.name == "frame_det_00_000001.bmp"
    assert not cv2.imread(str(aligned)).any()

    face = pyopenface.LandmarkDetector("clnf", models).update(hidden)
    assert (face.success, face.accepted) == (True, False)
    assert not pyopenface.FaceAnalyser(models).update(hidden, face).fhog.any()


def test_pictures_have_files_of_their_own(command: Command, samples: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((200, 200, 3), np.uint8))
    line = ["-f", samples / "sample1.jpg", "-f", "empty.png", "-fx", "700", "-q", "-g"]
    assert command("FaceLandmarkImg", *line) == 0
    out = tmp_path / "processed"
    assert sorted(path.name for path in out.iterdir()) == [
        "empty.hog", "empty.jpg", "empty_aligned", "empty_of_details.txt",
        "sample1.csv", "sample1.hog", "sample1.jpg", "sample1_aligned", "sample1_of_details.txt",
    ]  # fmt: skip
    rows = _lines(out / "sample1.csv")
    assert rows[0][:3] == ["face", "confidence", "gaze_0_x"]
    assert re.fullmatch(r"[01]\.\d{3}", rows[1][1])
    assert set(rows[1][-18:]) <= {"0.0", "1.0"}
    assert cv2.imread(str(out / "sample1_aligned" / "face_det_000000.bmp"), -1).shape == (112, 112, 3)
    assert "Camera parameters:182.292,182.292,100,100" in (out / "empty_of_details.txt").read_text()
    assert "Output csv" not in (out / "empty_of_details.txt").read_text()
    assert "Output image:empty.jpg\n" in (out / "empty_of_details.txt").read_text()


def test_rejected_faces_of_pictures_are_described_all_the_same(
    command: Command, samples: Path, tmp_path: Path
) -> None:
    line = ["-f", samples / "sample2.jpg", "-aus", "-hogalign", "-simalign", "-q"]
    assert command("FaceLandmarkImg", *line) == 0
    assert command("FaceLandmarkImg", *line, "-nobadaligned", "-out_dir", "good") == 0
    success, fhog = read_hog(tmp_path / "processed" / "sample2.hog")
    assert sorted(success) == [False, False, True]
    assert fhog.any(axis=(1, 2, 3)).all()
    names = [f"face_det_{number:06d}.bmp" for number in range(3)]
    faces = tmp_path / "processed" / "sample2_aligned"
    assert sorted(path.name for path in faces.iterdir()) == names
    assert all(cv2.imread(str(faces / name)).any() for name in names)
    good = [path.name for path in (tmp_path / "good" / "sample2_aligned").iterdir()]
    assert good == [names[number] for number in np.flatnonzero(success)]
    # No post-processing: a rejected face has the action units of its landmarks.
    rows = np.array([row[2:] for row in _lines(tmp_path / "processed" / "sample2.csv")[1:]], float)
    assert rows[:, :17].any(axis=1).all()


def test_boxes_from_files(
    command: Command, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("pictures", "boxes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pictures" / "face.jpg").write_bytes((samples / "sample1.jpg").read_bytes())
    assert command("FaceLandmarkImg", "-fdir", "pictures", "-2Dfp", "-q", "-out_dir", "found") == 0
    found = np.array(_lines(tmp_path / "found" / "face.csv")[1][2:], float).reshape(2, 68)
    (x0, y0), (x1, y1) = found.min(axis=1), found.max(axis=1)

    line = ["-root", tmp_path, "-fdir", "pictures", "-bboxdir", "boxes", "-2Dfp", "-q"]
    assert command("FaceLandmarkImg", *line) == 1
    assert "face.txt: the boxes can't be read" in capsys.readouterr().err
    (tmp_path / "boxes" / "face.txt").write_text(f"{x0} {y0} {x1} {y1}\n{x0} {y0} {x1} {y1}\n")
    assert command("FaceLandmarkImg", *line) == 0
    rows = _lines(tmp_path / "processed" / "face.csv")
    assert [row[0] for row in rows] == ["face", "0", "1"]
    # Another start of the fit: the same face, not the same digits.
    assert np.abs(np.array(rows[1][2:], float).reshape(2, 68) - found).mean() < 3.0
    assert rows[1][2:] == rows[2][2:]
    # Together with -f there are neither boxes nor a detector.
    line = ["-f", "pictures/face.jpg", "-bboxdir", "boxes", "-2Dfp", "-q", "-out_dir", "none"]
    assert command("FaceLandmarkImg", *line) == 0
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["face_of_details.txt"]


def test_several_faces_have_ids_and_a_record_per_row(command: Command, samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "group"
    folder.mkdir()
    image = cv2.imread(str(samples / "sample2.jpg"))
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    assert (
        command("FaceLandmarkVidMulti", "-fdir", folder, "-pose", "-aus", "-hogalign", "-simalign", "-q") == 0
    )
    rows = _lines(tmp_path / "processed" / "group.csv")[1:]
    assert [(row[0], row[1]) for row in rows] == [(f, i) for f in "12" for i in "012"]
    assert {cell for row in rows for cell in row[-18:]} <= {"0.0", "1.0"}
    success, _ = read_hog(tmp_path / "processed" / "group.hog")
    assert [str(int(good)) for good in success] == [row[4] for row in rows]
    assert len(list((tmp_path / "processed" / "group_aligned").iterdir())) == len(rows)
    assert (tmp_path / "processed" / "group_aligned" / "frame_det_02_000002.bmp").is_file()


def test_the_model_file_is_found_as_given_or_in_the_model_folder(
    models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYOPENFACE_MODELS", str(tmp_path / "nowhere"))
    line = ["FaceLandmarkImg", "-f", str(samples / "sample1.jpg"), "-pose", "-q", "-mloc"]
    assert cli.main([*line, str(models / "model" / "main_clnf_general.txt")]) == 0
    assert cli.main([*line, "model/main_clnf_general.txt", "--models", str(models)]) == 0
    assert cli.main([*line, "model/main_other.txt", "--models", str(models)]) == 1
    assert "main file of the landmark model not found: model/main_other.txt" in capsys.readouterr().err
