"""Live cameras and network streams."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Generator
from functools import cached_property, partial

import numpy as np

from pyopenface.errors import InputError, SourceError
from pyopenface.sources.base import RawFrame, Selection, Source
from pyopenface.sources.files import opencv_version, quiet_opencv
from pyopenface.sources.video import DEFAULT_FPS


class CameraSource(Source):
    """A live camera, or a network stream that OpenCV reads; times run from the moment of opening.

    Parameters
    ----------
    device
        Index of the camera, or a stream's address (``rtsp://…``).
    size
        (width, height) asked of the camera; it may deliver another size.
    """

    def __init__(
        self, device: int | str, selection: Selection | None = None, *, size: tuple[int, int] = (640, 480)
    ) -> None:
        import cv2

        super().__init__(selection or Selection())
        if isinstance(device, int) and not 0 <= device < 1 << 31:  # OpenCV crashes on some of these
            raise InputError(f"camera {device}: expected an index, 0 for the first camera")
        self._lock = threading.Lock()
        with quiet_opencv():
            self._video = cv2.VideoCapture(device)
        if not self._video.isOpened():
            what = f"camera {device}" if isinstance(device, int) else str(device)
            raise SourceError(f"{what}: can't be opened (not connected, in use, or not allowed)")
        if isinstance(device, int):
            self._video.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._video.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._opened = time.monotonic()
        fps = float(self._video.get(cv2.CAP_PROP_FPS))
        self.fps = fps if fps > 0 and math.isfinite(fps) else DEFAULT_FPS
        self.name = time.strftime("webcam_%Y-%m-%d-%H-%M")
        self.decoder = f"OpenCV {opencv_version()}, {self._video.getBackendName()}"

    @cached_property
    def full_size(self) -> tuple[int, int]:
        """(width, height) that the camera says it delivers."""
        import cv2

        return (
            int(self._video.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._video.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )

    def close(self) -> None:
        """Switch the camera off; an iteration in another thread ends."""
        with self._lock:
            self._video.release()

    def _raw(self) -> Generator[RawFrame, None, None]:
        for number in itertools.count(1):
            with self._lock:
                ok, image = self._video.read()
            if not ok:
                return
            yield number, time.monotonic() - self._opened, partial(np.asarray, image), None
