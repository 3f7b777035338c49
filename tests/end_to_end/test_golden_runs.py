"""Whole videos against OpenFace 2.2's own CSV files: digit by digit, or within the noise floor.

What the noise floor is and why a short clip can be a little outside by chance stands in docs/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from golden_runs import Clip, Comparison, load_judge, pooled

import pyopenface
from pyopenface.table import to_openface_csv

CLNF = "feature_extraction_clnf"
EXACT_CLIPS = [
    Clip(CLNF, "default.wmv", "clnf"),
    Clip(CLNF, "2015-10-15-15-14.avi", "clnf"),
    Clip(CLNF, "changeLighting.wmv", "clnf"),
    Clip(CLNF, "gap.avi", "clnf"),
    Clip(CLNF, "image_sequence", "clnf"),
    Clip("feature_extraction_clnf_wild_model", "default.wmv", "model/main_clnf_wild.txt"),
    Clip("feature_extraction_au_static", "default.wmv", "clnf", "static"),
    Clip("feature_extraction_au_static", "gap.avi", "clnf", "static"),
    Clip("feature_extraction_ceclm_standin", "default.wmv", "ceclm"),
    Clip("feature_extraction_ceclm_standin", "changeLighting.wmv", "ceclm"),
]
CLIPS = [
    *EXACT_CLIPS,
    Clip("feature_extraction_clm", "default.wmv", "clm"),
]
# About 130 verdicts (groups times clips), three shares each: three deviations keep a false alarm unlikely.
DEVIATIONS = 3.0


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
def compared(
    models: Path,
    golden: Path,
    samples: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Callable[[Clip], Comparison]:
    """Our run of a clip set beside the golden ones; each clip is run once."""
    judge = load_judge(golden.parent)
    folder = tmp_path_factory.mktemp("runs")
    done: dict[Clip, Comparison] = {}

    def compare(clip: Clip) -> Comparison:
        if clip not in done:
            weights = request.getfixturevalue("ceclm_models") if clip.model == "ceclm" else models
            table = pyopenface.analyze(
                samples / clip.name,
                models=weights,
                model=models / clip.model if "/" in clip.model else clip.model,
                au=clip.au,
                threads=1,
                progress=False,
            )
            stem = Path(clip.name).stem
            ours = folder / f"{clip.folder}_{stem}.csv"
            to_openface_csv(table, ours, presence_decimals=2)
            name = f"{clip.folder}/{stem}.csv.gz"
            done[clip] = Comparison(
                clip, judge, golden / "csv" / name, ours, golden / "csv_second_build" / name
            )
        return done[clip]

    return compare


@pytest.fixture
def comparison(
    request: pytest.FixtureRequest, compared: Callable[[Clip], Comparison]
) -> Iterator[Comparison]:
    yield compared(request.param)


every_clip = pytest.mark.parametrize("comparison", CLIPS, ids=str, indirect=True)


@every_clip
def test_rows_columns_success_and_confidence_are_the_references(comparison: Comparison) -> None:
    result = comparison.result
    assert result["rows"] == result["rows_other"]
    assert (result["missing_rows"], result["extra_rows"], result["missing_columns"]) == (0, 0, [])
    groups = result["groups"]
    assert groups["timestamp"]["equal"] == 1.0
    assert groups["success"]["equal"] == 1.0
    assert groups["confidence"]["equal"] >= 0.98


@every_clip
def test_every_group_of_columns_is_inside_the_noise_floor_but_for_chance(comparison: Comparison) -> None:
    outside = {name: group for name, group in comparison.groups.items() if not group.expected(DEVIATIONS)}
    assert not outside


@pytest.mark.parametrize("comparison", EXACT_CLIPS, ids=str, indirect=True)
def test_every_cell_is_the_references(comparison: Comparison) -> None:
    different = {name: g["equal"] for name, g in comparison.result["groups"].items() if g["equal"] < 1.0}
    # In 4 of the 842 frames of 2015-10-15-15-14.avi action units differ by up to 0.02.
    assert all(name.startswith("au_") and equal > 0.998 for name, equal in different.items()), different


def test_all_models_together_are_strictly_inside_the_noise_floor(
    compared: Callable[[Clip], Comparison], tmp_path: Path
) -> None:
    # Static and dynamic action units come from the same landmarks, so the static runs would count twice.
    verdict = pooled([compared(clip) for clip in CLIPS if clip.au == "dynamic"], tmp_path)
    assert verdict["outside"] == []
