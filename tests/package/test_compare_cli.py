"""benchmarks/compare_cli.py with a program that stands in for OpenFace's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks/compare_cli.py"

# Writes the CSV that OpenFace's flags ask for, slightly off in one column.
FAKE = """#!{python}
import sys
from pathlib import Path
arguments = sys.argv[1:]
source = Path(arguments[arguments.index("-f") + 1])
folder = Path(arguments[arguments.index("-out_dir") + 1])
folder.mkdir(parents=True, exist_ok=True)
(folder / (source.stem + ".csv")).write_text(
    "frame, face_id, timestamp, confidence, success, pose_Tx, AU01_r\\n"
    "1, 0, 0.000, 0.98, 1, {pose}, 0.25\\n2, 0, 0.040, 0.98, 1, 1.5, nan\\n"
)
"""


def fake_program(folder: Path, pose: str) -> Path:
    folder.mkdir()
    program = folder / "FeatureExtraction"
    program.write_text(FAKE.format(python=sys.executable, pose=pose))
    program.chmod(0o755)
    return program


@pytest.fixture
def compare_cli(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import compare_cli

    return compare_cli


def test_times_memory_and_parity_of_two_programs(tmp_path: Path, compare_cli) -> None:
    theirs = fake_program(tmp_path / "theirs", "1.0")
    ours = fake_program(tmp_path / "ours", "1.5")
    result = compare_cli.compare(theirs, [str(ours)], Path("video.avi"), 2, [0])
    for name in ("theirs", "ours"):
        assert result[name]["cpu"] > 0 and 0 < result[name]["wall"] < 60 and 1 < result[name]["memory"] < 500
    assert result["ratio"] == pytest.approx(result["theirs"]["wall"] / result["ours"]["wall"])
    groups = result["parity"]["groups"]
    assert groups["confidence"] == {"equal": 1.0, "p95": 0.0}
    assert groups["pose"]["equal"] == 0.5  # one of the two cells
    assert groups["pose"]["p95"] == pytest.approx(0.475)  # between 0 and 0.5, linearly
    assert groups["action units"] == {"equal": 1.0, "p95": 0.0}  # "nan" has the same text
    assert "video.avi" in compare_cli._report([result])


def test_missing_rows_and_columns_count_as_unequal(tmp_path: Path, compare_cli) -> None:
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("frame, face_id, pose_Tx\n1, 0, 1.0\n2, 0, 2.0\n")
    b.write_text("frame,face_id,pose_Ty\n1,0,1.0\n")
    agreement = compare_cli.parity(a, b)
    assert (agreement["rows_theirs"], agreement["rows_ours"]) == (2, 1)
    assert agreement["groups"]["pose"] == {"equal": 0.0, "p95": None}


def test_says_what_is_missing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--openface-bin", str(tmp_path)], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "FeatureExtraction is not there or can't be run" in run.stderr


def test_whole_comparison_with_our_program(samples: Path, models: Path, tmp_path: Path) -> None:
    fake_program(tmp_path / "bin", "1.0")
    report = tmp_path / "report.json"
    options = [f"--our-option={word}" for word in ("--models", str(models))]
    command = [sys.executable, str(SCRIPT), "--openface-bin", str(tmp_path / "bin"), "--repeats", "1"]
    command += ["--json", str(report), *options, str(samples / "gap.avi")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    results = json.loads(report.read_text())
    assert results[0]["parity"]["rows_theirs"] == 2
    assert results[0]["parity"]["rows_ours"] > 2
    assert "ratio" in run.stdout
