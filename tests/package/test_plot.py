"""Figures: what they show, on a video of several people, one of a lost face, and small tables."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from pyopenface import Error, InputError, columns, plot, table  # noqa: E402


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def people(golden: Path) -> pd.DataFrame:
    df = table.read_openface_csv(golden / "csv/vid_multi_clnf_aus/multi_face_h264.csv.gz")
    return df.openface.rename_faces({0: "Ann", 1: "Ben"})


def one_face(rows: int = 20) -> pd.DataFrame:
    layout = columns.layout()
    values = np.random.default_rng(0).uniform(0.2, 1, size=(rows, len(layout)))
    df = table.to_dataframe(values, layout)
    time = np.arange(rows)
    return df.assign(frame=time + 1, face_id=0, timestamp=time / 10, success=1)


FIGURES: list[tuple[Callable[..., Any], int]] = [
    (plot.positions, 2),
    (plot.action_units, 6),
    (plot.gaze, 2),
    (plot.gaze_density, 1),
    (plot.pose, 4),
    (plot.face, 1),
    (plot.confidence, 1),
]


def panels(result: Any) -> list[Any]:
    return list(np.asarray(result, dtype=object).ravel())


def drawn(result: Any) -> np.ndarray:
    """The pixels of a figure."""
    canvas = panels(result)[0].figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize(("figure", "count"), FIGURES)
def test_every_figure_draws_and_labels_its_axes(figure: Callable[..., Any], count: int) -> None:
    result = figure(one_face())
    axes = panels(result)
    assert len(axes) == count and all(isinstance(ax, matplotlib.axes.Axes) for ax in axes)
    assert axes[-1].get_xlabel() and any(ax.get_title() for ax in axes)
    assert (drawn(result)[..., :3] != 255).any(axis=2).mean() > 0.01


@pytest.mark.parametrize(("figure", "count"), FIGURES)
def test_every_figure_draws_on_given_axes(figure: Callable[..., Any], count: int) -> None:
    given = plt.subplots(1, count, squeeze=False)[1][0]
    number = len(plt.get_fignums())
    result = figure(one_face(), ax=given if count > 1 else given[0])
    assert panels(result) == list(given) and len(plt.get_fignums()) == number
    with pytest.raises(InputError, match="Axes are needed"):
        figure(one_face(), ax=[*given, given[0]])


@pytest.mark.parametrize("figure", [f for f, _ in FIGURES if f is not plot.face])
def test_every_figure_shows_all_people(people: pd.DataFrame, figure: Callable[..., Any]) -> None:
    result = figure(people)
    figure_ = panels(result)[0].figure
    shown = [t.get_text() for t in figure_.findobj(matplotlib.text.Text)]
    assert {"Ann", "Ben", "face 2", "face 3"} <= set(shown)
    drawn(result)


@pytest.mark.parametrize(("figure", "count"), FIGURES)
def test_a_face_that_was_never_tracked_and_an_empty_table(figure: Callable[..., Any], count: int) -> None:
    if figure is not plot.face:
        drawn(figure(one_face().assign(success=0)))
    with pytest.raises(InputError):
        figure(one_face(0))


@pytest.mark.parametrize("figure", [f for f, _ in FIGURES])
def test_a_table_of_several_videos_is_refused(figure: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="several videos"):
        figure(pd.concat([one_face(), one_face()], ignore_index=True))


def test_positions_before_and_after_the_threshold(people: pd.DataFrame) -> None:
    before, after = plot.positions(people, 0.9)

    def points(ax: Any) -> int:
        return sum(len(c.get_offsets()) for c in ax.collections)

    confident = int((people["confidence"] >= 0.9).sum())
    assert points(before) == len(people) and points(after) == confident
    assert after.get_title() == f"confidence ≥ 0.9: {confident} of {len(people)}"
    assert before.yaxis_inverted(), "y of an image runs down"


def test_action_units_come_in_a_grid_by_person(people: pd.DataFrame) -> None:
    axes = plot.action_units(people, ["AU12", "AU45"], ["Ben"])
    assert axes.shape == (2, 1) and axes[0, 0].get_ylabel().startswith("AU12")
    line = axes[0, 0].lines[0].get_ydata()
    assert np.array_equal(line, people.openface.wide("AU12_r")["Ben"], equal_nan=True)
    with pytest.raises(InputError, match="no 'AU99'; it has AU01, AU02"):
        plot.action_units(people, ["AU99"])
    with pytest.raises(InputError, match="no face 'Zoe'"):
        plot.action_units(people, faces=["Zoe"])


def test_lines_break_where_the_face_was_lost(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/feature_extraction_clnf/gap.csv.gz")
    for ax in (*plot.gaze(df), *plot.pose(df)):
        assert np.isnan(np.asarray(ax.lines[0].get_ydata(), dtype=float)).sum() == (df["success"] == 0).sum()


def test_up_is_up_and_right_is_right() -> None:
    df = one_face().assign(gaze_angle_x=0.1, gaze_angle_y=0.2, pose_Rx=0.1, pose_Ry=0.2, pose_Tz=1500)
    yaw, pitch = plot.gaze(df)
    assert yaw.lines[0].get_ydata()[0] == pytest.approx(np.degrees(0.1))
    assert pitch.lines[0].get_ydata()[0] == pytest.approx(-np.degrees(0.2))
    values = [ax.lines[0].get_ydata()[0] for ax in plot.pose(df)]
    assert values[:2] == pytest.approx([-np.degrees(0.1), -np.degrees(0.2)]) and values[3] == 1.5
    density = plot.gaze_density(df, bins=2, extent=20)[0].collections[0]
    cells = np.asarray(density.get_array().filled(0)).reshape(20, 20)
    assert cells.sum() == pytest.approx(100)
    assert np.argwhere(cells > 0).tolist() == [[4, 12]], "pitch -11.5° and yaw 5.7° in cells of 2°"
    with pytest.raises(InputError, match="bins=0: expected degrees"):
        plot.gaze_density(df, bins=0)


@pytest.mark.parametrize(
    ("figure", "options", "message"),
    [
        (plot.gaze_density, {"bins": "fine"}, "bins='fine': expected degrees"),
        (plot.gaze_density, {"bins": 1e-320}, "too fine"),
        (plot.gaze_density, {"extent": "wide"}, "extent='wide': expected degrees"),
        (plot.gaze_density, {"extent": 181}, "extent=181"),
        (plot.action_units, {"units": 12}, "units=12: expected names of action units"),
        (plot.positions, {"threshold": 1.5}, "threshold=1.5: expected a number between 0 and 1"),
        (plot.confidence, {"threshold": True}, "threshold=True"),
    ],
)
def test_options_of_the_wrong_kind_are_named(
    figure: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        figure(one_face(), **options)


def test_a_face_is_drawn_from_its_landmarks(people: pd.DataFrame) -> None:
    ax = plot.face(people, "Ben", 100)
    points = people[(people["face_id"] == "Ben") & (people["frame"] == 100)]
    assert np.allclose(ax.lines[0].get_xdata(), points[[f"x_{i}" for i in range(17)]])
    assert len(ax.lines) == 9 + 6 and ax.get_title() == "Ben, frame 100"
    assert len(plot.face(people[[c for c in people if not c.startswith("eye")]], "Ben").lines) == 9
    with pytest.raises(InputError, match="no row in frame 9999"):
        plot.face(people, "Ben", 9999)
    with pytest.raises(InputError, match="say which"):
        plot.face(people)
    with pytest.raises(InputError, match="never tracked"):
        plot.face(one_face().assign(success=0))


def shown_text(result: Any) -> list[str]:
    texts = panels(result)[0].figure.findobj(matplotlib.text.Text)
    return [text.get_text() for text in texts if text.get_visible()]


def test_one_moment_and_frames_between_gaps_are_points() -> None:
    df = one_face(9).assign(
        success=[1, 1, 1, 0, 1, 0, 1, 1, 1], AU12_r=2.0, AU12_c=[0, 1, 1, 0, 1, 0, 0, 0, 0]
    )
    for ax in (*plot.gaze(df), *plot.pose(df), *plot.action_units(df, "AU12").ravel()):
        assert [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "."] == [[0.4]]
    (shade,) = plot.action_units(df, "AU12")[0, 0].patches
    times = sorted({round(float(x), 6) for x, y in shade.get_path().vertices if y == 5})
    assert times == [0.05, 0.25, 0.35, 0.45], "half a frame to both sides"
    for ax in panels(plot.pose(df.head(1))):
        (point,) = [line for line in ax.lines if line.get_marker() == "."]
        low, high = ax.get_xlim()
        assert low < point.get_xdata()[0] < high


def test_shade_thinner_than_a_pixel_is_neither_lost_nor_widened() -> None:
    frames = np.arange(8000)

    def shade(present: Any) -> float:
        df = pd.DataFrame({"frame": frames, "AU12_c": present * 1.0})
        return float(255 - drawn(plot.action_units(df, "AU12"))[..., :3].mean())

    none, half, full = (shade(p) for p in (frames < 0, frames % 2 == 0, frames >= 0))
    assert (half - none) / (full - none) == pytest.approx(0.5, abs=0.1)


def test_a_panel_without_numbers_says_so(people: pd.DataFrame) -> None:
    df = people.assign(success=people["success"].where(people["face_id"] != "Ben", 0))
    assert shown_text(plot.action_units(df, ["AU12"])).count("not tracked") == 1
    assert shown_text(plot.gaze_density(df)).count("not tracked") == 1
    nobody = one_face().assign(success=0)
    for figure, count in ((plot.pose, 4), (plot.gaze, 2), (plot.gaze_density, 1)):
        assert shown_text(figure(nobody)).count("not tracked") == count
    assert plot.pose(nobody)[0].get_xlim()[1] > 1.8, "the time of the video"


def crowd(count: int) -> pd.DataFrame:
    df = pd.concat([one_face().assign(face_id=f"a long name, {i:02}") for i in range(count)])
    return df.sort_values(["frame", "face_id"])


@pytest.mark.parametrize("count", [12, 30])
def test_a_crowd_keeps_panels_of_one_size_and_colours_apart(count: int) -> None:
    df = crowd(count)
    for figure in (plot.pose, plot.gaze):
        axes = figure(df)
        drawn(axes)
        heights = [ax.get_position().height for ax in axes]
        assert min(heights) > 0.95 * max(heights) and min(heights) * len(axes) > 0.5
        assert len({tuple(line.get_color()) for line in axes[0].lines if line.get_label()[0] != "_"}) == count
        (legend,) = axes[0].figure.legends
        assert [text.get_text() for text in legend.get_texts()] == df.openface.faces
        box, whole = legend.get_window_extent(), axes[0].figure.bbox
        assert box.y0 >= whole.y0 and box.y1 <= whole.y1 and box.x1 <= whole.x1
        assert box.x0 >= max(ax.get_window_extent().x1 for ax in axes)
    density = plot.gaze_density(df)
    assert len(density) == count and density[0].figure.get_size_inches()[0] < 13
    assert len({mesh.get_clim() for ax in density for mesh in ax.collections}) == 1, "one scale for all"


def test_action_units_of_which_only_one_column_is_there(people: pd.DataFrame) -> None:
    (ax,) = plot.action_units(people, "AU28", "Ann").ravel()
    assert not ax.lines and ax.patches and ax.get_ylabel().startswith("AU28")
    rare = people[["frame", "face_id", "timestamp", "AU09_r"]]
    assert plot.action_units(rare).shape == (1, 4)
    with pytest.raises(InputError, match="no action units"):
        plot.action_units(people[["frame", "face_id", "timestamp"]])


def test_an_error_leaves_no_figure_behind(people: pd.DataFrame, golden: Path) -> None:
    picture = table.read_openface_csv(golden / "csv/img_clnf/sample2.csv.gz")
    calls: list[Callable[[], Any]] = [
        lambda: plot.action_units(people, ["AU99"]),
        lambda: plot.action_units(people, []),
        lambda: plot.action_units(people, faces=[]),
        lambda: plot.action_units(picture),
        lambda: plot.pose(picture),
        lambda: plot.gaze(picture),
        lambda: plot.positions(people.drop(columns="confidence")),
        lambda: plot.positions(people[["frame", "face_id", "confidence"]]),
        lambda: plot.positions(people, 80),
        lambda: plot.confidence(people, 80),
        lambda: plot.gaze_density(people, extent=-1),
        lambda: plot.gaze_density(people, bins=1e-9),
        lambda: plot.face(people, "Ann", ax="here"),  # type: ignore[arg-type]
        lambda: plot.gaze([1, 2]),  # type: ignore[arg-type]
        lambda: plot.gaze(pd.DataFrame()),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()
        assert not plt.get_fignums()


def test_a_picture_has_faces_and_positions(golden: Path) -> None:
    df = table.read_openface_csv(golden / "csv/img_clnf/sample2.csv.gz")
    drawn(plot.face(df, 1))
    drawn(plot.positions(df))
    drawn(plot.gaze_density(df))


def test_the_mean_face_ignores_where_the_face_was() -> None:
    df = one_face(1)
    many = pd.concat([df] * 3).assign(frame=[1, 2, 3], timestamp=[0.0, 0.1, 0.2])
    names = [f"{a}_{i}" for a in "xy" for i in range(68)]
    eyes = [f"eye_lmk_{a}_{i}" for a in "xy" for i in range(56)]
    many[names + eyes] = many[names + eyes].to_numpy() * np.array([[1.0], [2], [3]]) + np.array(
        [[0], [50], [-20]]
    )
    line = plot.face(many).lines[0]
    alone = plot.face(df).lines[0]
    ratio = (line.get_xdata() - np.mean(line.get_xdata())) / (alone.get_xdata() - np.mean(alone.get_xdata()))
    assert np.allclose(ratio, 2), "the shape of one, in the mean size"
    ax = plot.face(many)
    assert ax.get_title() == "face 0, median of 3 frames" and ax.get_xlabel() == "x from the centre (px)"


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *rest, **options)

    for name in [m for m in sys.modules if m.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Error, match=r"pip install 'pyopenface\[plot\]'"):
        plot.confidence(one_face())
