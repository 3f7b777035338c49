"""Published files out of a folder or archive that somebody has: an OpenFace installation, a release.

Files are recognised by name and sha256, so the layout does not matter: not that of the source tree, of a
build, of a release, nor of a folder into which single files were saved. Names inside an archive never become
paths on disk.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pyopenface._manifest import ManifestFile
from pyopenface._model_check import LARGEST_TEXT
from pyopenface.errors import DownloadError
from pyopenface.models import ModelFolder

__all__ = ["take"]

BLOCK = 1 << 20
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Member:
    """A file of the source: its base name, its size in bytes, and how to open it."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def take(
    source: Path,
    wanted: Iterable[ManifestFile],
    target_of: Callable[[str], Path],
    report: Callable[[int], None],
) -> dict[str, str]:
    """
    Copy the wanted files out of a folder or archive.

    Parameters
    ----------
    source : pathlib.Path
        Folder, zip archive, tar archive (plain, gz, bz2, xz), or a single published file.
    wanted : iterable of ManifestFile
        What to look for.
    target_of : callable
        From a relative name to the place where the file goes.
    report : callable
        Told the number of bytes of each file that was copied.

    Returns
    -------
    dict
        The files that were not there, by relative name, and why.

    Raises
    ------
    DownloadError
        If the source does not exist, is of an unknown kind, or is broken.
    """
    pending: dict[str, list[ManifestFile]] = {}
    for file in wanted:
        pending.setdefault(Path(file.path).name, []).append(file)
    reasons = {file.path: "not there" for files in pending.values() for file in files}
    with _broken_archive_told(source):
        for member in _members(source, pending):
            candidates = [file for file in pending.get(member.name, []) if _may_be(member, file)]
            for file in pending.get(member.name, []):
                reasons[file.path] = "there, but not the published file"
            for file in _copy(member, candidates, target_of) if candidates else []:
                pending[member.name].remove(file)
                del reasons[file.path]
                report(file.size)
            if not reasons:
                break
    return {file.path: reasons[file.path] for files in pending.values() for file in files}


def _may_be(member: Member, file: ManifestFile) -> bool:
    with_windows_line_ends = file.path.endswith(".txt") and file.size < member.size <= LARGEST_TEXT
    return member.size == file.size or with_windows_line_ends


def _copy(
    member: Member, candidates: list[ManifestFile], target_of: Callable[[str], Path]
) -> list[ManifestFile]:
    """Copy a member to all candidates that it is; several published files can have the same content."""
    target = target_of(candidates[0].path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.take")
    try:
        digest = _copy_bytes(member, part)
        same = [file for file in candidates if file.sha256 == digest]
        if not same and member.name.endswith(".txt"):
            text = part.read_bytes().replace(b"\r\n", b"\n")
            digest = hashlib.sha256(text).hexdigest()
            same = [file for file in candidates if file.sha256 == digest]
            part.write_bytes(text)
        for file in same:
            place = target_of(file.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = place.with_name(part.name + ".copy")
            shutil.copyfile(part, copy)
            copy.replace(place)
        return same
    finally:
        part.unlink(missing_ok=True)


def _copy_bytes(member: Member, part: Path) -> str:
    digest = hashlib.sha256()
    left = member.size
    with member.open() as source, part.open("wb") as stream:
        while left > 0 and (block := source.read(min(BLOCK, left))):
            digest.update(block)
            stream.write(block)
            left -= len(block)
    return digest.hexdigest()


def _members(source: Path, names: Iterable[str]) -> Iterator[Member]:
    if source.is_dir():
        yield from _folder_members(source, names)
    elif not source.is_file():
        raise DownloadError(f"{source} does not exist")
    elif source.name in names:
        yield _file_member(source)
    elif zipfile.is_zipfile(source):
        yield from _zip_members(source)
    elif tarfile.is_tarfile(source):
        yield from _tar_members(source)
    else:
        raise DownloadError(
            f"{source} is neither a folder nor a zip or tar archive;"
            " unpack archives of other kinds and give the folder"
        )


def _file_member(path: Path) -> Member:
    return Member(path.name, path.stat().st_size, lambda: path.open("rb"))


def _folder_members(folder: Path, names: Iterable[str]) -> Iterator[Member]:
    known = ModelFolder.recognise(folder)
    roots = [*(known.roots if known else ()), folder]
    for root in roots:
        for parent, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(set(files).intersection(names)):
                if (path := Path(parent, name)).is_file():
                    yield _file_member(path)


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.flag_bits & 1:
                raise DownloadError(f"{path} is encrypted; unpack it and give the folder")
            if not entry.is_dir():
                name = PurePosixPath(entry.filename.replace("\\", "/")).name
                yield Member(name, entry.file_size, partial(archive.open, entry))


def _tar_members(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.isfile():
                name = PurePosixPath(entry.name).name
                yield Member(name, entry.size, partial(_opened, archive, entry))


def _opened(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(entry)
    if stream is None:
        raise tarfile.ReadError(f"{entry.name} can't be read")
    return stream


@contextmanager
def _broken_archive_told(source: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN_ARCHIVE as error:
        raise DownloadError(f"{source} is broken or not complete: {error}") from error
