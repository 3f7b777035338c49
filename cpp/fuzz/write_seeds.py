"""Write small good files for the fuzz programs: python cpp/fuzz/write_seeds.py FOLDER."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS / "stages"), str(TESTS / "robustness")]

from small_models import formats  # noqa: E402
from test_patch_expert_loaders import CEN, SVR  # noqa: E402

#: The seeds of a program: formats of the robustness tests.
SEEDS = {
    "pdm": ["pdm"],
    "ccnf": ["ccnf"],
    "early_termination": ["early termination"],
    "validator": ["validator"],
    "interleaved_network": ["PNet", "RNet", "ONet"],
    "main_file": ["main file"],
    "au_predictor": ["AU predictor"],
    "triangles": ["triangles"],
}


def main(folder: Path) -> None:
    """Write a folder of seeds per program."""
    with tempfile.TemporaryDirectory() as temporary:
        forms = formats(Path(temporary))
    seeds = {name: [forms[form].files[forms[form].name] for form in names] for name, names in SEEDS.items()}
    for name, contents in (seeds | {"cen": [CEN], "svr": [SVR]}).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / name / f"seed_{number}").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
