"""Rows that reach a file whole or not at all, whatever interrupts the program."""

from __future__ import annotations

import contextlib
import io

__all__ = ["append"]


def append(file: io.FileIO, data: bytes) -> None:
    """
    Write to the end of an unbuffered file; if that fails, the file ends where it ended before.

    Parameters
    ----------
    file : io.FileIO
        Open for writing, without a buffer.
    data : bytes
        One or more whole rows.

    Raises
    ------
    OSError
        The disk is full, or the like.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pyopenface._whole_writes import append
    >>> with Path("rows.txt").open("wb", buffering=0) as file:
    ...     append(file, b"row 1")
    >>> Path("rows.txt").read_text()
    'row 1'
    """
    before = file.tell() if file.seekable() else None
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except BaseException:  # half a row must not stay: a full disk, or Ctrl-C between two parts
        if before is not None:
            with contextlib.suppress(OSError):
                file.truncate(before)
                file.seek(before)
        raise
