"""Many videos: one after the other or several at a time, each with a CSV of its own and its own errors."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pyopenface._options import file_path, whole_number
from pyopenface.engine import thread_count
from pyopenface.errors import DownloadError, Error, InputError, SourceError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OnError", "analyze_videos", "csv_names", "each"]

OnError = Literal["raise", "skip"]
T = TypeVar("T")
#: Called for every frame, as the analysis' ``on_frame``.
Hook = Callable[..., object]

_log = logging.getLogger("pyopenface")


def csv_names(sources: Sequence[Any]) -> list[Path]:
    """Give every video a file name of its own.

    Parameters
    ----------
    sources : sequence
        Paths, addresses, indices of cameras.

    Returns
    -------
    list of pathlib.Path
        Relative: ``talk.csv`` for ``somewhere/talk.mp4``. If that gives two videos one name, the folders
        below the one that all have in common are kept, and after that the suffixes.

    Raises
    ------
    InputError
        The same video stands there twice.

    Examples
    --------
    >>> from pyopenface.batch import csv_names
    >>> [name.as_posix() for name in csv_names(["a/talk.mp4", "a/walk.mp4"])]
    ['talk.csv', 'walk.csv']
    >>> [name.as_posix() for name in csv_names(["p1/talk.mp4", "p2/talk.mp4"])]
    ['p1/talk.csv', 'p2/talk.csv']
    """
    texts = [_text(source) for source in sources]
    local = [Path(os.path.abspath(text)) for text in texts if "://" not in text]  # noqa: PTH100  (keeps links)
    common = Path(os.path.commonpath([path.parent for path in local])) if local else Path()

    def file(text: str) -> Path:
        if "://" in text:
            return Path(re.sub(r"[^\w.-]+", "_", text.rstrip("/").rsplit("/", 1)[-1]) or "output")
        return Path(os.path.abspath(text)).relative_to(common)  # noqa: PTH100

    files = [file(text) for text in texts]
    for way in (
        [Path(f"{path.stem}.csv") for path in files],
        [path.parent / f"{path.stem}.csv" for path in files],
        [path.parent / f"{path.name}.csv" for path in files],
    ):
        names = Counter(os.path.normcase(name) for name in way)
        if len(names) == len(way):
            return way
    twice = next(text for text, name in zip(texts, way, strict=True) if names[os.path.normcase(name)] > 1)
    raise InputError(f"{twice}: given twice, or two addresses end alike; each needs an output of its own")


def _text(source: Any) -> str:
    return os.fsdecode(source) if isinstance(source, str | bytes | os.PathLike) else str(source)


def each(work: Callable[[int, int | None, Hook | None], T], count: int, workers: int) -> Iterator[T | Error]:
    """Do a piece of work for each of several videos; one that fails doesn't stop the others.

    Parameters
    ----------
    work : callable
        Gets the number of the video, from 0, the number of threads to use (None: free choice) and a function
        to call for every frame (None: not needed), which ends the work after Ctrl-C.
    count : int
        How many videos.
    workers : int
        How many at a time.

    Yields
    ------
    T or Error
        What the work returned, or the error of pyopenface that it raised, in order.

    Raises
    ------
    InputError
        A number of workers below 1.

    Examples
    --------
    >>> from pyopenface.batch import each
    >>> list(each(lambda number, threads, hook: number * 10, 3, workers=2))
    [0, 10, 20]
    """
    workers = min(whole_number("workers", workers), max(count, 1))
    if workers == 1:
        for number in range(count):
            yield _tried(work, number, None, None)
        return
    stopped = threading.Event()

    def hook(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    threads = max(1, thread_count(None) // workers)
    with ThreadPoolExecutor(workers, thread_name_prefix="video") as pool:
        futures = [pool.submit(_tried, work, number, threads, hook) for number in range(count)]
        try:
            for future in futures:
                yield future.result()
        finally:  # also when the reader has had enough
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _tried(
    work: Callable[[int, int | None, Hook | None], T], number: int, threads: int | None, hook: Hook | None
) -> T | Error:
    try:
        return work(number, threads, hook)
    except Error as error:
        return error


def analyze_videos(
    sources: Sequence[Any],
    *,
    output: str | os.PathLike[str] | None = None,
    on_error: OnError = "raise",
    workers: int = 1,
    **settings: Any,
) -> pd.DataFrame:
    """Analyse several videos into one table with a column ``file``; what ``analyze`` does with a list.

    Parameters
    ----------
    sources : sequence
        Paths or addresses.
    output : path, optional
        A folder for one CSV per video, named by `csv_names`.
    on_error : {"raise", "skip"}
        What to do about a video that can't be had or read.
    workers : int
        Videos at a time.
    **settings
        As for `pyopenface.analyze`.

    Returns
    -------
    pandas.DataFrame
        ``df.attrs["input"]`` lists the videos in it, ``df.attrs["failed"]`` maps those that were skipped to
        the reason.

    Raises
    ------
    Error
        As for `pyopenface.analyze`; with "skip" only if no video could be analysed.

    Examples
    --------
    >>> from pyopenface.batch import analyze_videos
    >>> df = analyze_videos(["a.mp4", "b.mp4"], on_error="skip", workers=2)  # doctest: +SKIP
    """
    from pyopenface.analyze import analyze

    names = None if output is None else [file_path("output", output) / name for name in csv_names(sources)]
    different = {_text(source): source for source in sources}  # rows of one given twice can't be told apart
    if len(different) < len(sources):
        _log.warning("%d of %d videos: the others were given twice", len(different), len(sources))
        sources = list(different.values())
    for name in names or ():
        name.parent.mkdir(parents=True, exist_ok=True)
    tell = settings.pop("on_frame", None)

    def work(number: int, threads: int | None, hook: Hook | None) -> pd.DataFrame:
        def on_frame(*arguments: Any) -> object:
            if hook is not None:
                hook()
            return tell is None or tell(*arguments)

        return analyze(
            sources[number],
            **{
                **settings,
                "threads": settings.get("threads") or threads,
                "on_frame": tell if hook is None else on_frame,
                "output": None if names is None else names[number],
            },
        )

    tables: dict[str, pd.DataFrame] = {}
    failed: dict[str, Error] = {}
    for source, result in zip(sources, each(work, len(sources), workers), strict=True):
        video = _text(source)
        if not isinstance(result, Error):
            tables[video] = result
            continue
        # Damaged weights or a full disk are no fault of the video.
        if on_error == "raise" or not isinstance(result, SourceError | DownloadError | InputError):
            raise result
        _log.warning("left out: %s", result)
        failed[video] = result
    if not tables:
        raise next(iter(failed.values()))
    return _joined(tables, failed)


def _joined(tables: dict[str, pd.DataFrame], failed: dict[str, Error]) -> pd.DataFrame:
    import pandas as pd

    attributes = [table.attrs for table in tables.values()]
    for name, table in tables.items():
        table.insert(0, "file", name)
        table.attrs = {}
    joined: pd.DataFrame = pd.concat(tables.values(), ignore_index=True)
    common = {key: value for key, value in attributes[0].items() if all(a[key] == value for a in attributes)}
    joined.attrs = {
        **common,
        "input": list(tables),
        "camera": common.get("camera"),
        "truncated": any(a["truncated"] for a in attributes),
        "failed": {name: str(error) for name, error in failed.items()},
    }
    return joined
