"""What all benchmarks share: where samples and weights are, processes measured from outside, this machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = Path(os.environ.get("PYOPENFACE_SAMPLES") or ROOT.parent / "shared/samples")
MODELS = Path(os.environ.get("PYOPENFACE_MODELS") or ROOT.parent / "shared/openface-models")


class Process(NamedTuple):
    """One run of a program: seconds on the clock, seconds of processor time, peak memory in MB."""

    wall: float
    cpu: float
    memory: float


# A program's peak memory counts from the process that starts it, so a small one does that.
_LAUNCHER = """
import os, sys, time
report, cores, *command = sys.argv[1:]
if cores:
    os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.execvp(command[0], command)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
with open(report, "w") as file:
    cpu = usage.ru_utime + usage.ru_stime
    print(wall, cpu, usage.ru_maxrss, os.waitstatus_to_exitcode(status), file=file)
"""


def run_process(command: Sequence[str], cores: Sequence[int] | None = None) -> Process:
    """Run a program on some cores and measure it, with all its threads and children that it waited for.

    Raises RuntimeError with the end of its standard error if it fails.
    """
    environment = os.environ | {"PYOPENFACE_MODELS": str(MODELS)}
    # An installed package is compiled; sources that may not be would be compiled in every run.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    pinned = "" if cores is None or not hasattr(os, "sched_setaffinity") else ",".join(map(str, cores))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), pinned, *map(str, command)]
        launched = subprocess.run(
            launcher, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        figures = report.read_text().split() if report.exists() else ["0", "0", "0", "1"]
    if int(figures[3]) != 0:
        tail = launched.stderr.decode(errors="replace")[-800:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {figures[3]}: {tail}")
    # ru_maxrss is in KB, on macOS in bytes.
    memory = float(figures[2]) / (1024.0 if sys.platform != "darwin" else 1024.0 * 1024.0)
    return Process(float(figures[0]), float(figures[1]), memory)


def medians(runs: Sequence[Process]) -> Process:
    """The median of each figure."""
    return Process(*(statistics.median(values) for values in zip(*runs, strict=True)))


def best_time(function: Callable[[], Any], repeats: int = 7, least: float = 0.02) -> float:
    """Seconds per call: the fastest of some rounds of at least `least` seconds, in processor time."""
    calls = 1
    while True:
        start = time.process_time()
        for _ in range(calls):
            function()
        elapsed = time.process_time() - start
        if elapsed >= least:
            break
        calls = max(calls + 1, int(calls * 1.2 * least / max(elapsed, 1e-6)))
    best = elapsed / calls
    for _ in range(repeats - 1):
        start = time.process_time()
        for _ in range(calls):
            function()
        best = min(best, (time.process_time() - start) / calls)
    return best


def peak_gflops() -> float:
    """Float operations per second that one core reaches in a large matrix product of numpy's BLAS."""
    a = np.ones((768, 768), np.float32)
    out = np.empty_like(a)
    return 2 * 768**3 / best_time(lambda: np.matmul(a, a, out=out)) / 1e9


def peak_bandwidth() -> float:
    """GB/s read and written by a copy of 64 MB."""
    a = np.ones(1 << 24, np.float32)
    b = np.empty_like(a)
    return 2 * a.nbytes / best_time(lambda: np.copyto(b, a)) / 1e9


def machine() -> dict[str, Any]:
    """Processor, cores, load and versions, for the record."""
    from pyopenface import _core

    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "instruction_set": _core._instruction_set(),
        "version": _core.__version__,
        "python": platform.python_version(),
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns; the first is left-aligned."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *rows]
    )
