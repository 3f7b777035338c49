"""From rows of numbers to a DataFrame, to OpenFace's CSV and Parquet files, and back.

The text of a CSV file is that of OpenFace 2.2 to the byte (tracking.md, section 12; action-units.md, 10.4).
What a table knows about itself beside its cells travels in ``df.attrs["openface"]``: ``kind`` and
``presence_decimals``. Writing rows needs no pandas, so it is imported by the functions that do.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import re
import stat
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyopenface._core import format_rows
from pyopenface._options import file_path
from pyopenface._whole_writes import append
from pyopenface.columns import Layout, find
from pyopenface.errors import Error, InputError, OutputError, StateError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CsvWriter",
    "read_openface_csv",
    "read_parquet",
    "to_dataframe",
    "to_openface_csv",
    "to_parquet",
]

PathLike = str | os.PathLike[str]

_PARQUET_KEY = b"pyopenface.attrs"
_MIXED_KEY = b"pyopenface.mixed"
#: Columns of numbers that can be replaced by names.
_FACES = ("face_id", "face")
# How C runtimes print a value that is not a number, beside what pandas knows.
_NOT_NUMBERS = [
    "-nan(ind)",
    "nan(ind)",
    "-nan(snan)",
    "nan(snan)",
    "1.#QNAN",
    "-1.#QNAN",
    "1.#IND",
    "-1.#IND",
]


def _register_accessor() -> None:
    import pyopenface.accessor  # noqa: F401  (importing it registers df.openface)


def plain(value: Any) -> Any:
    """What can be written as JSON and compared: pandas compares and copies ``df.attrs`` all the time."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def to_dataframe(
    values: npt.NDArray[np.float64], layout: Layout, attrs: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """A table of rows of numbers.

    Parameters
    ----------
    values : numpy.ndarray
        float64 (k, c), one column for each of the layout's. The DataFrame may share its memory.
    layout : Layout
        The columns.
    attrs : mapping, optional
        More to keep in ``df.attrs["openface"]``; must be JSON-able to survive Parquet.

    Returns
    -------
    pandas.DataFrame
        frame, face_id, face and success are int64, everything else float64.

    Raises
    ------
    InputError
        The array has another shape than the layout.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface import columns, table
    >>> layout = columns.layout(groups=["pose"])
    >>> table.to_dataframe(np.zeros((2, len(layout))), layout).dtypes["frame"]
    dtype('int64')
    """
    import pandas as pd

    _register_accessor()
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(layout):
        raise InputError(f"values: must have shape (k, {len(layout)}); got {values.shape}")
    first = 0  # the columns in front that are handled one by one: up to the last integer
    for i, column in enumerate(layout):
        first = i + 1 if column.integer else first
    frame: pd.DataFrame = pd.DataFrame(values[:, first:], columns=pd.Index(layout.names[first:]), copy=False)
    for i, column in enumerate(layout.columns[:first]):
        cells = values[:, i]
        frame.insert(i, column.name, cells.astype(np.int64) if column.integer else cells)
    frame.attrs["openface"] = {
        "kind": layout.kind,
        "presence_decimals": layout.presence_decimals,
        **dict(attrs or {}),
    }
    return frame


def _cell(text: str) -> bytes:
    """A cell of text; bytes of file names that are no UTF-8 are written out."""
    if re.search(r'[,"\r\n]', text):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode("utf-8", "backslashreplace")


def _header(names: Sequence[str], spaced: bool) -> bytes:
    return ((", " if spaced else ",").join(names) + "\n").encode()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the system's errors into OutputError."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of path when the block ends; path is untouched if the block fails."""
    with _writing(path):
        path = path.resolve()
        if path.exists() and not path.is_file():  # a pipe or a terminal
            with path.open("wb") as file:
                yield file
            return
        temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


