"""The tutorial notebook runs from top to bottom on a local video of three people, and shows its figures."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import pyopenface

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
STEPS = ["set-up", "download", "cut", "run", "convert", "load", "clean", "threshold", "plot", "correlate"]


def read_notebook() -> Any:
    return pytest.importorskip("nbformat").read(NOTEBOOK, as_version=4)


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = [cell for cell in read_notebook().cells if cell.cell_type == "code"]
    assert len(cells) > 10
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.fixture(scope="module")
def executed(
    models: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path, float]:
    """The notebook with its outputs, the folder it ran in, and how many seconds it took."""
    client = pytest.importorskip("nbclient")
    for needed in ("ipykernel", "matplotlib", "av", "pyarrow"):
        pytest.importorskip(needed)
    notebook = read_notebook()
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYOPENFACE_TUTORIAL_SOURCE", str(samples / "multi_face_h264.avi"))
        patch.setenv("PYOPENFACE_MODELS", str(models))
        patch.setenv("PYTHONPATH", str(Path(pyopenface.__file__).parents[1]))
        patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        began = time.perf_counter()
        client.NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
        seconds = time.perf_counter() - began
    return notebook, folder, seconds


def outputs(notebook: Any, kind: str) -> list[str]:
    """What the cells showed in one MIME type."""
    shown = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return ["".join(output.data[kind]) for output in shown if kind in output.get("data", {})]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_it_runs_from_top_to_bottom_in_under_two_minutes(executed: tuple[Any, Path, float]) -> None:
    assert executed[2] < 120


def test_it_draws_its_figures(executed: tuple[Any, Path, float]) -> None:
    pictures = [base64.b64decode(data) for data in outputs(executed[0], "image/png")]
    assert len(pictures) >= 9
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 5000 for picture in pictures)


def test_it_warns_of_nothing(executed: tuple[Any, Path, float]) -> None:
    text = "".join(
        output.text
        for cell in executed[0].cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    )
    assert "Warning" not in text


def test_three_people_are_found_and_somebody_smiles(executed: tuple[Any, Path, float]) -> None:
    printed = "".join(
        output.text
        for cell in executed[0].cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )
    assert " smiles from " in printed
    people = pyopenface.read_parquet(executed[1] / "faces.parquet").openface.faces
    assert {"person A", "person B", "person C"} <= set(people)


def test_the_annotated_video_is_shown_and_the_tables_are_exported(executed: tuple[Any, Path, float]) -> None:
    notebook, folder, _ = executed
    assert any("<video" in html for html in outputs(notebook, "text/html"))
    assert (folder / "annotated.mp4").read_bytes()[4:8] == b"ftyp"
    table = pyopenface.read_openface_csv(folder / "faces.csv")
    assert {"frame", "face_id", "timestamp", "confidence", "success", "AU12_r"} <= set(table.columns)
    assert table["timestamp"].min() >= 2
    assert len((folder / "smiles.csv").read_text().splitlines()) > 300


# --- the page that lays old and new side by side -----------------------------------------------------------


def old_way() -> dict[str, list[str]]:
    """The lines of code of every step of the old way, as the page lists them."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    steps: dict[str, list[str]] = {}
    for block in re.findall(r"```(?:sh|python)\n(.*?)```", page.split("## The old way")[1], re.DOTALL):
        for line in block.splitlines():
            if line.startswith("# "):
                steps[line[2:]] = []
            else:
                list(steps.values())[-1].append(line)
    return steps


def table_of_steps() -> dict[str, list[str]]:
    """The rows of the table of steps: lines and minutes before, lines and seconds now."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in rows]
    return {row[0]: row[1:] for row in cells if len(row) == 5}


def test_every_step_has_a_row_with_its_lines_and_time() -> None:
    table, old = table_of_steps(), old_way()
    assert set(STEPS) <= set(table)
    for step, lines in old.items():
        assert table[step][0] == str(len(lines)), step
        assert all(table[step]), step
    after = sum(len(lines) for step, lines in old.items() if step != "set-up")
    assert table["**everything after set-up**"][0] == f"**{after}**"
    ours = [
        row[2].split()[0] for step, row in table.items() if step not in ("step", "set-up") and "*" not in step
    ]
    assert table["**everything after set-up**"][2] == f"**{sum(map(int, ours))}**"


def test_the_old_way_is_no_straw_man(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does in Python runs on a CSV of OpenFace, and gives the same correlations."""
    plt = pytest.importorskip("matplotlib.pyplot")
    (tmp_path / "processed").mkdir()
    source = golden / "csv/vid_multi_clnf_aus/multi_face_h264.csv.gz"
    with gzip.open(source) as packed, (tmp_path / "processed/part.csv").open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    steps = {step: "\n".join(lines) for step, lines in old_way().items()}
    for step in ("import", "load", "clean", "threshold", "plot"):
        exec(steps[step], names)
    pivot, last = steps["correlate"].splitlines()
    exec(pivot, names)
    theirs = eval(last, names)
    plt.close("all")
    df = pyopenface.read_openface_csv(tmp_path / "processed/part.csv")
    clean = df[df["confidence"] > 0.8].openface.wide("AU12_r")
    ours = pyopenface.synchrony.correlation_matrix(clean)
    assert abs(ours.to_numpy() - theirs.to_numpy()).max() < 1e-12
