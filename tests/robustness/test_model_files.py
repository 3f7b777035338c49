"""Damaged model files give an error that names them or a model that works; never a crash, a hang or a large
allocation (models.md, section 17).

CEN and SVR files have the same test in tests/stages/test_patch_expert_loaders.py.
"""

from __future__ import annotations

import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from mutations import MUTATIONS, Format, memory_limit, overwrite, survive, try_to_load
from small_models import LANDMARKS, ccnf_bytes, formats, landmark_model_files

from pyopenface import _core, errors
from pyopenface._core import stages

FORMATS = (
    "pdm", "ccnf", "validator", "early termination", "detector listing", "PNet", "RNet", "ONet",
    "main file", "part's main file", "model listing", "AU main file", "AU list", "AU shape model",
    "triangles", "AU predictor",
)  # fmt: skip


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Format]:
    return formats(tmp_path_factory.mktemp("units"))


@pytest.mark.parametrize("name", FORMATS)
def test_thousands_of_damaged_files(name: str, forms: dict[str, Format], tmp_path: Path) -> None:
    accepted = survive(forms[name], tmp_path, MUTATIONS)
    # Changed weights make another valid file, a changed structure must not pass. Hardly any change to a short
    # list of files leaves it valid.
    assert accepted < MUTATIONS
    assert accepted > 0 or name in ("detector listing", "AU main file")


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_files(name: str, forms: dict[str, Format], tmp_path: Path) -> None:
    form = forms[name]
    form.write(tmp_path)
    data = form.files[form.name].rstrip()
    for length in sorted({*range(0, len(data), max(len(data) // 60, 1))}):
        loaded = try_to_load(form, tmp_path, data[:length])
        # A listing may end behind any of its lines, a number behind any of its digits.
        assert not loaded or form.damage.__name__ == "damage_text"


@pytest.mark.parametrize("name", sorted(landmark_model_files()))
def test_a_landmark_model_names_the_file_that_is_missing_or_broken(name: str, tmp_path: Path) -> None:
    form = Format("main.txt", lambda _: None, lambda data, _: data, landmark_model_files())
    form.write(tmp_path)
    assert _core.LandmarkModel(tmp_path / "main.txt").landmark_count == LANDMARKS
    good = (tmp_path / name).read_bytes()
    bad_versions = [b"", b"\x00" * 40]
    if name not in ("main.txt", "face.txt", "eye/main_eye.txt", "eye/eye.txt"):
        # What stands behind a listing's known words is not read, so only the others can't be continued.
        bad_versions += [good[: len(good) // 3] + b"\xff\xfe garbage", good + b" 1 1 1 1 1 1"]
    for bad in bad_versions:
        overwrite(tmp_path / name, bad)
        with pytest.raises(errors.ModelError, match=Path(name).name.replace(".", r"\.")):
            _core.LandmarkModel(tmp_path / "main.txt")
    (tmp_path / name).unlink()
    with pytest.raises(errors.ModelError, match=Path(name).name.replace(".", r"\.")):
        _core.LandmarkModel(tmp_path / "main.txt")
    (tmp_path / name).mkdir()
    with pytest.raises(errors.ModelError, match=Path(name).name.replace(".", r"\.")):
        _core.LandmarkModel(tmp_path / "main.txt")


def test_missing_files_are_named_all_at_once(tmp_path: Path) -> None:
    Format("main.txt", lambda _: None, lambda data, _: data, landmark_model_files()).write(tmp_path)
    gone = ("ccnf_2.bin", "early.txt", "eye/eye_ccnf.bin")
    for name in gone:
        (tmp_path / name).unlink()
    with pytest.raises(errors.ModelError) as caught:
        _core.LandmarkModel(tmp_path / "main.txt")
    assert all(Path(name).name in str(caught.value) for name in gone)


def test_scales_with_different_numbers_of_edge_components_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(ccnf_bytes(components=1))
    (tmp_path / "b.bin").write_bytes(ccnf_bytes(components=3))
    with pytest.raises(errors.ModelError, match=r"a\.bin.*edge components"):
        stages.CcnfExperts([str(tmp_path / "a.bin"), str(tmp_path / "b.bin")], LANDMARKS)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"windows": (63,), "components": 1, "views": 1}, "too much work"),
        ({"windows": (31, 29), "components": 1, "views": 1}, "too much work"),
        ({"windows": (23,), "components": 1, "views": 64, "beta": -0.1, "neurons": 1}, "too much work"),
        (
            {"support": 31, "neurons": 1, "windows": (), "components": 0, "views": 64, "landmarks": 40},
            "memory",
        ),
    ],
    ids=["large window", "many windows", "many inversions", "padded neurons"],
)
def test_ccnf_files_made_to_cost_time_or_memory(options: dict[str, int], cause: str, tmp_path: Path) -> None:
    data = ccnf_bytes(**options)  # type: ignore[arg-type]
    path = tmp_path / "hostile.bin"
    path.write_bytes(data)
    begin = time.process_time()
    with memory_limit(2 * len(data) + (16 << 20)), pytest.raises(errors.ModelError, match=cause):
        stages.CcnfExperts([str(path)], options.get("landmarks", LANDMARKS))
    assert time.process_time() - begin < 30  # the work that a file may ask for takes a few seconds


REAL_FILES = [
    "model/pdms/In-the-wild_aligned_PDM_68.txt",
    "model/patch_experts/ccnf_patches_0.25_general.txt",
    "model/patch_experts/svr_patches_0.25_general.txt",
    "model/detection_validation/validator_cnn.txt",
    "model/mtcnn_detector/PNet.dat",
    "model/mtcnn_detector/ONet.dat",
    "AU_predictors/tris_68_full.txt",
]


def _load_real(name: str, path: Path) -> None:
    if "pdms" in name:
        stages.Pdm(str(path))
    elif "ccnf" in name:
        stages.CcnfExperts([str(path)], 68)
    elif "svr" in name:
        stages.SvrExperts([str(path)], 68)
    elif "validator" in name:
        stages.Validator(path)
    elif "mtcnn" in name:
        _core.MtcnnModel(path.with_name("MTCNN_detector.txt"))
    else:
        _core.FaceAnalyserModel(path.with_name("main_static_svms.txt"))


@pytest.mark.parametrize("name", REAL_FILES)
def test_truncations_of_published_files(
    name: str, models: Path, tmp_path: Path, skip_or_fail: Callable[[str], NoReturn]
) -> None:
    source = models / name
    if not source.is_file():
        skip_or_fail(f"{name} is not among the weights in {models}")
    needs_neighbours = "mtcnn" in name or "AU_predictors" in name
    if needs_neighbours:
        shutil.copytree(source.parent, tmp_path / "copy", copy_function=shutil.copyfile)
        path = tmp_path / "copy" / source.name
    else:
        path = tmp_path / source.name
        shutil.copyfile(source, path)
    _load_real(name, path)
    size = path.stat().st_size
    rng = np.random.default_rng(5)
    # From the end to the front: cutting a file costs no copying. The last bytes of text may be blanks.
    lengths = sorted({*rng.integers(0, size - 32, 25).tolist(), 0, 1, 4, 12, size - 32}, reverse=True)
    for length in lengths:
        with path.open("r+b") as file:
            file.truncate(length)
        with pytest.raises(errors.ModelError, match=path.name.replace(".", r"\.")):
            _load_real(name, path)


def test_a_count_that_lies_about_the_file_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "validator.bin"
    path.write_bytes(struct.pack("<2i", 3, 64) + struct.pack("<3i", 2**30, 2, 6) + b"\0" * 100)
    with memory_limit(4 << 20), pytest.raises(errors.ModelError, match=r"validator\.bin.*byte"):
        stages.Validator(path, 5)
