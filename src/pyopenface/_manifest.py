"""The manifest of OpenFace's weights: size, sha256, addresses and use of every file, as data.

The one place of truth is ``third_party/OpenFace/manifest.json``. The build installs it into the package; a
source checkout reads it where it lies.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pyopenface.errors import InputError, ModelError

__all__ = ["Manifest", "ManifestFile", "load", "sha256_of", "third_party_folder"]

#: Seconds after which a file's time of change tells it from a later change, whatever the file system's clock.
SETTLED = 3.0


@dataclass(frozen=True)
class ManifestFile:
    """One published file: relative name, bytes, sha256, models that need it, publisher's addresses."""

    path: str
    size: int
    sha256: str
    models: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """All published files, and the archive that holds most of them."""

    files: tuple[ManifestFile, ...]
    archive: str = ""

    def __iter__(self) -> Iterator[ManifestFile]:
        return iter(self.files)

    def get(self, path: str) -> ManifestFile | None:
        """Look a file up by its relative name, such as ``model/main_clnf_general.txt``."""
        return next((file for file in self.files if file.path == path), None)

    def models(self) -> tuple[str, ...]:
        """Names of the models that the files belong to, in the order of the manifest's first mention."""
        return tuple(dict.fromkeys(model for file in self.files for model in file.models))

    def needed_by(self, model: str) -> tuple[ManifestFile, ...]:
        """List the files that a model needs, or all; raises InputError for a name that is unknown."""
        if model == "all":
            return self.files
        files = tuple(file for file in self.files if model in file.models)
        if not files:
            known = ", ".join([*self.models(), "all"])
            raise InputError(f"unknown set of weights {model!r}: choose one of {known}")
        return files


def third_party_folder() -> Path:
    """Find the folder with the manifest and upstream's licence text, installed or in a source checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "third_party" / "OpenFace", package.parents[1] / "third_party" / "OpenFace"):
        if (folder / "manifest.json").is_file():
            return folder
    raise ModelError(f"the manifest of OpenFace's weights is missing from the installation in {package}")


@lru_cache(maxsize=1)
def load() -> Manifest:
    """Read the manifest that came with this installation."""
    return parse((third_party_folder() / "manifest.json").read_text(encoding="utf-8"))


def parse(text: str) -> Manifest:
    """Read a manifest from its JSON text."""
    import json

    data = json.loads(text)
    files = tuple(
        ManifestFile(
            file["path"], file["size"], file["sha256"], tuple(file["models"]), tuple(file["addresses"])
        )
        for file in data["files"]
    )
    return Manifest(files, data.get("archive", ""))


def sha256_of(path: Path) -> str:
    """Hash a file's content; a file that did not change since the last call is not read again."""
    status = path.stat()
    if time.time() - status.st_mtime < SETTLED:
        return _hash(path)
    return _remembered_hash(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4096)
def _remembered_hash(path: Path, _size: int, _modified: int, _inode: int) -> str:
    return _hash(path)


def _hash(path: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def total_size(files: Iterable[ManifestFile]) -> str:
    """Sum of the files' sizes, for people to read."""
    return readable_size(sum(file.size for file in files))


def readable_size(size: int) -> str:
    """Write a number of bytes for people to read."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
