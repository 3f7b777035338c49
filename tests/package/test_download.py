"""Downloading from a real server with bad habits, and taking files out of folders and archives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from small_weights import CECLM, LARGE, WeightsServer, same_files
from test_models import LAYOUTS, lay_out

from pyopenface import DownloadError, InputError, _manifest
from pyopenface import models as weights
from pyopenface.models import CEN_FILES, Status

MAIN = "model/main_clnf_general.txt"


def names_of(model: str) -> list[str]:
    return [file.path for file in _manifest.load().needed_by(model)]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.suffix != ".lock"]


def test_a_download_is_complete_verified_and_asked_for_once(
    weights_server: WeightsServer, small_weights: Path
) -> None:
    folder = weights.download(sources=[weights_server.url])
    assert folder.path == weights.default_folder()
    assert same_files(folder.path, small_weights, names_of("clnf"))
    assert not any((folder.path / name).exists() for name in CEN_FILES)
    assert (folder.path / "OpenFace-license.txt").is_file()
    assert leftovers(folder.path) == []
    assert weights.find().main_file().name == "clnf"
    asked = len(weights_server.requests)
    weights.download(sources=[weights_server.url])
    assert len(weights_server.requests) == asked
    weights.download("all", sources=[weights_server.url])
    assert len(weights_server.requests) - asked == len(names_of("all")) - len(names_of("clnf"))
    assert weights.find().main_file().name == "ceclm"


def test_files_are_readable_for_others(weights_server: WeightsServer) -> None:
    folder = weights.download(sources=[weights_server.url])
    mask = os.umask(0)
    os.umask(mask)
    assert folder.resolve(MAIN).stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_licence_is_told_once(weights_server: WeightsServer, capsys: pytest.CaptureFixture[str]) -> None:
    weights.download(sources=[weights_server.url])
    weights.download("ceclm", sources=[weights_server.url])
    assert capsys.readouterr().err.count("non-commercial") == 1


def test_the_variable_names_the_folder_and_the_mirror(
    weights_server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYOPENFACE_MODELS", str(tmp_path / "lab" / "weights"))
    monkeypatch.setenv("PYOPENFACE_MODEL_URL", weights_server.url + "/")
    assert weights.download().path == tmp_path / "lab" / "weights"
    assert weights.find().origin == "PYOPENFACE_MODELS"


def test_broken_and_missing_files_are_replaced_and_others_kept(
    weights_server: WeightsServer, small_weights: Path
) -> None:
    folder = weights.download(sources=[weights_server.url])
    weights_server.requests.clear()
    folder.resolve(LARGE).write_bytes(b"half")
    folder.resolve("model/tris_68.txt").unlink()
    weights.download(sources=[weights_server.url])
    assert sorted(name for name, _ in weights_server.requests) == sorted([LARGE, "model/tris_68.txt"])
    assert same_files(folder.path, small_weights, names_of("clnf"))


@pytest.mark.parametrize("habit", ["truncate", "stall"])
def test_a_broken_connection_is_continued_where_it_broke(
    habit: str, weights_server: WeightsServer, small_weights: Path
) -> None:
    weights_server.habits[LARGE] = [habit, habit, "ok"]
    folder = weights.download(sources=[weights_server.url], timeout=0.5)
    assert same_files(folder.path, small_weights, [LARGE])
    first, second, third = weights_server.ranges(LARGE)
    assert first is None
    assert second is not None
    assert third is not None
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < 400_000


def test_the_next_call_continues_what_the_last_one_left(
    weights_server: WeightsServer, small_weights: Path
) -> None:
    weights_server.habits[LARGE] = ["truncate", "503"]
    with pytest.raises(DownloadError, match="503"):
        weights.download(sources=[weights_server.url])
    assert not (weights.default_folder() / LARGE).exists()
    weights_server.habits.clear()
    weights_server.requests.clear()
    folder = weights.download(sources=[weights_server.url])
    assert weights_server.requests[0][0] == LARGE
    assert weights_server.ranges(LARGE)[0] not in (None, "bytes=0-")
    assert same_files(folder.path, small_weights, names_of("clnf"))
    assert leftovers(folder.path) == []


def test_a_server_without_ranges_starts_again(weights_server: WeightsServer, small_weights: Path) -> None:
    weights_server.habits[LARGE] = ["truncate", "no-range"]
    folder = weights.download(sources=[weights_server.url])
    assert same_files(folder.path, small_weights, [LARGE])


def test_a_continued_file_of_other_content_is_fetched_anew(
    weights_server: WeightsServer, small_weights: Path
) -> None:
    place = weights.default_folder() / LARGE
    place.parent.mkdir(parents=True)
    file = _manifest.load().get(LARGE)
    assert file is not None
    place.with_name(f".{place.name}.{file.sha256[:12]}.part").write_bytes(b"x" * 1000)
    folder = weights.download(sources=[weights_server.url])
    assert weights_server.ranges(LARGE) == ["bytes=1000-", None]
    assert same_files(folder.path, small_weights, [LARGE])


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("page", "a web page instead of the file"),
        ("wrong", "not the published one (wrong sha256)"),
        ("short", "bytes instead of 400000"),
        ("longer", "longer than the published one"),
        ("404", "the server answers 404 Not Found"),
        ("403", "the server answers 403 Forbidden"),
        ("503", "the server answers 503 Service Unavailable"),
        ("stall", "the connection stalled"),
    ],
)
def test_a_bad_source_is_named_and_nothing_broken_is_kept(
    habit: str, reason: str, weights_server: WeightsServer
) -> None:
    weights_server.habits[LARGE] = [habit]
    with pytest.raises(DownloadError) as caught:
        weights.download(sources=[weights_server.url], timeout=0.1)
    text = str(caught.value)
    assert f"{weights_server.url}/{LARGE}: " in text
    assert reason in text
    assert "1 file (0.4 MB) could not be downloaded" in text
    assert not (weights.default_folder() / LARGE).exists()
    assert (weights.default_folder() / MAIN).is_file()


def test_the_next_source_is_tried(weights_server: WeightsServer, small_weights: Path) -> None:
    weights_server.habits["bad/" + LARGE] = ["404"]
    sources = ["http://127.0.0.1:9", weights_server.url + "/bad", weights_server.url]
    folder = weights.download(sources=sources)
    assert same_files(folder.path, small_weights, names_of("clnf"))


def test_offline_the_error_says_what_to_do_by_hand(small_weights: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        weights.download("ceclm", tmp_path / "here")
    assert time.monotonic() - began < 5  # one unreachable file is enough to know
    text = str(caught.value)
    assert "can't be reached" in text
    assert "HTTPS_PROXY" in text
    assert "http://127.0.0.1:9/all.tar.gz" in text
    for name in CECLM:
        file = _manifest.load().get(name)
        assert file is not None
        assert f"{file.addresses[0]} (0.1 MB, sha256 {file.sha256})" in text
    assert f"pyopenface models download --from FOLDER_OR_ARCHIVE --folder {tmp_path / 'here'}" in text


def test_the_publisher_is_asked_after_a_mirror_if_wished(
    weights_server: WeightsServer, small_weights: Path
) -> None:
    weights_server.habits[LARGE] = ["404"]
    with pytest.raises(DownloadError) as caught:
        weights.download(sources=[weights_server.url, "upstream"])
    assert f"{weights_server.url}/{LARGE}: the server answers 404" in str(caught.value)
    assert f"http://127.0.0.1:9/upstream/{LARGE}: the server can't be reached" in str(caught.value)


def test_an_unknown_model_is_an_input_error(small_weights: Path) -> None:
    with pytest.raises(InputError, match="choose one of"):
        weights.download("deep")


def test_a_folder_that_can_not_be_made_is_told(weights_server: WeightsServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=str(tmp_path / "file")):
        weights.download(folder=tmp_path / "file", sources=[weights_server.url])


def test_own_cen_weights_are_kept(weights_server: WeightsServer, standin_models: Path) -> None:
    folder = weights.download(sources=[weights_server.url])
    own = folder.target(CEN_FILES[0])
    own.symlink_to(standin_models / own.name)
    weights.download("all", sources=[weights_server.url])
    assert own.is_symlink()
    assert CEN_FILES[0] not in [name for name, _ in weights_server.requests]


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from pyopenface import _manifest, models
from small_weights import make_manifest
manifest = make_manifest(Path({published!r}))
_manifest.load = lambda: manifest
models.download("all", {folder!r}, sources=[{url!r}], progress=False)
print("done")
"""


