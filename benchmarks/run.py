"""Run all benchmarks that can run here: ``make bench``.

    python benchmarks/run.py [--quick] [--openface-bin DIR] [--json FILE]

What needs something that is missing (samples, weights, OpenFace's programs, other packages) is left out with
a word about it. Every benchmark also runs alone; see its own text. What they measured is also written to one
file, build/benchmarks.json by default. Without OpenFace's programs it takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import MODELS, ROOT, SAMPLES, machine

HERE = Path(__file__).resolve().parent
WITHOUT_JSON = ("bench_cen.py",)


def main() -> int:
    """Run them one after another; the exit code is 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--openface-bin", type=Path, default=os.environ.get("OPENFACE_BIN"), metavar="DIR")
    parser.add_argument("--json", type=Path, default=ROOT / "build/benchmarks.json", metavar="FILE")
    options = parser.parse_args()
    repeats = "1" if options.quick else "5"
    jobs: list[list[str]] = []
    if SAMPLES.is_dir() and MODELS.is_dir():
        jobs += [["stages.py"], ["videos.py", "--repeats", repeats], ["many_faces.py"]]
        jobs += [["compare_peers.py"]]
        if options.openface_bin:
            jobs.append(["compare_cli.py", "--openface-bin", str(options.openface_bin), "--repeats", repeats])
        else:
            print("compare_cli.py left out: name the folder with OpenFace's programs by --openface-bin")
    else:
        print(f"stages.py, videos.py and the comparisons left out: no {SAMPLES} or no {MODELS}")
    jobs.append(["bench_cen.py", "--rounds", "5" if options.quick else "40"])
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    if (ROOT / "src/pyopenface").is_dir() and "PYTHONPATH" not in environment:
        import importlib.util

        if importlib.util.find_spec("pyopenface") is None:
            environment["PYTHONPATH"] = str(ROOT / "src")
    results: dict[str, Any] = {"machine": machine(), "seconds": {}}
    failed = 0
    for job in jobs:
        print(f"\n== {' '.join(job)}", flush=True)
        name = Path(job[0]).stem
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [sys.executable, str(HERE / job[0]), *job[1:]]
            if job[0] not in WITHOUT_JSON:
                command += ["--json", str(report)]
            failed += subprocess.run(command, env=environment).returncode != 0
            if report.exists():
                results[name] = json.loads(report.read_text())
        results["seconds"][name] = round(time.perf_counter() - began, 1)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2))
    print(f"\n{sum(results['seconds'].values()):.0f} s; all of it: {options.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
