"""Running medians, predictors, online values, end-of-video pass (action-units.md, sections 6 to 11)."""

from __future__ import annotations

import copy
import csv
import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from au_models import FEATURES, SmallModel, write_small_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pyopenface
from pyopenface import FaceAnalyser, _core
from pyopenface._core import stages

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


# ---- against the reference: golden landmarks in, every cell as printed


@dataclass
class Run:
    """What an analyser said about default.wmv with the golden landmarks."""

    analyser: FaceAnalyser
    intensity: Floats
    presence: Floats
    fhog: npt.NDArray[np.float32]
    medians: dict[int, tuple[Floats, Floats]]


def frames_of(video: Path) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(video))
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield image


def run_default(models: Path, samples: Path, arrays: Any, kind: str, count: int = 288) -> Run:
    analyser = FaceAnalyser(models / f"AU_predictors/main_{kind}_svms.txt")
    landmarks, success = arrays["dynamic.landmarks"], arrays["dynamic.success"]
    faces, medians = [], {}
    for i, image in zip(range(count), frames_of(samples / "default.wmv"), strict=False):
        faces.append(analyser.update(image, landmarks[i].reshape(2, 68).T, bool(success[i])))
        medians[i + 1] = analyser._engine.medians()
    assert len(faces) == count
    return Run(
        analyser,
        np.array([face.au_intensity for face in faces]),
        np.array([face.au_presence for face in faces]),
        np.array([face.fhog.ravel() for face in faces]),
        medians,
    )


@pytest.fixture(scope="module")
def arrays(golden: Path) -> Any:
    with np.load(golden / "stages" / "au.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module", params=["dynamic", "static"])
def default(request: pytest.FixtureRequest, models: Path, samples: Path, arrays: Any) -> tuple[str, Run]:
    return request.param, run_default(models, samples, arrays, request.param)


