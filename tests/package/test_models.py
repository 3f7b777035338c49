"""Finding weights in every layout, choosing a model, saying what is missing, comparing with the published."""

from __future__ import annotations

import logging
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from pyopenface import InputError, ModelError, _manifest
from pyopenface import models as weights
from pyopenface.models import CEN_FILES, MAIN_FILES, ModelFolder, Status

LAYOUTS = {
    "own": (".", "."),
    "build": ("build/bin", "build/bin"),
    "release": ("bin", "bin"),
    "prefix": ("etc/OpenFace", "etc/OpenFace"),
    "checkout": ("lib/local/LandmarkDetector", "lib/local/FaceAnalyser"),
}


def lay_out(published: Path, folder: Path, layout: str) -> Path:
    model, units = LAYOUTS[layout]
    shutil.copytree(published / "model", folder / model / "model")
    shutil.copytree(published / "AU_predictors", folder / units / "AU_predictors")
    return folder


def without_cen(folder: Path) -> Path:
    for name in CEN_FILES:
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_an_installation_gives_both_kinds_of_files(
    layout: str, small_weights: Path, tmp_path: Path
) -> None:
    folder = weights.find(lay_out(small_weights, tmp_path / "OpenFace", layout))
    model, units = LAYOUTS[layout]
    assert folder.resolve("model/tris_68.txt") == folder.path / model / "model/tris_68.txt"
    assert folder.main_file("clnf").path == folder.path / model / "model/main_clnf_general.txt"
    assert folder.face_detector_file().is_file()
    assert folder.action_unit_file() == folder.path / units / "AU_predictors/main_dynamic_svms.txt"
    assert folder.action_unit_file(static=True).name == "main_static_svms.txt"
    assert all(result.status is Status.OK for result in weights.verify(folder))


def test_a_folder_named_model_stands_for_the_one_above(small_weights: Path) -> None:
    assert weights.find(small_weights / "model").resolve("AU_predictors/AU_all.txt").is_file()


def test_of_sources_and_build_the_one_with_the_large_files_counts(
    small_weights: Path, tmp_path: Path
) -> None:
    folder = lay_out(small_weights, tmp_path / "OpenFace", "checkout")
    lay_out(without_cen(small_weights), folder, "build")
    assert weights.find(folder).main_file().name == "ceclm"


