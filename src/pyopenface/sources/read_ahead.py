"""Work in the background: a thread that stays a bounded number of items (decoded frames) ahead of the
consumer.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from pyopenface.errors import InputError

if TYPE_CHECKING:
    from pyopenface.sources.base import Frame, Source

__all__ = ["ahead", "prefetch"]

T = TypeVar("T")

#: How long to wait for a source that is stuck inside its own code when the consumer has stopped, in seconds.
_PATIENCE = 2.0


class _Channel(Generic[T]):
    """A bounded queue between two threads that either side can end; nobody polls."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Wait for room and add an item; False if the consumer has stopped."""
        with self._change:
            self._change.wait_for(lambda: self._closed or len(self._items) < self._depth)
            if self._closed:
                return False
            self._items.append(item)
            self._change.notify_all()
            return True

    def end(self, error: BaseException | None) -> None:
        with self._change:
            self._ended, self._error = True, error
            self._change.notify_all()

    def get(self) -> T | None:
        """Wait for an item; None at the end. An error of the producer is raised after the items before it."""
        with self._change:
            self._change.wait_for(lambda: self._items or self._ended)
            if self._items:
                item = self._items.popleft()
                self._change.notify_all()
                return item
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._items.clear()
            self._change.notify_all()


def prefetch(source: Source, depth: int = 4) -> Generator[Frame, None, None]:
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
    Generator of Frame

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
    return ahead(_stable_frames(source), depth)


def ahead(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Walk over an iterable in a background thread, at most `depth` items ahead of the consumer.

    Items, order and exceptions are those of the iterable. The thread starts with the first item asked for and
    ends with the iterable, or when the consumer stops early.

    Parameters
    ----------
    items
        What to walk over; a generator is closed in the thread that walks over it.
    depth
        Number of items that may wait, 1 or more.

    Returns
    -------
    Generator

    Raises
    ------
    InputError
        If `depth` is less than 1.

    Examples
    --------
    >>> from pyopenface.sources.read_ahead import ahead
    >>> list(ahead(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    if depth < 1:
        raise InputError(f"depth={depth!r}: expected 1 or more")
    return _consume(items, _Channel(depth))


def _stable_frames(source: Source) -> Iterator[Frame]:
    """Frames whose memory stays as it is while they wait."""
    with contextlib.closing(iter(source)) as frames:
        for frame in frames:
            yield replace(frame, image=frame.image.copy()) if source.volatile else frame


def _consume(items: Iterable[T], channel: _Channel[T]) -> Generator[T, None, None]:
    thread = threading.Thread(target=_produce, args=(items, channel), name="pyopenface-ahead", daemon=True)
    thread.start()
    try:
        while (item := channel.get()) is not None:
            yield item
    finally:
        channel.close()
        thread.join(_PATIENCE)


def _produce(items: Iterable[T], channel: _Channel[T]) -> None:
    error: BaseException | None = None
    walk = iter(items)
    try:
        for item in walk:
            if not channel.put(item):
                break
    except BaseException as caught:  # handed to the consumer's thread, whatever it is
        error = caught
    finally:
        if isinstance(walk, Generator):
            walk.close()
        channel.end(error)