class CsvWriter:
    """Write OpenFace's CSV while the rows come.

    Every call of `write_rows` puts whole rows into the file at once, without a buffer of our own: whatever
    happens to the program, the rows written so far are there and valid.

    Parameters
    ----------
    path : path-like
        The file; it is created at once, so that a wrong path shows before the work and not after it.
    layout : Layout
        The columns.
    spaced_header : bool
        Write ``frame, face_id, ...`` with a space after each comma, as before OpenFace 2.2.
    keep_empty : bool
        Whether `close` leaves a file that got no rows (it holds the header), or removes it.
    files : bool
        Put a column ``file`` in front, for rows of several pictures.

    Raises
    ------
    OutputError
        The file can't be created or written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from pyopenface import columns, table
    >>> layout = columns.layout(groups=["pose"])
    >>> with table.CsvWriter("pose.csv", layout) as writer:
    ...     writer.write_rows(np.zeros((3, len(layout))))
    >>> len(Path("pose.csv").read_text().splitlines())
    4
    """

    def __init__(
        self,
        path: PathLike,
        layout: Layout,
        spaced_header: bool = False,
        *,
        keep_empty: bool = True,
        files: bool = False,
    ) -> None:
        self.path = file_path("path", path)
        self.layout = layout
        self.rows = 0
        self._keep_empty = keep_empty
        self._files = files
        self._header = _header(["file", *layout.names] if files else layout.names, spaced_header)
        with _writing(self.path):
            self._file: io.FileIO | None = self.path.open("wb", buffering=0)
        try:
            self._append(self._header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> CsvWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, text: bytes) -> None:
        if self._file is None:
            raise StateError(f"{self.path}: is closed")
        with _writing(self.path):
            append(self._file, text)

    def write_rows(self, values: npt.NDArray[np.float64], file: str = "") -> None:
        """Append rows.

        Parameters
        ----------
        values : numpy.ndarray
            float64 (k, c), or (c,) for one row. A value that is not a number becomes an empty cell.
        file : str
            What stands in the column ``file``, if there is one.

        Raises
        ------
        InputError
            The shape isn't that of the layout.
        OutputError
            The file can't be written (a full disk). It then ends with the last whole row.
        StateError
            The writer is closed.
        """
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim == 1:
            rows = rows[None]
        if rows.ndim != 2 or rows.shape[1] != len(self.layout):
            raise InputError(f"values: must have shape (k, {len(self.layout)}); got {np.shape(values)}")
        text = format_rows(rows, self.layout.decimals, nan="")
        if self._files:
            front = _cell(file) + b","
            text = b"".join(front + line for line in text.splitlines(keepends=True))
        self._append(text)
        self.rows += len(rows)

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        if self._file is None:
            return
        with _writing(self.path):
            self._file.close()
            self._file = None
            if self.rows == 0 and not self._keep_empty:
                self.path.unlink(missing_ok=True)

    def rewrite_action_units(
        self, intensity: npt.NDArray[np.float64], presence: npt.NDArray[np.float64]
    ) -> None:
        """Replace the action units of all rows by post-processed ones; closes the file for more rows.

        All other cells keep their text; intensities and presences get two decimals (action-units.md, 10.4).
        The new file takes the place of the old one in one step: an interruption leaves the one or the other,
        both valid.

        Parameters
        ----------
        intensity : numpy.ndarray
            float64 (k, 17), row i of the file in row i, in the order of the columns AUxx_r.
        presence : numpy.ndarray
            float64 (k, 18), the same for AUxx_c.

        Raises
        ------
        InputError
            The layout has no action units, or the number of rows or columns differs.
        OutputError
            The new file can't be written; the old one is still there.
        """
        block = self.layout.group("aus")
        width = block.stop - block.start
        units = np.hstack([np.asarray(intensity, np.float64), np.asarray(presence, np.float64)])
        if width == 0 or units.shape != (self.rows, width):
            raise InputError(
                f"{self.path}: has {self.rows} rows of {width} action unit columns; got {units.shape} values"
            )
        self.close()
        if self.rows == 0:
            return
        with _replacing(self.path) as new, self.path.open("rb") as old:
            new.write(old.readline())
            two = np.full(width, 2, np.int32)
            for start in range(0, self.rows, 256):
                texts = format_rows(units[start : start + 256], two, nan="").splitlines(keepends=True)
                for text in texts:
                    kept = old.readline().rsplit(b",", width)[0]
                    new.write(kept + b"," + text)


