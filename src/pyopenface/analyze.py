"""`analyze`: a video, picture, camera, address or array in, a DataFrame with OpenFace's columns out."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pyopenface import _core
from pyopenface._options import file_path, whole_number
from pyopenface.columns import Layout
from pyopenface.engine import (
    ActionUnits,
    Identity,
    Models,
    Result,
    Run,
    check_camera,
    load_models,
    thread_count,
)
from pyopenface.errors import InputError
from pyopenface.face import Face, faces_from_rows
from pyopenface.sources import Frame, ImageSource, Source, open_source
from pyopenface.sources.arrays import is_picture
from pyopenface.weights import kind_of_units

if TYPE_CHECKING:
    import pandas as pd

    from pyopenface.batch import OnError

__all__ = ["analyze", "analyze_iter"]

Kind = Literal["auto", "video", "pictures"]
Camera = tuple[float, float, float, float]
#: Called with every frame's number, time in seconds and faces; returning False ends the analysis.
OnFrame = Callable[[int, float, list[Face]], object]

_log = logging.getLogger("pyopenface")


def analyze(
    source: Any,
    *,
    model: str | os.PathLike[str] = "auto",
    models: str | os.PathLike[str] | None = None,
    au: ActionUnits | None = "dynamic",
    postprocess: bool = True,
    max_faces: int = 1,
    identity: Identity = "slot",
    kind: Kind = "auto",
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    fps: float | None = None,
    roi: Sequence[int] | None = None,
    timestamps: str | Sequence[float] | npt.NDArray[Any] = "auto",
    camera: Camera | None = None,
    wild: bool = False,
    multi_view: bool = False,
    parameters: _core.LandmarkParameters | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    on_frame: OnFrame | None = None,
    output: str | os.PathLike[str] | None = None,
    rgb: bool = False,
    on_error: OnError = "raise",
    workers: int = 1,
    download: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Analyse the faces in a video or in pictures.

    Parameters
    ----------
    source
        A video file; an image file; a folder or list of images; the index of a camera; an address
        (``"https://youtu.be/…"``); an array of frames (N, H, W, 3) or one picture (H, W, 3), uint8, channels
        B, G, R; any iterable of such frames. A list of videos gives one table with a column ``file``.
    model, models
        The landmark model (``"auto"``: CE-CLM if its weights are there, else CLNF) and the folder of the
        weights.
    au : {"dynamic", "static"} or None
        Action units: calibrated to the person over the video, as OpenFace does for one face; or without
        calibration, as it does for several faces and pictures; or none.
    postprocess : bool
        With one face: repeat and smooth the action units at the end of the video as OpenFace does. Otherwise
        they are the raw predictions of the moment, not limited to 0 … 5.
    max_faces : int
        More than 1 follows several faces, with OpenFace's rules for that many trackers.
    identity : {"slot", "track"}
        With several faces: ids are numbers of trackers, which take any face that comes next, as in OpenFace;
        or of people, and survive losses and crossings. With ``"track"`` faces whose identity is not clear
        yet have no row, and ``au="dynamic"`` calibrates to each person.
    kind : {"auto", "video", "pictures"}
        How to take images: as the frames of a video with one person, or each for itself with all its faces.
        ``"auto"``: numbered files of one size are a video.
    start, end, every, fps, roi, timestamps, download
        Which part of the source to analyse, see `pyopenface.sources.open_source`. Positions are those in the
        whole picture.
    camera : tuple of float, optional
        fx, fy, cx, cy in pixels; by default guessed from the picture size as OpenFace does.
    wild, multi_view, parameters
        OpenFace's settings for difficult images; try several rotations in pictures; or any settings of the
        fit, as `LandmarkParameters`.
    threads : int, optional
        1, or more to overlap decoding, fitting and measuring; by default as many as this process may use, at
        most 4. The results don't depend on it.
    progress : bool, optional
        Show progress bars, of the download and of the analysis; by default the first always, the second on a
        terminal or in a notebook, if the input is long.
    on_frame : callable, optional
        ``on_frame(number, timestamp, faces)`` for every frame; returning False ends the analysis.
    output : path, optional
        Also write OpenFace's CSV there, row by row: an interrupted run leaves its finished rows. The rows of
        several pictures have a column ``file`` in front. For a list of videos a folder with a CSV for each.
    rgb : bool
        True if the arrays have the channel order R, G, B (PIL, imageio, PyAV); OpenCV's is B, G, R.
    on_error : {"raise", "skip"}
        In a list of videos: stop at one that can't be read, or leave it out, log a warning and note it in
        ``df.attrs["failed"]``.
    workers : int
        In a list of videos: how many to analyse at a time. Memory holds all rows of all videos; for thousands
        of videos use ``pyopenface extract``, or a loop.
    download
        Options for downloads, see `pyopenface.youtube.fetch`.

    Returns
    -------
    pandas.DataFrame
        OpenFace 2.2's columns. Videos have one row per decoded frame (several faces: one per frame and face),
        pictures one per face. ``df.attrs`` says how the numbers came about: model, weights with checksums,
        kind of action units, camera, decoder, version. ``df.openface`` has what to do next.

    Raises
    ------
    SourceError
        The input is missing or can't be decoded.
    ModelError
        Weights are missing or damaged.
    InputError
        An option or a frame can't be used.

    Examples
    --------
    >>> import pyopenface
    >>> df = pyopenface.analyze("interview.mp4")  # doctest: +SKIP
    >>> df[["timestamp", "confidence", "AU12_r"]].head(1)  # doctest: +SKIP
       timestamp  confidence  AU12_r
    0        0.0        0.98    0.41
    """
    if on_error not in ("raise", "skip"):
        raise InputError(f"on_error={on_error!r}: expected 'raise' or 'skip'")
    whole_number("workers", workers)
    if progress is not None and isinstance(download, Mapping | None):
        download = {"progress": bool(progress), **(download or {})}
    options: dict[str, Any] = {
        "start": start, "end": end, "every": every, "fps": fps, "roi": roi, "timestamps": timestamps,
        "rgb": rgb, "download": download,
    }  # fmt: skip
    settings: dict[str, Any] = {
        "model": model, "models": models, "au": au, "postprocess": postprocess, "max_faces": max_faces,
        "identity": identity, "kind": kind, "camera": camera, "wild": wild, "multi_view": multi_view,
        "parameters": parameters, "threads": threads, "progress": progress, "on_frame": on_frame,
    }  # fmt: skip
    if _is_list_of_videos(source):
        from pyopenface.batch import analyze_videos

        return analyze_videos(
            source, output=output, on_error=on_error, workers=workers, **options, **settings
        )
    with open_source(_one_picture(source), **options) as opened:
        analysis = _Analysis(opened, source_options=options, **settings)
        return analysis.to_dataframe(output)