def golden_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    rows = list(csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    header = [name.strip() for name in rows[0]]
    first = next(i for i, name in enumerate(header) if "AU" in name)
    return header[first:], [[cell.strip() for cell in row[first:]] for row in rows[1:]]


def printed(analyser: FaceAnalyser) -> tuple[list[str], list[list[str]]]:
    header = [f"{name}_r" for name in analyser.intensity_names] + [
        f"{name}_c" for name in analyser.presence_names
    ]
    return header, [[f"{value:.2f}" for value in row] for row in np.hstack(analyser.finish())]


def reorder(values: Floats, names: npt.NDArray[Any], wanted: tuple[str, ...]) -> Floats:
    return values[:, [list(names).index(name) for name in wanted]]


def test_every_cell_of_the_reference_as_printed(default: tuple[str, Run], golden: Path) -> None:
    kind, run = default
    folder = "feature_extraction_clnf" if kind == "dynamic" else "feature_extraction_au_static"
    assert printed(run.analyser) == golden_cells(golden / "csv" / folder / "default.csv.gz")


def test_every_cell_of_a_shorter_video_as_printed(
    arrays: Any, golden: Path, models: Path, samples: Path
) -> None:
    # clip60.avi is the first 60 frames of default.wmv; its medians and neutral levels are others.
    run = run_default(models, samples, arrays, "dynamic", 60)
    assert printed(run.analyser) == golden_cells(golden / "csv/feature_extraction_all_outputs/clip60.csv.gz")


def test_descriptors_and_values_before_post_processing(default: tuple[str, Run], arrays: Any) -> None:
    kind, run = default
    np.testing.assert_array_equal(run.fhog, arrays["dynamic.hog"])
    # Section 3: a geometry entry at a bin's edge may move a median by one bin, which moves online values;
    # once all predictions are repeated with the final medians only the rounding of fit and FHOG is left.
    names = run.analyser.intensity_names
    raw = reorder(arrays[f"{kind}.intensity_raw"], arrays[f"{kind}.intensity_names"], names)
    np.testing.assert_allclose(run.intensity, raw, rtol=0, atol=1e-3 if kind == "dynamic" else 1e-5)
    labels = reorder(
        arrays[f"{kind}.presence_raw"], arrays[f"{kind}.presence_names"], run.analyser.presence_names
    )
    np.testing.assert_array_equal(run.presence, labels)
    intensity, presence = run.analyser.finish(postprocess=False)
    np.testing.assert_allclose(intensity, arrays[f"{kind}.intensity_repredicted"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(presence, arrays[f"{kind}.presence_repredicted"])
    intensity, presence = run.analyser.finish()
    np.testing.assert_allclose(intensity, arrays[f"{kind}.intensity_final"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(presence, arrays[f"{kind}.presence_final"])
    assert run.analyser.intensity_names == tuple(arrays[f"{kind}.intensity_final_names"])
    assert run.analyser.presence_names == tuple(arrays[f"{kind}.presence_final_names"])


def test_running_medians(default: tuple[str, Run], arrays: Any) -> None:
    kind, run = default
    if kind == "static":
        assert not np.concatenate(run.medians[288]).any()  # static predictors use none, so none are kept
        return
    for number in (1, 10, 50, 100, 200, 288):
        appearance, geometry = run.medians[number]
        # One sample: it is the median itself, rounded as FHOG and fit are. Then bin centres, equal to the
        # last bit of a double, but for a geometry entry at the edge of a bin (0.012 wide).
        np.testing.assert_allclose(
            appearance, arrays[f"dynamic.hog_median.f{number}"], rtol=0, atol=1e-6 if number == 1 else 1e-15
        )
        difference = np.abs(geometry - arrays[f"dynamic.geom_median.f{number}"])
        assert difference.max() <= (1e-4 if number == 1 else 0.0121)
        assert number == 1 or np.count_nonzero(difference > 1e-12) <= 1


def test_medians_of_the_golden_descriptors(arrays: Any) -> None:
    appearance, geometry = stages.RunningMedian(4464, True), stages.RunningMedian(238, False)
    for i in range(0, 288, 2):
        appearance.add(arrays["dynamic.hog"][i].astype(np.float64))
        geometry.add(arrays["dynamic.geometry"][i])
        for number in (i + 1, i + 2):
            if f"dynamic.hog_median.f{number}" in arrays:
                # The same bins; centres by the same formula, within the last bits of a double.
                np.testing.assert_allclose(
                    appearance.medians(), arrays[f"dynamic.hog_median.f{number}"], rtol=0, atol=1e-15
                )
                np.testing.assert_allclose(
                    geometry.medians(), arrays[f"dynamic.geom_median.f{number}"], rtol=0, atol=1e-13
                )


def test_medians_of_more_samples_than_two_bytes_count() -> None:
    """A constant, a value that another one overtakes after 70 000 samples, and anything."""
    total, kept_at = 150_000, 100_000
    values = np.random.default_rng(7).uniform(-0.1, 1.1, (total, 3))
    values[:, 0] = 0.25
    values[:, 1] = np.where(np.arange(total) < 70_000, 0.125, 0.75)
    bins = np.clip((values + 0.005) * 1000 / 1.005, 0, 999).astype(int)
    medians, copy = stages.RunningMedian(3, True), stages.RunningMedian(3, True)
    counts = np.zeros((3, 1000), int)
    done = 0
    for end in (65_535, 65_536, 65_537, kept_at, 131_072, 139_999, 140_001, total):
        for value in values[done:end]:
            medians.add(value)
        for entry in range(3):
            counts[entry] += np.bincount(bins[done:end, entry], minlength=1000)
            assert [medians.samples(entry, bin_) for bin_ in range(1000)] == counts[entry].tolist()
        middle = (counts.cumsum(axis=1) >= (end + 1) // 2).argmax(axis=1)
        expected = np.maximum(-0.005 + (middle + 0.5) * 0.001005, 0)
        np.testing.assert_allclose(medians.medians(), expected, rtol=0, atol=1e-15, err_msg=str(end))
        if end == kept_at:
            for entry, bin_ in zip(*counts.nonzero(), strict=True):
                copy.set_samples(entry, bin_, counts[entry, bin_])
            copy.restore(end, medians.medians())
        elif end > kept_at:
            for value in values[done:end]:
                copy.add(value)
            np.testing.assert_array_equal(copy.medians(), medians.medians())
        done = end


def test_predictions_from_the_golden_descriptors(arrays: Any, models: Path) -> None:
    main_file = models / "AU_predictors/main_dynamic_svms.txt"
    analyser = FaceAnalyser(main_file)
    names = analyser.intensity_names
    raw = reorder(arrays["dynamic.intensity_raw"], arrays["dynamic.intensity_names"], names)
    for i in (49, 99, 199, 287):  # frames whose medians are known
        medians = [arrays[f"dynamic.{part}_median.f{i + 1}"] for part in ("hog", "geom")]
        features = np.concatenate([arrays["dynamic.hog"][i], arrays["dynamic.geometry"][i]])
        values = stages.au_decisions(main_file, features, np.concatenate(medians))[: len(names)]
        # Sums of 4702 doubles in another order.
        np.testing.assert_allclose(values, raw[i], rtol=0, atol=1e-11)


def test_single_images(arrays: Any, models: Path, samples: Path) -> None:
    analyser = FaceAnalyser(models, kind="static")
    raw = reorder(arrays["static.intensity_raw"], arrays["static.intensity_names"], analyser.intensity_names)
    labels = reorder(arrays["static.presence_raw"], arrays["static.presence_names"], analyser.presence_names)
    for i, image in zip(range(20), frames_of(samples / "default.wmv"), strict=False):
        face = analyser.analyse_image(image, arrays["dynamic.landmarks"][i].reshape(2, 68).T)
        np.testing.assert_allclose(face.au_intensity, np.clip(raw[i], 0, 5), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(face.au_presence, labels[i])
    assert analyser.frames == 0


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("dynamic", "gap.avi"),
        ("static", "gap.avi"),
        ("dynamic", "changeLighting.wmv"),
        ("dynamic", "image_sequence"),
    ],
)
def test_every_cell_of_other_videos_as_printed_also_after_a_reset(
    kind: str, name: str, models: Path, samples: Path, golden: Path
) -> None:
    # Their landmarks are known with one decimal only, but ours print all of these. gap.avi loses the face.
    folder = "feature_extraction_clnf" if kind == "dynamic" else "feature_extraction_au_static"
    wanted = golden_cells(golden / "csv" / folder / f"{Path(name).stem}.csv.gz")
    analyser = FaceAnalyser(models / f"AU_predictors/main_{kind}_svms.txt")
    for _ in range(2):
        detector = pyopenface.LandmarkDetector("clnf", models)
        source = samples / name
        images = map(cv2.imread, map(str, sorted(source.iterdir()))) if source.is_dir() else frames_of(source)
        for image in images:
            analyser.update(image, detector.update(image))
        assert printed(analyser) == wanted
        analyser.reset()


@pytest.mark.parametrize(
    ("main_file", "count"),
    [("DISFA_dynamic_svms.txt", 12), ("DISFA_static_svms.txt", 12), ("main_static_svms.txt", 17)],
)
def test_every_published_list_loads(models: Path, main_file: str, count: int) -> None:
    analyser = FaceAnalyser(models / "AU_predictors" / main_file)
    assert len(analyser.intensity_names) == count
    assert analyser.dynamic == (main_file == "DISFA_dynamic_svms.txt")
    assert analyser.files[0] == models / "AU_predictors" / main_file
    assert list(analyser.intensity_names) == sorted(analyser.intensity_names)


# ---- against a plain computation, with small model files


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    return write_small_model(tmp_path_factory.mktemp("dynamic"))


@pytest.fixture(scope="module")
def small_static(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    return write_small_model(tmp_path_factory.mktemp("static"), dynamic=False)


@dataclass
class Scene:
    """Seven faces and their descriptors."""

    images: list[Image]
    landmarks: list[npt.NDArray[np.float32]]
    features: Floats


@pytest.fixture(scope="module")
def scene(small: SmallModel) -> Scene:
    random = np.random.default_rng(5)
    base = cv2.GaussianBlur(random.integers(0, 256, (180, 200, 3), dtype=np.uint8), (0, 0), 2.0)
    base = cv2.normalize(base, base, 0, 255, cv2.NORM_MINMAX)
    pdm = stages.Pdm(small.main_file.parent / "pdm.txt")
    modes = small.modes.astype(np.float32).astype(np.float64)
    images, landmarks, features = [], [], []
    analyser = FaceAnalyser(small.main_file)
    for i in range(7):
        images.append(np.roll(base, 9 * i, axis=1))
        points = small.landmarks(angle=0.05 * i, x=100.0 + i) + random.normal(size=(68, 2)).astype(np.float32)
        landmarks.append(points.astype(np.float32))
        local = np.asarray(pdm.fit_to_landmarks(landmarks[-1].T.ravel())[1], np.float64)
        face = analyser.update(images[-1], landmarks[-1])
        geometry = modes @ local
        features.append(np.concatenate([face.fhog.ravel(), geometry, local]))
    return Scene(images, landmarks, np.array(features))


RANGES = [(slice(0, 4464), 1000, -0.005, 1.0), (slice(4464, FEATURES), 10000, -60.0, 60.0)]


def plain_median(samples: Floats, latest: Floats) -> Floats:
    """Section 7.2 by sorting all bins; `latest` is the odd frame's descriptor, `samples` may include it."""
    medians = np.zeros(FEATURES)
    for part, bins, low, high in RANGES:
        width = (high - low) / bins
        if len(samples) == 1:
            medians[part] = latest[part]
        elif len(samples) == 0:
            medians[part] = low + 0.5 * width
        else:
            index = np.clip((samples[:, part] - low) * bins / (high - low), 0, bins - 1).astype(int)
            rank = (len(samples) + 1) // 2 - 1
            medians[part] = low + np.sort(index, axis=0)[rank] * width + 0.5 * width
    appearance = medians[:4464]
    appearance[appearance < 0] = 0
    return medians


def plain_values(model: SmallModel, group: str, features: Floats, medians: Floats) -> list[float]:
    values = []
    for predictor in sorted((p for p in model.predictors if p.group == group), key=lambda p: p.name):
        x = features - predictor.mean - (medians if predictor.dynamic else 0.0)
        decision = float(x @ predictor.weights) + predictor.bias
        positive, otherwise = predictor.labels
        values.append(decision if group == "intensity" else positive if decision > 0 else otherwise)
    return values


def plain_run(model: SmallModel, scene: Scene, faces: list[int | None]) -> tuple[Floats, Floats, Floats]:
    """Online intensities, final intensities and presences (sections 7 to 10); None is a failed frame."""
    samples: list[Floats] = []
    medians = np.zeros(FEATURES)
    online = np.zeros((len(faces), 3))
    intensity, presence = np.zeros((len(faces), 3)), np.zeros((len(faces), 2))
    features = np.array([np.zeros(FEATURES) if face is None else scene.features[face] for face in faces])
    successes = 0
    for i, face in enumerate(faces):
        if i % 2 == 0:
            if face is not None:
                samples.append(features[i])
            if len(faces) < 1000 or successes >= 2990:  # earlier medians of a long video are not looked at
                medians = plain_median(np.array(samples).reshape(-1, FEATURES), features[i])
        if face is not None:
            successes += 1
            online[i] = plain_values(model, "intensity", features[i], medians)
            if successes > 3000:
                intensity[i] = online[i]
                presence[i] = plain_values(model, "presence", features[i], medians)
    successes = 0
    for i, face in enumerate(faces):
        successes += face is not None
        if face is not None and successes <= 3000:
            intensity[i] = plain_values(model, "intensity", features[i], medians)
            presence[i] = plain_values(model, "presence", features[i], medians)
    good = np.array([face is not None for face in faces])
    regressors = sorted((p for p in model.predictors if p.group == "intensity"), key=lambda p: p.name)
    for column, predictor in enumerate(regressors):
        offset = 0.0
        if predictor.dynamic and good.any():
            offset = np.sort(intensity[good, column])[int(good.sum() * predictor.cutoff)]
        intensity[:, column] = np.where(good, np.clip(intensity[:, column] - offset, 0, 5), 0)
    smooth, votes = intensity.copy(), presence.copy()
    for i in range(1, len(faces) - 1):
        smooth[i] = (intensity[i - 1] + intensity[i] + intensity[i + 1]) / 3
    for i in range(3, len(faces) - 3):
        votes[i] = presence[i - 3 : i + 4].mean(axis=0) >= 0.5
    return online, smooth, votes


def feed(analyser: FaceAnalyser, scene: Scene, faces: list[int | None]) -> Floats:
    black = np.zeros((8, 8, 3), np.uint8)
    rows = []
    for face in faces:
        if face is None:
            rows.append(analyser.update(black, None, False).au_intensity)
        else:
            rows.append(analyser.update(scene.images[face], scene.landmarks[face]).au_intensity)
    return np.array(rows)


N = None
PATTERNS: dict[str, list[int | None]] = {
    "no gap": [0, 1, 2, 3, 4, 5, 6, 0, 2, 4, 6, 1],
    "failed at the start": [N, N, N, N, 0, 1, 2, 3, 4, 5, 6, 3],
    "failed in the middle": [0, 1, 2, 3, N, N, N, 4, 5, N, 6, 0, 1, 2],
    "failed at the end": [0, 1, 2, 3, 4, 5, 6, N, N, N],
    "one sample, then failed odd frames": [3, N, N, 5, N, 6, 2, N, 1, 0, 4, 4],
    "odd frames always failed": [N, 1, N, 2, N, 3, N, 4],
    "never a face": [N, N, N, N, N, N, N, N],
    "shorter than the vote": [0, 1, 2, 3, 4],
    "one frame": [2],
    "no frame": [],
}


@pytest.mark.parametrize("faces", PATTERNS.values(), ids=PATTERNS.keys())
def test_online_and_final_values_with_gaps(small: SmallModel, scene: Scene, faces: list[int | None]) -> None:
    analyser = FaceAnalyser(small.main_file)
    online = feed(analyser, scene, faces)
    wanted_online, wanted_intensity, wanted_presence = plain_run(small, scene, faces)
    # Double sums in another order; descriptors are the same bits.
    np.testing.assert_allclose(online.reshape(-1, 3), wanted_online, rtol=0, atol=1e-9)
    intensity, presence = analyser.finish()
    np.testing.assert_allclose(intensity, wanted_intensity, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(presence, wanted_presence)
    assert intensity.shape == (len(faces), 3)
    assert presence.shape == (len(faces), 2)


def test_frames_beyond_3000_successful_ones_keep_their_online_values(small: SmallModel, scene: Scene) -> None:
    pattern = np.random.default_rng(2)
    faces = [None if pattern.random() < 0.02 else int(pattern.integers(0, 3)) for _ in range(3080)]
    faces += [int(pattern.integers(3, 7)) for _ in range(41)]
    assert sum(face is not None for face in faces) > 3040
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, faces)
    _, wanted_intensity, wanted_presence = plain_run(small, scene, faces)
    intensity, presence = analyser.finish()
    np.testing.assert_allclose(intensity, wanted_intensity, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(presence, wanted_presence)


def test_static_predictors_need_no_calibration(small_static: SmallModel, scene: Scene) -> None:
    faces = PATTERNS["failed in the middle"]
    analyser = FaceAnalyser(small_static.main_file)
    online = feed(analyser, scene, faces)
    wanted_online, wanted_intensity, wanted_presence = plain_run(small_static, scene, faces)
    np.testing.assert_allclose(online, wanted_online, rtol=0, atol=1e-9)
    intensity, presence = analyser.finish()
    np.testing.assert_allclose(intensity, wanted_intensity, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(presence, wanted_presence)
    single = FaceAnalyser(small_static.main_file).analyse_image(scene.images[4], scene.landmarks[4])
    np.testing.assert_array_equal(single.au_intensity, np.clip(online[faces.index(4)], 0, 5))


def test_a_detected_face_stands_for_its_landmarks(small: SmallModel, scene: Scene) -> None:
    columns = tuple(f"{axis}_{i}" for axis in "xy" for i in range(68))

    def face(number: int, accepted: bool = True) -> pyopenface.Face:
        return pyopenface.Face(scene.landmarks[number].T.ravel().astype(float), columns, accepted)

    by_points, by_faces = FaceAnalyser(small.main_file), FaceAnalyser(small.main_file)
    feed(by_points, scene, [0, N, 2, N])
    by_faces.update(scene.images[0], face(0))
    by_faces.update(scene.images[1], face(1, accepted=False))
    by_faces.update(scene.images[2], face(2))
    by_faces.update(scene.images[3], face(3), success=False)
    assert by_faces.state() == by_points.state()
    np.testing.assert_array_equal(
        by_faces.align(scene.images[0], face(0)), by_points.align(scene.images[0], scene.landmarks[0])
    )
    assert not by_faces.align(scene.images[0], face(0, accepted=False)).any()
    with pytest.raises(pyopenface.InputError, match=r"shape \(68, 2\)"):
        by_faces.update(scene.images[0], pyopenface.Face(np.zeros(0), ()))


def test_dynamic_predictors_refuse_single_images(small: SmallModel, scene: Scene) -> None:
    with pytest.raises(pyopenface.StateError, match="static"):
        FaceAnalyser(small.main_file).analyse_image(scene.images[0], scene.landmarks[0])


def test_live_correction(small: SmallModel, scene: Scene) -> None:
    faces: list[int | None] = [0, 1, 2, N, 3, 4, 5, 6, 0, 2, 4, 6, 1, N, 3, 5] * 3
    raw = feed(FaceAnalyser(small.main_file), scene, faces)
    live = FaceAnalyser(small.main_file, live=True)
    assert live.live
    got = feed(live, scene, faces)
    bins: list[npt.NDArray[np.int64]] = []
    for i, face in enumerate(faces):
        if face is None:
            assert not got[i].any()
            continue
        bins.append(np.clip((raw[i] + 3) * 200 / 8, 0, 199).astype(np.int64))
        neutral = np.zeros(3)
        if len(bins) >= 10:
            # First bin whose cumulative count exceeds trunc(c / 10): the sorted element of that rank.
            neutral = -3 + np.sort(np.array(bins), axis=0)[int(0.10 * len(bins))] * 0.04
        np.testing.assert_allclose(got[i], np.clip(raw[i] - neutral, 0, 5), rtol=0, atol=1e-12)
    # The history holds the raw values.
    plain = FaceAnalyser(small.main_file)
    feed(plain, scene, faces)
    np.testing.assert_array_equal(live.finish()[0], plain.finish()[0])


def test_every_instruction_set_gives_the_same_bits(small: SmallModel, scene: Scene) -> None:
    before = _core._instruction_set()
    results = set()
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            analyser = FaceAnalyser(small.main_file)
            online = feed(analyser, scene, PATTERNS["failed in the middle"])
            results.add(online.tobytes() + analyser.state())
    finally:
        _core._set_instruction_set(before)
    assert len(results) == 1


# ---- state


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 2, 5, 6, 9])
def test_a_saved_state_goes_on_as_if_uninterrupted(
    small: SmallModel, scene: Scene, cut: int, live: bool
) -> None:
    faces = PATTERNS["failed in the middle"]
    whole = FaceAnalyser(small.main_file, live=live)
    wanted = feed(whole, scene, faces)
    first = FaceAnalyser(small.main_file, live=live)
    feed(first, scene, faces[:cut])
    second = FaceAnalyser.from_state(first.state(), small.main_file)
    assert second.live == live
    assert second.frames == cut
    np.testing.assert_array_equal(feed(second, scene, faces[cut:]), wanted[cut:])
    for got, expected in zip(second.finish(), whole.finish(), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert second.state() == whole.state()


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_go_on_independently(
    small: SmallModel, scene: Scene, way: Callable[[FaceAnalyser], FaceAnalyser]
) -> None:
    faces = PATTERNS["failed in the middle"]
    whole = FaceAnalyser(small.main_file)
    wanted = feed(whole, scene, faces)
    first = FaceAnalyser(small.main_file)
    feed(first, scene, faces[:5])
    second = way(first)
    feed(first, scene, [6, 6, 6, 6])  # of no concern to the copy
    np.testing.assert_array_equal(feed(second, scene, faces[5:]), wanted[5:])
    assert second.state() == whole.state()


def test_a_state_goes_to_another_process(small: SmallModel, scene: Scene, tmp_path: Path) -> None:
    first = FaceAnalyser(small.main_file)
    feed(first, scene, [0, 1, 2, 3, N, 5, 6])
    (tmp_path / "state").write_bytes(first.state())
    script = (
        "import pathlib, sys; from pyopenface import FaceAnalyser\n"
        "analyser = FaceAnalyser.from_state(pathlib.Path(sys.argv[1]).read_bytes(), sys.argv[2])\n"
        "sys.stdout.buffer.write(analyser.finish()[0].tobytes() + analyser.state())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "state", small.main_file],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout == first.finish()[0].tobytes() + first.state()


def test_without_history_nothing_grows_and_nothing_can_be_finished(small: SmallModel, scene: Scene) -> None:
    faces = PATTERNS["failed in the middle"]
    analyser = FaceAnalyser(small.main_file, live=True, history=False)
    wanted = feed(FaceAnalyser(small.main_file, live=True), scene, faces)
    np.testing.assert_array_equal(feed(analyser, scene, faces[:5]), wanted[:5])
    restored = FaceAnalyser.from_state(analyser.state(), small.main_file)
    np.testing.assert_array_equal(feed(restored, scene, faces[5:]), wanted[5:])
    assert restored.frames == 0
    with pytest.raises(pyopenface.StateError, match="history"):
        restored.finish()


def test_a_calibration_spans_videos(small: SmallModel, scene: Scene) -> None:
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, [0, 1, 2, 3, 4, 5])
    medians = analyser._engine.medians()
    analyser.reset(keep_calibration=True)
    assert analyser.frames == 0
    restored = FaceAnalyser.from_state(analyser.state(), small.main_file)
    for one in (analyser, restored):
        for got, kept in zip(one._engine.medians(), medians, strict=True):
            np.testing.assert_array_equal(got, kept)
        feed(one, scene, [6])  # the median of four samples now, not the frame itself
        samples = scene.features[[0, 2, 4, 6]]
        expected = plain_median(samples, scene.features[6])
        np.testing.assert_allclose(np.concatenate(one._engine.medians()), expected, rtol=0, atol=1e-12)
    analyser.reset()
    fresh = FaceAnalyser(small.main_file)
    assert analyser.state() == fresh.state()
    np.testing.assert_array_equal(feed(analyser, scene, [1, 2]), feed(fresh, scene, [1, 2]))


def test_neutral_levels_span_videos_and_smoothing_does_not(small: SmallModel, scene: Scene) -> None:
    first: list[int | None] = [0, N, 1, 2, 6, 3, 5]
    second: list[int | None] = [4, 2, N, 5, 4, 2, 5, 4, 2]
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, first)
    analyser.reset(keep_calibration=True)
    restored = FaceAnalyser.from_state(analyser.state(), small.main_file)

    samples = [face for face in first[::2] + second[::2] if face is not None]
    medians = plain_median(scene.features[samples], scene.features[samples[-1]])
    values = np.array([plain_values(small, "intensity", x, medians) for x in scene.features])
    labels = np.array([plain_values(small, "presence", x, medians) for x in scene.features])
    every = np.array([values[face] for face in first + second if face is not None])
    good = np.array([face is not None for face in second])
    intensity = np.array([values[face or 0] for face in second])
    regressors = sorted((p for p in small.predictors if p.group == "intensity"), key=lambda p: p.name)
    for column, predictor in enumerate(regressors):
        if predictor.dynamic:
            intensity[:, column] -= np.sort(every[:, column])[int(len(every) * predictor.cutoff)]
    intensity = np.where(good[:, None], np.clip(intensity, 0, 5), 0)
    smooth = intensity.copy()
    smooth[1:-1] = (intensity[:-2] + intensity[1:-1] + intensity[2:]) / 3
    presence = np.where(good[:, None], labels[[face or 0 for face in second]], 0)
    votes = presence.copy()
    for i in range(3, len(second) - 3):
        votes[i] = presence[i - 3 : i + 4].mean(axis=0) >= 0.5

    for one in (analyser, restored):
        feed(one, scene, second)
        assert one.frames == len(second)
        assert one.finish(postprocess=False)[0].shape == (len(second), 3)
        for got, wanted in zip(one.finish(), (smooth, votes), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9)
    alone = FaceAnalyser(small.main_file)
    feed(alone, scene, second)
    assert np.abs(alone.finish()[0] - smooth).max() > 0.01


def test_of_each_video_the_first_3000_frames_are_repeated(small: SmallModel, scene: Scene) -> None:
    # What is over 3000 in the first video is not taken from the second one.
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, [0, 1] * 1501)
    analyser.reset(keep_calibration=True)
    restored = FaceAnalyser.from_state(analyser.state(), small.main_file)
    for one in (analyser, restored):
        feed(one, scene, [2, 3, 4, 5, 6] * 2)
        intensity, _ = one.finish(postprocess=False)
        np.testing.assert_array_equal(intensity[:5], intensity[5:])  # with the same, final medians


def test_damaged_and_foreign_states_are_refused(small: SmallModel, scene: Scene, tmp_path: Path) -> None:
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, [0, 1, 2])
    state = analyser.state()
    for damaged in (
        b"",
        b"OFACEAU\0",
        state[:-1],
        state[:200] + b"x" + state[201:],
        state + b"\0",
        b"x" + state[1:],
    ):
        with pytest.raises(pyopenface.InputError, match="state"):
            FaceAnalyser.from_state(damaged, small.main_file)
    with pytest.raises(pyopenface.InputError, match="version"):
        FaceAnalyser.from_state(state[:8] + struct.pack("<I", 99) + state[12:], small.main_file)
    other = write_small_model(tmp_path, seed=1)
    with pytest.raises(pyopenface.InputError, match="other predictors"):
        FaceAnalyser.from_state(state, other.main_file)
    with pytest.raises(pyopenface.InputError, match="bytes expected"):
        FaceAnalyser.from_state("text", small.main_file)  # type: ignore[arg-type]


def fnv1a(data: bytes) -> int:
    value = 14695981039346656037
    for byte in data:
        value = ((value ^ byte) * 1099511628211) % 2**64
    return value


@pytest.mark.parametrize("count", [2**31, 2**32 - 1])
def test_states_with_more_frames_than_there_can_be_are_refused(
    small: SmallModel, scene: Scene, count: int
) -> None:
    # Every histogram has one sample, in one bin: all of them are made to say that it came `count` times.
    analyser = FaceAnalyser(small.main_file)
    feed(analyser, scene, [0])
    body = bytearray(analyser.state()[:-8])
    place = 8 + 4 + 8 + 2 + 8 + 1
    for entries in (4464, FEATURES - 4464):
        assert struct.unpack_from("<I", body, place) == (1,)
        struct.pack_into("<I", body, place, count)
        for entry in range(entries):
            start = place + 4 + entry * (8 + 4 + 2 + 4)
            assert struct.unpack_from("<IHI", body, start + 8)[::2] == (1, 1)
            struct.pack_into("<I", body, start + 14, count)
        place += 4 + entries * (8 + 4 + 2 + 4)
    damaged = bytes(body) + struct.pack("<Q", fnv1a(bytes(body)))
    with pytest.raises(pyopenface.InputError, match="state: it counts more frames"):
        FaceAnalyser.from_state(damaged, small.main_file)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_states_with_a_right_checksum_but_wrong_content_never_crash(
    small_static: SmallModel, scene: Scene, data: st.DataObject
) -> None:
    analyser = FaceAnalyser(small_static.main_file)
    feed(analyser, scene, [0, N, 1])
    body = bytearray(analyser.state()[:-8])
    for _ in range(data.draw(st.integers(1, 4))):
        # Where counts, flags and kinds stand, or anywhere.
        place = data.draw(st.one_of(st.integers(20, 40), st.integers(len(body) - 120, len(body) - 1)))
        body[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del body[data.draw(st.integers(20, len(body))) :]
    damaged = bytes(body) + struct.pack("<Q", fnv1a(bytes(body)))
    try:
        restored = FaceAnalyser.from_state(damaged, small_static.main_file)
    except pyopenface.InputError:
        return
    restored.update(scene.images[0], scene.landmarks[0])
    restored.finish()


def test_threads_may_share_an_analyser(small: SmallModel, scene: Scene) -> None:
    analyser = FaceAnalyser(small.main_file)

    def work() -> None:
        for _ in range(20):
            analyser.update(scene.images[3], scene.landmarks[3])
            analyser.finish()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert analyser.frames == 80
    alone = FaceAnalyser(small.main_file)
    feed(alone, scene, [3] * 80)
    assert analyser.state() == alone.state()


# ---- model files


def test_names_are_sorted_and_files_listed(small: SmallModel) -> None:
    analyser = FaceAnalyser(small.main_file)
    assert analyser.intensity_names == ("AU02", "AU12", "AU45")
    assert analyser.presence_names == ("AU02", "AU12")
    assert analyser.dynamic
    assert [path.name for path in analyser.files[:4]] == ["main.txt", "list.txt", "pdm.txt", "triangles.txt"]
    assert len(analyser.files) == 9


def test_the_first_mean_of_a_type_counts_for_all(tmp_path: Path, scene: Scene) -> None:
    model = write_small_model(tmp_path)
    second = next(p for p in model.predictors if p.name == "AU02" and p.group == "intensity")
    before = FaceAnalyser(model.main_file).update(scene.images[0], scene.landmarks[0]).au_intensity
    second.mean = second.mean + 1.0  # AU45 of the same type stands before it
    (tmp_path / second.file_name).write_bytes(second.file_bytes())
    after = FaceAnalyser(model.main_file).update(scene.images[0], scene.landmarks[0]).au_intensity
    np.testing.assert_array_equal(after, before)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def patch(path: Path, offset: int, data: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:offset] + data + content[offset + len(data) :])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "main file missing": (lambda p: (p / "main.txt").unlink(), "main.txt.*does not exist"),
    "main file empty": (lambda p: (p / "main.txt").write_text(""), "no entry AUPredictor.*no entry PDM"),
    "entry twice": (lambda p: replace(p / "main.txt", "PDM", "PDM pdm.txt\nPDM"), "line 3.*second entry"),
    "entry without file": (lambda p: replace(p / "main.txt", "PDM pdm.txt", "PDM"), "line 2.*missing"),
    "listed list missing": (lambda p: (p / "list.txt").unlink(), "list.txt does not exist"),
    "list empty": (lambda p: (p / "list.txt").write_text("\n"), "list.txt.*lists no predictor"),
    "name missing": (lambda p: replace(p / "list.txt", " AU12", ""), "line 1.*name is missing"),
    "name not printable": (lambda p: replace(p / "list.txt", "dat AU12", "dat AU\x07"), "line 1.*name"),
    "name twice": (lambda p: replace(p / "list.txt", "dat AU45", "dat AU12"), "second predictor"),
    "predictor missing": (lambda p: (p / "AU45_intensity.dat").unlink(), "AU45_intensity.dat"),
    "unknown type": (
        lambda p: patch(p / "AU45_intensity.dat", 0, b"\x02"),
        "byte 4, predictor type.*none of",
    ),
    "cutoff": (lambda p: patch(p / "AU45_intensity.dat", 4, struct.pack("<d", 1.0)), "cutoff"),
    "class": (
        lambda p: patch(p / "AU02_presence.dat", 75276 - 480 + 0, struct.pack("<d", 2.0)),
        "AU02_presence",
    ),
    "mean not finite": (
        lambda p: patch(p / "AU45_intensity.dat", 32, struct.pack("<d", np.nan)),
        "means.*finite",
    ),
    "number of features": (lambda p: patch(p / "AU45_intensity.dat", 16, struct.pack("<i", 10)), "means"),
    "huge matrix": (
        lambda p: patch(p / "AU45_intensity.dat", 16, struct.pack("<i", 2**31 - 1)),
        "does not fit",
    ),
    "trailing byte": (
        lambda p: (p / "AU45_intensity.dat").write_bytes((p / "AU45_intensity.dat").read_bytes() + b"x"),
        "1 bytes too many",
    ),
    "triangle of a missing landmark": (
        lambda p: replace(p / "triangles.txt", "0 1 2", "0 1 68"),
        "68 is not",
    ),
    "triangle without area": (lambda p: replace(p / "triangles.txt", "0 1 2", "0 1 1"), "are the same"),
    "negative landmark": (lambda p: replace(p / "triangles.txt", "0 1 2", "0 -1 2"), "-1 is not"),
    "fewer landmarks": (
        lambda p: (p / "pdm.txt").write_text(
            "9\n1\n6\n" + "1 2 3 4 5 6 7 8 9\n" + "9\n1\n6\n" + "1 " * 9 + "\n1\n1\n6\n1"
        ),
        "3 landmarks.*needs 68",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_model_files_are_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    write_small_model(tmp_path)
    damage(tmp_path)
    with pytest.raises(pyopenface.ModelError, match=message):
        _core.FaceAnalyser(tmp_path / "main.txt")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_corrupted_predictors_never_crash(
    tmp_path_factory: pytest.TempPathFactory, small: SmallModel, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("corrupted")
    for path in small.main_file.parent.iterdir():
        (folder / path.name).symlink_to(path)
    victim = folder / data.draw(
        st.sampled_from([p.file_name for p in small.predictors] + ["list.txt", "triangles.txt", "main.txt"])
    )
    content = bytearray(victim.read_bytes())
    victim.unlink()
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            place = data.draw(
                st.one_of(st.integers(0, min(40, len(content) - 1)), st.integers(0, len(content) - 1))
            )
            content[place] = data.draw(st.integers(0, 255))
    victim.write_bytes(bytes(content))
    try:
        analyser = _core.FaceAnalyser(folder / "main.txt")
    except pyopenface.ModelError:
        return
    assert len(analyser.intensity_names) <= 3


def test_arguments_of_the_analyser(small: SmallModel, models: Path) -> None:
    with pytest.raises(pyopenface.InputError, match="kind"):
        FaceAnalyser(small.main_file, kind="other")  # type: ignore[arg-type]
    assert not FaceAnalyser(models, kind="static").dynamic
    assert FaceAnalyser(models).dynamic
