"""How people move together: correlations, lags and phases between the columns of one table, and controls by
chance.

Every function takes *signals*, a table with a regular clock as index (seconds, or frame numbers) and one
column per person, as ``df.openface.wide("AU12_r")`` gives it; NaN is allowed. Results are tidy: a row per
pair (``person_a``, ``person_b``), and per time and lag where there are such. Windows, steps and lags are in
the unit of the index.

Neighbouring frames are alike, so that the p-values of ordinary correlation tests mean nothing here; that is
what the surrogates are for.

References
----------
Bernieri, F. J., and Rosenthal, R. (1991). Interpersonal coordination: behavior matching and interactional
synchrony. In R. S. Feldman and B. Rime (eds.), Fundamentals of nonverbal behavior. Cambridge University
Press.

Boker, S. M., Rotondo, J. L., Xu, M., and King, K. (2002). Windowed cross-correlation and peak picking for the
analysis of variability in the association between behavioral time series. Psychological Methods, 7, 338-355.

Cheong, J. H. (2019). Four ways to quantify synchrony between time series data. Towards Data Science.

Lachaux, J.-P., Rodriguez, E., Martinerie, J., and Varela, F. J. (1999). Measuring phase synchrony in brain
signals. Human Brain Mapping, 8, 194-208.

Lancaster, G., Iatsenko, D., Pidde, A., Ticcinelli, V., and Stefanovska, A. (2018). Surrogate data for
hypothesis testing of physical systems. Physics Reports, 748, 1-60.

Moulder, R. G., Boker, S. M., Ramseyer, F., and Tschacher, W. (2018). Determining synchrony between behavioral
time series. Psychological Methods, 23, 757-773.

Pearson, K. (1895). Notes on regression and inheritance in the case of two parents. Proceedings of the Royal
Society of London, 58, 240-242.

Rosenblum, M. G., Pikovsky, A. S., and Kurths, J. (1996). Phase synchronization of chaotic oscillators.
Physical Review Letters, 76, 1804-1807.

Spearman, C. (1904). The proof and measurement of association between two things. American Journal of
Psychology, 15, 72-101.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyopenface.errors import InputError

__all__ = [
    "correlation",
    "correlation_matrix",
    "phase_synchrony",
    "pick_peaks",
    "pseudo_pairs",
    "rolling_correlation",
    "shuffle_segments",
    "surrogate_test",
    "windowed_cross_correlation",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Statistic = Callable[[Floats, Floats], float]


def _values(signals: pd.DataFrame) -> Floats:
    if not isinstance(signals, pd.DataFrame) or signals.shape[1] < 1:
        raise InputError(
            'signals: must be a table with a column per person, as df.openface.wide("AU12_r") gives it'
        )
    if signals.columns.has_duplicates:
        raise InputError("signals: several columns have the same name")
    try:
        values: Floats = signals.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("signals: must hold numbers only") from error
    return values


def _interval(signals: pd.DataFrame) -> tuple[Floats, float]:
    """The times, and the time between two rows; checks that it is always the same."""
    if signals.index.dtype.kind not in "iuf":
        raise InputError(
            f"signals: the index must be the time in seconds, or frame numbers, not {signals.index.dtype}"
        )
    times: Floats = signals.index.to_numpy(dtype=np.float64)
    if len(times) < 2:
        raise InputError("signals: at least two rows are needed")
    steps = np.diff(times)
    interval = float(times[-1] - times[0]) / len(steps)
    # printed timestamps are rounded to 0.001 s, which no measure here notices
    if not (steps > 0).all() or np.abs(steps - interval).max() > 0.25 * interval:
        raise InputError(
            "signals: the times are not evenly spaced; use df.openface.resample(fps) before wide()"
        )
    return times, interval


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def _samples(name: str, length: float, interval: float, least: int, most: int) -> int:
    """A length of time as a number of rows."""
    if not _is_number(length):
        raise InputError(f"{name}: expected a length of time, not {length!r}")
    number = round(length / interval)
    if not least <= number <= most:
        raise InputError(
            f"{name}: {length:g} is {number} rows of the table; it must be between {least} and {most} rows"
        )
    return number


def _least_rows(share: float, width: int) -> int:
    """The number of rows of a window that must be known."""
    if not _is_number(share) or not 0 <= share <= 1:
        raise InputError(f"least_share: must be between 0 and 1, not {share!r}")
    return int(np.ceil(share * width))


def _generator(seed: int | None) -> np.random.Generator:
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise InputError(f"seed: expected a whole number, 0 or more, not {seed!r}") from error


def _checked(statistic: Statistic | None) -> Statistic:
    """The statistic to compute, Pearson's r by default."""
    if statistic is None:
        return _pearson
    if not callable(statistic):
        raise InputError(f"statistic: expected a function of two signals, not {statistic!r}")
    return statistic