class Summary(NamedTuple):
    """What went into a CSV: decoded frames (or pictures), rows, and their mean confidence."""

    frames: int
    rows: int
    confidence: float


def write_csv(source: Any, output: str | os.PathLike[str], **settings: Any) -> Summary:
    """Do what ``analyze(source, output=output)`` does, without the table: for programs that want the file.

    Parameters
    ----------
    source, **settings
        As for `analyze`, but for lists of videos.
    output : path
        The CSV.

    Returns
    -------
    Summary
        Decoded frames, rows and their mean confidence.

    Raises
    ------
    SourceError, ModelError, InputError, OutputError
        As for `analyze`.

    Examples
    --------
    >>> from pyopenface.analyze import write_csv
    >>> write_csv("interview.mp4", "interview.csv").rows  # doctest: +SKIP
    288
    """
    names = ("start", "end", "every", "fps", "roi", "timestamps", "download")
    options = {name: settings.pop(name) for name in names if name in settings}
    analysis_settings: dict[str, Any] = {
        "model": "auto", "models": None, "au": "dynamic", "max_faces": 1, "identity": "slot", "kind": "auto",
        "camera": None, "wild": False, "multi_view": False, "threads": None,
    } | settings  # fmt: skip
    with open_source(_one_picture(source), **options) as opened:
        return _Analysis(opened, source_options=options, **analysis_settings).to_csv(output)


