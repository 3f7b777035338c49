"""Tables and files: the text is OpenFace's to the byte, and nothing is lost on the way."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyopenface import HogWriter, InputError, OutputError, StateError, columns, read_hog, table
from pyopenface._core import format_rows

SMALL = columns.layout(groups=["pose", "aus"])


def some_values(rows: int, layout: columns.Layout = SMALL, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(rows, len(layout))) * 3
    for name in ("frame", "face_id", "face", "success"):
        if name in layout.names:
            values[:, layout.position(name)] = np.arange(1, rows + 1) if name == "frame" else 0
    return values


# --- the text of numbers ---------------------------------------------------------------------------


@given(st.floats(allow_nan=False), st.integers(0, 9))
def test_numbers_are_printed_as_printf_does(value: float, decimals: int) -> None:
    assert format_rows(np.array([[value]]), [decimals]).decode() == f"{value:.{decimals}f}\n"


@pytest.mark.parametrize(
    "value", [0.5, 1.5, 2.5, 0.125, 0.375, -0.04, -0.0, 2.0**53, 2.0**64, 1e22, 5e-324, 1.8e308]
)
def test_ties_signs_and_extremes_are_printed_as_printf_does(value: float) -> None:
    for decimals in range(10):
        assert format_rows(np.array([[value]]), [decimals]).decode() == f"{value:.{decimals}f}\n"


def test_rounding_edges_are_printed_as_printf_does() -> None:
    """Values at and beside every tie of 1 to 6 decimals, where a rounding in floating point goes wrong."""
    rng = np.random.default_rng(1)
    for decimals in range(7):
        ties = (rng.integers(-(10**6), 10**6, 2000) + 0.5) / 10.0**decimals
        values = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
        want = "".join(f"{v:.{decimals}f}\n" for v in values)
        assert format_rows(values[:, None], [decimals]).decode() == want


def test_not_a_number_is_printed_as_asked() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    assert format_rows(values, [1, 1, 1, 0]) == b"nan,inf,-inf,1\n"
    assert format_rows(values, [1, 1, 1, 0], nan="") == b",inf,-inf,1\n"


def test_wrong_shapes_are_refused() -> None:
    for values, decimals in ((np.zeros(3), [1] * 3), (np.zeros((2, 3)), [1]), (np.zeros((2, 1)), [10])):
        with pytest.raises(InputError, match=r"values|decimals"):
            format_rows(values, decimals)
    assert format_rows(np.zeros((0, 2)), [1, 1]) == b""


# --- DataFrames ------------------------------------------------------------------------------------


def test_tables_have_the_right_types_and_order() -> None:
    df = table.to_dataframe(some_values(4), SMALL, {"model": "CLNF"})
    assert tuple(df.columns) == SMALL.names
    integers = [c.name for c in SMALL if c.integer]
    assert df.dtypes[integers].eq(np.int64).all() and df.dtypes.drop(integers).eq(np.float64).all()
    assert df.attrs["openface"] == {"kind": "sequence", "presence_decimals": 1, "model": "CLNF"}


def test_a_table_shares_the_memory_of_its_numbers() -> None:
    values = some_values(1000, columns.layout())
    df = table.to_dataframe(values, columns.layout())
    assert np.shares_memory(df["AU12_r"].to_numpy(), values)


def test_a_table_without_rows_is_one() -> None:
    df = table.to_dataframe(np.zeros((0, len(SMALL))), SMALL)
    assert len(df) == 0 and df["frame"].dtype == np.int64


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(k, 46\); got \(2, 3\)"):
        table.to_dataframe(np.zeros((2, 3)), SMALL)


# --- OpenFace's files ------------------------------------------------------------------------------


def golden_files() -> list[str]:
    folder = Path(
        os.environ.get("PYOPENFACE_GOLDEN") or Path(__file__).resolve().parents[3] / "shared" / "golden"
    )
    return sorted(str(f.relative_to(folder / "csv")) for f in (folder / "csv").rglob("*.csv.gz"))


@pytest.mark.parametrize("file", golden_files() or ["none"])
def test_a_file_of_openface_comes_back_byte_for_byte(golden: Path, tmp_path: Path, file: str) -> None:
    df = table.read_openface_csv(golden / "csv" / file)
    table.to_openface_csv(df, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == gzip.decompress((golden / "csv" / file).read_bytes())


@pytest.mark.parametrize("kind", ["sequence", "image"])
def test_our_own_file_comes_back_byte_for_byte(tmp_path: Path, kind: columns.Kind) -> None:
    layout = columns.layout(kind, presence_decimals=2)
    with table.CsvWriter(tmp_path / "a.csv", layout) as writer:
        writer.write_rows(some_values(3, layout))
    table.to_openface_csv(table.read_openface_csv(tmp_path / "a.csv"), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_old_spaced_header_is_written_and_read(tmp_path: Path) -> None:
    df = table.to_dataframe(some_values(2), SMALL)
    table.to_openface_csv(df, tmp_path / "old.csv", spaced_header=True)
    assert (
        (tmp_path / "old.csv")
        .read_text()
        .startswith("frame, face_id, timestamp, confidence, success, pose_Tx")
    )
    assert tuple(table.read_openface_csv(tmp_path / "old.csv").columns) == SMALL.names


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    """Other columns, spaces after the commas, Windows line ends, a byte order mark, and their NaN."""
    lines = (
        "frame, timestamp, confidence, success, AU12_r, AU12_c",
        "1, 0, 0.93, 1, -nan(ind), 1",
        "2, 0.0333333, 9.1e-01, 0, 1.25, 0",
    )
    (tmp_path / "old.csv").write_bytes(b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode())
    df = table.read_openface_csv(tmp_path / "old.csv")
    assert list(df.columns) == ["frame", "timestamp", "confidence", "success", "AU12_r", "AU12_c"]
    assert df["frame"].tolist() == [1, 2] and df["success"].dtype == np.int64
    assert np.isnan(df["AU12_r"][0]) and df["confidence"][1] == 0.91


def test_compressed_files_are_written_and_read(tmp_path: Path) -> None:
    df = table.to_dataframe(some_values(3), SMALL)
    table.to_openface_csv(df, tmp_path / "a.csv.gz")
    table.to_openface_csv(df, tmp_path / "a.csv")
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    pd.testing.assert_frame_equal(
        table.read_openface_csv(tmp_path / "a.csv.gz"), table.read_openface_csv(tmp_path / "a.csv")
    )


def test_columns_of_the_user_and_named_faces_survive(tmp_path: Path) -> None:
    df = table.to_dataframe(some_values(3), SMALL)
    df["face_id"] = ["Ann", "Ben, the tall", "Ann"]
    df.insert(2, "smiles", [True, False, True])
    df["note, long"] = ["a", "", 'b"c']
    table.to_openface_csv(df, tmp_path / "a.csv")
    again = table.read_openface_csv(tmp_path / "a.csv")
    assert again["face_id"].tolist() == ["Ann", "Ben, the tall", "Ann"]
    assert list(again.columns) == list(df.columns)
    assert again["note, long"].tolist()[2] == 'b"c' and again["smiles"].tolist() == [True, False, True]
    np.testing.assert_allclose(again["pose_Tx"], df["pose_Tx"], atol=0.05)  # one printed decimal


def test_numbers_of_faces_beside_names_stay_numbers(golden: Path, tmp_path: Path) -> None:
    multi = table.read_openface_csv(golden / "csv/vid_multi_clnf_aus/multi_face_h264.csv.gz")
    df = multi.head(60).openface.rename_faces({0: "Ann"})
    table.to_openface_csv(df, tmp_path / "a.csv")
    again = table.read_openface_csv(tmp_path / "a.csv")
    assert again["face_id"].tolist() == df["face_id"].tolist()
    pytest.importorskip("pyarrow")
    table.to_parquet(df, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(table.read_parquet(tmp_path / "a.parquet"), df)


def test_tables_from_files_take_new_columns_without_complaint(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/feature_extraction_clnf/gap.csv.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        df["mine"] = 1


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    df = pd.DataFrame([[1, 2.0, 3.0]], columns=["frame", "AU12_r", "AU12_r"])
    with pytest.raises(InputError, match="several columns 'AU12_r'"):
        table.to_openface_csv(df, tmp_path / "a.csv")
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="several columns 'AU12_r'"):
        table.to_parquet(df, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_whole_are_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,success,AU12_r\n1.5,1.0,2\n2,0.0,2\n")
    df = table.read_openface_csv(tmp_path / "a.csv")
    assert df["frame"].tolist() == [1.5, 2.0] and df["success"].dtype == np.int64


def test_missing_values_are_empty_cells(tmp_path: Path) -> None:
    df = table.to_dataframe(some_values(2), SMALL)
    df.loc[1, "AU12_r"] = np.nan
    table.to_openface_csv(df, tmp_path / "a.csv")
    assert np.isnan(table.read_openface_csv(tmp_path / "a.csv")["AU12_r"][1])


def test_a_table_without_rows_gives_a_file_with_a_header(tmp_path: Path) -> None:
    table.to_openface_csv(table.to_dataframe(np.zeros((0, len(SMALL))), SMALL), tmp_path / "a.csv")
    df = table.read_openface_csv(tmp_path / "a.csv")
    assert len(df) == 0 and tuple(df.columns) == SMALL.names and df["frame"].dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line of column names"),
        ("name,age\nAnn,3\n", "none of OpenFace's columns; it begins with name, age"),
        ("frame,success\n1,1\n2\n3,1\n", "line 3: 2 cells expected, got 1"),
        ("frame,success\n1,1\n2,1,4\n", "line 3: 2 cells expected, got 3"),
        ("frame,success\n1,1\ntwo,1\n", "line 3: frame is not a number: 'two'"),
        ("frame,frame\n1,1\n", "not a CSV file"),
    ],
)
def test_damaged_files_are_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        table.read_openface_csv(tmp_path / "bad.csv")


def test_files_that_are_not_text_or_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"frame,success\n1,1\n")[:-6])
    damaged = bytearray(gzip.compress(b"frame,success\n" + b"1,1\n" * 99))
    damaged[12:16] = b"\xff" * 4
    (tmp_path / "damaged.csv.gz").write_bytes(damaged)
    for name in ("binary.csv", "cut.csv.gz", "damaged.csv.gz", "absent.csv"):
        with pytest.raises(InputError, match=name):
            table.read_openface_csv(tmp_path / name)


def test_the_unfinished_line_of_an_interrupted_program_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cut.csv").write_text("frame,success,AU12_r\n1,1,0.50\n2,1,0.6\n3,")
    with pytest.warns(UserWarning, match="last line is incomplete"):
        df = table.read_openface_csv(tmp_path / "cut.csv")
    assert df["frame"].tolist() == [1, 2]


# --- writing while running -------------------------------------------------------------------------


def test_rows_are_in_the_file_as_soon_as_they_are_written(tmp_path: Path) -> None:
    writer = table.CsvWriter(tmp_path / "a.csv", SMALL)
    for i in range(1, 4):
        writer.write_rows(some_values(1)[0])
        assert len((tmp_path / "a.csv").read_text().splitlines()) == i + 1
    writer.close()
    writer.close()
    with pytest.raises(StateError, match="closed"):
        writer.write_rows(some_values(1))


def test_row_by_row_is_the_text_of_the_whole_table(tmp_path: Path) -> None:
    values = some_values(20)
    with table.CsvWriter(tmp_path / "a.csv", SMALL, spaced_header=True) as writer:
        for row in values:
            writer.write_rows(row)
    table.to_openface_csv(table.to_dataframe(values, SMALL), tmp_path / "b.csv", spaced_header=True)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to end a program with")
def test_a_killed_program_leaves_a_valid_file(tmp_path: Path) -> None:
    program = (
        "import numpy as np; from pyopenface import columns, table; layout = columns.layout()\n"
        "w = table.CsvWriter('a.csv', layout); row = np.ones((1, len(layout)))\n"
        "while True: w.write_rows(row)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(table.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 60
    while not ((tmp_path / "a.csv").exists() and (tmp_path / "a.csv").stat().st_size > 100_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    text = (tmp_path / "a.csv").read_bytes()
    # The system may have been in the middle of a row; the reader says so and leaves it out.
    whole = text.endswith(b"\n")
    with contextlib.nullcontext() if whole else pytest.warns(UserWarning, match="incomplete"):
        assert len(table.read_openface_csv(tmp_path / "a.csv")) == text.count(b"\n") - 1 > 10


def test_a_file_without_rows_is_kept_or_removed(tmp_path: Path) -> None:
    for keep in (True, False):
        table.CsvWriter(tmp_path / f"{keep}.csv", SMALL, keep_empty=keep).close()
        assert (tmp_path / f"{keep}.csv").exists() == keep


def test_a_path_that_cannot_be_written_shows_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        table.CsvWriter(tmp_path / "nowhere" / "a.csv", SMALL)
    with pytest.raises(OutputError, match="nowhere"):
        table.to_openface_csv(table.to_dataframe(some_values(1), SMALL), tmp_path / "nowhere" / "a.csv")


@pytest.mark.skipif(
    not Path("/dev/full").exists(),
    reason="this system has no /dev/full to write to",
)
def test_a_full_disk_is_an_error_with_the_file_named() -> None:
    with pytest.raises(OutputError, match=r"/dev/full: can't be written: No space left"):
        table.CsvWriter("/dev/full", SMALL)


# --- post-processed action units -------------------------------------------------------------------


def test_action_units_are_replaced_and_all_else_keeps_its_text(golden: Path, tmp_path: Path) -> None:
    """The reference's own file, made from the same rows with other action units in them."""
    want = golden / "csv/feature_extraction_clnf/gap.csv.gz"
    df = table.read_openface_csv(want)
    values = df.to_numpy(np.float64)
    layout = columns.layout()
    units = layout.group("aus")
    before = values.copy()
    before[:, units] = 0.123
    with table.CsvWriter(tmp_path / "a.csv", layout) as writer:
        writer.write_rows(before)
        writer.rewrite_action_units(values[:, units][:, :17], values[:, units][:, 17:])
    assert (tmp_path / "a.csv").read_bytes() == gzip.decompress(want.read_bytes())
    assert [f.name for f in tmp_path.iterdir()] == ["a.csv"]


