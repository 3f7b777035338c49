"""Synchrony between people, on signals whose answer is known and on a video of several people."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import scipy.stats

from pyopenface import InputError, synchrony, table

FPS = 25.0


def noise(people: int, rows: int, seed: int = 0, width: int = 13) -> np.ndarray:
    """Smooth independent signals: white noise, averaged over half a second."""
    white = np.random.default_rng(seed).normal(size=(people, rows + width - 1))
    return np.array([np.convolve(w, np.ones(width) / width, mode="valid") for w in white])


def signals(*columns: np.ndarray, fps: float = FPS) -> pd.DataFrame:
    names = ["Ann", "Ben", "Cem", "Dee"][: len(columns)]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=np.arange(len(columns[0])) / fps)


# --- correlation -----------------------------------------------------------------------------------------


def test_correlations_are_those_of_scipy() -> None:
    a, b, c = noise(3, 400)
    df = signals(a, a + 0.5 * b, c)
    for method, reference in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        out = synchrony.correlation(df, method)
        want = [reference(df[x], df[y])[0] for x, y in zip(out["person_a"], out["person_b"], strict=True)]
        assert np.allclose(out["r"], want, atol=1e-12) and (out["n"] == 400).all()
        assert list(zip(out["person_a"], out["person_b"], strict=True)) == [
            ("Ann", "Ben"),
            ("Ann", "Cem"),
            ("Ben", "Cem"),
        ]
    matrix = synchrony.correlation_matrix(df)
    assert np.allclose(matrix, df.corr(), atol=1e-12) and (np.diag(matrix) == 1).all()


def test_only_common_rows_count() -> None:
    a, b = noise(2, 100)
    df = signals(a, a + b)
    df.iloc[:30, 0] = np.nan
    df.iloc[90:, 1] = np.nan
    out = synchrony.correlation(df).loc[0]
    assert out["n"] == 60 and np.isclose(out["r"], np.corrcoef(a[30:90], (a + b)[30:90])[0, 1])
    df.iloc[35:, 1] = np.nan
    assert np.isnan(synchrony.correlation(df)["r"][0])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_person_who_does_not_move_correlates_with_nobody(scale: float) -> None:
    a = noise(1, 100)[0]
    assert np.isnan(synchrony.correlation(signals(a, np.full(100, 0.1 * scale)))["r"][0])
    assert np.isnan(synchrony.correlation(signals(np.zeros(100), a * scale))["r"][0])
    assert synchrony.correlation(signals(a, a * scale))["r"][0] == pytest.approx(1)


def test_rolling_correlation_finds_when() -> None:
    """In step for 8 s, then against each other."""
    a = noise(1, 400)[0]
    df = signals(a, np.where(np.arange(400) < 200, a, -a))
    out = synchrony.rolling_correlation(df, window=2)
    assert np.allclose(out.loc[out["time"] < 7, "r"], 1) and np.allclose(out.loc[out["time"] > 9, "r"], -1)
    assert out["time"].iloc[0] == pytest.approx(0.98) and len(out) == 351
    pandas = df["Ann"].rolling(50).corr(df["Ben"]).dropna()
    assert np.allclose(out["r"], pandas, atol=1e-9)
    assert len(synchrony.rolling_correlation(df, window=2, step=1)) == 15


def test_windows_with_too_many_missing_values_are_nan() -> None:
    a, b = noise(2, 200)
    df = signals(a, b)
    df.iloc[100:150, 0] = np.nan
    out = synchrony.rolling_correlation(df, window=2, least_share=0.8)
    assert out.loc[out["n"] < 40, "r"].isna().all() and out.loc[out["n"] >= 40, "r"].notna().all()


# --- lags ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [-0.6, 0.0, 0.8])
def test_the_lag_of_a_delayed_signal_is_found(lag: float) -> None:
    """Ben does what Ann does, lag seconds later."""
    rows = round(lag * FPS)
    long = noise(1, 700, seed=3)[0]
    df = signals(long[50:650], long[50 - rows : 650 - rows])
    wcc = synchrony.windowed_cross_correlation(df, window=4, max_lag=1.6, step=0.4)
    peaks = synchrony.pick_peaks(wcc, choose="highest")
    assert np.allclose(peaks["lag"], lag) and np.allclose(peaks["r"], 1)
    nearest = synchrony.pick_peaks(wcc)  # in some windows a lower peak by chance lies nearer to lag 0
    true = np.isclose(nearest["lag"], lag)
    assert true.mean() > 0.4 and (nearest["r"][~true] < 1).all()
    assert (nearest["lag"][~true].abs() <= abs(lag)).all()
    assert len(wcc) == len(peaks) * 81 and wcc["r"].between(-1, 1).all()


def test_a_changing_lag_is_followed() -> None:
    """Ann leads by 0.4 s in the first half, Ben in the second."""
    long = noise(1, 1100, seed=5)[0]
    ahead, behind = long[50:1050], np.concatenate([long[40:540], long[560:1060]])
    wcc = synchrony.windowed_cross_correlation(signals(ahead, behind), window=3, max_lag=1)
    peaks = synchrony.pick_peaks(wcc, choose="highest")
    assert np.allclose(peaks.loc[peaks["time"] < 16, "lag"], 0.4)
    assert np.allclose(peaks.loc[peaks["time"] > 24, "lag"], -0.4)


def test_cross_correlations_are_correlations_of_shifted_windows() -> None:
    a, b = noise(2, 300)
    wcc = synchrony.windowed_cross_correlation(signals(a, b), window=2, max_lag=0.4, step=1, lag_step=0.2)
    assert np.allclose(wcc["lag"].unique(), [-0.4, -0.2, 0, 0.2, 0.4])
    row = wcc[np.isclose(wcc["lag"], 0.2)].iloc[2]
    start = 10 + 2 * 25
    assert np.isclose(row["r"], np.corrcoef(a[start : start + 50], b[start + 5 : start + 55])[0, 1])
    assert np.isclose(row["time"], (start + 24.5) / FPS)


def test_the_peak_nearest_to_zero_is_picked() -> None:
    """Of a rhythm with a period of 1 s the lags 0.2 and -0.8 are the same."""
    t = np.arange(400) / FPS
    df = signals(np.sin(2 * np.pi * t), np.sin(2 * np.pi * (t - 0.2)))
    peaks = synchrony.pick_peaks(synchrony.windowed_cross_correlation(df, window=3, max_lag=1.2))
    assert np.allclose(peaks["lag"], 0.2)


def test_no_peak_is_not_a_number() -> None:
    lags = np.arange(-5.0, 6.0)
    for r in (lags / 10, np.zeros(11), np.full(11, np.nan)):
        wcc = pd.DataFrame({"time": 0.0, "person_a": 0, "person_b": 1, "lag": lags, "r": r})
        assert synchrony.pick_peaks(wcc)[["lag", "r"]].isna().all(axis=None)
    with pytest.raises(InputError, match="'nearest' or 'highest'"):
        synchrony.pick_peaks(wcc, choose="first")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="windowed_cross_correlation"):
        synchrony.pick_peaks(pd.DataFrame({"lag": lags}))


# --- phases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, np.pi / 3, -np.pi / 2, np.pi * 0.9])
def test_the_phase_difference_of_two_rhythms_is_found(shift: float) -> None:
    t = np.arange(1000) / FPS
    df = signals(np.sin(2 * np.pi * t * 0.5 + shift), np.sin(2 * np.pi * t * 0.5))
    out = synchrony.phase_synchrony(df, window=4)
    middle = out[out["time"].between(10, 30)]
    # 0.02 rad: the ends of the record leak into the analytic signal
    assert np.abs(middle["phase_difference"] - shift).max() < 0.02
    assert np.allclose(middle["instantaneous"], 1 - abs(np.sin(shift / 2)), atol=0.02)
    assert (middle["locking"] > 0.999).all()


def test_different_rhythms_are_not_locked() -> None:
    t = np.arange(2000) / FPS
    df = signals(np.sin(2 * np.pi * t * 0.5), np.sin(2 * np.pi * t * 0.75))
    middle = synchrony.phase_synchrony(df, window=8).query("20 < time < 60")
    assert middle["locking"].max() < 0.05, "the difference goes twice round in 8 s"


def test_a_band_takes_the_rhythm_out_of_noise() -> None:
    t = np.arange(3000) / FPS
    rng = np.random.default_rng(2)
    slow = 3 * np.sin(2 * np.pi * t * 0.05)
    df = signals(
        np.sin(2 * np.pi * t) + slow + 0.3 * rng.normal(size=3000),
        np.sin(2 * np.pi * t - np.pi / 2) - slow + 0.3 * rng.normal(size=3000),
    )
    middle = synchrony.phase_synchrony(df, window=5, band=(0.7, 1.4)).query("20 < time < 100")
    assert abs(middle["phase_difference"].mean() - np.pi / 2) < 0.05 and middle["locking"].min() > 0.95


def test_gaps_and_stillness_have_no_phase() -> None:
    t = np.arange(1000) / FPS
    df = signals(np.sin(2 * np.pi * t), np.cos(2 * np.pi * t), np.full(1000, 2.0))
    df.iloc[400:420, 1] = np.nan
    out = synchrony.phase_synchrony(df, window=2)
    pair = out.query("person_a == 'Ann' and person_b == 'Ben'").set_index("time")
    assert pair.loc[16.0:16.76, "phase_difference"].isna().all()
    assert pair["locking"].isna().sum() == 20 + 50 - 1
    assert out.query("person_b == 'Cem'")["locking"].isna().all()


def test_phases_are_those_of_scipy() -> None:
    a, b = noise(2, 600)
    out = synchrony.phase_synchrony(signals(a, a + b), window=4, band=(0.3, 2))
    sections = scipy.signal.butter(2, [0.3, 2], btype="bandpass", fs=FPS, output="sos")
    pad = 3 * round(FPS / 0.3)
    one, other = (
        np.angle(scipy.signal.hilbert(scipy.signal.sosfiltfilt(sections, x - x.mean(), padlen=pad)))
        for x in (a, a + b)
    )
    turned = np.exp(1j * (one - other))
    locking = [abs(turned[i : i + 100].mean()) for i in range(501)]
    assert np.allclose(out["locking"], locking, atol=1e-12)
    assert np.allclose(np.exp(1j * out["phase_difference"]), turned[50:551], atol=1e-9)
    assert np.allclose(out["time"], np.arange(50, 551) / FPS)


# --- controls --------------------------------------------------------------------------------------------


def test_shuffled_segments_keep_what_is_inside_them() -> None:
    a, b = noise(2, 103)
    df = signals(a, b)
    out = synchrony.shuffle_segments(df, segment=0.4, seed=1)
    assert np.allclose(np.sort(out["Ann"]), np.sort(a)) and out.index.equals(df.index)
    blocks = {tuple(a[i : i + 10]) for i in range(0, 103, 10)}
    found = sum(tuple(out["Ann"].to_numpy()[i : i + 10]) in blocks for i in range(94))
    assert found >= 10 and not np.allclose(out["Ann"], a)
    assert out.equals(synchrony.shuffle_segments(df, segment=0.4, seed=1))


@pytest.mark.parametrize("method", ["segments", "shift"])
def test_true_synchrony_stands_out_from_surrogates(method: str) -> None:
    a, b, c = noise(3, 1500, seed=7)
    out = synchrony.surrogate_test(
        signals(a, a + b, c), segment=1, surrogates=199, method=method, seed=0
    ).set_index(["person_a", "person_b"])
    assert out.loc[("Ann", "Ben"), "p"] == 1 / 200 and out.loc[("Ann", "Ben"), "z"] > 5
    assert out.loc[("Ann", "Cem"), "p"] > 0.05


@pytest.mark.parametrize("method", ["segments", "shift"])
def test_a_seed_gives_the_same_surrogates_again(method: Literal["segments", "shift"]) -> None:
    df = signals(*noise(2, 400))

    def test(seed: int) -> pd.DataFrame:
        return synchrony.surrogate_test(df, segment=2, surrogates=49, method=method, seed=seed)

    assert test(1).equals(test(1)) and not test(1).equals(test(2))


def test_surrogates_that_are_all_alike_have_no_z() -> None:
    df = signals(*noise(2, 100))
    out = synchrony.surrogate_test(df, segment=1, statistic=lambda a, b: 0.1, surrogates=9).loc[0]
    assert np.isnan(out["z"]) and out["p"] == 1


def test_independent_people_are_rarely_significant() -> None:
    """Of 60 pairs without synchrony about 5 % have p <= 0.05: at most 8 with a probability above 99 %."""
    hits = 0
    for seed in range(60):
        out = synchrony.surrogate_test(
            signals(*noise(2, 400, seed=seed)), segment=2, surrogates=99, seed=seed
        )
        hits += bool(out["p"][0] <= 0.05)
    assert hits <= 8


def test_any_statistic_can_be_tested() -> None:
    long = noise(1, 800, seed=11)[0]
    df = signals(long[20:780], long[10:770])  # a delay of 0.4 s

    def best_lag(a: np.ndarray, b: np.ndarray) -> float:
        return max(float(np.corrcoef(a[: len(a) - k], b[k:])[0, 1]) for k in range(0, 20, 2))

    out = synchrony.surrogate_test(df, segment=2, statistic=best_lag, surrogates=49, seed=0)
    assert out["observed"][0] > 0.99 and out["p"][0] == 1 / 50


def test_pseudo_pairs_are_below_real_ones() -> None:
    sessions = {}
    for i in range(6):
        a, b = noise(2, 500 + 10 * i, seed=100 + i)
        sessions[f"dyad {i}"] = signals(a, a + b)
    out = synchrony.pseudo_pairs(sessions)
    assert (out["kind"] == "real").sum() == 6 and (out["kind"] == "pseudo").sum() == 60
    assert (out.loc[out["kind"] == "real", "session_a"] == out.loc[out["kind"] == "real", "session_b"]).all()
    means = out.groupby("kind")["value"].mean()
    assert means["real"] > 0.6 and abs(means["pseudo"]) < 0.1


# --- input -----------------------------------------------------------------------------------------------


def test_wrong_signals_are_refused() -> None:
    a, b = noise(2, 100)
    good = signals(a, b)
    uneven = good.set_axis(np.sort(np.random.default_rng(0).uniform(size=100)))
    with pytest.raises(InputError, match=r"not evenly spaced.*resample"):
        synchrony.rolling_correlation(uneven, 0.1)
    with pytest.raises(InputError, match="window: 100 is 2500 rows"):
        synchrony.rolling_correlation(good, 100)
    with pytest.raises(InputError, match="max_lag"):
        synchrony.windowed_cross_correlation(good, 1, float("nan"))
    with pytest.raises(InputError, match="half the frame rate"):
        synchrony.phase_synchrony(good, 1, band=(1, 20))
    with pytest.raises(InputError, match="at least two people"):
        synchrony.correlation(good[["Ann"]])
    with pytest.raises(InputError, match="numbers only"):
        synchrony.correlation(good.assign(Ben="smile"))
    with pytest.raises(InputError, match="same name"):
        synchrony.correlation(good.set_axis(["Ann", "Ann"], axis=1))
    with pytest.raises(InputError, match="column per person"):
        synchrony.correlation([1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="different frame rates"):
        synchrony.pseudo_pairs({"a": good, "b": signals(a, b, fps=30)})
    with pytest.raises(InputError, match="the time in seconds, or frame numbers, not datetime64"):
        synchrony.rolling_correlation(good.set_axis(pd.to_datetime(good.index, unit="s")), 1)
    wcc = synchrony.windowed_cross_correlation(good, 1, 0.2)
    for call in (
        lambda: synchrony.rolling_correlation(good, "1"),  # type: ignore[arg-type]
        lambda: synchrony.rolling_correlation(good, 1, least_share=75),
        lambda: synchrony.windowed_cross_correlation(good, 1, 0.2, least_share=-1),
        lambda: synchrony.windowed_cross_correlation(good, 3.9, 0.2),
        lambda: synchrony.windowed_cross_correlation(good, 1, 0.2, lag_step=1),
        lambda: synchrony.correlation(good, least="all"),  # type: ignore[arg-type]
        lambda: synchrony.pick_peaks(None),  # type: ignore[arg-type]
        lambda: synchrony.pick_peaks(wcc, neighbourhood=float("nan")),
        lambda: synchrony.pick_peaks(wcc, neighbourhood=-1),
        lambda: synchrony.phase_synchrony(good, 1, band=(1,)),  # type: ignore[arg-type]
        lambda: synchrony.phase_synchrony(good, 1, band=1),  # type: ignore[arg-type]
        lambda: synchrony.phase_synchrony(good, 100),
        lambda: synchrony.shuffle_segments(good, 1, seed=-1),
        lambda: synchrony.surrogate_test(good, 1, seed="one"),  # type: ignore[arg-type]
        lambda: synchrony.surrogate_test(good, 1, surrogates=9.5),  # type: ignore[arg-type]
        lambda: synchrony.surrogate_test(good, 1, statistic="r"),  # type: ignore[arg-type]
        lambda: synchrony.pseudo_pairs([good, good]),  # type: ignore[arg-type]
        lambda: synchrony.pseudo_pairs({"a": good, "b": None}),  # type: ignore[dict-item]
        lambda: synchrony.correlation(good, "kendall"),  # type: ignore[arg-type]
        lambda: synchrony.surrogate_test(good, 1, method="phase"),  # type: ignore[arg-type]
        lambda: synchrony.surrogate_test(good, 1, surrogates=0),
        lambda: synchrony.surrogate_test(good, 10),
        lambda: synchrony.pseudo_pairs({"a": good}),
    ):
        with pytest.raises(InputError):
            call()


def test_a_video_of_several_people_goes_through_all_of_it(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/vid_multi_clnf_aus/multi_face_h264.csv.gz")
    wide = df.openface.wide("AU12_r")[[0, 1, 2]]
    assert synchrony.correlation(wide)["r"].between(-1, 1).all()
    assert len(synchrony.rolling_correlation(wide, window=3)) == 3 * (702 - 90 + 1)
    peaks = synchrony.pick_peaks(synchrony.windowed_cross_correlation(wide, window=3, max_lag=1))
    assert peaks["lag"].dropna().abs().max() <= 1 and peaks["r"].notna().mean() > 0.3
    assert synchrony.phase_synchrony(wide, window=2)["locking"].notna().any()
    assert synchrony.surrogate_test(wide, segment=2, surrogates=19, seed=0)["p"].between(0.05, 1).all()