def analyze_iter(
    source: Any,
    *,
    model: str | os.PathLike[str] = "auto",
    models: str | os.PathLike[str] | None = None,
    au: ActionUnits | None = "dynamic",
    max_faces: int = 1,
    identity: Identity = "slot",
    kind: Kind = "auto",
    camera: Camera | None = None,
    wild: bool = False,
    multi_view: bool = False,
    threads: int | None = None,
    parameters: _core.LandmarkParameters | None = None,
    live: bool = False,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    fps: float | None = None,
    roi: Sequence[int] | None = None,
    timestamps: str | Sequence[float] | npt.NDArray[Any] = "auto",
    rgb: bool = False,
    download: Mapping[str, Any] | None = None,
) -> Generator[tuple[int, float, list[Face]], None, None]:
    """Analyse frame by frame: for live and unbounded input, with bounded memory.

    Parameters
    ----------
    source, model, models, au, max_faces, identity, kind, camera, wild, multi_view, threads, parameters
        As for `analyze`.
    live : bool
        Correct the action units online (OpenFace's rule for cameras), since there is no end of the video at
        which to post-process them. Otherwise they are the raw predictions of the moment.
    start, end, every, fps, roi, timestamps, rgb, download
        As for `analyze`.

    Yields
    ------
    number : int
        Number of the frame, from 1.
    timestamp : float
        Seconds.
    faces : list of Face
        One face record per face; in a video of one face always one, with `success` False while none is found.

    Raises
    ------
    SourceError, ModelError, InputError
        As for `analyze`.

    Examples
    --------
    >>> from pyopenface import analyze_iter
    >>> for number, timestamp, faces in analyze_iter(0):  # doctest: +SKIP
    ...     print(timestamp, [face.gaze_angle for face in faces])
    """
    options: dict[str, Any] = {
        "start": start, "end": end, "every": every, "fps": fps, "roi": roi, "timestamps": timestamps,
        "rgb": rgb, "download": download,
    }  # fmt: skip
    with open_source(_one_picture(source), **options) as opened:
        analysis = _Analysis(
            opened, model=model, models=models, au=au, max_faces=max_faces, identity=identity, kind=kind,
            camera=camera, wild=wild, multi_view=multi_view, threads=threads, parameters=parameters,
            live=live, history=False, source_options=options,
        )  # fmt: skip
        names = tuple(analysis.run.columns)
        with contextlib.closing(analysis.run.results(opened)) as results:
            for result in results:
                yield (
                    result.frame.number,
                    result.frame.timestamp,
                    faces_from_rows(
                        result.rows, names, result.accepted, result.likelihoods, result.identity_confidences
                    ),
                )


def _is_list_of_videos(source: Any) -> bool:
    from pyopenface.sources.images import IMAGE_EXTENSIONS

    if not isinstance(source, list | tuple) or not source:
        return False
    if not all(isinstance(item, str | bytes | os.PathLike) for item in source):
        return False
    names = [os.fsdecode(item) for item in source]
    return any("://" in name or Path(name).suffix.lower() not in IMAGE_EXTENSIONS for name in names)


def _one_picture(source: Any) -> Any:
    """One picture given as an array becomes an array of one frame."""
    return source[np.newaxis] if isinstance(source, np.ndarray) and is_picture(source) else source


def _looks_like_a_video(source: ImageSource) -> bool:
    """Numbered files (frame_001.png, frame_002.png, …) of one size are the frames of a video."""
    from pyopenface.sources import read_image

    matches = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in source.paths]
    numbered = [(match[1], int(match[2])) for match in matches if match is not None]
    if (
        len(source.paths) < 3
        or len(numbered) != len(source.paths)
        or len({prefix for prefix, _ in numbered}) != 1
    ):
        return False
    numbers = sorted(number for _, number in numbered)
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return False
    return len({read_image(path).shape for path in source.paths[:5]}) == 1


def _taken_as(source: Source, kind: Kind) -> Literal["video", "pictures"]:
    if kind not in ("auto", "video", "pictures"):
        raise InputError(f"kind={kind!r}: expected 'auto', 'video' or 'pictures'")
    if kind != "auto":
        return kind
    if isinstance(source, ImageSource):
        if not _looks_like_a_video(source):
            return "pictures"
        _log.info(
            "%s: numbered images of one size, taken as a video (kind='pictures' takes each for itself)",
            source.name,
        )
        return "video"
    return "pictures" if source.total == 1 and source.fps == 0 else "video"