def _check_table(df: pd.DataFrame) -> None:
    import pandas as pd

    if not isinstance(df, pd.DataFrame):
        raise InputError(f"df: a table (pandas.DataFrame) expected, not a {type(df).__name__}")
    repeated = df.columns[df.columns.duplicated()]
    if len(repeated):
        raise InputError(f"the table has several columns {repeated[0]!r}; rename or drop all but one")


def _decimals_of(df: pd.DataFrame, presence_decimals: int | None) -> list[int | None]:
    """Printed decimals of every column, None for those that OpenFace doesn't have."""
    import pandas as pd

    if presence_decimals is None:
        presence_decimals = df.attrs.get("openface", {}).get("presence_decimals") or 1
    picture = "face" in df.columns and "frame" not in df.columns
    decimals: list[int | None] = []
    for name in df.columns:
        column = find(name) if isinstance(name, str) else None
        if column is None or not pd.api.types.is_numeric_dtype(df[name].dtype):
            decimals.append(None)
        elif column.name == "confidence":
            decimals.append(3 if picture else 2)
        elif column.group == "aus" and column.name.endswith("_c"):
            decimals.append(presence_decimals)
        else:
            decimals.append(column.decimals)
    return decimals


def _row_texts(df: pd.DataFrame, decimals: Sequence[int | None]) -> bytes:
    """The lines of a table in which some columns are the user's own, joined from blocks of like columns."""
    blocks: list[list[str]] = []
    start = 0
    while start < df.shape[1]:
        stop = start + 1
        while stop < df.shape[1] and (decimals[stop] is None) == (decimals[start] is None):
            stop += 1
        part = df.iloc[:, start:stop]
        if decimals[start] is None:
            text = part.to_csv(index=False, header=False, lineterminator="\0")
            blocks.append(text.split("\0")[:-1])
        else:
            known = [d for d in decimals[start:stop] if d is not None]
            blocks.append(format_rows(part.to_numpy(np.float64), known, nan="").decode().splitlines())
        start = stop
    lines = "".join(",".join(cells) + "\n" for cells in zip(*blocks, strict=True))
    return lines.encode("utf-8", "backslashreplace")


