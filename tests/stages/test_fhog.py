"""FHOG descriptors (action-units.md, section 5) and .hog files (tracking.md, 11.3)."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pyopenface
from pyopenface import _core
from pyopenface._core import stages


@pytest.fixture
def instruction_set() -> Iterator[Callable[[str], None]]:
    before = _core._instruction_set()
    yield _core._set_instruction_set
    _core._set_instruction_set(before)


@pytest.mark.parametrize(
    ("image", "descriptor"), [("aligned_masked", "hog"), ("aligned_unmasked", "hog_unmasked")]
)
def test_descriptor_of_golden_faces(golden_stage: Callable[[str], Any], image: str, descriptor: str) -> None:
    arrays = golden_stage("align_hog")
    for face, expected in zip(arrays[image], arrays[descriptor], strict=True):
        np.testing.assert_array_equal(stages.fhog(face), expected)


def faces() -> list[npt.NDArray[np.uint8]]:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    grey = np.repeat(random.integers(0, 256, (112, 112, 1), dtype=np.uint8), 3, axis=2)
    steps = np.zeros((112, 112, 3), np.uint8)
    steps[:, 50:] = 255
    steps[60:, :, 1] = 128
    return [noise, grey, steps]


def plain_fhog(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Section 5, pixel by pixel in double."""
    ux = [1.0, 0.9397, 0.7660, 0.5, 0.1736, -0.1736, -0.5, -0.7660, -0.9397]
    uy = [0.0, 0.3420, 0.6428, 0.8660, 0.9848, 0.9848, 0.8660, 0.6428, 0.3420]
    pixels = image.astype(np.float64)
    histograms = np.zeros((14, 14, 18))
    for y in range(1, 111):
        for x in range(1, 111):
            gx = pixels[y, x + 1] - pixels[y, x - 1]
            gy = pixels[y + 1, x] - pixels[y - 1, x]
            length = gx**2 + gy**2
            channel = 2
            for later in (1, 0):
                if length[later] > length[channel] or (x < 105 and length[later] == length[channel]):
                    channel = later
            best, bin_ = 0.0, 0
            for o in range(9):
                dot = gx[channel] * ux[o] + gy[channel] * uy[o]
                if dot > best:
                    best, bin_ = dot, o
                if -dot > best:
                    best, bin_ = -dot, o + 9
            yp, xp = (y + 0.5) / 8 - 0.5, (x + 0.5) / 8 - 0.5
            iy, ix = int(np.floor(yp)), int(np.floor(xp))
            for r, wy in ((iy, 1 - (yp - iy)), (iy + 1, yp - iy)):
                for c, wx in ((ix, 1 - (xp - ix)), (ix + 1, xp - ix)):
                    if 0 <= r < 14 and 0 <= c < 14:
                        histograms[r, c, bin_] += wy * wx * np.sqrt(length[channel])
    energy = ((histograms[..., :9] + histograms[..., 9:]) ** 2).sum(axis=2)
    norm = np.sqrt(energy[:-1, :-1] + energy[:-1, 1:] + energy[1:, :-1] + energy[1:, 1:] + 0.0001)
    out = np.zeros((12, 12, 31))
    for r in range(1, 13):
        for c in range(1, 13):
            h = histograms[r, c]
            for j, n in enumerate((norm[r, c], norm[r - 1, c], norm[r, c - 1], norm[r - 1, c - 1])):
                part = 0.5 * np.minimum(h / n, 0.2)
                out[r - 1, c - 1, :18] += part
                out[r - 1, c - 1, 18:27] += 0.5 * np.minimum((h[:9] + h[9:]) / n, 0.2)
                out[r - 1, c - 1, 27 + j] = 0.4714 * part.sum()
    return out.ravel()


@pytest.mark.parametrize("face", faces(), ids=["noise", "grey", "steps"])
def test_descriptor_equals_a_plain_computation(face: npt.NDArray[np.uint8]) -> None:
    # Float against double.
    np.testing.assert_allclose(stages.fhog(face), plain_fhog(face), rtol=0, atol=1e-6)


