"""The types that the package promises: mypy accepts a program that uses all of it, and knows its mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pyopenface

PROGRAM = Path(__file__).with_name("user_program.py")


def check(program: Path, cache: Path) -> str:
    """What mypy --strict says about a program, with the package's types and those of nothing else."""
    pytest.importorskip("mypy")
    package = Path(pyopenface.__file__).parents[1]
    settings = cache / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = True\nmypy_path = {package}\nignore_missing_imports = True\n")
    command = [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", cache / "cache"]
    return subprocess.run(
        [*command, "--follow-imports=silent", program], capture_output=True, text=True, cwd=cache, check=False
    ).stdout


def test_a_program_that_uses_the_whole_surface_type_checks(tmp_path: Path) -> None:
    assert check(PROGRAM, tmp_path).startswith("Success")
    text = PROGRAM.read_text()
    unused = [name for name in pyopenface.__all__ if name not in text]
    assert set(unused) <= {"FaceTracker"}


def test_mistakes_are_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import pyopenface\n"
        'df: int = pyopenface.analyze("a.mp4")\n'
        'pyopenface.analyze("a.mp4", au="always")\n'
        'pyopenface.analyze("a.mp4", framerate=25)\n'
    )
    found = check(wrong, tmp_path)
    assert [line for line in (2, 3, 4) if f"wrong.py:{line}: error" in found] == [2, 3, 4], found