class _Analysis:
    """A source, loaded weights and the run between them; knows how the numbers came about."""

    def __init__(
        self,
        source: Source,
        *,
        model: str | os.PathLike[str],
        models: str | os.PathLike[str] | None,
        au: ActionUnits | None,
        max_faces: int,
        identity: Identity,
        kind: Kind,
        camera: Camera | None,
        wild: bool,
        multi_view: bool,
        threads: int | None,
        source_options: Mapping[str, Any],
        parameters: _core.LandmarkParameters | None = None,
        postprocess: bool = True,
        progress: bool | None = None,
        on_frame: OnFrame | None = None,
        live: bool = False,
        history: bool = True,
    ) -> None:
        if on_frame is not None and not callable(on_frame):
            raise InputError(f"on_frame={on_frame!r}: expected a function")
        if parameters is not None and not isinstance(parameters, _core.LandmarkParameters):
            raise InputError(f"parameters={parameters!r}: expected LandmarkParameters")
        if parameters is not None and (wild or multi_view):
            raise InputError("wild= and multi_view= are settings within parameters=: give one or the other")
        if au not in ("dynamic", "static", None):
            raise InputError(f"au={au!r}: expected 'dynamic', 'static' or None")
        max_faces = whole_number("max_faces", max_faces, most=1000)
        if identity not in ("slot", "track"):
            raise InputError(f"identity={identity!r}: expected 'slot' or 'track'")
        if identity == "track" and max_faces == 1:
            raise InputError("identity='track' tells several people apart: give max_faces, 2 or more")
        if camera is not None:
            camera = check_camera(camera)
        self.source = source
        self.taken_as = _taken_as(source, kind)
        self.several_pictures = self.taken_as == "pictures" and source.total != 1
        identity = identity if self.taken_as == "video" else "slot"
        self.au = kind_of_units(au, max_faces, identity, self.taken_as == "pictures")
        self.models: Models = load_models(models, model, self.au)
        self.postprocess = postprocess
        self.progress = progress
        self.on_frame = on_frame
        self.source_options = source_options
        self.units: npt.NDArray[np.float64] | None = None
        program = (
            "pictures" if self.taken_as == "pictures" else "several_faces" if max_faces > 1 else "single_face"
        )
        self.run = Run(
            self.models,
            program,  # type: ignore[arg-type]
            parameters=parameters or self._parameters(wild, multi_view),
            max_faces=max_faces,
            identity=identity,
            camera=camera,
            threads=thread_count(threads),
            live=live,
            history=history,
        )

    def _parameters(self, wild: bool, multi_view: bool) -> _core.LandmarkParameters:
        parameters = self.models.fit_parameters(wild)
        parameters.multi_view = parameters.multi_view or multi_view
        return parameters

    def to_dataframe(self, output: str | os.PathLike[str] | None) -> pd.DataFrame:
        from pyopenface import table

        blocks: list[npt.NDArray[np.float64]] = []
        files: list[str] = []
        for result, rows in self._written(output):
            blocks.append(rows)
            files += [_name_of(result.frame)] * len(rows)
        values = np.concatenate(blocks) if blocks else np.empty((0, len(self.layout)))
        if self.units is not None:
            values[:, self.layout.group("aus")] = self.units
        frame = table.to_dataframe(values, self.layout)
        if self.units is not None:  # as in the files of OpenFace, and in ours
            frame.attrs["openface"]["presence_decimals"] = 2
        if self.several_pictures:
            frame.insert(0, "file", files)
        frame.attrs.update(self._attributes(postprocessed=self.units is not None))
        return frame

    def to_csv(self, output: str | os.PathLike[str]) -> Summary:
        """Write the CSV only: no table is kept, and pandas is not imported."""
        confidence = self.layout.names.index("confidence")
        frames, count, total = 0, 0, 0.0
        for _, rows in self._written(output):
            frames += 1
            count += len(rows)
            total += float(rows[:, confidence].sum())
        return Summary(frames, count, total / count if count else math.nan)

    def _written(
        self, output: str | os.PathLike[str] | None
    ) -> Generator[tuple[Result, npt.NDArray[np.float64]], None, None]:
        """Each result with its rows in the order of the layout, written to the CSV if there is one. After
        the last, `units` has the post-processed action units of all rows if there are any.
        """
        from pyopenface import table

        if output is not None:
            self._check_output(output)
        layout = self.layout
        keep = [self.run.columns.index("face_id" if name == "face" else name) for name in layout.names]
        order = np.array(keep, np.intp)
        with contextlib.ExitStack() as stack:
            writer = None
            if output is not None:
                writer = stack.enter_context(table.CsvWriter(output, layout, files=self.several_pictures))
            ids: list[float] = []
            for result in self._results():
                rows = result.rows.take(order, axis=1)
                if self.run.identity == "track":
                    ids += rows[:, layout.position("face_id")].tolist()
                if writer is not None:
                    writer.write_rows(rows, _name_of(result.frame))
                yield result, rows
                if self.on_frame is not None and not self._tell(result):
                    break
            units = self._post_processed(ids) if self.au is not None and self.postprocess else None
            if units is not None:
                self.units = np.hstack(units)
                if writer is not None:
                    writer.rewrite_action_units(units[0], units[1])

    def _check_output(self, output: Any) -> None:
        path = file_path("output", output)
        if path.suffix.lower() in (".parquet", ".pq", ".feather", ".xlsx", ".gz"):
            raise InputError(
                f"output={str(path)!r}: this is written row by row as plain CSV; for other files use "
                "pyopenface.to_parquet(df, path), or to_openface_csv, which takes .csv.gz, on the result"
            )
        rewritten = self.run.program == "single_face" or self.run.identity == "track"
        rewritten = rewritten and self.au is not None and self.postprocess
        if rewritten and (path.is_fifo() or path.is_char_device()):
            raise InputError(
                f"output={str(path)!r}: action units are post-processed in the file at the end, and "
                "this is none; give a file, or postprocess=False (--no-postprocess)"
            )

    def _post_processed(self, ids: list[float]) -> tuple[npt.NDArray[np.float64], ...] | None:
        """The end-of-video pass: over all rows, or over those of every person."""
        if self.run.program == "single_face":
            return self.run.finish(smooth=True)
        people = self.run.finish_each(smooth=True)
        if not people:
            return None
        whose = np.array(ids)
        units = tuple(np.empty((len(whose), values.shape[1])) for values in next(iter(people.values())))
        for person, values in people.items():
            for unit, value in zip(units, values, strict=True):
                unit[whose == person] = value
        return units

    @cached_property
    def layout(self) -> Layout:
        """The columns of the table."""
        return self.models.layout("image" if self.taken_as == "pictures" else "sequence")

    def _tell(self, result: Result) -> bool:
        assert self.on_frame is not None
        faces = faces_from_rows(
            result.rows, self.run.columns, result.accepted, result.likelihoods, result.identity_confidences
        )
        return self.on_frame(result.frame.number, result.frame.timestamp, faces) is not False

    def _results(self) -> Iterator[Result]:
        shown = self.progress
        if shown is None:
            count = self.source.frame_count
            shown = (count is None or count > 100) and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        with contextlib.closing(self.run.results(self.source)) as results:
            if not shown:
                yield from results
                return
            from pyopenface._progress import progress_bar

            with progress_bar(
                results, total=self.source.frame_count, unit="frame", desc=self.source.name
            ) as bar:
                yield from bar

    def _attributes(self, postprocessed: bool) -> dict[str, Any]:
        run = self.run
        options = {k: v for k, v in self.source_options.items() if v is not None and k != "download"}
        if not isinstance(options.get("timestamps", ""), str):
            del options["timestamps"]  # they stand in the table
        # What says which file of an address this was; cookies are nobody's business.
        download = self.source_options.get("download") or {}
        kept = {name: download[name] for name in ("height", "sound", "folder") if name in download}
        if kept:
            options["download"] = kept
        attributes = {
            "version": _core.__version__,
            "input": str(self.source.path or self.source.name),
            "decoder": self.source.decoder,
            "truncated": self.source.truncated,
            "taken_as": self.taken_as,
            "program": run.program,
            "model": self.models.name,
            "model_files": self.models.sha256,
            "action_units": None if self.au is None else {"kind": self.au, "postprocessed": postprocessed},
            "camera": None
            if self.taken_as == "pictures" and run.camera is None
            else run.camera or _whole_camera(self.source),
            "parameters": {
                "sigma": run.parameters.sigma,
                "regularisation": run.parameters.regularisation,
                "weight_factor": run.parameters.weight_factor,
                "iterations": run.parameters.iterations,
                "windows": list(run.parameters.windows),
                "tracking_windows": list(run.parameters.tracking_windows),
                "multi_view": run.parameters.multi_view,
                "validate": run.parameters.validate,
            },
            "threads": run.threads,
            "instruction_set": _core._instruction_set(),
            "source_options": options,
        }
        from pyopenface.table import plain

        attrs: dict[str, Any] = plain(attributes)
        return attrs


def _name_of(picture: Frame) -> str:
    """What tells a picture from the others: its file, or its number."""
    return str(picture.path or picture.number)


def _whole_camera(source: Source) -> Camera:
    fx, fy, cx, cy = source.camera()
    return fx, fy, cx + source.offset[0], cy + source.offset[1]
