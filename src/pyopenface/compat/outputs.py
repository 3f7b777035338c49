"""The files that OpenFace's programs write: their names, and their content (tracking.md, section 11)."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyopenface.columns import Layout
from pyopenface.compat.arguments import Options
from pyopenface.engine import Models, Result
from pyopenface.errors import OutputError
from pyopenface.hog import HogWriter
from pyopenface.sources.base import Image
from pyopenface.table import CsvWriter

# What draws and encodes is imported when a command line asks for it: most don't, and it takes 10 ms.
if TYPE_CHECKING:
    from typing_extensions import Self

    from pyopenface.encoding import OverlayWriter

__all__ = ["Destination", "Overlay", "Recorder", "column_groups"]

Camera = tuple[float, float, float, float]

_log = logging.getLogger("pyopenface")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the system's errors into OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from error


def column_groups(options: Options) -> list[str]:
    """Return the groups of CSV columns that the options turn on."""
    return [
        flag[1:]
        for flag in ("-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-aus", "-gaze")
        if flag in options.outputs
    ]


@dataclass(frozen=True)
class Destination:
    """Where one input's files go: a folder, and the name that they share."""

    folder: Path
    base: str

    @classmethod
    def choose(cls, out_dir: str, name: str | None, base: str) -> Destination:
        """Apply ``-out_dir`` and ``-of``.

        Parameters
        ----------
        out_dir
            The value of ``-out_dir``, "" if it was not given.
        name
            The value of ``-of`` for this input; may hold folders, its last extension is dropped.
        base
            The input's own name, for want of `name`.
        """
        if name is None:
            return cls(Path(out_dir or "processed"), base)
        # Not os.path.join: an absolute name goes below out_dir all the same.
        joined = f"{out_dir}/{name}" if out_dir else name
        folder, last = os.path.split(joined)
        return cls(Path(folder or "processed"), Path(last).stem or base)

    def file(self, ending: str) -> Path:
        """Return the path of one of the files."""
        return self.folder / (self.base + ending)