def to_openface_csv(
    df: pd.DataFrame, path: PathLike, spaced_header: bool = False, *, presence_decimals: int | None = None
) -> None:
    """Write a table as OpenFace 2.2 prints it.

    Columns that OpenFace doesn't have are written as pandas does, missing values as empty cells. The file
    appears in one step when it is complete.

    Parameters
    ----------
    df : pandas.DataFrame
        With OpenFace's column names.
    path : path-like
        The file; compressed if it ends with ``.gz``.
    spaced_header : bool
        Write ``frame, face_id, ...`` with a space after each comma, as before OpenFace 2.2.
    presence_decimals : int, optional
        Decimals of AUxx_c. By default those that the table came with: 2 after post-processing of a whole
        video, else 1.

    Raises
    ------
    InputError
        No table or path is given, or several columns have the same name.
    OutputError
        The file can't be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from pyopenface import columns, table
    >>> layout = columns.layout(groups=["pose"])
    >>> df = table.to_dataframe(np.zeros((1, len(layout))), layout)
    >>> table.to_openface_csv(df, "pose.csv")
    >>> Path("pose.csv").read_text().splitlines()[1]
    '0,0,0.000,0.00,0,0.0,0.0,0.0,0.000,0.000,0.000'
    """
    path = file_path("path", path)
    _check_table(df)
    decimals = _decimals_of(df, presence_decimals)
    names = [str(name) for name in df.columns]
    header = _header([f'"{n}"' if re.search(r'[,"\n]', n) else n for n in names], spaced_header)
    with _replacing(path) as raw:
        file = gzip.GzipFile(path.name, "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
        file.write(header)
        for start in range(0, len(df), 1024):
            part = df.iloc[start : start + 1024]
            if None in decimals:
                file.write(_row_texts(part, decimals))
            else:
                known = [d for d in decimals if d is not None]
                file.write(format_rows(part.to_numpy(np.float64), known, nan=""))
        if file is not raw:
            file.close()


def _read_text(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _whole_rows(path: Path, text: bytes) -> bytes:
    """The text without a last line that an interrupted program left unfinished."""
    body = text.rstrip(b"\n")
    commas = text[: text.index(b"\n") + 1].count(b",")
    if b'"' in body or body.count(b",") == (body.count(b"\n") + 1) * commas:
        return body  # where a comma may stand in quotes, only the parser can count
    lines = body.split(b"\n")
    wrong = next((i for i, line in enumerate(lines) if line.count(b",") != commas), 0)
    cells = lines[wrong].count(b",") + 1
    if wrong == len(lines) - 1 and cells <= commas and not text.endswith(b"\n"):
        warnings.warn(f"{path}: the last line is incomplete and was left out", stacklevel=3)
        return b"\n".join(lines[:-1])
    raise InputError(f"{path}, line {wrong + 1}: {commas + 1} cells expected, got {cells}")


def _column_names(text: bytes) -> list[str]:
    """The names in the first line, without the spaces around them."""
    line = text[: text.index(b"\n")].decode()
    return [name.strip() for name in next(csv.reader([line], skipinitialspace=True))]


def _presence_decimals(body: bytes, names: Sequence[str]) -> int | None:
    """How many digits the file prints after the point of a presence."""
    columns = [i for i, name in enumerate(names) if re.fullmatch(r"AU\d\d_c", name)]
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""))
    next(rows)
    cells = next(rows, [])
    if not columns or len(cells) <= columns[0]:
        return None
    return len(cells[columns[0]].strip().partition(".")[2])


def read_openface_csv(path: PathLike) -> pd.DataFrame:
    r"""Read a CSV file of OpenFace, of any version, or of pyopenface.

    Column names lose the leading space that older versions print, a missing last line of an interrupted run
    is left out with a warning, and empty cells and whatever the C runtimes print for "not a number" become
    NaN.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed with gzip.

    Returns
    -------
    pandas.DataFrame
        The file's columns in their order; frame, face_id, face and success are int64 if they are whole
        numbers, other numbers are float64. Faces with names keep them beside the numbers of the others.

    Raises
    ------
    InputError
        The file is missing, empty or damaged, or has none of OpenFace's columns.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pyopenface import table
    >>> _ = Path("old.csv").write_text("frame, timestamp, confidence, success, AU12_r\n1, 0, 0.98, 1, 2.5\n")
    >>> table.read_openface_csv("old.csv")["AU12_r"].tolist()
    [2.5]
    """
    import pandas as pd

    _register_accessor()
    path = file_path("path", path)
    text = _read_text(path)
    if b"\n" not in text:
        raise InputError(f"{path}: has no line of column names")
    try:
        names = _column_names(text)
        body = _whole_rows(path, text)
        df: pd.DataFrame = pd.read_csv(
            io.BytesIO(body),
            header=0,
            names=names,
            index_col=False,
            skipinitialspace=True,
            na_values=_NOT_NUMBERS,
        )
    except Error:
        raise
    except ValueError as error:
        raise InputError(f"{path}: is not a CSV file: {error}") from error
    known = {name: column for name in names if (column := find(name))}
    if not known:
        raise InputError(f"{path}: has none of OpenFace's columns; it begins with {', '.join(names[:4])}")
    for name, column in known.items():
        cells = df[name]
        if not pd.api.types.is_numeric_dtype(cells.dtype) and len(cells) > 0:
            if name in _FACES:
                df[name] = _with_numbers(cells)
                continue
            bad = (pd.to_numeric(cells, errors="coerce").isna() & cells.notna()).to_numpy()
            row = int(np.argmax(bad))
            raise InputError(f"{path}, line {row + 2}: {name} is not a number: {cells.iloc[row]!r}")
        whole = column.integer and bool(np.all(cells.to_numpy(np.float64) % 1 == 0))
        wanted = np.int64 if whole else np.float64
        if cells.dtype != wanted:
            df[name] = cells.astype(wanted)
    df = df.copy()  # columns that were replaced one by one become a block again
    kind = "image" if "face" in known and "frame" not in known else "sequence"
    df.attrs["openface"] = {"kind": kind, "presence_decimals": _presence_decimals(body, names)}
    return df


