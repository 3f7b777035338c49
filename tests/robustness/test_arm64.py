"""
The engine gives the same bits on every instruction set, also on 64-bit ARM.

The ARM side is cross-compiled without Python (``cmake --preset arm64``) and run by qemu, in its user mode;
both print hashes over every bit of every stage's results, which are compared with those of this machine's
extension module. By hand::

    cmake --preset arm64 && cmake --build build/arm64
    qemu-aarch64 build/arm64/cpp/tests/same_bits MODEL_FOLDER PICTURE.ppm
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from pyopenface import _core

ROOT = Path(__file__).resolve().parents[2]
COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64"

Digests = dict[str, int]


@pytest.fixture
def chosen_instruction_set() -> Iterator[None]:
    """Put back the instruction set that was in use."""
    before = _core._instruction_set()
    yield
    _core._set_instruction_set(before)


@pytest.fixture(scope="module")
def picture(samples: Path) -> npt.NDArray[np.uint8]:
    """A face, small: the emulator needs about a hundred times as long as this processor."""
    image = cv2.imread(str(samples / "sample1.jpg"))
    assert image is not None
    return np.ascontiguousarray(cv2.resize(image, (320, 200), interpolation=cv2.INTER_AREA), dtype=np.uint8)


@pytest.fixture(scope="module")
def same_bits() -> Path:
    """The program for ARM, cross-compiled."""
    for program, package in (
        (COMPILER, "g++-aarch64-linux-gnu"),
        (EMULATOR, "qemu-user"),
        ("cmake", "cmake"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")
    if shutil.which("ninja") is None or importlib.util.find_spec("cmeel") is None:
        pytest.skip("ninja and cmeel-eigen are not installed (pip install ninja cmeel-eigen)")
    configure = ["cmake", "--preset", "arm64", f"-DPython_EXECUTABLE={sys.executable}"]
    if shutil.which("ccache"):
        configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    for command in (
        configure,
        ["cmake", "--build", str(ROOT / "build" / "arm64"), "-j", str(os.cpu_count())],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return ROOT / "build" / "arm64" / "cpp" / "tests" / "same_bits"


def run_emulated(program: Path, *arguments: Path) -> dict[str, Digests]:
    """Hashes by instruction set and stage."""
    done = subprocess.run(
        [EMULATOR, str(program), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    digests: dict[str, Digests] = {}
    for line in done.stdout.splitlines():
        isa, stage, value = line.split()
        digests.setdefault(isa, {})[stage] = int(value, 16)
    return digests


@pytest.mark.usefixtures("chosen_instruction_set")
def test_every_instruction_set_of_this_processor_gives_the_same_bits_in_every_stage() -> None:
    digests = {}
    for isa in _core._available_instruction_sets():
        _core._set_instruction_set(isa)
        digests[isa] = _core.stages.digest_stages()
    assert len(digests["portable"]) == 11
    for isa, values in digests.items():
        assert values == digests["portable"], isa


@pytest.mark.usefixtures("chosen_instruction_set")
def test_every_instruction_set_of_this_processor_tracks_a_face_with_the_same_bits(
    models: Path, picture: npt.NDArray[np.uint8]
) -> None:
    digests = {}
    for isa in _core._available_instruction_sets():
        _core._set_instruction_set(isa)
        digests[isa] = _core.stages.digest_tracking(models, picture)
    assert list(digests["portable"]) == ["detections", "fit_0", "row_0", "fit_1", "row_1", "fit_2", "row_2"]
    for isa, values in digests.items():
        assert values == digests["portable"], isa


def test_arm_gives_the_same_bits_as_this_processor_in_every_stage(same_bits: Path) -> None:
    digests = run_emulated(same_bits)
    assert set(digests) == {"portable", "neon"}
    for isa, values in digests.items():
        assert values == _core.stages.digest_stages(), isa


def test_arm_tracks_a_face_with_the_same_bits_as_this_processor(
    same_bits: Path, models: Path, picture: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    assert cv2.imwrite(str(tmp_path / "face.ppm"), picture)
    digests = run_emulated(same_bits, models, tmp_path / "face.ppm")
    expected = _core.stages.digest_stages() | _core.stages.digest_tracking(models, picture)
    assert set(digests) == {"portable", "neon"}
    for isa, values in digests.items():
        assert values == expected, isa
