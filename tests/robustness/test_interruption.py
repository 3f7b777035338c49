"""Ctrl-C, a killed process and a full disk leave a valid CSV of the finished frames."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyopenface import table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX systems")


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


def wait_for(path: Path, process: subprocess.Popen[str], size: int) -> None:
    for _ in range(3000):
        if path.exists() and path.stat().st_size > size:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no rows came")


@pytest.mark.parametrize("attempt", range(10))
def test_ctrl_c_at_any_moment(attempt: int, samples: Path, models: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.csv"
    threads = ("--threads", str(1 + attempt % 2))
    units = ("--au", "none") if attempt % 3 else ()
    process = start(extract(samples, models, output, *threads, *units))
    wait_for(output, process, 0)
    time.sleep(random.Random(attempt).uniform(0, 0.6))
    process.send_signal(signal.SIGINT)
    sent = time.perf_counter()
    _, errors = process.communicate(timeout=30)
    seconds = time.perf_counter() - sent
    assert process.returncode == 130
    assert errors == "pyopenface: interrupted\n"
    # Two seconds are promised; the rest is for machines that are busy with other things.
    assert seconds < 4
    check_rows(output)


@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_in_openface_s_own_program(attempt: int, samples: Path, models: Path, tmp_path: Path) -> None:
    main_file = str(models / "model/main_clnf_general.txt")
    video = str(samples / "default.wmv")
    process = start(
        ["FeatureExtraction", "-f", video, "-out_dir", str(tmp_path), "-mloc", main_file, "-pose"]
    )
    output = tmp_path / "default.csv"
    wait_for(output, process, 100)
    time.sleep(random.Random(attempt).uniform(0, 0.6))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    check_rows(output)


def test_a_killed_process_leaves_its_rows(samples: Path, models: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.csv"
    process = start(extract(samples, models, output, "--au", "none"))
    wait_for(output, process, 100_000)
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
