"""Fetching of weights: what is missing, from where, one process at a time, and what to say when it fails."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout
from tqdm import tqdm

from pyopenface import _manifest
from pyopenface._local_source import take
from pyopenface._manifest import Manifest, ManifestFile, readable_size, total_size
from pyopenface._model_check import Status, check
from pyopenface._transfer import AllSourcesFailed, Transfer
from pyopenface.errors import DownloadError, InputError
from pyopenface.models import CEN_FILES, ModelFolder, default_folder

__all__ = ["download"]

logger = logging.getLogger(__name__)

LOCK_NAME = ".pyopenface-download.lock"
FAILURES_BEFORE_GIVING_UP = 3
LICENCE_NOTE = (
    "The weights are OpenFace's, by Carnegie Mellon University, for academic or non-profit, non-commercial "
    "research use only; by downloading them you agree to OpenFace-license.txt, which is put beside them."
)
Report = Callable[[int], None]


def download(
    which: str | None,
    folder: str | os.PathLike[str] | None,
    from_: str | os.PathLike[str] | None,
    sources: Sequence[str] | None,
    *,
    progress: bool,
    timeout: float,
) -> ModelFolder:
    """Do what `pyopenface.models.download` promises."""
    manifest = _manifest.load()
    place = _place(folder)
    chosen = sources if sources is not None else os.environ.get("PYOPENFACE_MODEL_URL", "").split()
    bases = [chosen] if isinstance(chosen, str) else list(chosen) or ["upstream"]
    wanted = manifest.needed_by(which or ("all" if from_ is not None else "clnf"))
    if not _lacking(place, wanted):
        return _complete(place)
    _tell_licence()
    with _errors_of_the_disk_told(place), _alone_in(place.path):
        _copy_licence(place)
        lacking = _lacking(place, wanted)
        with _progress_bar(lacking, progress) as bar:
            if from_ is not None:
                _take_all(Path(from_).expanduser().absolute(), which, lacking, place, manifest, bar)
            else:
                _fetch_all(lacking, bases, place, manifest, bar, timeout)
    return _complete(place)


def _place(folder: str | os.PathLike[str] | None) -> ModelFolder:
    path = Path(folder).expanduser().absolute() if folder is not None else default_folder()
    return ModelFolder.recognise(path) or ModelFolder(path, (path,))


def _complete(place: ModelFolder) -> ModelFolder:
    return ModelFolder.recognise(place.path) or place


def _lacking(place: ModelFolder, wanted: Sequence[ManifestFile]) -> list[ManifestFile]:
    """List the files that are missing or broken; well-formed weights of somebody else are kept."""
    lacking = []
    for file in wanted:
        result = check(file.path, place.locate(file.path), file)
        if result.status is Status.UNKNOWN_WEIGHTS:
            logger.warning("%s are not the published weights; they are kept", result.path)
        elif result.status is not Status.OK:
            lacking.append(file)
    return lacking


def _take_all(
    source: Path,
    which: str | None,
    lacking: Sequence[ManifestFile],
    place: ModelFolder,
    manifest: Manifest,
    bar: tqdm[NoReturn],
) -> None:
    def report(size: int) -> None:
        bar.update(size)

    reasons = take(source, lacking, place.target, report)
    taken = len(lacking) - len(reasons)
    needed = [file for file in lacking if which or "clnf" in file.models]
    absent = [file.path for file in needed if file.path in reasons]
    some_model = any(not _lacking(place, manifest.needed_by(model)) for model in manifest.models())
    if not absent if which else taken and some_model:
        logger.info("%d files taken from %s", taken, source)
        return
    bar.close()
    listed = "\n".join(f"  {name}: {reasons[name]}" for name in absent[:6])
    more = f"\n  ... and {len(absent) - 6} more" if len(absent) > 6 else ""
    raise DownloadError(
        f"{source} does not have {len(absent)} of the files that {which or 'clnf'} needs"
        f" ({taken} files were taken from it):\n{listed}{more}"
    )


def _fetch_all(
    lacking: Sequence[ManifestFile],
    bases: Sequence[str],
    place: ModelFolder,
    manifest: Manifest,
    bar: tqdm[NoReturn],
    timeout: float,
) -> None:
    transfer = Transfer(timeout)
    failures: list[tuple[ManifestFile, AllSourcesFailed]] = []
    done = 0
    for file in lacking:

        def report(size: int, before: int = done) -> None:
            bar.update(before + size - bar.n)

        try:
            transfer.fetch(file, _addresses(file, bases), place.target(file.path), report)
            done += file.size
            report(0, done)
        except AllSourcesFailed as failure:
            failures.append((file, failure))
            if failure.unreachable or len(failures) == FAILURES_BEFORE_GIVING_UP:
                break
    if failures:
        bar.close()
        raise DownloadError(_failure_text(failures, _lacking(place, lacking), place, manifest))


def _addresses(file: ManifestFile, bases: Sequence[str]) -> list[str]:
    addresses: list[str] = []
    for base in bases:
        addresses += file.addresses if base == "upstream" else [f"{base.rstrip('/')}/{file.path}"]
    return addresses


def _failure_text(
    failures: Sequence[tuple[ManifestFile, AllSourcesFailed]],
    lacking: Sequence[ManifestFile],
    place: ModelFolder,
    manifest: Manifest,
) -> str:
    count = "1 file" if len(lacking) == 1 else f"{len(lacking)} files"
    lines = [f"{count} ({total_size(lacking)}) could not be downloaded."]
    for file, failure in failures:
        lines.append(f"{file.path}:")
        lines += [f"  {address}: {reason}" for address, reason in failure.reasons]
    if any(failure.unreachable for _, failure in failures):
        lines.append(
            "No internet connection, a proxy is needed (HTTPS_PROXY), or the server is blocked here."
        )
    lines.append("What you can do by hand: on a machine that can reach them, save")
    large = [file for file in lacking if file.path in CEN_FILES]
    small = [file for file in lacking if file.path not in CEN_FILES]
    if len(small) > 3 and manifest.archive:
        lines.append(f"  {manifest.archive} (holds all files but the four CEN files; some hundred MB)")
        small = []
    for file in [*small, *large]:
        size = f"{readable_size(file.size)}, sha256 {file.sha256}"
        lines.append(f"  {file.addresses[0] if file.addresses else file.path} ({size})")
    lines.append("and bring it here; then, with the folder or the archive that holds it,")
    lines.append(f"  pyopenface models download --from FOLDER_OR_ARCHIVE --folder {place.path}")
    lines.append("What has arrived is kept: the same command again goes on from there.")
    return "\n".join(lines)


@contextmanager
def _progress_bar(lacking: Sequence[ManifestFile], progress: bool) -> Iterator[tqdm[NoReturn]]:
    total = sum(file.size for file in lacking)
    # disable=None: tqdm itself is silent where standard error is no terminal.
    with tqdm(
        total=total, unit="B", unit_scale=True, desc="OpenFace's weights", disable=None if progress else True
    ) as bar:
        yield bar


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Another process downloads into %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _errors_of_the_disk_told(place: ModelFolder) -> Iterator[None]:
    try:
        yield
    except (DownloadError, InputError):
        raise
    except OSError as error:
        raise DownloadError(
            f"{error.filename or place.path}: {error.strerror or error} (--folder, PYOPENFACE_MODELS or"
            " PYOPENFACE_CACHE choose another folder for the weights)"
        ) from error


def _copy_licence(place: ModelFolder) -> None:
    """Put our own copy of the licence beside the weights; it must be there even if its address is gone."""
    licence = place.target("OpenFace-license.txt")
    ours = _manifest.third_party_folder() / "OpenFace-license.txt"
    if not licence.exists() and ours.is_file():
        licence.write_bytes(ours.read_bytes())


@lru_cache(maxsize=1)
def _tell_licence() -> None:
    print(LICENCE_NOTE, file=sys.stderr)
