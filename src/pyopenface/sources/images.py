"""Still pictures: files, lists and folders of them (tracking.md, sections 10.1 and 10.2)."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pyopenface.errors import InputError, SourceError
from pyopenface.sources.base import Image, RawFrame, Selection, Source
from pyopenface.sources.files import (
    PathLike,
    as_path,
    check_readable,
    guess_content,
    opencv_version,
    quiet_opencv,
)

if TYPE_CHECKING:
    from typing_extensions import Self

#: Extensions that count in a folder of images: lower case only, as in OpenFace (tracking.md, section 10.2).
FOLDER_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp")
#: Extensions that count in a folder of images: lower case only, as in OpenFace (tracking.md, section 10.2).
FOLDER_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp")
#: Extensions (any case) that make a single path a picture rather than a video.
IMAGE_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif", ".ppm")
)


class ImageSource(Source):
    """Image files, in the order given: the files of a folder, a list of files, or one file.

    Every picture is read as 8-bit BGR: grey is replicated, alpha dropped, 16-bit samples lose their low byte,
    and the orientation that a camera stored (EXIF) is applied (tracking.md, section 10.1).
    """

    is_images = True

    def __init__(self, paths: Sequence[Path], selection: Selection | None = None, name: str = "") -> None:
        super().__init__(selection or Selection())
        if not paths:
            raise SourceError("an empty list of image files")
        if self.selection.needs_times:
            raise InputError("start=, end= and fps= need times, and pictures have none: use every=")
        for path in paths:
            check_readable(path)
        self.paths = list(paths)
        self.path = self.paths[0] if len(self.paths) == 1 else None
        self.name = name or self.paths[0].stem
        self.decoder = f"OpenCV {opencv_version()}, image files"

    @classmethod
    def from_folder(cls, folder: Path, selection: Selection | None = None) -> Self:
        """Open a folder's .jpg, .jpeg, .png and .bmp files, sorted by name byte by byte."""
        try:
            names = sorted((entry.name for entry in os.scandir(folder)), key=os.fsencode)
        except OSError as error:
            raise SourceError(f"{folder}: the folder can't be read: {error.strerror}") from error
        paths = [folder / name for name in names if Path(name).suffix in FOLDER_EXTENSIONS]
        if not paths:
            other = sum(Path(name).suffix.lower() in FOLDER_EXTENSIONS for name in names)
            hint = f" ({other} with extensions in capitals, which OpenFace does not take)" if other else ""
            raise SourceError(f"{folder}: no .jpg, .jpeg, .png or .bmp file in this folder{hint}")
        source = cls(paths, selection, name=folder.resolve().name)
        source.path = folder
        return source

    @cached_property
    def full_size(self) -> tuple[int, int]:
        """(width, height) of the first picture."""
        height, width, _ = read_image(self.paths[0]).shape
        return width, height

    @property
    def total(self) -> int | None:
        """Number of frames of the whole input, as far as it is known before reading."""
        return len(self.paths)

    def _raw(self) -> Generator[RawFrame, None, None]:
        for number, path in enumerate(self.paths, start=1):
            yield number, 0.0, partial(read_image, path), path


def read_image(path: PathLike) -> Image:
    """Read an image file as OpenFace does: always 8-bit BGR (tracking.md, section 10.1).

    Parameters
    ----------
    path
        The image file.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width, 3), channels blue, green, red.

    Raises
    ------
    SourceError
        If the file is missing or no picture.

    Examples
    --------
    >>> image = read_image("face.jpg")  # doctest: +SKIP
    >>> image.shape  # doctest: +SKIP
    (480, 640, 3)
    """
    import cv2

    path = as_path(path)
    check_readable(path)
    data = np.fromfile(path, dtype=np.uint8)
    try:
        with quiet_opencv():
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"{path}: the picture can't be decoded: {error.err}") from error
    if image is None:
        raise SourceError(f"{path}: can't be read as a picture: {guess_content(path)}")
    return cast(Image, image)
