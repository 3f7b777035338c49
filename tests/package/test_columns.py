"""The data dictionary: OpenFace's names in their order, and statements that the golden tables bear out."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyopenface
from pyopenface import InputError, columns, table

ROOT = Path(__file__).resolve().parents[2]


def header(path: Path) -> list[str]:
    with gzip.open(path, "rt") as file:
        return file.readline().rstrip("\n").split(",")


@pytest.mark.parametrize(
    ("file", "kind", "groups"),
    [
        ("feature_extraction_clnf/default", "sequence", columns.GROUPS),
        ("vid_multi_clnf/multi_face_h264", "sequence", columns.GROUPS[:-1]),
        ("img_clnf/sample2", "image", columns.GROUPS),
    ],
)
def test_names_and_order_are_those_of_openface(
    golden: Path, file: str, kind: columns.Kind, groups: tuple[str, ...]
) -> None:
    assert list(columns.layout(kind, groups).names) == header(golden / "csv" / f"{file}.csv.gz")


def test_groups_come_in_their_order_whatever_order_they_are_asked_for() -> None:
    assert columns.layout(groups=["aus", "gaze"]).names == columns.layout(groups=["gaze", "aus"]).names


def test_sizes_follow_the_models() -> None:
    layout = columns.layout(
        landmarks=5, modes=3, eye_landmarks=0, intensities=["AU12"], presences=["AU12", "AU28"]
    )
    assert layout.names[13:] == (
        *(f"pose_{w}{a}" for w in "TR" for a in "xyz"),
        *(f"{a}_{i}" for a in "xyXYZ" for i in range(5)),
        *("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", "p_0", "p_1", "p_2"),
        *("AU12_r", "AU12_c", "AU28_c"),
    )


def test_groups_of_a_layout_are_found() -> None:
    layout = columns.layout()
    assert layout.names[layout.group("pose")] == tuple(f"pose_{w}{a}" for w in "TR" for a in "xyz")
    assert layout.group("aus") == slice(679, 714)
    assert columns.layout(groups=["gaze"]).group("aus") == slice(0, 0)
    assert layout.position("success") == 4


def test_unknown_names_are_refused_with_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean gaze_angle_x"):
        columns.describe("gaze_angel_x")
    with pytest.raises(InputError, match="there is no 'landmarks'"):
        columns.layout(groups=["landmarks"])
    with pytest.raises(InputError, match="'sequence' or 'image'"):
        columns.layout("video")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no column 'AU12_r'"):
        columns.layout(groups=["gaze"]).position("AU12_r")


def test_every_column_is_described() -> None:
    for kind in ("sequence", "image"):
        for column in columns.layout(kind):  # type: ignore[arg-type]
            assert column.description and column.unit and column.minimum < column.maximum
            assert column.frame in {"-", *columns.FRAMES_OF_REFERENCE}
            assert columns.describe(f" {column.name}").name == column.name
    assert len(columns.table()) == 714


def test_columns_of_every_result_are_in_the_written_dictionary(models: Path, samples: Path) -> None:
    """Those of videos, pictures and lists, and those that methods add to the table."""
    options: dict[str, Any] = {"models": models, "model": "clnf"}
    pictures = [samples / "sample1.jpg", samples / "sample2.jpg"]
    videos = [samples / "default.wmv", samples / "clip60.avi"]
    video = pyopenface.analyze(videos[0], end=0.2, **options)
    tables = [
        video.openface.interpolate(1),
        pyopenface.analyze(pictures, **options),
        pyopenface.analyze(videos, end=0.2, max_faces=2, identity="track", **options),
    ]
    rows = re.findall(r"^\| `([^`]+)`(?: … `([^`]+)`)?", columns.markdown(), re.MULTILINE)
    single = {first for first, last in rows if not last}
    families = {re.sub(r"\d+", "#", first) for first, last in rows if last}
    for name in {name for df in tables for name in df.columns}:
        assert columns.describe(name).description
        assert name in single or re.sub(r"\d+", "#", name) in families, name


def test_the_written_dictionary_is_that_of_the_code() -> None:
    written = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert written == columns.markdown(), "write columns.markdown() into docs/data-dictionary.md"


def test_values_lie_in_the_stated_ranges(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/feature_extraction_clnf/2015-10-15-15-14.csv.gz")
    for column in columns.layout():
        cells = df[column.name]
        # half a unit of the last printed digit, because the text is rounded
        slack = 0.5 * 10.0**-column.decimals if column.decimals else 0.0
        assert cells.min() >= column.minimum - slack and cells.max() <= column.maximum + slack, column.name


def test_signs_are_as_stated(golden: Path) -> None:
    """Turning, nodding and leaning heads: the 3D landmarks show which way."""
    df = table.read_openface_csv(golden / "csv/feature_extraction_clnf/2015-10-15-15-14.csv.gz")
    nose_right = df["X_30"] - (df["X_0"] + df["X_16"]) / 2
    nose_down = df["Y_30"] - (df["Y_0"] + df["Y_16"]) / 2
    clockwise = np.arctan2(df["y_45"] - df["y_36"], df["x_45"] - df["x_36"])
    # 0.8: the quantities are not the same, but a wrong sign would give a negative correlation
    assert (
        columns.describe("pose_Ry").sign.endswith("left of the image")
        and df["pose_Ry"].corr(nose_right) < -0.8
    )
    assert columns.describe("pose_Rx").sign.endswith("down") and df["pose_Rx"].corr(nose_down) > 0.8
    assert "clockwise" in columns.describe("pose_Rz").sign and df["pose_Rz"].corr(clockwise) > 0.8
    pupil = df[[f"eye_lmk_X_{i}" for i in range(8)]].mean(axis=1) - (df["X_36"] + df["X_39"]) / 2
    relative = df["gaze_angle_x"] + df["pose_Ry"]  # gaze against the head, whose yaw has the other sign
    assert "right" in columns.describe("gaze_angle_x").sign and relative.corr(pupil) > 0.5
    mean = (df["gaze_0_x"] + df["gaze_1_x"]) / 2, (df["gaze_0_z"] + df["gaze_1_z"]) / 2
    # 0.001: gaze_angle_x is printed with 3 decimals
    assert np.abs(np.arctan2(mean[0], -mean[1]) - df["gaze_angle_x"]).max() < 0.001


def test_the_table_has_what_describe_says() -> None:
    row = columns.table().loc["AU12_r"]
    assert (row["minimum"], row["maximum"], row["decimals"]) == (0, 5, 2)
    assert math.isinf(columns.table("image").loc["face", "maximum"])  # type: ignore[arg-type]
