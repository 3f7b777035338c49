"""Whole videos against OpenFace 2.2's own CSV files, cell by cell as printed.

The judge is compare_csv.py, which comes with the golden data.
"""

from __future__ import annotations

import gzip
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, NoReturn

import pytest

import pyopenface
from pyopenface import cli
from pyopenface.table import to_openface_csv


@dataclass(frozen=True)
class Clip:
    """A golden run: which configuration, which input."""

    folder: str
    name: str
    model: str
    au: Literal["dynamic", "static"] = "dynamic"

    def __str__(self) -> str:
        return f"{self.folder.removeprefix('feature_extraction_')}:{Path(self.name).stem}"


CLNF = "feature_extraction_clnf"
CLIPS = [
    Clip(CLNF, "default.wmv", "clnf"),
    Clip(CLNF, "2015-10-15-15-14.avi", "clnf"),
    Clip(CLNF, "changeLighting.wmv", "clnf"),
    Clip(CLNF, "gap.avi", "clnf"),
    Clip(CLNF, "image_sequence", "clnf"),
    Clip("feature_extraction_clnf_wild_model", "default.wmv", "model/main_clnf_wild.txt"),
    Clip("feature_extraction_au_static", "default.wmv", "clnf", "static"),
    Clip("feature_extraction_au_static", "gap.avi", "clnf", "static"),
    Clip("feature_extraction_clm", "default.wmv", "clm"),
    Clip("feature_extraction_ceclm_standin", "default.wmv", "ceclm"),
    Clip("feature_extraction_ceclm_standin", "changeLighting.wmv", "ceclm"),
]


def link_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir():
            link_tree(entry, target / entry.name)
        else:
            (target / entry.name).symlink_to(entry.resolve())


@pytest.fixture(scope="session")
def ceclm_models(models: Path, standin_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All weights with the stand-in CEN files where the published ones belong."""
    folder = tmp_path_factory.mktemp("weights") / "openface"
    link_tree(models, folder)
    for file in standin_models.glob("cen_patches_*.dat"):
        (folder / "model/patch_experts" / file.name).symlink_to(file.resolve())
    return folder


@pytest.fixture(scope="session")
def judge(golden: Path, skip_or_fail: Callable[[str], NoReturn]) -> ModuleType:
    path = golden.parent / "tools" / "compare_csv.py"
    if not path.is_file():
        skip_or_fail(f"the judge of the golden data is not there: {path}")
    spec = importlib.util.spec_from_file_location("compare_csv", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# With the same options as the golden runs of these folders, the programs write the same files. What is left
# out: the long video (above), the multi-face ones (test_many_faces.py), models that need other weights.
FOLDERS = ["feature_extraction_clnf", "feature_extraction_au_static", "img_clnf", "img_clnf_wild_flag"]
LONG = "2015-10-15-15-14"


@pytest.mark.parametrize("folder", FOLDERS)
def test_programs_write_the_references_files(
    folder: str, models: Path, golden: Path, samples: Path, tmp_path: Path
) -> None:
    reference = golden / "csv" / folder
    seen = 0
    for line in (reference / "command.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        source = next(samples / Path(word).name for word in words if word.startswith("samples/"))
        if source.stem == LONG:
            continue
        words = [str(source) if word.startswith("samples/") else word for word in words]
        words[words.index("-out_dir") + 1] = str(tmp_path)
        assert cli.main([*words, "--models", str(models), "-q"]) == 0
        ours = (tmp_path / f"{source.stem}.csv").read_bytes()
        assert ours == gzip.decompress((reference / f"{source.stem}.csv.gz").read_bytes()), source.name
        details = reference / f"{source.stem}_of_details.txt"
        if details.exists():  # the build that wrote them left out the two lines about the input
            lines = (tmp_path / details.name).read_text().splitlines()
            assert lines[2:] == details.read_text().splitlines()
        seen += 1
    assert seen == len(list(reference.glob("*.csv.gz"))) - (reference / f"{LONG}.csv.gz").exists()


def test_inputs_of_one_line_leave_nothing_behind_for_the_next(
    models: Path, golden: Path, samples: Path, tmp_path: Path
) -> None:
    # gap.avi loses the face twice.
    inputs = ["-f", "gap.avi", "-f", "changeLighting.wmv", "-fdir", "image_sequence", "-f", "gap.avi"]
    names = [word for name in ("first", "light.csv", "pictures.x", "last") for word in ("-of", name)]
    groups = ["-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-aus", "-gaze"]
    line = ["-root", str(samples), *inputs, *names, "-out_dir", str(tmp_path), *groups, "-q"]
    model = ["-mloc", "model/main_clnf_general.txt", "--models", str(models)]
    assert cli.main(["FeatureExtraction", *model, *line]) == 0
    for ours, theirs in {
        "first": "gap", "light": "changeLighting", "pictures": "image_sequence", "last": "gap",
    }.items():  # fmt: skip
        expected = gzip.decompress((golden / "csv" / CLNF / f"{theirs}.csv.gz").read_bytes())
        assert (tmp_path / f"{ours}.csv").read_bytes() == expected, ours


@pytest.mark.parametrize("clip", CLIPS, ids=str)
def test_every_cell_is_the_references(
    clip: Clip,
    judge: ModuleType,
    models: Path,
    golden: Path,
    samples: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    table = pyopenface.analyze(
        samples / clip.name,
        models=request.getfixturevalue("ceclm_models") if clip.model == "ceclm" else models,
        model=models / clip.model if "/" in clip.model else clip.model,
        au=clip.au,
        threads=1,
        progress=False,
    )
    ours = tmp_path / "ours.csv"
    to_openface_csv(table, ours)
    reference = golden / "csv" / clip.folder / f"{Path(clip.name).stem}.csv.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the judge leaves closing files to the interpreter
        result = judge.compare(str(reference), str(ours))
    assert result["rows"] == result["rows_other"]
    assert (result["missing_rows"], result["extra_rows"], result["missing_columns"]) == (0, 0, [])
    different = {name: group["equal"] for name, group in result["groups"].items() if group["equal"] < 1.0}
    # In 4 of the 842 frames of 2015-10-15-15-14.avi action units differ by up to 0.02.
    assert all(name.startswith("au_") and equal > 0.998 for name, equal in different.items()), different
