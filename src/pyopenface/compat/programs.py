"""OpenFace's programs: inputs to files, for sequences (one face, several faces) and for pictures."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyopenface.compat.arguments import Camera, Input, Options
from pyopenface.compat.outputs import Destination, Overlay, Recorder, column_groups
from pyopenface.compat.weights import wanted_weights
from pyopenface.engine import Program, Result, Run, load_models, thread_count
from pyopenface.errors import InputError, SourceError
from pyopenface.sources.base import Frame, Source, default_camera
from pyopenface.sources.camera import CameraSource
from pyopenface.sources.images import IMAGE_EXTENSIONS, ImageSource, read_image
from pyopenface.sources.read_ahead import ahead
from pyopenface.sources.video import VideoSource

__all__ = ["run"]

_log = logging.getLogger("pyopenface")

_PROGRAMS: dict[str, Program] = {
    "FeatureExtraction": "single_face",
    "FaceLandmarkVidMulti": "several_faces",
    "FaceLandmarkImg": "pictures",
}
_TRACKERS = 4


def run(options: Options) -> None:
    """Do what a command line asks for.

    Parameters
    ----------
    options
        The command line.

    Raises
    ------
    SourceError
        An input can't be read; those behind it are not processed.
    ModelError
        Weights are missing or damaged.
    InputError
        There is no input, or an option can't be used.
    OutputError
        A file can't be written.
    """
    if not options.inputs:
        camera = "" if options.is_image_program else " or -device N"
        raise InputError(f"{options.program}: no input given: use -f FILE, -fdir FOLDER{camera}")
    session = _Session(options)
    if options.is_image_program:
        session.run_pictures()
    else:
        session.run_sequences()


def _check_formats(options: Options) -> None:
    """Refuse formats that pictures can't be written in before there are files."""
    import cv2

    wanted = []
    if "-simalign" in options.outputs:
        wanted.append(("-format_aligned", options.aligned_format))
    if "-tracked" in options.outputs and options.is_image_program:
        wanted.append(("-format_vis_image", options.overlay_format))
    for flag, ending in wanted:
        if os.sep in ending or not cv2.haveImageWriter(f"picture.{ending}"):
            raise InputError(f"{flag} {ending}: pictures can't be written in this format")


def _open(item: Input, options: Options) -> Source:
    if item.kind == "camera":
        return CameraSource(item.device, size=options.camera_size)
    path = Path(item.path)
    if item.kind == "folder":
        return ImageSource.from_folder(path)
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; -fdir takes folders of images")
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return ImageSource([path])
    return VideoSource(path, timestamps="openface")