def _with_numbers(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Faces that have names, as text; those that were not given one have their numbers back."""
    faces = [int(cell) if re.fullmatch(r"-?\d+", str(cell)) else cell for cell in cells]
    result = cells.astype(object)
    result[:] = faces
    return result


def _is_mixed(cells: pd.Series[Any]) -> bool:
    return cells.dtype == object and len({type(cell) for cell in cells}) > 1


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise Error("Parquet files need pyarrow: pip install 'pyopenface[parquet]'") from error
    return pyarrow


def to_parquet(df: pd.DataFrame, path: PathLike) -> None:
    """Write a table as Parquet; all digits and ``df.attrs`` are kept.

    Parameters
    ----------
    df : pandas.DataFrame
        Any table.
    path : path-like
        The file; it appears in one step when it is complete.

    Raises
    ------
    InputError
        No table or path is given, several columns have the same name, or one has cells of kinds that Parquet
        can't hold together.
    OutputError
        The file can't be written.
    Error
        pyarrow is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface import columns, table
    >>> layout = columns.layout(groups=["pose"])
    >>> df = table.to_dataframe(np.ones((2, len(layout))), layout)
    >>> table.to_parquet(df, "pose.parquet")
    >>> table.read_parquet("pose.parquet").equals(df)
    True
    """
    pyarrow = _pyarrow()
    path = file_path("path", path)
    _check_table(df)
    # Parquet columns have one type: numbers of faces beside names become text, and numbers when read.
    mixed = {name: df[name].astype(str) for name in _FACES if name in df and _is_mixed(df[name])}
    stored = df.assign(**mixed)
    stored.attrs = plain(df.attrs)
    try:
        arrow = pyarrow.Table.from_pandas(stored)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the table can't be written as Parquet: {error}") from error
    metadata = {
        **(arrow.schema.metadata or {}),
        _PARQUET_KEY: json.dumps(stored.attrs).encode(),
        _MIXED_KEY: json.dumps(list(mixed)).encode(),
    }
    with _replacing(path) as file:
        pyarrow.parquet.write_table(arrow.replace_schema_metadata(metadata), file)


def read_parquet(path: PathLike) -> pd.DataFrame:
    """Read a table that `to_parquet` wrote, with its ``attrs``.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        The file is missing or not a Parquet file.
    Error
        pyarrow is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from pyopenface import table
    >>> table.to_parquet(pd.DataFrame({"frame": [1, 2]}), "frames.parquet")
    >>> table.read_parquet("frames.parquet")["frame"].tolist()
    [1, 2]
    """
    _register_accessor()
    pyarrow = _pyarrow()
    path = file_path("path", path)
    try:
        arrow = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{path}: can't be read as Parquet: {error}") from error
    df: pd.DataFrame = arrow.to_pandas()  # its index and dtypes come from pandas' own metadata
    metadata = arrow.schema.metadata or {}
    for name in json.loads(metadata.get(_MIXED_KEY, b"[]")):
        df[name] = _with_numbers(df[name])
    df.attrs.update(json.loads(metadata.get(_PARQUET_KEY, b"{}")))
    return df