def test_black_image_gives_zeros() -> None:
    assert not stages.fhog(np.zeros((112, 112, 3), np.uint8)).any()


def test_every_instruction_set_gives_the_same_bits(instruction_set: Callable[[str], None]) -> None:
    for face in faces():
        results = []
        for name in _core._available_instruction_sets():
            instruction_set(name)
            results.append(stages.fhog(face).tobytes())
        assert len(set(results)) == 1


def test_hog_file_of_the_reference_is_read(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip60.hog"
    path.write_bytes(
        gzip.decompress((golden / "csv/feature_extraction_all_outputs/clip60.hog.gz").read_bytes())
    )
    success, fhog = pyopenface.read_hog(path)
    assert success.shape == (60,)
    assert success.all()
    assert fhog.shape == (60, 12, 12, 31)
    assert fhog.dtype == np.float32
    with np.load(golden / "stages/au.npz") as arrays:
        np.testing.assert_array_equal(fhog.reshape(60, -1), arrays["dynamic.hog"][:60])
    copy = tmp_path / "copy.hog"
    with pyopenface.HogWriter(copy) as writer:
        for good, descriptor in zip(success, fhog, strict=True):
            writer.write(good, descriptor)
    assert copy.read_bytes() == path.read_bytes()


def test_hog_file_round_trip_keeps_failures_and_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 12, 12, 31)).astype(np.float32)
    with pyopenface.HogWriter(tmp_path / "a.hog") as writer:
        for good, descriptor in zip([True, False, True], values, strict=True):
            writer.write(good, descriptor.ravel())
    success, fhog = pyopenface.read_hog(tmp_path / "a.hog")
    np.testing.assert_array_equal(success, [True, False, True])
    np.testing.assert_array_equal(fhog, values)


def test_empty_hog_file_has_no_rows(tmp_path: Path) -> None:
    pyopenface.HogWriter(tmp_path / "a.hog").close()
    success, fhog = pyopenface.read_hog(tmp_path / "a.hog")
    assert success.shape == (0,)
    assert fhog.shape == (0, 12, 12, 31)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF" * 5000, r"no HOG file.*record 0"),
        (
            b"\x0c\0\0\0\x0c\0\0\0\x1f\0\0\0\0\0\x80?" + bytes(17856) + b"x",
            r"truncated.*1 records.*then 1 bytes",
        ),
        (b"short", "truncated"),
    ],
)
def test_foreign_and_truncated_hog_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.hog").write_bytes(content)
    with pytest.raises(pyopenface.SourceError, match=message):
        pyopenface.read_hog(tmp_path / "a.hog")


def test_missing_hog_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(pyopenface.SourceError, match="nothing"):
        pyopenface.read_hog(tmp_path / "nothing.hog")


def test_records_are_in_the_file_as_soon_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.hog"
    with pyopenface.HogWriter(path) as hog:
        for number in range(1, 4):
            hog.write(True, np.full(4464, number, np.float32))
            assert pyopenface.read_hog(path)[1].shape[0] == number


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of file sizes (resource)")
def test_a_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    program = (
        "import resource, signal, numpy as np, pyopenface\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "with pyopenface.HogWriter('a.hog') as hog:\n"
        "    try:\n"
        "        for number in range(9): hog.write(True, np.zeros(4464, np.float32))\n"
        "    except pyopenface.OutputError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(pyopenface.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "a.hog" in run.stdout, run.stderr
    assert len(pyopenface.read_hog(tmp_path / "a.hog")[0]) == 2


def test_hog_writer_reports_bad_values_and_places(tmp_path: Path) -> None:
    with pytest.raises(pyopenface.OutputError, match="no folder"):
        pyopenface.HogWriter(tmp_path / "no folder" / "a.hog")
    with (
        pyopenface.HogWriter(tmp_path / "a.hog") as writer,
        pytest.raises(pyopenface.InputError, match="4464"),
    ):
        writer.write(True, np.zeros(4000))
    with pytest.raises(pyopenface.OutputError, match="closed"):
        writer.write(True, np.zeros(4464))