def test_search_order_is_argument_variable_cache_installation(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("argument", "variable", "installed")
    copies = {name: shutil.copytree(small_weights, tmp_path / name) for name in names}
    monkeypatch.setenv("OPENFACE_DIR", str(copies["installed"]))
    assert weights.find().origin == "installation"
    shutil.copytree(small_weights, weights.default_folder())
    assert (weights.find().origin, weights.find().path) == ("cache", weights.default_folder())
    monkeypatch.setenv("PYOPENFACE_MODELS", str(copies["variable"]))
    assert (weights.find().origin, weights.find().path) == ("PYOPENFACE_MODELS", copies["variable"])
    assert weights.find(copies["argument"]).path == copies["argument"]


@pytest.mark.parametrize("place", ["OPENFACE_HOME", "home", "program"])
def test_an_installation_is_found(
    place: str, small_weights: Path, clean_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay_out(small_weights, clean_machine / "OpenFace", "build")
    if place != "home":
        folder = folder.rename(tmp_path / "elsewhere")
    if place == "OPENFACE_HOME":
        monkeypatch.setenv("OPENFACE_HOME", str(folder))
    if place == "program":
        program = folder / "build/bin/FeatureExtraction"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
    assert weights.find().main_file("clnf").path == folder / "build/bin/model/main_clnf_general.txt"


def test_without_weights_the_error_names_files_places_and_three_ways(clean_machine: Path) -> None:
    with pytest.raises(ModelError) as caught:
        weights.find()
    text = str(caught.value)
    assert "model/main_clnf_general.txt" in text
    assert str(weights.default_folder()) in text
    assert "1. pyopenface models download clnf" in text
    assert "2. pyopenface models download --from" in text
    assert "3. set PYOPENFACE_MODELS" in text
    assert "non-commercial" in text
    assert len(text.splitlines()) < 25


def test_a_wrong_folder_in_the_variable_is_an_error_and_not_skipped(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_weights, weights.default_folder())
    monkeypatch.setenv("PYOPENFACE_MODELS", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="PYOPENFACE_MODELS"):
        weights.find()


@pytest.mark.parametrize("gone", CEN_FILES)
def test_auto_is_clnf_if_one_cen_file_is_missing(gone: str, small_weights: Path) -> None:
    assert weights.find(small_weights).main_file("auto").name == "ceclm"
    (small_weights / gone).unlink()
    assert weights.find(small_weights).main_file("auto").name == "clnf"


def test_the_choice_is_logged_once(small_weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pyopenface")
    folder = weights.find(without_cen(small_weights))
    for _ in range(3):
        folder.main_file()
    assert [record.getMessage() for record in caplog.records] == [
        f"Landmark model: CLNF (the four CEN files of CE-CLM are not in {small_weights})"
    ]


@pytest.mark.parametrize(
    ("model", "gone"),
    [
        ("clnf", "model/patch_experts/ccnf 1.txt"),
        ("clnf", "model/model_inner/clnf_inner.txt"),
        ("clnf", "model/model_inner/pdm_inner.txt"),
        ("clnf", "model/validator.txt"),
        ("clnf", "model/mtcnn_detector/RNet.dat"),
        ("clnf", "model/main_clnf_general.txt"),
        ("ceclm", CEN_FILES[2]),
    ],
)
def test_a_partial_folder_names_what_the_chosen_model_lacks(
    model: str, gone: str, small_weights: Path
) -> None:
    (small_weights / gone).unlink()
    with pytest.raises(ModelError) as caught:
        weights.find(small_weights).main_file(model)
    assert f"Missing for the model {model}:\n  {gone}\nThree ways" in str(caught.value)


def test_missing_action_units_do_not_keep_landmarks_from_working(small_weights: Path) -> None:
    (small_weights / "AU_predictors/svm/AU_2.dat").unlink()
    folder = weights.find(small_weights)
    assert folder.main_file("clnf").name == "clnf"
    with pytest.raises(ModelError, match=r"AU_predictors/svm/AU_2\.dat"):
        folder.action_unit_file()


def test_a_main_file_can_be_given_by_path(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = weights.find(small_weights)
    expected = small_weights / "model/main_clnf_general.txt"
    assert folder.main_file("model/main_clnf_general.txt") == (expected, "clnf")
    assert folder.main_file(expected) == (expected, "clnf")
    own = small_weights / "model/my_model.txt"
    own.write_text("LandmarkDetector clnf_general.txt\n")
    monkeypatch.chdir(small_weights / "model")
    assert folder.main_file("my_model.txt") == (own, "my_model")
    with pytest.raises(ModelError, match=r"no_such\.txt"):
        folder.main_file("no_such.txt")
    with pytest.raises(InputError, match="choose auto, ceclm, clnf"):
        folder.main_file("deep")


def test_a_main_file_that_names_itself_is_an_error(small_weights: Path) -> None:
    main = small_weights / "model/main_clnf_general.txt"
    main.write_text("LandmarkDetector_part main_clnf_general.txt x 0 0")
    with pytest.raises(ModelError, match="nested"):
        weights.required_files("clnf", small_weights)


def test_required_files_follow_the_listings(small_weights: Path) -> None:
    needed = _manifest.load().needed_by("clnf")
    listed = weights.required_files("clnf", small_weights)
    assert {file.relative_to(small_weights).as_posix() for file in listed} == {file.path for file in needed}
    landmarks = weights.required_files("clnf", small_weights, action_units=False)
    assert not any("AU_predictors" in file.parts for file in landmarks)


def test_verify_tells_ok_missing_wrong_size_and_wrong_sha256(small_weights: Path) -> None:
    (small_weights / "model/tris_68.txt").unlink()
    (small_weights / "model/validator.txt").write_bytes(b"<html>")
    detector = small_weights / "model/mtcnn_detector/PNet.dat"
    detector.write_bytes(detector.read_bytes()[::-1])
    found = {result.name: result.status for result in weights.verify(small_weights, "clnf")}
    assert found.pop("model/tris_68.txt") is Status.MISSING
    assert found.pop("model/validator.txt") is Status.WRONG_SIZE
    assert found.pop("model/mtcnn_detector/PNet.dat") is Status.WRONG_SHA256
    assert set(found.values()) == {Status.OK}


def test_verify_sees_a_file_that_changed_since_the_last_look(small_weights: Path) -> None:
    path = small_weights / "model/mtcnn_detector/ONet.dat"
    assert all(result.usable for result in weights.verify(small_weights, "clnf"))
    path.write_bytes(path.read_bytes()[::-1])
    broken = [result.path for result in weights.verify(small_weights, "clnf") if not result.usable]
    assert broken == [path]


def test_windows_line_ends_are_ok(small_weights: Path) -> None:
    path = small_weights / "model/main_clnf_general.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert all(result.status is Status.OK for result in weights.verify(small_weights))
    assert weights.find(small_weights).main_file("clnf").name == "clnf"


def test_files_of_an_own_model_are_unknown_weights(small_weights: Path) -> None:
    own = small_weights / "model/main_own.txt"
    own.write_text("LandmarkDetector clnf_general.txt\n")
    found = {result.name: result.status for result in weights.verify(small_weights, own)}
    assert found["model/main_own.txt"] is Status.UNKNOWN_WEIGHTS
    assert found["model/pdms/pdm.txt"] is Status.OK


def cen_file() -> bytes:
    def matrix(rows: int, columns: int, code: int) -> bytes:
        return struct.pack("<3i", rows, columns, code) + bytes(rows * columns * {4: 4, 5: 4, 6: 8}[code])

    layer = struct.pack("<i", 2) + matrix(1, 3, 5) + matrix(3, 122, 5)
    expert = struct.pack("<4i", 6, 11, 11, 1) + layer + struct.pack("<d", 0.5)
    none = struct.pack("<4i", 6, 11, 11, 0) + struct.pack("<d", 0.0)
    tables = matrix(3, 1, 6) + matrix(5, 1, 4) + matrix(5, 1, 4) + matrix(1, 1, 4)
    return struct.pack("<di", 0.25, 1) + tables + 3 * expert + 2 * none


def test_cen_weights_of_somebody_else_are_unknown_and_half_a_file_is_broken(small_weights: Path) -> None:
    path = small_weights / CEN_FILES[0]

    def status_of(content: bytes) -> Status:
        path.write_bytes(content)
        return next(r.status for r in weights.verify(small_weights, "ceclm") if r.name == CEN_FILES[0])

    assert status_of(cen_file()) is Status.UNKNOWN_WEIGHTS
    for size in (0, 3, 20, 200, len(cen_file()) - 1):
        assert status_of(cen_file()[:size]) is Status.WRONG_SIZE
    assert status_of(cen_file() + b"\0") is Status.WRONG_SIZE


def test_stand_in_cen_weights_are_unknown_weights(models: Path, standin_models: Path, tmp_path: Path) -> None:
    for name in (file.path for file in _manifest.load().needed_by("ceclm")):
        place = tmp_path / "all" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(standin_models / Path(name).name if name in CEN_FILES else models / name)
    found = {result.name: result.status for result in weights.verify(tmp_path / "all", "ceclm")}
    assert {found.pop(name) for name in CEN_FILES} == {Status.UNKNOWN_WEIGHTS}
    assert set(found.values()) == {Status.OK}
    assert weights.find(tmp_path / "all").main_file().name == "ceclm"


def test_the_manifest_agrees_with_the_published_checksums(
    models: Path, skip_or_fail: Callable[[str], NoReturn]
) -> None:
    sums = models / "SHA256SUMS"
    if not sums.is_file():
        skip_or_fail(f"no SHA256SUMS in {models}")
    expected = {name: digest for digest, name in (line.split() for line in sums.read_text().splitlines())}
    manifest = {file.path: file for file in _manifest.load()}
    assert {name: file.sha256 for name, file in manifest.items() if name not in CEN_FILES} == expected
    sizes = {name: (models / name).stat().st_size for name in expected}
    assert {name: manifest[name].size for name in expected} == sizes


def test_the_manifest_has_the_cen_files_and_an_address_for_everything() -> None:
    files = {file.path: file for file in _manifest.load()}
    sizes = [files[name].size for name in CEN_FILES]
    assert sizes == [60602360, 60602360, 154289792, 154289792]  # models.md, section 11.4
    for file in files.values():
        assert len(file.sha256) == 64
        assert file.addresses
        assert all(address.startswith("https://") for address in file.addresses)
        assert ".." not in Path(file.path).parts


@pytest.mark.parametrize("model", MAIN_FILES)
def test_the_manifest_knows_what_each_model_needs(model: str, models: Path) -> None:
    folder = ModelFolder.recognise(models)
    assert folder is not None
    listed = {file.relative_to(models).as_posix() for file in weights.required_files(model, folder)}
    needed = {file.path for file in _manifest.load().needed_by(model)}
    assert needed - listed == {"OpenFace-license.txt"}
    assert listed <= needed


def test_importing_the_package_stays_light() -> None:
    heavy = ["pooch", "requests", "filelock", "tqdm", "scipy", "matplotlib", "av", "yt_dlp"]
    script = f"import sys, pyopenface; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
