"""What users install: complete, without weights, without surprises, quick to import."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyopenface import _core

ROOT = Path(__file__).resolve().parents[2]
#: Libraries that every Linux system has; anything else would have to be shipped.
USUAL_LIBRARIES = re.compile(r"(linux-vdso|libstdc\+\+|libm|libc|libgcc_s|libpthread|ld-linux[-\w]*)\.so")
#: Imported when first needed, so that `import pyopenface` stays quick and works without the extras.
LAZY_MODULES = ("pandas", "matplotlib", "scipy", "av", "yt_dlp", "pooch", "requests", "pyarrow", "tqdm")


@pytest.fixture(scope="module")
def distribution() -> importlib.metadata.Distribution:
    """The installed package that these tests import."""
    try:
        found = importlib.metadata.distribution("pyopenface")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("pyopenface is imported from the sources, not installed (make test installs it)")
    package = Path(str(found.locate_file("pyopenface"))).resolve()
    if not Path(_core.__file__).resolve().is_relative_to(package):
        pytest.skip(f"pyopenface is installed in {package}, but imported from {_core.__file__}")
    return found


def installed_files(distribution: importlib.metadata.Distribution) -> list[str]:
    return [str(path) for path in distribution.files or []]


def test_types_stubs_and_licences_are_installed(distribution: importlib.metadata.Distribution) -> None:
    files = installed_files(distribution)
    for name in (
        "pyopenface/py.typed",
        "pyopenface/_core.pyi",
        "pyopenface/third_party/OpenFace/manifest.json",
        "pyopenface/third_party/OpenFace/OpenFace-license.txt",
    ):
        assert name in files
    licences = {name.split("/licenses/", 1)[1] for name in files if "/licenses/" in name}
    assert licences >= {"LICENSE", "third_party/pybind11/LICENSE", "third_party/Eigen/COPYING.MPL2"}


def test_weights_are_not_installed(distribution: importlib.metadata.Distribution) -> None:
    package = Path(str(distribution.locate_file("pyopenface")))
    data = [path for path in package.rglob("*") if path.is_file() and path.suffix in {".dat", ".txt", ".bin"}]
    assert [path.name for path in data] == ["OpenFace-license.txt"]
    size = sum(path.stat().st_size for path in package.rglob("*") if "__pycache__" not in path.parts)
    # The engine and the Python modules are about 5 MB; the smallest set of weights is 11 MB.
    assert size < 10e6


def test_extension_and_package_have_the_same_version(
    distribution: importlib.metadata.Distribution,
) -> None:
    assert _core.__version__ == distribution.version


def test_extension_needs_only_libraries_that_every_system_has() -> None:
    if not sys.platform.startswith("linux") or shutil.which("ldd") is None:
        pytest.skip("ldd lists libraries only on Linux")
    done = subprocess.run(["ldd", _core.__file__], capture_output=True, text=True, check=True)
    needed = [line.split()[0].rsplit("/", 1)[-1] for line in done.stdout.splitlines()]
    # A sanitizer's own library is there in a build that asks for it.
    unusual = [
        name for name in needed if not USUAL_LIBRARIES.match(name) and not re.match(r"lib\w+san", name)
    ]
    assert unusual == []


def test_import_is_quick_and_leaves_optional_packages_alone() -> None:
    code = (
        "import time; start = time.process_time(); import pyopenface; "
        "print(time.process_time() - start); import sys; print(*sys.modules)"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(5)
    ]
    assert set(outputs[0].split()) & set(LAZY_MODULES) == set()
    # Time of this process alone, not of others on the machine; most of it is numpy's. The best of five.
    assert min(float(output.split()[0]) for output in outputs) < 0.15


def test_kernels_share_no_functions_between_instruction_sets() -> None:
    """The linker keeps one copy of a weak symbol: it could be the one that needs AVX-512."""
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed (binutils)")
    objects = sorted(ROOT.glob("build/*/CMakeFiles/kernels_*.dir/**/*.o"))
    if not objects:
        pytest.skip("no build tree beside the tests")
    weak = []
    for path in objects:
        done = subprocess.run(["nm", "-C", str(path)], capture_output=True, text=True, check=True)
        weak += [f"{path.name}: {line}" for line in done.stdout.splitlines() if re.search(r" [WVu] ", line)]
    assert weak == []