def test_a_failed_rewriting_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = table.CsvWriter(tmp_path / "a.csv", SMALL)
    writer.write_rows(some_values(5))
    before = (tmp_path / "a.csv").read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match="No space left"):
        writer.rewrite_action_units(np.zeros((5, 17)), np.zeros((5, 18)))
    assert (tmp_path / "a.csv").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_action_units_of_other_rows_are_refused(tmp_path: Path) -> None:
    writer = table.CsvWriter(tmp_path / "a.csv", SMALL)
    writer.write_rows(some_values(5))
    with pytest.raises(InputError, match="has 5 rows of 35 action unit columns"):
        writer.rewrite_action_units(np.zeros((4, 17)), np.zeros((4, 18)))
    writer.close()
    bare = table.CsvWriter(tmp_path / "b.csv", columns.layout(groups=["pose"]))
    with pytest.raises(InputError, match="0 action unit columns"):
        bare.rewrite_action_units(np.zeros((0, 17)), np.zeros((0, 18)))
    bare.close()


# --- Parquet ---------------------------------------------------------------------------------------


def test_parquet_keeps_digits_types_and_attrs(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    df = table.to_dataframe(some_values(5), SMALL, {"model": "CLNF"})
    table.to_parquet(df, tmp_path / "a.parquet")
    again = table.read_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(again, df)
    assert again.attrs == df.attrs


def test_parquet_takes_attrs_of_numpy_and_says_what_it_cannot_hold(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    df = table.to_dataframe(some_values(2), SMALL)
    df.attrs |= {"rate": np.int64(25), "rois": np.arange(4)}
    table.to_parquet(df, tmp_path / "a.parquet")
    attrs = table.read_parquet(tmp_path / "a.parquet").attrs
    assert attrs["rate"] == 25 and attrs["rois"] == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"can't be written as Parquet: .*note"):
        table.to_parquet(df.assign(note=[1, "a"]), tmp_path / "b.parquet")


def test_files_that_are_not_parquet_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_text("frame,success\n")
    for name in ("a.parquet", "absent.parquet"):
        with pytest.raises(InputError, match=name):
            table.read_parquet(tmp_path / name)


# --- wrong arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["plain", "with, comma", 'with "quotes"'])
def test_presences_of_pictures_keep_their_decimals_in_any_folder(folder: str, tmp_path: Path) -> None:
    with table.CsvWriter(tmp_path / "a.csv", SMALL, files=True) as writer:
        writer.write_rows(some_values(2), f"{folder}/face.jpg")
    df = table.read_openface_csv(tmp_path / "a.csv")
    assert df["file"].tolist() == [f"{folder}/face.jpg"] * 2
    table.to_openface_csv(df, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_what_is_no_table_or_path_is_refused_by_name(tmp_path: Path) -> None:
    df = table.to_dataframe(some_values(2), SMALL)
    wrong_tables = (None, [df], df.to_numpy())
    for write in (table.to_openface_csv, table.to_parquet):
        for wrong in wrong_tables:
            with pytest.raises(InputError, match=r"df: a table \(pandas.DataFrame\) expected, not a "):
                write(wrong, tmp_path / "a")
        with pytest.raises(InputError, match="path=5: expected a path"):
            write(df, 5)
    for read in (table.read_openface_csv, table.read_parquet):
        with pytest.raises(InputError, match="path=None: expected a path"):
            read(None)
    with pytest.raises(InputError, match="path=5: expected a path"):
        table.CsvWriter(5, SMALL)
    for open_file in (table.read_openface_csv, read_hog, HogWriter):
        with pytest.raises(InputError, match=r"path='a\\x00b': expected a path, and none has a zero byte"):
            open_file("a\0b")
    with pytest.raises(InputError, match="name=5: expected the name of a column"):
        columns.describe(5)
    assert not list(tmp_path.iterdir())
