"""OpenFace's own programs and ours side by side: time, memory, and how far what they write agrees.

    python benchmarks/compare_cli.py --openface-bin DIR [INPUT ...] [--program NAME] [--repeats 5]
        [--json FILE] [--our-option=-mloc --our-option=model/main_clnf_general.txt]

DIR holds the program (FeatureExtraction, FaceLandmarkVidMulti or FaceLandmarkImg) as OpenFace builds it. Both
get the same flags, -f INPUT -out_dir FOLDER and all columns, and run in turns, on one core and on all; the
medians count. The table gives seconds on the clock, their ratio, peak memory, and per group of columns the
share of cells with the same text and the 95th percentile of the difference. The exit code is 1 if a program
fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from measure import SAMPLES, Process, medians, run_process, table

PROGRAMS = ("FeatureExtraction", "FaceLandmarkVidMulti", "FaceLandmarkImg")
FLAGS = ("-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-aus", "-gaze")
KEYS = ("frame", "face_id", "face")
GROUPS = (
    ("confidence", r"confidence|success"),
    ("gaze", r"gaze_.*|eye_lmk_.*"),
    ("pose", r"pose_.*"),
    ("landmarks", r"[xyXYZ]_\d+"),
    ("shape", r"p_.*"),
    ("action units", r"AU.*"),
)


def read_rows(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """The rows of an OpenFace CSV by frame and face."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        rows = [{name.strip(): value for name, value in row.items() if name} for row in reader]
    return {tuple(row[key] for key in KEYS if key in row): row for row in rows}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def parity(theirs: Path, ours: Path) -> dict[str, Any]:
    """How far two CSV files agree; rows and columns that only one of them has count as unequal."""
    a, b = read_rows(theirs), read_rows(ours)
    groups: dict[str, Any] = {}
    columns = list(next(iter(a.values()), {}))
    for group, pattern in GROUPS:
        names = [name for name in columns if re.fullmatch(pattern, name)]
        equal, differences = 0, []
        for key, row in a.items():
            for name in names:
                left, right = row[name], b.get(key, {}).get(name, "")
                equal += left == right
                differences.append(abs(_number(left) - _number(right)))
        finite = np.array([d for d in differences if math.isfinite(d)])
        if differences:
            groups[group] = {
                "equal": equal / len(differences),
                "p95": float(np.percentile(finite, 95)) if len(finite) else None,
            }
    return {"rows_theirs": len(a), "rows_ours": len(b), "groups": groups}


def compare(
    their_program: Path, our_program: Sequence[str], source: Path, repeats: int, cores: Sequence[int]
) -> dict[str, Any]:
    """Run both in turns on one input; the figures and the parity of the last run's files."""
    runs: dict[str, list[Process]] = {"theirs": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, list[str]] = {"theirs": [str(their_program)], "ours": list(our_program)}
        for name, command in commands.items():
            command += ["-f", str(source), "-out_dir", str(Path(folder, name)), *FLAGS]
        for _ in range(repeats):
            for name, command in commands.items():
                runs[name].append(run_process(command, cores))
        written = {name: sorted(Path(folder, name).glob("*.csv")) for name in commands}
        if not all(written.values()):
            missing = [name for name, files in written.items() if not files]
            raise RuntimeError(f"{source}: no CSV written by {' and '.join(missing)}")
        agreement = parity(written["theirs"][0], written["ours"][0])
    result: dict[str, Any] = {"input": str(source), "cores": len(cores), "parity": agreement}
    for name, processes in runs.items():
        result[name] = medians(processes)._asdict()
    result["ratio"] = result["theirs"]["wall"] / result["ours"]["wall"]
    result["cpu_ratio"] = result["theirs"]["cpu"] / max(result["ours"]["cpu"], 1e-9)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", type=Path)
    parser.add_argument("--openface-bin", type=Path, required=True, metavar="DIR")
    parser.add_argument("--program", choices=PROGRAMS, default="FeatureExtraction")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--our-option", action="append", default=[], help="one more option for our program")
    options = parser.parse_args(argv)
    their_program = options.openface_bin / options.program
    if not os.access(their_program, os.X_OK):
        print(f"{their_program} is not there or can't be run", file=sys.stderr)
        return 1
    inputs = options.inputs or [SAMPLES / "default.wmv", SAMPLES / "2015-10-15-15-14.avi"]
    our_program = [sys.executable, "-m", "pyopenface", options.program, *options.our_option]
    all_cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    core_sets = [all_cores[:1], all_cores] if len(all_cores) > 1 else [all_cores]
    results = []
    for source in inputs:
        for cores in core_sets:
            try:
                results.append(compare(their_program, our_program, source, options.repeats, cores))
            except (OSError, RuntimeError) as error:
                print(error, file=sys.stderr)
                return 1
    print(_report(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0


def _report(results: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            Path(r["input"]).name,
            str(r["cores"]),
            f"{r['theirs']['wall']:.2f}",
            f"{r['ours']['wall']:.2f}",
            f"{r['ratio']:.1f}",
            f"{r['theirs']['cpu']:.2f}",
            f"{r['ours']['cpu']:.2f}",
            f"{r['theirs']['memory']:.0f}",
            f"{r['ours']['memory']:.0f}",
        ]
        for r in results
    ]
    header = ["input", "cores", "theirs s", "ours s", "ratio", "their cpu", "our cpu", "their MB", "our MB"]
    parts = [table(header, rows)]
    agreement = [
        [
            Path(r["input"]).name,
            group,
            f"{100 * cells['equal']:.1f} %",
            "" if cells["p95"] is None else f"{cells['p95']:.3g}",
        ]
        for r in results[:: max(1, len(results) // len({x["input"] for x in results}))]
        for group, cells in r["parity"]["groups"].items()
    ]
    parts.append(table(["input", "columns", "equal cells", "p95 difference"], agreement))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
