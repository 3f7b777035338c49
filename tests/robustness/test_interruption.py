"""Ctrl-C, a killed process and a full disk leave a valid CSV of the finished frames."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyopenface import table

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows can neither send SIGINT to one process nor limit file sizes"
)

FRAMES = 288  # of default.wmv


@pytest.fixture(autouse=True)
def _ctrl_c_counts() -> Iterator[None]:
    """Tests that run in a shell's background have inherited that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(arguments: list[str], **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pyopenface", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def extract(samples: Path, models: Path, output: Path, *more: str) -> list[str]:
    video = str(samples / "default.wmv")
    return ["extract", video, "--models", str(models), "--model", "clnf", "-o", str(output), "--quiet", *more]


def check_rows(path: Path, at_least: int = 0) -> int:
    """Every line of the file is whole, rows are the first frames in order; the number of rows."""
    text = path.read_bytes()
    lines = text.splitlines()
    assert text.endswith(b"\n")
    assert {line.count(b",") for line in lines} == {lines[0].count(b",")}
    frame = table.read_openface_csv(path)
    assert frame["frame"].tolist() == list(range(1, len(frame) + 1))
    assert len(frame) >= at_least
    return len(frame)


def wait_for(path: Path, process: subprocess.Popen[str], rows: int) -> None:
    """Wait until the file has so many rows: how far the work has come, not how long a machine takes."""
    for _ in range(15_000):
        if path.exists() and path.read_bytes().count(b"\n") > rows:
            return
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()
            return
        time.sleep(0.002)
    raise AssertionError("no rows came")


def openface(models: Path, output: Path, *videos: Path) -> list[str]:
    main_file = str(models / "model/main_clnf_general.txt")
    inputs = [word for video in videos for word in ("-f", str(video))]
    return ["FeatureExtraction", *inputs, "-out_dir", str(output.parent), "-mloc", main_file, "-pose", "-aus"]


def interrupt(process: subprocess.Popen[str]) -> str:
    """Send what Ctrl-C sends and check how the process ends; its standard error.

    Success is an answer, too: the process may just have been done.
    """
    process.send_signal(signal.SIGINT)
    sent = time.perf_counter()
    _, errors = process.communicate(timeout=30)
    seconds = time.perf_counter() - sent
    assert (process.returncode, errors) in [(130, "pyopenface: interrupted\n"), (0, "")]
    # Two seconds are promised; the rest is for machines that are busy with other things.
    assert seconds < 4
    return errors


@pytest.mark.parametrize("attempt", range(10))
def test_ctrl_c_at_any_moment(attempt: int, samples: Path, models: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.csv"
    threads = ("--threads", str(1 + attempt % 2))
    units = ("--au", "none") if attempt % 3 else ()
    process = start(extract(samples, models, output, *threads, *units))
    wait_for(output, process, random.Random(attempt).randrange(FRAMES))
    interrupted = interrupt(process)
    assert check_rows(output) == FRAMES or interrupted


@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_in_openface_s_own_program(attempt: int, samples: Path, models: Path, tmp_path: Path) -> None:
    output = tmp_path / "default.csv"
    # Given so often that no machine is done with it before the signal comes.
    process = start(openface(models, output, *[samples / "default.wmv"] * 20))
    wait_for(output, process, random.Random(attempt).randrange(100))
    assert interrupt(process)
    check_rows(output)


@pytest.mark.parametrize("attempt", range(12))
def test_ctrl_c_when_the_work_is_done(attempt: int, samples: Path, models: Path, tmp_path: Path) -> None:
    """All rows are there; what is left is to post-process action units, to close files and to exit."""
    output = tmp_path / "default.csv"
    process = start([*openface(models, output, samples / "default.wmv"), "--quiet"])
    wait_for(output, process, FRAMES)
    time.sleep(random.Random(attempt).uniform(0, 0.06))
    interrupted = interrupt(process)
    assert check_rows(output) == FRAMES or interrupted


def test_ctrl_c_while_python_cleans_up() -> None:
    """Python drops exceptions in a finaliser; the interruption must not be lost with them."""
    code = """
import os, signal, time
from pyopenface import cli

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

def work():
    held = Held()
    del held
    time.sleep(30)

cli.main = work
cli.program()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_killed_process_leaves_its_rows(samples: Path, models: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.csv"
    process = start(extract(samples, models, output, "--au", "none"))
    wait_for(output, process, 20)
    process.kill()
    process.communicate(timeout=30)
    check_rows(output, at_least=5)


@pytest.mark.parametrize("limit", [50_000, 123_456])
def test_a_full_disk_is_an_error_that_names_the_file(
    limit: int, samples: Path, models: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.csv"
    process = start(
        extract(samples, models, output, "--au", "none"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.startswith(f"pyopenface: {output}: can't be written")
    assert "Traceback" not in errors
    assert 0 < output.stat().st_size <= limit
    check_rows(output, at_least=3)
