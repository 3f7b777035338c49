"""Decode in the background: a thread that stays a bounded number of frames ahead of the consumer."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pyopenface.errors import InputError

if TYPE_CHECKING:
    from pyopenface.sources.base import Frame, Source

__all__ = ["prefetch"]

#: How long to wait for a source that is stuck inside its own code when the consumer has stopped, in seconds.
_PATIENCE = 2.0


class _Channel:
    """A bounded queue between two threads that either side can end; nobody polls."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._frames: deque[Frame] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None

    def put(self, frame: Frame) -> bool:
        """Wait for room and add a frame; False if the consumer has stopped."""
        with self._change:
            self._change.wait_for(lambda: self._closed or len(self._frames) < self._depth)
            if self._closed:
                return False
            self._frames.append(frame)
            self._change.notify_all()
            return True

    def end(self, error: BaseException | None) -> None:
        with self._change:
            self._ended, self._error = True, error
            self._change.notify_all()

    def get(self) -> Frame | None:
        """Wait for a frame; None at the end. An error of the source is raised after the frames before it."""
        with self._change:
            self._change.wait_for(lambda: self._frames or self._ended)
            if self._frames:
                frame = self._frames.popleft()
                self._change.notify_all()
                return frame
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._frames.clear()
            self._change.notify_all()


def prefetch(source: Source, depth: int = 4) -> Iterator[Frame]:
    """Decode in a background thread, at most `depth` frames ahead of the consumer.

    Frames, order and exceptions are those of iterating over `source`. The thread starts with the first frame
    asked for and ends with the source, or when the consumer stops early: closes the returned generator, drops
    it, or is interrupted. Frames whose memory the source may reuse are copied.

    Parameters
    ----------
    source
        An open source.
    depth
        Number of decoded frames that may wait, 1 or more.

    Returns
    -------
    Iterator of Frame

    Raises
    ------
    InputError
        If `depth` is less than 1. Whatever the source raises is raised at the place where it happened.

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface.sources import open_source
    >>> with open_source(np.zeros((3, 48, 64, 3), dtype="uint8")) as source:
    ...     [frame.number for frame in prefetch(source)]
    [1, 2, 3]
    """
    if depth < 1:
        raise InputError(f"depth={depth!r}: expected 1 or more")
    return _consume(source, _Channel(depth))


def _consume(source: Source, channel: _Channel) -> Iterator[Frame]:
    thread = threading.Thread(
        target=_produce, args=(source, channel), name="pyopenface-prefetch", daemon=True
    )
    thread.start()
    try:
        while (frame := channel.get()) is not None:
            yield frame
    finally:
        channel.close()
        thread.join(_PATIENCE)


def _produce(source: Source, channel: _Channel) -> None:
    error: BaseException | None = None
    try:
        with contextlib.closing(iter(source)) as frames:
            for frame in frames:
                if source.volatile:
                    frame = replace(frame, image=frame.image.copy())
                if not channel.put(frame):
                    break
    except BaseException as caught:  # handed to the consumer's thread, whatever it is
        error = caught
    finally:
        channel.end(error)