def _pairs(signals: pd.DataFrame) -> Iterator[tuple[Any, Any, Floats, Floats]]:
    values = _values(signals)
    if values.shape[1] < 2:
        raise InputError("signals: at least two people are needed")
    for i, j in combinations(range(values.shape[1]), 2):
        yield signals.columns[i], signals.columns[j], values[:, i], values[:, j]


def _deviations(
    values: Floats, known: npt.NDArray[np.bool_], count: Ints
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Distances from the mean of each row, their sum of squares, and whether it is more than rounding."""
    filled = np.where(known, values, 0.0)
    distances = np.where(known, values - filled.sum(axis=1, keepdims=True) / count, 0.0)
    squares: Floats = (distances * distances).sum(axis=1)
    rounding = 1e-12 * np.abs(filled).max(axis=1, initial=0.0)
    return distances, squares, squares > count[:, 0] * rounding**2


def _tidy(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> pd.DataFrame:
    table: pd.DataFrame = pd.DataFrame(rows, columns=list(names))
    return table


def _together(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def _correlations(a: Floats, b: Floats, least: int) -> tuple[Floats, Ints]:
    """Pearson's r of each row of a with that of b over what both have, and how much that is."""
    both = np.isfinite(a) & np.isfinite(b)
    n = both.sum(axis=1)
    count = np.maximum(n, 1)[:, None]
    da, saa, moves_a = _deviations(a, both, count)
    db, sbb, moves_b = _deviations(b, both, count)
    enough = (n >= max(least, 2)) & moves_a & moves_b
    r = np.full(len(n), np.nan)
    covariance = (da * db).sum(axis=1)[enough]
    r[enough] = np.clip(covariance / np.sqrt(saa[enough] * sbb[enough]), -1.0, 1.0)
    return r, n.astype(np.int64)


def _windows(values: Floats, width: int, starts: Ints) -> Floats:
    windows: Floats = np.lib.stride_tricks.sliding_window_view(values, width)[starts]
    return windows


def _window_correlations(
    a: Floats, b: Floats, width: int, starts: Ints, lag: int, least: int
) -> tuple[Floats, Ints]:
    parts = [
        _correlations(_windows(a, width, chunk), _windows(b, width, chunk + lag), least)
        for chunk in np.array_split(starts, max(1, len(starts) * width // 2**20))
    ]
    return np.concatenate([r for r, _ in parts]), np.concatenate([n for _, n in parts])


def _ranks(values: Floats) -> Floats:
    ranks: Floats = pd.Series(values).rank().to_numpy(dtype=np.float64)
    return ranks


def correlation(
    signals: pd.DataFrame, method: Literal["pearson", "spearman"] = "pearson", *, least: int = 10
) -> pd.DataFrame:
    """Correlation of every two people over the time in which both were seen (Pearson 1895, Spearman 1904).

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person; rows without clock are fine.
    method : {"pearson", "spearman"}
        Of the values or of their ranks.
    least : int
        NaN for pairs with fewer common rows.

    Returns
    -------
    pandas.DataFrame
        person_a, person_b, r, and n, the number of common rows.

    Raises
    ------
    InputError
        Fewer than two people, or no numbers.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> t = np.arange(100) / 10
    >>> signals = pd.DataFrame({"Ann": np.sin(t), "Ben": -np.sin(t)}, index=t)
    >>> synchrony.correlation(signals)["r"].round(6).tolist()
    [-1.0]
    """
    if method not in ("pearson", "spearman"):
        raise InputError(f"method: must be 'pearson' or 'spearman', not {method!r}")
    if not _is_number(least):
        raise InputError(f"least: expected a number of rows, not {least!r}")
    rows = []
    for first, second, a, b in _pairs(signals):
        both = np.isfinite(a) & np.isfinite(b)
        a, b = (a[both], b[both]) if method == "pearson" else (_ranks(a[both]), _ranks(b[both]))
        r, n = _correlations(a[None], b[None], least)
        rows.append((first, second, r[0], n[0]))
    return _tidy(rows, ["person_a", "person_b", "r", "n"])


def correlation_matrix(
    signals: pd.DataFrame, method: Literal["pearson", "spearman"] = "pearson", *, least: int = 10
) -> pd.DataFrame:
    """The same as `correlation`, as a square table with 1 in the diagonal.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> t = np.arange(100) / 10
    >>> signals = pd.DataFrame({"Ann": np.sin(t), "Ben": -np.sin(t)}, index=t)
    >>> synchrony.correlation_matrix(signals).round(6).loc["Ann"].tolist()
    [1.0, -1.0]
    """
    pairs = correlation(signals, method, least=least)
    people = list(signals.columns)
    matrix: pd.DataFrame = pd.DataFrame(np.eye(len(people)), index=people, columns=people)
    for first, second, r in zip(pairs["person_a"], pairs["person_b"], pairs["r"], strict=True):
        matrix.loc[first, second] = matrix.loc[second, first] = r
    return matrix


def rolling_correlation(
    signals: pd.DataFrame, window: float, step: float | None = None, *, least_share: float = 0.75
) -> pd.DataFrame:
    """Correlation of every two people in a window that moves over time (Boker et al. 2002, without lags).

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person, the time as index.
    window : float
        Length of the window.
    step : float, optional
        How far it moves; by default one row.
    least_share : float
        NaN where less than this share of the window was seen of both.

    Returns
    -------
    pandas.DataFrame
        time (centre of the window), person_a, person_b, r, n.

    Raises
    ------
    InputError
        Uneven times, or a window that doesn't fit.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> t = np.arange(100) / 10
    >>> signals = pd.DataFrame({"Ann": np.sin(t), "Ben": np.where(t < 5, np.sin(t), -np.sin(t))}, index=t)
    >>> r = synchrony.rolling_correlation(signals, window=2)["r"]
    >>> r.iloc[[0, -1]].round(6).tolist()
    [1.0, -1.0]
    """
    times, interval = _interval(signals)
    width = _samples("window", window, interval, 3, len(times))
    hop = 1 if step is None else _samples("step", step, interval, 1, len(times))
    starts = np.arange(0, len(times) - width + 1, hop)
    centres = (times[starts] + times[starts + width - 1]) / 2
    least = _least_rows(least_share, width)
    parts = []
    for first, second, a, b in _pairs(signals):
        r, n = _window_correlations(a, b, width, starts, 0, least)
        parts.append(pd.DataFrame({"time": centres, "person_a": first, "person_b": second, "r": r, "n": n}))
    return _together(parts)


def windowed_cross_correlation(
    signals: pd.DataFrame,
    window: float,
    max_lag: float,
    step: float | None = None,
    lag_step: float | None = None,
    *,
    least_share: float = 0.75,
) -> pd.DataFrame:
    """Who follows whom, when, and how far behind (Boker et al. 2002).

    A window of one person is correlated with the windows of the other that lie up to ``max_lag`` earlier and
    later.

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person, the time as index.
    window : float
        Length of the window: a few times the events looked for; 2 to 10 s for facial expressions.
    max_lag : float
        The largest lag.
    step : float, optional
        How far the window moves; by default a tenth of it.
    lag_step : float, optional
        Distance of the lags; by default one row.
    least_share : float
        NaN where less than this share of the window was seen of both.

    Returns
    -------
    pandas.DataFrame
        time (centre of the window of person_a), person_a, person_b, lag, r. A positive lag: person_b does
        later what person_a did.

    Raises
    ------
    InputError
        Uneven times, or windows that don't fit.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> t = np.arange(200) / 10
    >>> signals = pd.DataFrame({"Ann": np.sin(t), "Ben": np.sin(t - 0.5)}, index=t)
    >>> wcc = synchrony.windowed_cross_correlation(signals, window=7, max_lag=1)
    >>> synchrony.pick_peaks(wcc)["lag"].round(3).unique().tolist()
    [0.5]
    """
    times, interval = _interval(signals)
    most = _samples("max_lag", max_lag, interval, 1, len(times) // 2)
    width = _samples("window", window, interval, 3, len(times) - 2 * most)
    hop = max(1, width // 10) if step is None else _samples("step", step, interval, 1, len(times))
    every = 1 if lag_step is None else _samples("lag_step", lag_step, interval, 1, most)
    starts = np.arange(most, len(times) - width - most + 1, hop)
    centres = (times[starts] + times[starts + width - 1]) / 2
    lags = np.arange(-(most // every) * every, most + 1, every)
    least = _least_rows(least_share, width)
    parts = []
    for first, second, a, b in _pairs(signals):
        r = np.column_stack([_window_correlations(a, b, width, starts, int(lag), least)[0] for lag in lags])
        parts.append(
            pd.DataFrame(
                {
                    "time": np.repeat(centres, len(lags)),
                    "person_a": first,
                    "person_b": second,
                    "lag": np.tile(lags * interval, len(starts)),
                    "r": r.ravel(),
                }
            )
        )
    return _together(parts)


def pick_peaks(
    wcc: pd.DataFrame,
    neighbourhood: float | None = None,
    choose: Literal["nearest", "highest"] = "nearest",
) -> pd.DataFrame:
    """For every window the lag at which two people agree best (Boker et al. 2002).

    Parameters
    ----------
    wcc : pandas.DataFrame
        From `windowed_cross_correlation`.
    neighbourhood : float, optional
        A peak is higher than everything so far to both sides of it, which must be inside the lags. By default
        an eighth of the largest lag.
    choose : {"nearest", "highest"}
        Of several peaks that nearest to lag 0, as in the paper: of a repeating movement the shortest lag. Or
        the highest, which a chance peak in between doesn't catch.

    Returns
    -------
    pandas.DataFrame
        time, person_a, person_b, lag and r of the peak; NaN for a window without one.

    Raises
    ------
    InputError
        The table is not one of `windowed_cross_correlation`.

    Examples
    --------
    >>> import pandas as pd
    >>> from pyopenface import synchrony
    >>> lags, r = [-2, -1, 0, 1, 2], [0.1, 0.2, 0.3, 0.9, 0.4]
    >>> wcc = pd.DataFrame({"time": 0.0, "person_a": "Ann", "person_b": "Ben", "lag": lags, "r": r})
    >>> synchrony.pick_peaks(wcc)[["lag", "r"]].values.tolist()
    [[1.0, 0.9]]
    """
    if choose not in ("nearest", "highest"):
        raise InputError(f"choose: must be 'nearest' or 'highest', not {choose!r}")
    keys = ["person_a", "person_b", "time"]
    if neighbourhood is not None and not (_is_number(neighbourhood) and neighbourhood > 0):
        raise InputError(f"neighbourhood: must be a positive length of time, not {neighbourhood!r}")
    if not isinstance(wcc, pd.DataFrame) or not {"lag", "r", *keys} <= set(wcc.columns):
        raise InputError("wcc: must be a table of windowed_cross_correlation")
    rows = []
    for key, part in wcc.groupby(keys, sort=False):
        lags, r = part["lag"].to_numpy(dtype=np.float64), part["r"].to_numpy(dtype=np.float64)
        order = np.argsort(lags)
        rows.append((*key, *_peak(lags[order], r[order], neighbourhood, choose)))
    result = _tidy(rows, [*keys, "lag", "r"])
    ordered: pd.DataFrame = result[["time", "person_a", "person_b", "lag", "r"]]
    return ordered


def _peak(lags: Floats, r: Floats, neighbourhood: float | None, choose: str) -> tuple[float, float]:
    if len(lags) < 3:
        return np.nan, np.nan
    spacing = float(lags[1] - lags[0])
    reach = np.abs(lags).max() / 8 if neighbourhood is None else neighbourhood
    around = max(1, round(reach / spacing))
    if len(lags) < 2 * around + 1:
        return np.nan, np.nan
    windows = np.lib.stride_tricks.sliding_window_view(r, 2 * around + 1)
    middle = windows[:, around]
    sides = np.delete(windows, around, axis=1)
    peaks = np.flatnonzero(
        (middle > sides[:, :around].T).all(axis=0) & (middle >= sides[:, around:].T).all(axis=0)
    )
    if len(peaks) == 0:
        return np.nan, np.nan
    places = peaks + around
    distance = np.round(np.abs(lags[places]) / spacing)
    order = np.lexsort((-r[places], distance) if choose == "nearest" else (distance, -r[places]))
    best = places[order[0]]
    return float(lags[best]), float(r[best])


def phase_synchrony(
    signals: pd.DataFrame,
    window: float,
    band: tuple[float, float] | None = None,
    step: float | None = None,
) -> pd.DataFrame:
    """How far the rhythms of two people run in step, from the phases of their analytic signals.

    The phase of each signal is that of its analytic signal (Hilbert transform; Rosenblum et al. 1996), taken
    over every stretch without missing values. It means something for a signal with one dominant rhythm: give
    a band.

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person, the time as index.
    window : float
        Length of the window over which the locking is taken; a few periods.
    band : (float, float), optional
        Lowest and highest frequency to keep, in Hz (per unit of the index): a Butterworth filter of order 2,
        run forwards and backwards. Without it only the mean of each stretch is removed.
    step : float, optional
        How far the window moves; by default one row.

    Returns
    -------
    pandas.DataFrame
        time, person_a, person_b; phase_difference in radians (positive: person_a is ahead); instantaneous,
        from 0 (opposite phase) to 1 (in phase), which is 1 - sin(abs(phase_difference) / 2) (Cheong 2019);
        locking, the length of the mean vector of the phase difference in the window, from 0 to 1, which
        doesn't mind a constant lag (Lachaux et al. 1999).

    Raises
    ------
    InputError
        Uneven times, a window that doesn't fit, an impossible band.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> t = np.arange(400) / 10
    >>> signals = pd.DataFrame({"Ann": np.sin(2 * np.pi * t / 4), "Ben": np.cos(2 * np.pi * t / 4)}, index=t)
    >>> middle = synchrony.phase_synchrony(signals, window=8).iloc[200]
    >>> (middle[["phase_difference", "locking"]] / [np.pi, 1]).astype(float).round(3).tolist()
    [-0.5, 1.0]
    """
    times, interval = _interval(signals)
    width = _samples("window", window, interval, 2, len(times))
    hop = 1 if step is None else _samples("step", step, interval, 1, len(times))
    if band is not None and not _is_band(band, 0.5 / interval):
        raise InputError(f"band: must lie between 0 and {0.5 / interval:g}, half the frame rate; got {band}")
    phases = [_phase(column, interval, band, width) for column in _values(signals).T]
    starts = np.arange(0, len(times) - width + 1, hop)
    middles = starts + width // 2
    parts = []
    for i, (first, second, _, _) in zip(combinations(range(len(phases)), 2), _pairs(signals), strict=True):
        turned = np.exp(1j * (phases[i[0]] - phases[i[1]]))
        difference = np.angle(turned)[middles]
        locking = np.abs(np.lib.stride_tricks.sliding_window_view(turned, width)[starts].mean(axis=1))
        parts.append(
            pd.DataFrame(
                {
                    "time": times[middles],
                    "person_a": first,
                    "person_b": second,
                    "phase_difference": difference,
                    "instantaneous": 1.0 - np.sin(np.abs(difference) / 2),
                    "locking": locking,
                }
            )
        )
    return _together(parts)


def _is_band(band: Any, nyquist: float) -> bool:
    """Whether two frequencies rise, above 0 and below half the frame rate."""
    if not isinstance(band, Sequence | np.ndarray) or len(band) != 2 or not all(map(_is_number, band)):
        return False
    return bool(0 < band[0] < band[1] < nyquist)


def _phase(values: Floats, interval: float, band: tuple[float, float] | None, least: int) -> Floats:
    """The phase in every long enough stretch without a gap; NaN elsewhere and where nothing moves."""
    from scipy.signal import butter, hilbert, sosfiltfilt

    phase = np.full(len(values), np.nan)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(values).astype(np.int8), [0]])))
    for start, stop in edges.reshape(-1, 2).tolist():
        part = values[start:stop] - values[start:stop].mean()
        if stop - start < max(least, 16) or np.abs(part).max() < 1e-9:
            continue
        if band is not None:
            sections = butter(2, band, btype="bandpass", fs=1.0 / interval, output="sos")
            part = sosfiltfilt(
                sections, part, padlen=min(stop - start - 1, 3 * round(1.0 / (band[0] * interval)))
            )
        phase[start:stop] = np.angle(hilbert(part))
    return phase


def _shuffled(values: Floats, length: int, random: np.random.Generator) -> Floats:
    """The values with their segments in another order; the last segment may be shorter."""
    segments = np.array_split(values, np.arange(length, len(values), length))
    order = random.permutation(len(segments))
    return np.concatenate([segments[i] for i in order])


def shuffle_segments(signals: pd.DataFrame, segment: float, seed: int | None = None) -> pd.DataFrame:
    """Surrogates: every column cut into segments that are put together in a random order (Moulder et al.
    2018).

    What a person does within a segment stays as it is; that two people do it at the same time is lost.

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person, the time as index.
    segment : float
        Length of a segment: at least as long as the events looked for.
    seed : int, optional
        For the same surrogates again.

    Returns
    -------
    pandas.DataFrame
        Of the same shape.

    Raises
    ------
    InputError
        Uneven times, or a segment that is longer than half of the table.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> signals = pd.DataFrame({"Ann": [1.0, 2, 3, 4, 5, 6]}, index=np.arange(6.0))
    >>> sorted(synchrony.shuffle_segments(signals, segment=2, seed=0)["Ann"])
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """
    times, interval = _interval(signals)
    length = _samples("segment", segment, interval, 1, len(times) // 2)
    random = _generator(seed)
    columns = [_shuffled(column, length, random) for column in _values(signals).T]
    cells = np.column_stack(columns)
    shuffled: pd.DataFrame = pd.DataFrame(cells, index=signals.index, columns=signals.columns)
    return shuffled


def _pearson(a: Floats, b: Floats) -> float:
    return float(_correlations(a[None], b[None], 2)[0][0])


def surrogate_test(
    signals: pd.DataFrame,
    segment: float,
    statistic: Statistic | None = None,
    *,
    surrogates: int = 999,
    method: Literal["segments", "shift"] = "segments",
    seed: int | None = None,
) -> pd.DataFrame:
    """Compare synchrony with what chance gives to two people who each behave like this.

    The statistic of every pair is compared with those of surrogates in which the second person's signal is
    displaced in time: its segments shuffled (Moulder et al. 2018), or the whole of it rotated (Lancaster et
    al. 2018).

    Parameters
    ----------
    signals : pandas.DataFrame
        A column per person, the time as index.
    segment : float
        Length of a segment, or the least rotation.
    statistic : callable, optional
        Gets the two signals, float64 (n,) with NaN, and returns a number that is larger with more synchrony.
        By default Pearson's r.
    surrogates : int
        How many.
    method : {"segments", "shift"}
        Rotation keeps all of a signal's rhythm, but there are only as many rotations as rows.
    seed : int, optional
        For the same surrogates again.

    Returns
    -------
    pandas.DataFrame
        person_a, person_b, observed; surrogate_mean and surrogate_sd; z, the distance of the observed value
        from the mean in standard deviations (NaN if all surrogates give the same); p, the share of values at
        least as large, the observed one included (one-sided).

    Raises
    ------
    InputError
        Uneven times, fewer than one surrogate, or a segment that is longer than half of the table.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> noise = np.random.default_rng(0).normal(size=(2, 300))
    >>> signals = pd.DataFrame({"Ann": noise[0], "Ben": noise[0] + noise[1]}, index=np.arange(300) / 10)
    >>> synchrony.surrogate_test(signals, segment=1, surrogates=99, seed=0)["p"].tolist()
    [0.01]
    """
    if method not in ("segments", "shift"):
        raise InputError(f"method: must be 'segments' or 'shift', not {method!r}")
    if isinstance(surrogates, bool) or not isinstance(surrogates, int | np.integer) or surrogates < 1:
        raise InputError(f"surrogates: expected a whole number, 1 or more, not {surrogates!r}")
    times, interval = _interval(signals)
    length = _samples("segment", segment, interval, 1, len(times) // 2)
    measure = _checked(statistic)
    random = _generator(seed)
    rows = []
    for first, second, a, b in _pairs(signals):
        observed = float(measure(a, b))
        chance = np.empty(surrogates)
        for i in range(surrogates):
            if method == "segments":
                displaced = _shuffled(b, length, random)
            else:
                displaced = np.roll(b, random.integers(length, len(b) - length + 1))
            chance[i] = measure(a, displaced)
        chance = chance[np.isfinite(chance)]
        if len(chance) == 0 or not np.isfinite(observed):
            rows.append((first, second, observed, np.nan, np.nan, np.nan, np.nan))
            continue
        mean, deviation = float(chance.mean()), float(chance.std(ddof=1)) if len(chance) > 1 else np.nan
        p = (1 + int((chance >= observed).sum())) / (1 + len(chance))
        differs = deviation > 1e-12 * abs(mean)  # more than rounding
        z = (observed - mean) / deviation if differs else np.nan
        rows.append((first, second, observed, mean, deviation, z, p))
    names = ["person_a", "person_b", "observed", "surrogate_mean", "surrogate_sd", "z", "p"]
    return _tidy(rows, names)


def pseudo_pairs(sessions: Mapping[Any, pd.DataFrame], statistic: Statistic | None = None) -> pd.DataFrame:
    """The statistic of real pairs, and of pairs of people who never met (Bernieri and Rosenthal 1991).

    People of different sessions can't react to each other; what they have in common comes from the situation.
    The real pairs should lie above the pseudo pairs.

    Parameters
    ----------
    sessions : mapping
        Signals by the name of the session, each with a column per person, at the same frame rate. Two of
        different length are compared over the shorter one's, from the beginning.
    statistic : callable, optional
        Gets the two signals, float64 (n,) with NaN, and returns a number. By default Pearson's r.

    Returns
    -------
    pandas.DataFrame
        kind ("real" or "pseudo"), session_a, person_a, session_b, person_b, value.

    Raises
    ------
    InputError
        Fewer than two sessions, or different frame rates.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pyopenface import synchrony
    >>> noise = np.random.default_rng(0).normal(size=(4, 300))
    >>> time = np.arange(300) / 10
    >>> monday = pd.DataFrame({"Ann": noise[0], "Ben": noise[0] + noise[1]}, index=time)
    >>> tuesday = pd.DataFrame({"Cem": noise[2], "Dee": noise[2] + noise[3]}, index=time)
    >>> pairs = synchrony.pseudo_pairs({"monday": monday, "tuesday": tuesday})
    >>> pairs.groupby("kind")["value"].mean().round(1).to_dict()
    {'pseudo': 0.1, 'real': 0.7}
    """
    if not isinstance(sessions, Mapping):
        raise InputError(
            f"sessions: expected a mapping of names to signals, not a {type(sessions).__qualname__}"
        )
    for signals in sessions.values():
        _values(signals)
    if len(sessions) < 2:
        raise InputError("sessions: at least two are needed")
    intervals = {name: _interval(signals)[1] for name, signals in sessions.items()}
    if max(intervals.values()) > 1.02 * min(intervals.values()):
        raise InputError("sessions: have different frame rates; use df.openface.resample(fps) before wide()")
    measure = _checked(statistic)
    people = [
        (session, person, column)
        for session, signals in sessions.items()
        for person, column in zip(signals.columns, _values(signals).T, strict=True)
    ]
    rows = []
    for (session_a, person_a, a), (session_b, person_b, b) in combinations(people, 2):
        kind = "real" if session_a == session_b else "pseudo"
        n = min(len(a), len(b))
        rows.append((kind, session_a, person_a, session_b, person_b, float(measure(a[:n], b[:n]))))
    names = ["kind", "session_a", "person_a", "session_b", "person_b", "value"]
    return _tidy(rows, names)