def test_processes_that_download_at_once_share_the_work(
    weights_server: WeightsServer, small_weights: Path, tmp_path: Path
) -> None:
    weights_server.habits = {name: ["slow"] for name in CECLM}
    script = WORKER.format(
        tests=str(Path(__file__).parent),
        published=str(small_weights),
        folder=str(tmp_path / "shared"),
        url=weights_server.url,
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["done\n"] * 3
    assert len(weights_server.requests) == len(names_of("all"))
    assert all(result.status is Status.OK for result in weights.verify(tmp_path / "shared"))


def test_a_process_that_was_killed_does_not_lock_others_out(
    weights_server: WeightsServer, small_weights: Path, tmp_path: Path
) -> None:
    weights_server.habits[LARGE] = ["stall", "ok"]
    script = WORKER.format(
        tests=str(Path(__file__).parent),
        published=str(small_weights),
        folder=str(tmp_path / "shared"),
        url=weights_server.url,
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("shared/model/mtcnn_detector/.*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    folder = weights.download("all", tmp_path / "shared", sources=[weights_server.url])
    assert same_files(folder.path, small_weights, names_of("all"))


def pack(folder: Path, archive: Path, prefix: str) -> Path:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in paths:
                packed.write(path, f"{prefix}{path.relative_to(folder).as_posix()}")
    else:
        with tarfile.open(archive, "w:gz") as packed_tar:
            for path in paths:
                packed_tar.add(path, f"{prefix}{path.relative_to(folder).as_posix()}")
    return archive


@pytest.mark.parametrize("kind", ["folder", "release.zip", "release.tar.gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_taken_from_every_layout_in_folders_and_archives(
    layout: str, kind: str, small_weights: Path, tmp_path: Path
) -> None:
    source = lay_out(small_weights, tmp_path / "OpenFace", layout)
    if kind != "folder":
        source = pack(source, tmp_path / kind, "OpenFace_2.2.0/")
    folder = weights.download(from_=source)
    assert same_files(folder.path, small_weights, names_of("all"))
    assert leftovers(folder.path) == []


def test_only_the_files_asked_for_are_taken(small_weights: Path) -> None:
    folder = weights.download("clnf", from_=small_weights)
    assert not any((folder.path / name).exists() for name in CEN_FILES)


def test_single_files_that_a_colleague_sent_complete_the_folder(
    weights_server: WeightsServer, small_weights: Path, tmp_path: Path
) -> None:
    weights.download(sources=[weights_server.url])
    weights.download("clnf", from_=small_weights)
    with pytest.raises(DownloadError, match="does not have 6 of the files that ceclm needs"):
        weights.download("ceclm", from_=tmp_path / "home")
    mail = tmp_path / "mail"
    mail.mkdir()
    for name in names_of("ceclm"):
        (mail / Path(name).name).write_bytes((small_weights / name).read_bytes())
    one = mail / Path(CEN_FILES[3]).name
    weights.download(from_=one)
    assert same_files(weights.default_folder(), small_weights, [CEN_FILES[3]])
    one.unlink()
    weights.download("ceclm", from_=mail)
    assert weights.find().main_file("auto").name == "ceclm"


def test_text_files_with_windows_line_ends_are_taken(small_weights: Path, tmp_path: Path) -> None:
    source = lay_out(small_weights, tmp_path / "OpenFace", "release")
    for path in source.rglob("*.txt"):
        content = path.read_bytes()
        if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in content) and b"\r\n" not in content:
            path.write_bytes(content.replace(b"\n", b"\r\n"))
    folder = weights.download(from_=pack(source, tmp_path / "release.zip", ""))
    assert same_files(folder.path, small_weights, names_of("all"))


def test_names_in_an_archive_never_leave_the_folder(small_weights: Path, tmp_path: Path) -> None:
    archive = pack(small_weights, tmp_path / "evil.zip", "../../../")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("/etc/evil.txt", "evil")
    folder = weights.download(from_=archive)
    assert same_files(folder.path, small_weights, names_of("all"))
    assert not list(tmp_path.parent.glob("model"))
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_in_an_archive_are_not_followed(small_weights: Path, tmp_path: Path) -> None:
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as packed:
        for name in names_of("clnf"):
            link = tarfile.TarInfo(name)
            link.type = tarfile.SYMTYPE
            link.linkname = str(small_weights / name)
            packed.addfile(link)
    with pytest.raises(DownloadError, match="0 files were taken"):
        weights.download(from_=archive)


@pytest.mark.parametrize("kind", ["release.zip", "release.tar.gz"])
def test_an_archive_that_broke_off_is_told(kind: str, small_weights: Path, tmp_path: Path) -> None:
    archive = pack(small_weights, tmp_path / kind, "")
    archive.write_bytes(archive.read_bytes()[:300_000])
    with pytest.raises(DownloadError, match=r"release\.(zip|tar\.gz) is "):
        weights.download(from_=archive)
    assert leftovers(weights.default_folder()) == []


def test_other_content_under_a_right_name_is_refused(small_weights: Path, tmp_path: Path) -> None:
    source = lay_out(small_weights, tmp_path / "OpenFace", "own")
    (source / LARGE).write_bytes(b"<html>")
    with pytest.raises(DownloadError, match=f"{LARGE}: there, but not the published file"):
        weights.download("clnf", from_=source)


@pytest.mark.parametrize("what", ["missing", "text"])
def test_a_source_that_is_neither_folder_nor_archive_is_told(
    what: str, small_weights: Path, tmp_path: Path
) -> None:
    source = tmp_path / "release.7z"
    if what == "text":
        source.write_text(json.dumps("nothing"))
    reason = "does not exist" if what == "missing" else "neither a folder nor a zip or tar archive"
    with pytest.raises(DownloadError, match=reason):
        weights.download(from_=source)


def test_the_real_manifest_and_the_real_files_agree_over_http(
    models: Path, clean_machine: Path, request: pytest.FixtureRequest
) -> None:
    server = WeightsServer(models)
    request.addfinalizer(server.stop)
    folder = weights.download("clnf", sources=[server.url])
    assert same_files(folder.path, models, names_of("clnf"))
    # Our own copy of the licence counts, so that nothing depends on its address.
    assert server.ranges("OpenFace-license.txt") == []
    assert len(server.requests) == len(names_of("clnf")) - 1
    assert folder.main_file().name == "clnf"
