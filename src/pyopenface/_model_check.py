"""Is a file the published one? By size and sha256, with room for weights that somebody else trained.

CEN files are the only ones that are commonly replaced. One that is not the published file is walked through
by its record sizes (models.md, section 11.1): if it ends exactly where its last record does, it is "unknown
weights" that may be used; otherwise it is broken.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from pyopenface._manifest import ManifestFile, sha256_of

__all__ = ["FileStatus", "Status", "check", "unix_text"]

ELEMENT_SIZES = {4: 4, 5: 4, 6: 8}  # bytes of a matrix element by its type code
CEN_EXPERT_CODE = 6
LARGEST_TEXT = 16 << 20


class Status(str, Enum):
    """What `pyopenface.models.verify` found out about one file."""

    OK = "ok"
    MISSING = "missing"
    WRONG_SIZE = "wrong size"
    WRONG_SHA256 = "wrong sha256"
    UNKNOWN_WEIGHTS = "unknown weights"


@dataclass(frozen=True)
class FileStatus:
    """What `pyopenface.models.verify` says of a file: relative name, place (None if missing), status."""

    name: str
    path: Path | None
    status: Status

    @property
    def usable(self) -> bool:
        """True if the file is the published one, or a well-formed other one."""
        return self.status in (Status.OK, Status.UNKNOWN_WEIGHTS)


def check(name: str, path: Path | None, published: ManifestFile | None) -> FileStatus:
    """Compare a file with the published one; without a published one it is unknown weights."""
    if path is None:
        return FileStatus(name, None, Status.MISSING)
    if published is None:
        return FileStatus(name, path, Status.UNKNOWN_WEIGHTS)
    if path.stat().st_size != published.size:
        return FileStatus(name, path, _status_of_other_size(path, published))
    same = sha256_of(path) == published.sha256
    return FileStatus(name, path, Status.OK if same else Status.WRONG_SHA256)


def unix_text(path: Path) -> bytes | None:
    """Give a text file's content with Unix line ends; None if it has no Windows ones or is no text."""
    if path.suffix != ".txt" or path.stat().st_size > LARGEST_TEXT:
        return None
    content = path.read_bytes()
    return content.replace(b"\r\n", b"\n") if b"\r\n" in content and b"\0" not in content else None


def _status_of_other_size(path: Path, published: ManifestFile) -> Status:
    if path.suffix == ".dat" and "cen_patches" in path.name:
        return Status.UNKNOWN_WEIGHTS if _is_well_formed_cen(path) else Status.WRONG_SIZE
    import hashlib

    text = unix_text(path)
    if text is not None and hashlib.sha256(text).hexdigest() == published.sha256:
        return Status.OK
    return Status.WRONG_SIZE


def _is_well_formed_cen(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            _walk_cen(stream)
        except (struct.error, ValueError):
            return False
        return stream.tell() == path.stat().st_size


def _walk_cen(stream: BinaryIO) -> None:
    _scale, views = struct.unpack("<di", stream.read(12))
    if not 1 <= views <= 64:
        raise ValueError("views")
    for _ in range(views):
        _skip_matrix(stream)  # view centre
    landmarks = max([_skip_matrix(stream) for _ in range(views)])  # visibility
    _skip_matrix(stream)  # landmark mirror table
    _skip_matrix(stream)  # view mirror table
    for _ in range(views * landmarks):
        code, width, height, layers = struct.unpack("<4i", stream.read(16))
        if code != CEN_EXPERT_CODE or (width, height) != (11, 11) or not 0 <= layers <= 16:
            raise ValueError("expert")
        for _ in range(layers):
            stream.read(4)  # activation
            _skip_matrix(stream)  # bias
            _skip_matrix(stream)  # weights
        if len(stream.read(8)) != 8:  # confidence
            raise ValueError("confidence")


def _skip_matrix(stream: BinaryIO) -> int:
    """Step over a matrix and return its number of elements."""
    rows: int
    columns: int
    rows, columns, code = struct.unpack("<3i", stream.read(12))
    if not (0 < rows <= 4096 and 0 < columns <= 4096 and code in ELEMENT_SIZES):
        raise ValueError("matrix")
    stream.seek(rows * columns * ELEMENT_SIZES[code], 1)
    return rows * columns