class _Session:
    """Loaded weights and a run of the engine, used for all inputs of a command line in turn."""

    def __init__(self, options: Options) -> None:
        self._options = options
        models = load_models(*wanted_weights(options))
        _check_formats(options)
        outputs = options.outputs
        self._live = any(item.kind == "camera" for item in options.inputs)
        self._run = Run(
            models,
            _PROGRAMS[options.program],
            parameters=options.parameters(models.landmark.stem),
            max_faces=_TRACKERS,
            threads=thread_count(options.threads),
            live=self._live and options.program == "FeatureExtraction",
            fhog="-hogalign" in outputs,
            alignment=options.alignment if "-simalign" in outputs else None,
        )
        self._layout = models.layout(
            "image" if options.is_image_program else "sequence", column_groups(options)
        )
        columns = self._run.columns
        position = {name: i for i, name in enumerate(columns)}
        names = ["face_id" if name == "face" else name for name in self._layout.names]
        self._keep = np.array([position[name] for name in names])
        self._overlay = Overlay(models, columns, options)

    def _recorder(
        self, index: int, base: str, path: str | None, camera: Camera, size: tuple[int, int], fps: float
    ) -> Recorder:
        options = self._options
        name = options.names[index] if index < len(options.names) else None
        destination = Destination.choose(options.out_dir, name, base)
        return Recorder(
            destination, options, self._layout, self._keep, self._overlay, camera, path, size, fps
        )

    # --- sequences ------------------------------------------------------------------------------------------

    def run_sequences(self) -> None:
        for index, item in enumerate(self._options.inputs):
            if index > 0:
                self._run.reset()
            with _open(item, self._options) as source:
                self._run_sequence(index, item, source)

    def _run_sequence(self, index: int, item: Input, source: Source) -> None:
        began = time.perf_counter()
        camera = self._options.camera(source.camera())
        self._run.camera = camera
        frames = 0
        with contextlib.ExitStack() as stack:
            path = None if item.kind == "camera" else item.path
            recorder = stack.enter_context(
                self._recorder(index, source.name, path, camera, source.size, source.fps)
            )
            results = stack.enter_context(contextlib.closing(self._results(source)))
            with contextlib.suppress(_CameraStopped):
                for result in _until_unreadable(results, self._live):
                    recorder.write(result)
                    frames += 1
            if "-aus" in self._options.outputs:
                recorder.finish(self._run.finish())
        self._tell(item.path or source.name, frames, recorder, time.perf_counter() - began)

    def _results(self, source: Source) -> Generator[Result, None, None]:
        results = self._run.results(source)
        files = {"-hogalign", "-simalign", "-tracked"} & self._options.outputs
        # Files beside the CSV are worth a thread of their own.
        return ahead(results) if files and self._run.threads > 1 else results

    # --- pictures -------------------------------------------------------------------------------------------

    def run_pictures(self) -> None:
        stream: Iterable[tuple[int, Path, Result, Camera]] = self._measured(self._pictures())
        if self._run.threads > 1:
            stream = ahead(self._measured(ahead(self._pictures())))
        began = time.perf_counter()
        for index, path, result, camera in stream:
            height, width = result.frame.image.shape[:2]
            with self._recorder(index, path.stem, str(path), camera, (width, height), 0.0) as recorder:
                recorder.write(result)
            now = time.perf_counter()
            self._tell(str(path), 1, recorder, now - began)
            began = now

    def _pictures(self) -> Generator[tuple[int, Path, Frame], None, None]:
        items = self._options.inputs
        paths = [Path(item.path) for item in items]
        if items[0].kind == "folder":
            paths = ImageSource.from_folder(paths[0]).paths
        for index, path in enumerate(paths):
            yield index, path, Frame(read_image(path), 0.0, 1, path)

    def _measured(
        self, pictures: Generator[tuple[int, Path, Frame], None, None]
    ) -> Generator[tuple[int, Path, Result, Camera], None, None]:
        with contextlib.closing(pictures):
            for index, path, frame in pictures:
                height, width = frame.image.shape[:2]
                camera = self._options.camera(default_camera(width, height))
                fitted = self._run.fit(frame, self._boxes(path))
                yield index, path, self._run.measure(frame, fitted, camera), camera

    def _boxes(self, path: Path) -> npt.NDArray[np.float32] | None:
        """Boxes from the picture's file in -bboxdir: x, y, width, height; None to look for faces."""
        folder = self._options.boxes_folder
        if folder is None:
            return None
        if self._options.inputs[0].kind == "file":  # neither boxes nor detection (tracking.md, section 4)
            return np.empty((0, 4), np.float32)
        return read_boxes(Path(folder) / f"{path.stem}.txt")

    def _tell(self, name: str, frames: int, recorder: Recorder, seconds: float) -> None:
        if self._options.quiet:
            return
        csv = str(recorder.destination.file(".csv")) if recorder.rows else "no face, no CSV"
        count = "" if self._options.is_image_program else f"{frames} frames, "
        print(f"{name}: {count}{recorder.rows} rows in {seconds:.2f} s -> {csv}")


class _CameraStopped(Exception):
    """Ctrl-C while a camera runs: the way to end it."""


def _until_unreadable(results: Generator[Result, None, None], live: bool) -> Generator[Result, None, None]:
    """Walk over results up to the first frame that can't be read, which ends a sequence."""
    try:
        yield from results
    except SourceError as error:
        _log.warning("%s; the sequence ends here", error)
    except KeyboardInterrupt:
        if live:
            raise _CameraStopped from None
        raise


def read_boxes(path: Path) -> npt.NDArray[np.float32]:
    r"""Read a file of face boxes: per line min_x, min_y, max_x, max_y in pixels.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    numpy.ndarray
        float32 (k, 4): x, y, width, height.

    Raises
    ------
    SourceError
        The file is missing.
    InputError
        A line isn't made of four numbers.

    Examples
    --------
    >>> _ = Path("face.txt").write_text("10 20 110 140\n")
    >>> read_boxes(Path("face.txt")).tolist()
    [[10.0, 20.0, 100.0, 120.0]]
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: the boxes can't be read: {error.strerror}") from error
    boxes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            x0, y0, x1, y1 = (np.float32(word) for word in line.split()[:4])
        except ValueError:
            raise InputError(f"{path}, line {number}: min_x min_y max_x max_y expected: {line!r}") from None
        boxes.append((x0, y0, x1 - x0, y1 - y0))
    return np.array(boxes, np.float32).reshape(-1, 4)
