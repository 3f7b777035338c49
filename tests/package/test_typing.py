"""The types that the package promises: mypy accepts a program that uses all of it, and knows its mistakes."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyopenface

#: The public modules; `__all__` of each is public as well.
MODULES = ("columns", "models", "plot", "sources", "synchrony", "table", "youtube")
PROGRAM = Path(__file__).with_name("user_program.py")


def check(program: Path, cache: Path) -> str:
    """What mypy --strict says about a program, with the package's types and those of nothing else."""
    pytest.importorskip("mypy")
    package = Path(pyopenface.__file__).parents[1]
    settings = cache / "mypy.ini"
    # mypy finds an installed package by itself and refuses site-packages as a search path.
    search = "" if package.name == "site-packages" else f"mypy_path = {package}\n"
    settings.write_text(f"[mypy]\nstrict = True\n{search}ignore_missing_imports = True\n")
    command = [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", cache / "cache"]
    return subprocess.run(
        [*command, "--follow-imports=silent", program], capture_output=True, text=True, cwd=cache, check=False
    ).stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what mypy remembers of the package, so that it reads it once."""
    return tmp_path_factory.mktemp("mypy")


def test_a_program_that_uses_the_whole_surface_type_checks(cache: Path) -> None:
    assert check(PROGRAM, cache).startswith("Success")
    text = PROGRAM.read_text()
    modules = [pyopenface, *(getattr(pyopenface, name) for name in MODULES)]
    public = {name for module in modules for name in module.__all__}
    public |= {name for name in dir(pyopenface.accessor.OpenFaceAccessor) if not name.startswith("_")}
    for function in (pyopenface.analyze, pyopenface.analyze_iter, pyopenface.youtube.fetch):
        public |= {f"{name}=" for name in list(inspect.signature(function).parameters)[1:]}
    assert sorted(name for name in public if not re.search(rf"\b{name}", text)) == []


def test_mistakes_are_found(cache: Path) -> None:
    wrong = cache / "wrong.py"
    wrong.write_text(
        "import pyopenface\n"
        'df: int = pyopenface.analyze("a.mp4")\n'
        'pyopenface.analyze("a.mp4", au="always")\n'
        'pyopenface.analyze("a.mp4", framerate=25)\n'
        'pyopenface.analyze_iter("a.mp4", framerate=25)\n'
    )
    found = check(wrong, cache)
    assert [line for line in (2, 3, 4, 5) if f"wrong.py:{line}: error" in found] == [2, 3, 4, 5], found
