"""One face over time: resampling, smoothing and filling gaps of arrays, for the methods of ``df.openface``.

A `Track` holds what is needed beside the numbers: the time of each row, its place on the common clock of all
frames (successive frames differ by 1), and whether the face was tracked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Track", "bins", "clock", "filtered", "gaps", "linear", "neighbours", "runs", "wrapped"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SLACK = 1e-6
"""Seconds by which times may differ and be the same: multiples of 1/fps are not exact."""


@dataclass(frozen=True)
class Track:
    """The rows of one face in the order of time: seconds, place on the clock, and whether it was tracked."""

    times: Floats
    steps: Ints
    good: Bools

    def __len__(self) -> int:
        return len(self.times)

    def only_good(self) -> Track:
        """The rows in which the face was tracked."""
        return Track(self.times[self.good], self.steps[self.good], self.good[self.good])


def clock(frames: Ints, times: Floats | None, every: int, fps: float | None, start: float) -> Ints:
    """All frames that were looked at, of which the given ones (increasing) have rows.

    Parameters
    ----------
    frames : numpy.ndarray
        int64 (n,), the frames with rows, at least one.
    times : numpy.ndarray or None
        float64 (n,), their increasing times in seconds, None without a clock.
    every : int
        How the video was thinned: only each so manieth frame was looked at.
    fps : float or None
        Or: only the first frame of every 1/fps seconds.
    start : float
        Seconds from which `fps` counts.
    """
    first, last = int(frames[0]), int(frames[-1])
    if fps is not None and times is not None:
        numbers = np.arange(first, last + 1)
        turns = np.floor((np.interp(numbers, frames, times) - start) * fps + SLACK)
        first_of_turn = np.diff(turns, prepend=turns[0] - 1) > 0
        taken = np.isin(turns, turns[frames - first])
        return np.union1d(numbers[first_of_turn & ~taken], frames)
    if every > 1 and not np.any((frames - first) % every):
        return np.arange(first, last + 1, every)
    if _evenly_thinned(frames):
        return frames
    step = int(np.gcd.reduce(np.diff(frames))) if len(frames) > 1 else 1
    return np.arange(first, last + 1, step)


def _evenly_thinned(frames: Ints) -> bool:
    """Whether frames were left out in turn, as a lower rate does it: 1 3 4 6 7 9 …, not by chance."""
    steps = np.diff(frames)
    if len(steps) == 0 or steps.max() != steps.min() + 1:
        return False
    long = int((steps == steps.max()).sum())
    if steps.min() == 1 and min(long, len(steps) - long) < 8:
        return False
    index = np.arange(len(frames))
    return bool(np.ptp(frames - np.polyval(np.polyfit(index, frames, 1), index)) < 1.25)


def wrapped(angles: Floats) -> Floats:
    """Angles in (-pi, pi]; those that are there already keep their last bit."""
    turned: Floats = np.pi - (np.pi - angles) % (2 * np.pi)
    inside = (angles > -np.pi) & (angles <= np.pi)
    kept: Floats = np.where(inside, angles, turned)
    return kept


def runs(steps: Ints) -> Iterator[slice]:
    """The stretches of successive frames."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(steps) != 1) + 1, [len(steps)]])
    for start, stop in pairwise(edges.tolist()):
        yield slice(start, stop)


def nearest(times: Floats, at: Floats) -> Ints:
    """The position in increasing times (at least one) of that nearest to each of at; of two, the earlier."""
    after = np.minimum(np.searchsorted(times, at), len(times) - 1)
    before = np.maximum(after - 1, 0)
    found: Ints = np.where(at - times[before] <= times[after] - at, before, after)
    return found