class Overlay:
    """Draws the rows of results on frames as OpenFace's visualiser does (tracking.md, section 11.5)."""

    def __init__(self, models: Models, columns: Sequence[str], options: Options) -> None:
        self._models = models
        self._program = options.program
        position = {name: i for i, name in enumerate(columns)}

        def take(names: list[str]) -> npt.NDArray[np.intp] | None:
            return np.array([position[name] for name in names]) if set(names) <= set(position) else None

        self._landmarks = take(
            [f"{axis}_{i}" for i in range(models.landmark.landmark_count) for axis in "xy"]
        )
        self._pose = take([f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"])
        self._rotation = take(["p_rx", "p_ry", "p_rz"])
        self._eyes = take([f"eye_lmk_{axis}_{i}" for i in range(56) for axis in "xy"])
        self._eyes_3d = take([f"eye_lmk_{axis}_{i}" for i in range(56) for axis in "XYZ"])
        self._gaze = take([f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"])
        self._confidence = position["confidence"]

    def draw(self, result: Result, camera: Camera) -> Image:
        """Return a copy of the frame with its faces on it."""
        image: Image = result.frame.image.copy()
        for row in result.rows:
            self._draw_face(image, row, camera)
        return image

    def _draw_face(self, image: Image, row: npt.NDArray[np.float64], camera: Camera) -> None:
        def values(chosen: npt.NDArray[np.intp] | None, *shape: int) -> npt.NDArray[np.float64] | None:
            if chosen is None or not np.isfinite(row[chosen]).all():
                return None
            return row[chosen].reshape(shape)

        from pyopenface.drawing import FaceMarks, Layers, draw_marks

        marks = FaceMarks(
            landmarks=values(self._landmarks, -1, 2),
            eyes=values(self._eyes, 56, 2),
            eyes_3d=values(self._eyes_3d, 56, 3),
            gaze=values(self._gaze, 2, 3),
            pose=values(self._pose, 6),
            confidence=float(row[self._confidence]),
        )
        if self._rotation is not None and self._program != "FaceLandmarkVidMulti":
            marks.visible = self._models.landmark.visible_landmarks(*row[self._rotation])
        if self._program != "FaceLandmarkImg":
            draw_marks(image, marks, camera, Layers(ids=False, action_units=False))
            return
        # Landmarks and box of pictures are drawn whatever the confidence.
        certainty, marks.confidence = marks.confidence, 1.0
        draw_marks(image, marks, camera, Layers(eyes=False, gaze=False, ids=False, action_units=False))
        marks.confidence = certainty
        draw_marks(
            image, marks, camera, Layers(landmarks=False, head_box=False, ids=False, action_units=False)
        )


class Recorder:
    """Writes one input's files while the results come; an interruption leaves all finished rows.

    Parameters
    ----------
    destination
        Folder and name of the files; the folder is created.
    options
        The command line.
    layout
        The columns of the CSV.
    keep
        Their positions in the rows of the results.
    overlay
        Draws the frames; used if ``-tracked`` is on.
    camera
        fx, fy, cx, cy in pixels.
    input_path
        The input as it was given; None for a camera.
    size, fps
        Of the frames, for the overlay video.

    Raises
    ------
    OutputError
        A file can't be written.
    """

    def __init__(
        self,
        destination: Destination,
        options: Options,
        layout: Layout,
        keep: npt.NDArray[np.intp],
        overlay: Overlay,
        camera: Camera,
        input_path: str | None,
        size: tuple[int, int],
        fps: float,
    ) -> None:
        self.destination = destination
        self.rows = 0
        self._options = options
        self._layout = layout
        self._keep = keep
        self._overlay = overlay
        self._camera = camera
        self._size = size
        self._csv: CsvWriter | None = None
        self._hog: HogWriter | None = None
        self._video: OverlayWriter | None = None
        self._pictures = options.is_image_program
        self._wrong_size_told = False
        with contextlib.ExitStack() as stack:
            with _writing(destination.folder):
                destination.folder.mkdir(parents=True, exist_ok=True)
                if "-simalign" in options.outputs:
                    destination.file("_aligned").mkdir(exist_ok=True)
            self._describe(self._head(input_path), "w")
            if "-hogalign" in options.outputs:
                self._hog = stack.enter_context(HogWriter(destination.file(".hog")))
            if "-tracked" in options.outputs and not self._pictures:
                from pyopenface.encoding import OverlayWriter

                self._video = stack.enter_context(OverlayWriter(destination.file(".avi"), size, fps))
            self._files = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def _head(self, input_path: str | None) -> list[str]:
        """Return the lines of the details file that are known from the start (tracking.md, section 11.2)."""
        base, outputs = self.destination.base, self._options.outputs
        lines = ["Input:webcam"]
        if input_path is not None:
            lines = [f"Input:{input_path}", f"Input full path:{os.path.realpath(input_path)}"]
        lines.append("Camera parameters:" + ",".join(f"{value:g}" for value in self._camera))
        if "-hogalign" in outputs:
            lines.append(f"Output HOG:{base}.hog")
        if "-tracked" in outputs:
            picture = f"Output image:{base}.{self._options.overlay_format}"
            lines.append(picture if self._pictures else f"Output video:{base}.avi")
        if "-simalign" in outputs:
            lines.append(f"Output aligned directory:{base}_aligned")
        return lines

    def _columns_lines(self) -> list[str]:
        groups = {column.group for column in self._layout}
        names = {
            "Gaze": "gaze",
            "AUs": "aus",
            "Landmarks 2D": "2Dfp",
            "Landmarks 3D": "3Dfp",
            "Pose": "pose",
            "Shape parameters": "pdmparams",
        }
        flags = [f"{name}: {int(group in groups)}" for name, group in names.items()]
        return [f"Output csv:{self.destination.base}.csv", *flags]

    def _describe(self, lines: Sequence[str], mode: str) -> None:
        path = self.destination.file("_of_details.txt")
        with (
            _writing(path),
            path.open(mode, encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            file.write("".join(line + "\n" for line in lines))

    def write(self, result: Result) -> None:
        """Write what one frame (or picture) gave."""
        if len(result.rows):
            self._write_rows(result)
        if self._hog is not None and result.fhog is not None:
            for good, fhog in zip(self._good(result), result.fhog, strict=True):
                self._hog.write(good, fhog)
        for face, aligned in enumerate(result.aligned):
            self._write_aligned(result, face, aligned)
        if self._video is not None:
            self._write_frame(result)
        elif "-tracked" in self._options.outputs:
            path = self.destination.file(f".{self._options.overlay_format}")
            from pyopenface.encoding import save_overlay_image

            save_overlay_image(path, self._overlay.draw(result, self._camera))

    def _good(self, result: Result) -> list[bool]:
        """Return what counts as success: in pictures, which have no such column, an accepted fit."""
        return result.accepted if self._pictures else [bool(value) for value in result.rows[:, 4]]

    def _write_rows(self, result: Result) -> None:
        if self._csv is None:  # a file appears with its first row
            self._csv = self._files.enter_context(CsvWriter(self.destination.file(".csv"), self._layout))
            self._describe(self._columns_lines(), "a")
        self._csv.write_rows(result.rows[:, self._keep])
        self.rows += len(result.rows)

    def _write_aligned(self, result: Result, face: int, aligned: Image) -> None:
        if not (self._options.bad_aligned or self._good(result)[face]):
            return
        identity = int(result.rows[face, 1])
        name = f"face_det_{identity:06d}"
        if not self._pictures:
            name = f"frame_det_{identity:02d}_{result.frame.number:06d}"
        from pyopenface.encoding import save_overlay_image

        folder = self.destination.file("_aligned")
        save_overlay_image(folder / f"{name}.{self._options.aligned_format}", aligned)

    def _write_frame(self, result: Result) -> None:
        assert self._video is not None
        height, width = result.frame.image.shape[:2]
        if (width, height) == self._size:
            self._video.write(self._overlay.draw(result, self._camera))
        elif not self._wrong_size_told:
            self._wrong_size_told = True
            _log.warning(
                "%s: frame %d and others of another size than the first are not in the overlay video",
                self.destination.base,
                result.frame.number,
            )

    def finish(self, units: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None) -> None:
        """Replace the action units in the CSV by post-processed ones."""
        if units is not None and self._csv is not None:
            self._csv.rewrite_action_units(*units)
