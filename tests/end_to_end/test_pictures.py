"""Every face of single pictures, against the reference."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from printed_digits import DIGITS, differ_as_printed, pattern_of

import pyopenface
from pyopenface import LandmarkDetector
from pyopenface.sources import read_image

PICTURES = [*(f"sample{i}.jpg" for i in range(1, 7)), "sample3_16bit_gray.png", "sample3_16bit_rgb.png"]


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def golden_rows(golden: Path, build: str, folder: str, name: str) -> pd.DataFrame:
    return pd.read_csv(golden / build / folder / f"{stem(name)}.csv.gz")


def assert_same_digits(faces: list[pyopenface.Face], want: pd.DataFrame) -> None:
    assert [face.id for face in faces] == want["face"].tolist()
    columns = [c for c in want.columns if c not in ("face", "confidence") and not c.startswith("AU")]
    assert {pattern_of(c) for c in columns} == set(DIGITS) - {
        "timestamp",
        "confidence",
        "success",
        r"AU\d+_[rc]",
    }
    got = np.array([[face[c] for c in columns] for face in faces])
    different = differ_as_printed(got, want[columns].to_numpy(), columns)
    assert not different.any(), [columns[j] for _, j in np.argwhere(different)]


@pytest.mark.parametrize("wild", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_faces_are_those_of_the_reference(
    name: str, wild: bool, models: Path, samples: Path, golden: Path
) -> None:
    """Same faces, same order, the same digits in every cell of landmarks, pose and gaze."""
    want = golden_rows(golden, "csv", "img_clnf_wild_flag" if wild else "img_clnf", name)
    assert_same_digits(LandmarkDetector("clnf", models, wild=wild).detect(read_image(samples / name)), want)


@pytest.fixture(scope="module")
def ceclm(models: Path, standin_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files together with the stand-in CEN weights."""
    folder = tmp_path_factory.mktemp("ceclm")
    for path in models.rglob("*"):
        if path.is_file():
            link = folder / path.relative_to(models)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    for path in standin_models.glob("cen_patches_*.dat"):
        link = folder / "model/patch_experts" / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    return folder


@pytest.mark.parametrize("case", [f"sample{i}" for i in range(1, 7)] + ["sample2_multiview"])
def test_faces_of_ceclm_with_early_termination(case: str, ceclm: Path, samples: Path, golden: Path) -> None:
    want = golden_rows(golden, "csv", "img_ceclm_standin", f"{case}.csv")
    detector = LandmarkDetector("ceclm", ceclm, multi_view=case.endswith("multiview"))
    assert_same_digits(detector.detect(read_image(samples / f"{case.split('_')[0]}.jpg")), want)


def test_channels_and_depths_that_mean_the_same_give_the_same(models: Path, samples: Path) -> None:
    detector = LandmarkDetector("clnf", models)
    colour = read_image(samples / "sample3.jpg")
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)

    def points(image: np.ndarray) -> np.ndarray:
        (face,) = detector.detect(image)
        return face.landmarks_2d

    # Replicated grey goes through the weights of the colours, which add up to 1: the same grey values.
    np.testing.assert_array_equal(points(grey), points(cv2.merge([grey, grey, grey])))
    alpha = np.full_like(grey, 7)
    np.testing.assert_array_equal(points(np.dstack([colour, alpha])), points(colour))


@pytest.mark.parametrize("name", ["rgb16.png", "grey16.png", "bgra.png", "grey8.png"])
def test_picture_files_of_every_kind_are_read(name: str, models: Path, samples: Path, tmp_path: Path) -> None:
    colour = cv2.imread(str(samples / "sample3.jpg"))
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    pixels = {
        "rgb16.png": colour.astype(np.uint16) * 256 + 200,  # the low byte is dropped
        "grey16.png": grey.astype(np.uint16) * 256 + 99,
        "bgra.png": np.dstack([colour, grey]),
        "grey8.png": grey,
    }[name]
    cv2.imwrite(str(tmp_path / name), pixels)
    image = read_image(tmp_path / name)
    expected = colour if name in ("rgb16.png", "bgra.png") else cv2.merge([grey, grey, grey])
    np.testing.assert_array_equal(image, expected)
    df = pyopenface.analyze(tmp_path / name, models=models, model="clnf", au=None)
    assert len(df) == 1
    assert df["confidence"][0] > 0.8
