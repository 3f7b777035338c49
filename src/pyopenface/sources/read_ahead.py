"""A thread that works ahead of the consumer, by a bounded number of items (decoded frames)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from pyopenface.errors import InputError

if TYPE_CHECKING:
    from pyopenface.sources.base import Frame, Source

__all__ = ["ahead", "prefetch", "stable_frames"]

T = TypeVar("T")

#: How long to wait for a source that is stuck inside its own code when the consumer has stopped, in seconds.
_PATIENCE = 2.0


class _Channel(Generic[T]):
    """A bounded queue between two threads that either side can end; nobody polls.

    Waking a thread costs more than handing over an item, so a producer that waits for room is woken when
    half of the places are free.
    """

    def __init__(self, depth: int) -> None:
        self._items: SimpleQueue[tuple[T] | _End] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._taken = 0
        self._batch = (depth + 1) // 2
        self._closed = False
        self._make_room(depth)

    def _make_room(self, places: int) -> None:
        for _ in range(places):
            self._room.put(None)

    def put(self, item: T) -> bool:
        """Wait for room and add an item; False if the consumer has stopped."""
        self._room.get()
        if not self._closed:
            self._items.put((item,))
        return not self._closed

    def end(self, error: BaseException | None) -> None:
        self._items.put(_End(error))

    def get(self) -> tuple[T] | None:
        """Wait for an item; None at the end. An error of the producer is raised after the items before it."""
        item = self._items.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return None
        self._taken += 1
        if self._taken == self._batch:
            self._taken = 0
            self._make_room(self._batch)
        return item

    def close(self) -> None:
        self._closed = True
        self._make_room(1)


@dataclass(frozen=True)
class _End:
    """Stands behind the last item, with what ended the producer."""

    error: BaseException | None


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
    return ahead(stable_frames(source), depth)


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


def stable_frames(source: Source) -> Generator[Frame, None, None]:
    """Walk over a source's frames, whose memory stays as it is while they wait.

    Parameters
    ----------
    source
        An open source.

    Returns
    -------
    Generator of Frame

    Examples
    --------
    >>> import numpy as np
    >>> from pyopenface.sources import open_source
    >>> from pyopenface.sources.read_ahead import stable_frames
    >>> with open_source(np.zeros((3, 48, 64, 3), dtype="uint8")) as source:
    ...     [frame.number for frame in stable_frames(source)]
    [1, 2, 3]
    """
    with contextlib.closing(iter(source)) as frames:
        for frame in frames:
            yield replace(frame, image=frame.image.copy()) if source.volatile else frame


def _consume(items: Iterable[T], channel: _Channel[T]) -> Generator[T, None, None]:
    thread = threading.Thread(target=_produce, args=(items, channel), name="pyopenface-ahead", daemon=True)
    thread.start()
    try:
        while (item := channel.get()) is not None:
            yield item[0]
    finally:
        channel.close()
        thread.join(_PATIENCE)


def _produce(items: Iterable[T], channel: _Channel[T]) -> None:
    error: BaseException | None = None
    walk: Iterator[T] | None = None
    try:
        walk = iter(items)
        for item in walk:
            if not channel.put(item):
                break
    except BaseException as caught:  # handed to the consumer's thread, whatever it is
        error = caught
    finally:
        if isinstance(walk, Generator):
            walk.close()
        channel.end(error)