def neighbours(track: Track, at: Floats, max_gap: float | None) -> tuple[Ints, Ints, Bools]:
    """The rows before and after each time, and whether one may interpolate between them.

    That is so for successive frames or, if a gap is given, for rows at most so many seconds apart.
    """
    if len(track) == 0:
        none = np.zeros(len(at), dtype=np.int64)
        return none, none, none.astype(bool)
    t = track.times
    before = np.clip(np.searchsorted(t, at + SLACK, side="right") - 1, 0, len(t) - 1)
    after = np.clip(np.searchsorted(t, at - SLACK), 0, len(t) - 1)
    if max_gap is None:
        joined = track.steps[after] - track.steps[before] <= 1
    else:
        joined = t[after] - t[before] <= max_gap + SLACK
    inside = (t[before] <= at + SLACK) & (t[after] >= at - SLACK)
    return before, after, joined & inside


def linear(track: Track, values: Floats, at: Floats, before: Ints, after: Ints) -> Floats:
    """Values (rows, columns) at the times, on straight lines between the rows before and after."""
    t = track.times
    span = np.where(after > before, t[after] - t[before], 1.0)
    weight = np.where(after > before, np.clip((at - t[before]) / span, 0.0, 1.0), 0.0)[:, None]
    between: Floats = values[before] * (1.0 - weight) + values[after] * weight
    return between


def bins(track: Track, values: Floats, ticks: Ints, fps: float) -> tuple[Floats, Bools]:
    """Means (ticks, columns) of the rows within half of 1/fps around tick/fps, and which ticks have any."""
    tick = np.floor(track.times * fps + 0.5 + SLACK).astype(np.int64)
    means: Floats = pd.DataFrame(values).groupby(tick).mean().reindex(ticks).to_numpy(dtype=np.float64)
    return means, np.isin(ticks, tick)


def gaps(track: Track, clock: Floats, max_gap: float) -> Ints:
    """The places on the clock between tracked rows that are at most so many seconds apart."""
    known = track.steps[track.good].tolist()
    inside = [
        np.arange(a + 1, b)
        for a, b in pairwise(known)
        if b - a > 1 and clock[b] - clock[a] <= max_gap + SLACK
    ]
    return np.concatenate(inside) if inside else np.zeros(0, dtype=np.int64)


def filtered(values: Floats, window: int, method: str) -> Floats:
    """One stretch of successive rows (n, columns), smoothed along time; too long a window is shortened."""
    window = min(window, len(values) - (1 - len(values) % 2))
    if window < 3:
        unchanged: Floats = values.copy()
        return unchanged
    if method == "savgol":
        return _parabolas(values, window)
    half = window // 2
    padded = np.pad(values, ((half, half), (0, 0)), constant_values=np.nan)
    around = np.sort(
        np.lib.stride_tricks.sliding_window_view(padded, window, axis=0), axis=2
    )  # NaN come last
    known = np.isfinite(around).sum(axis=2)
    if method == "mean":
        smooth = np.nansum(around, axis=2) / np.maximum(known, 1)
    else:
        low, high = np.maximum(known - 1, 0) // 2, known // 2
        ends = [
            np.take_along_axis(around, at[..., None], axis=2)[..., 0]
            for at in (low, np.minimum(high, window - 1))
        ]
        smooth = (ends[0] + ends[1]) / 2
    moving: Floats = np.where(np.isnan(values), np.nan, smooth)
    return moving


def _parabolas(values: Floats, window: int) -> Floats:
    """The filter of Savitzky and Golay over whole columns, or over the stretches between missing values."""
    from scipy.signal import savgol_filter

    known = np.isfinite(values)
    whole = known.all(axis=0)
    smooth: Floats = values.copy()
    if whole.any():
        smooth[:, whole] = savgol_filter(values[:, whole], window, 2, axis=0)
    for column in np.flatnonzero(~whole):
        rows = np.flatnonzero(known[:, column])
        for run in runs(rows) if len(rows) else ():
            smooth[rows[run], column] = filtered(values[rows[run], column][:, None], window, "savgol")[:, 0]
    return smooth
