"""FHOG descriptors in OpenFace's ``.hog`` files (``-hogalign``): read them whole, write them row by row."""

from __future__ import annotations

import os
from types import TracebackType

import numpy as np
import numpy.typing as npt

from pyopenface._options import file_path
from pyopenface._whole_writes import append
from pyopenface.errors import InputError, OutputError, SourceError

__all__ = ["HogWriter", "read_hog"]

SHAPE = (12, 12, 31)
_RECORD = np.dtype([("shape", "<i4", 3), ("good", "<f4"), ("fhog", "<f4", SHAPE)])


def read_hog(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """
    Read a ``.hog`` file, ours or OpenFace's.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    success : ndarray of bool, shape (n,)
        Whether the face was found; one element per row of the CSV file.
    fhog : ndarray of float32, shape (n, 12, 12, 31)
        The descriptors: row and column of the cell (8 x 8 px of the aligned face, the outermost cells left
        out), then 18 contrast sensitive orientations, 9 insensitive ones and 4 texture energies. Zeros where
        a video's frame has no face.

    Raises
    ------
    InputError
        If there is no path.
    SourceError
        If the file can't be read, is truncated, or is no ``.hog`` file of a 112 x 112 px face.

    Examples
    --------
    >>> import numpy as np
    >>> import pyopenface
    >>> with pyopenface.HogWriter("faces.hog") as hog:
    ...     hog.write(True, np.zeros((12, 12, 31), np.float32))
    >>> success, fhog = pyopenface.read_hog("faces.hog")
    >>> success, fhog.shape
    (array([ True]), (1, 12, 12, 31))
    """
    file = file_path("path", path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceError(f"can't read the HOG file {str(file)!r}: {error.strerror or error}") from error
    whole, rest = divmod(len(data), _RECORD.itemsize)
    records = np.frombuffer(data, _RECORD, whole)
    wrong = np.flatnonzero(
        (records["shape"] != SHAPE).any(axis=1) | ~np.isin(records["good"], np.array([-1.0, 1.0], np.float32))
    )
    if wrong.size:
        rows, columns, channels = (int(number) for number in records["shape"][wrong[0]])
        raise SourceError(
            f"{str(file)!r} is no HOG file of OpenFace's face descriptors: record {wrong[0]} (byte "
            f"{wrong[0] * _RECORD.itemsize}) claims {rows} x {columns} cells, {channels} channels, success "
            f"{float(records['good'][wrong[0]])}; 12 x 12, 31 and 1 or -1 expected"
        )
    if rest:
        raise SourceError(
            f"the HOG file {str(file)!r} is truncated, or no HOG file: {whole} records of "
            f"{_RECORD.itemsize} bytes, then {rest} bytes"
        )
    return records["good"] > 0, records["fhog"].astype(np.float32)


class HogWriter:
    """
    Write a ``.hog`` file as OpenFace does, one record per row of the CSV file.

    A context manager; rows reach the file as they are written, each whole or not at all, so no video is too
    long and an interrupted run keeps what it had.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.

    Raises
    ------
    InputError
        If there is no path.
    OutputError
        If the file can't be created or written.

    Examples
    --------
    >>> import numpy as np
    >>> with HogWriter("faces.hog") as hog:
    ...     hog.write(True, np.zeros((12, 12, 31), np.float32))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = file_path("path", path)
        self._path = str(file)
        try:
            self._file = file.open("wb", buffering=0)
        except OSError as error:
            raise self._failed(error) from error
        self._record = np.zeros(1, _RECORD)
        self._record["shape"] = SHAPE

    def write(self, success: bool, fhog: npt.ArrayLike) -> None:
        """
        Append one record.

        Parameters
        ----------
        success : bool
            Whether the face was found.
        fhog : array of float32, shape (12, 12, 31) or (4464,)
            The descriptor; zeros for a frame without a face.

        Raises
        ------
        InputError
            If the descriptor has another number of values.
        OutputError
            If the disk is full or the file was closed.

        Examples
        --------
        >>> import numpy as np
        >>> with HogWriter("faces.hog") as hog:
        ...     hog.write(False, np.zeros(4464, np.float32))
        """
        values = np.asarray(fhog, dtype=np.float32)
        if values.shape not in (SHAPE, (SHAPE[0] * SHAPE[1] * SHAPE[2],)):
            raise InputError(f"fhog: shape (12, 12, 31) or (4464,) expected, got {values.shape}")
        self._record["good"] = 1.0 if success else -1.0
        self._record["fhog"] = values.reshape(SHAPE)
        try:
            append(self._file, self._record.tobytes())
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """
        Finish the file. Closing twice does nothing.

        Raises
        ------
        OutputError
            If the last rows can't be written.

        Examples
        --------
        >>> HogWriter("empty.hog").close()
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or error
        return OutputError(f"can't write the HOG file {self._path!r}: {reason}")

    def __enter__(self) -> HogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
