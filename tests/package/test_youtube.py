"""Addresses become local videos through the real yt-dlp, and failures become a paragraph that helps."""

from __future__ import annotations

import doctest
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media import Server, label_of, labelled, serve, write_video

from pyopenface import DownloadError, InputError, analyze, annotate, youtube
from pyopenface.cli import main
from pyopenface.sources import open_source

# yt-dlp leaves the connection of a failed request to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)

LOCAL: dict[str, Any] = {"proxy": "", "retries": 0}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "www"
    folder.mkdir()
    # A key frame every 10 frames, so that sections begin between key frames.
    write_video(folder / "clip.mp4", labelled(100), options={"g": "10"})
    (folder / "other").mkdir()
    write_video(folder / "other" / "clip.mp4", labelled(30))
    (folder / "page.html").write_text(
        "<!DOCTYPE html><html><head><title>A talk</title></head><body>"
        '<video width="64" height="48"><source src="clip.mp4" type="video/mp4"></video></body></html>'
    )
    (folder / "text.html").write_text("<!DOCTYPE html><html><body><p>Only words.</p></body></html>")
    (folder / "broken.mp4").write_bytes(b"these bytes are no video" * 100)
    with serve(folder) as running:
        yield running


@pytest.fixture
def ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Find the program ffmpeg on the path or in the package imageio-ffmpeg."""
    if shutil.which("ffmpeg") is None:
        reason = "the program ffmpeg is not installed (apt-get install ffmpeg, or pip install imageio-ffmpeg)"
        package = pytest.importorskip("imageio_ffmpeg", reason=reason)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ffmpeg").symlink_to(package.get_ffmpeg_exe())
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def fetch(server: Server, name: str, folder: Path, **options: Any) -> Path:
    options = {"progress": False, "ytdlp_options": LOCAL, **options}
    return youtube.fetch(f"{server.url}/{name}", folder=folder, **options)


def test_a_direct_link_is_downloaded_whole(server: Server, tmp_path: Path) -> None:
    path = fetch(server, "clip.mp4", tmp_path / "cache")
    assert path.read_bytes() == (server.folder / "clip.mp4").read_bytes()
    assert path.parent == tmp_path / "cache"
    assert path.suffix == ".mp4"


def test_a_page_with_a_video_is_understood(server: Server, tmp_path: Path) -> None:
    video = youtube.download(
        f"{server.url}/page.html", folder=tmp_path / "cache", progress=False, ytdlp_options=LOCAL
    )
    assert video.path.read_bytes() == (server.folder / "clip.mp4").read_bytes()
    assert "A talk" in video.title
    assert video.start == 0


def test_asking_again_needs_no_network(server: Server, tmp_path: Path) -> None:
    first = fetch(server, "clip.mp4", tmp_path / "cache")
    seen = len(server.seen)
    assert fetch(server, "clip.mp4", tmp_path / "cache") == first
    assert fetch(server, "clip.mp4", tmp_path / "cache", end=2) == first, "the whole serves for a part"
    assert len(server.seen) == seen
    first.unlink()
    assert fetch(server, "clip.mp4", tmp_path / "cache") == first
    assert len(server.seen) > seen


def test_the_same_file_name_at_two_addresses_makes_two_files(server: Server, tmp_path: Path) -> None:
    first = fetch(server, "clip.mp4", tmp_path / "cache")
    second = fetch(server, "other/clip.mp4", tmp_path / "cache")
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_one_download_at_a_time_serves_all_who_wait(server: Server, tmp_path: Path) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch(server, "clip.mp4", tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(paths) == 4 and len(set(paths)) == 1
    alone = len(server.seen)
    fetch(server, "clip.mp4", tmp_path / "second cache")
    assert len(server.seen) == 2 * alone


def test_a_progress_bar_is_shown_on_demand(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(server, "clip.mp4", tmp_path / "silent")
    assert capsys.readouterr() == ("", "")
    fetch(server, "clip.mp4", tmp_path / "shown", progress=True)
    output = capsys.readouterr()
    assert output.out == ""
    assert "Downloading" in output.err and "100%" in output.err


def test_without_ffmpeg_a_section_is_cut_while_reading(
    server: Server, tmp_path: Path, no_ffmpeg: None
) -> None:
    download = {"folder": tmp_path / "cache", "progress": False, "ytdlp_options": LOCAL}
    with open_source(f"{server.url}/clip.mp4", start=1.2, end=2, download=download) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(31, 51))
    assert [label_of(frame.image) for frame in frames] == list(range(30, 50))
    assert frames[0].timestamp == pytest.approx(1.2)


@pytest.mark.parametrize(("start", "end"), [(None, 1.0), (1.2, 2.0), (2.0, None)])
def test_with_ffmpeg_only_the_section_is_downloaded(
    start: float | None, end: float | None, server: Server, tmp_path: Path, ffmpeg: None
) -> None:
    download = {"folder": tmp_path / "cache", "progress": False, "ytdlp_options": LOCAL}
    with open_source(f"{server.url}/clip.mp4", start=start, end=end, download=download) as source:
        frames = list(source)
    (file,) = (tmp_path / "cache").glob("*.mp4")
    assert file.stat().st_size < (server.folder / "clip.mp4").stat().st_size
    first, last = round((start or 0) * 25), 100 if end is None else round(end * 25)
    # Cutting without encoding anew is exact to about a frame.
    assert abs(len(frames) - (last - first)) <= 2
    for frame in frames:
        assert abs(frame.number - 1 - label_of(frame.image)) <= 1
        assert frame.timestamp == pytest.approx((frame.number - 1) / 25, abs=0.045)


def test_another_height_is_another_request(server: Server, tmp_path: Path) -> None:
    fetch(server, "clip.mp4", tmp_path / "cache")
    seen = len(server.seen)
    fetch(server, "clip.mp4", tmp_path / "cache", height=360)
    assert len(server.seen) > seen


def test_what_was_downloaded_is_found_again_for_the_annotated_video(
    server: Server, models: Path, tmp_path: Path
) -> None:
    """Another height or folder would be another video; cookies stay out of the table."""
    (tmp_path / "cookies.txt").write_text("# Netscape HTTP Cookie File\n")
    choice = {"height": 360, "folder": tmp_path / "videos"}
    once = {"progress": False, "cookiefile": tmp_path / "cookies.txt", "ytdlp_options": LOCAL}
    url = f"{server.url}/clip.mp4"
    df = analyze(url, models=models, model="clnf", au=None, end=0.5, download={**choice, **once})
    assert df.attrs["source_options"]["download"] == {"height": 360, "folder": str(tmp_path / "videos")}
    seen = len(server.seen)
    annotate(url, df, tmp_path / "annotated.mp4")
    assert len(server.seen) == seen, "from the same file"


def test_forgetting_deletes_the_file(server: Server, tmp_path: Path) -> None:
    path = fetch(server, "clip.mp4", tmp_path / "cache")
    assert youtube.forget(f"{server.url}/clip.mp4", folder=tmp_path / "cache") == 1
    assert not path.exists()
    assert youtube.forget(f"{server.url}/clip.mp4", folder=tmp_path / "cache") == 0


def test_cookies_are_sent(server: Server, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsecret\n")
    assert fetch(server, "clip.mp4", tmp_path / "cache", cookiefile=jar).is_file()
    assert "session=secret" in server.cookies


def test_cookies_that_can_t_be_read_are_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"These cookies can't be read.*cookies_from_browser"):
        fetch(server, "page.html", tmp_path / "cache", cookies_from_browser="no such browser")
    (tmp_path / "no.txt").write_text("no cookies")
    with pytest.raises(DownloadError, match="These cookies can't be read"):
        fetch(server, "page.html", tmp_path / "cache", cookiefile=tmp_path / "no.txt")
    with pytest.raises(InputError, match=r"cookiefile=.*absent\.txt.*no such file"):
        fetch(server, "page.html", tmp_path / "cache", cookiefile=tmp_path / "absent.txt")
    assert not (tmp_path / "absent.txt").exists()


def test_what_is_no_address_or_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="url=3: expected an address"):
        youtube.fetch(3, folder=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="url=3: expected an address"):
        youtube.forget(3, folder=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="folder=3: expected a path"):
        youtube.fetch("http://127.0.0.1:9/a.mp4", folder=3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_another_format_is_another_request(server: Server, tmp_path: Path) -> None:
    """A page with two formats: the second choice must not be answered with the first one's file."""
    (server.folder / "two.html").write_text(
        "<!DOCTYPE html><html><head><title>Two</title></head><body><video>"
        '<source src="clip.mp4" type="video/mp4"><source src="other/clip.mp4" type="video/mp4">'
        "</video></body></html>"
    )

    def chosen(number: int) -> Path:
        options = {**LOCAL, "format": str(number)}
        return fetch(server, "two.html", tmp_path / "cache", ytdlp_options=options)

    assert chosen(0).read_bytes() == (server.folder / "clip.mp4").read_bytes()
    assert chosen(1).read_bytes() == (server.folder / "other" / "clip.mp4").read_bytes()
    seen = len(server.seen)
    assert chosen(0) != chosen(1) and len(server.seen) == seen


def test_long_names_at_two_addresses_make_two_files(server: Server, tmp_path: Path) -> None:
    name = "a" * 200 + ".mp4"
    shutil.copyfile(server.folder / "clip.mp4", server.folder / name)
    shutil.copyfile(server.folder / "other" / "clip.mp4", server.folder / "other" / name)
    first, second = (fetch(server, part + name, tmp_path / "cache") for part in ("", "other/"))
    assert first.read_bytes() != second.read_bytes()


def test_a_damaged_record_is_forgotten(server: Server, tmp_path: Path) -> None:
    path = fetch(server, "clip.mp4", tmp_path / "cache")
    (record,) = (tmp_path / "cache" / "requests").glob("*.json")
    record.write_text("{")
    assert fetch(server, "clip.mp4", tmp_path / "cache") == path
    record.write_text("{")
    assert youtube.forget(f"{server.url}/clip.mp4", folder=tmp_path / "cache") == 0
    assert not record.exists()


def test_without_progress_nothing_is_printed(
    server: Server, tmp_path: Path, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for shown in (False, True):
        download = {"folder": tmp_path / str(shown), "ytdlp_options": LOCAL}
        options: dict[str, Any] = {"models": models, "model": "clnf", "au": None, "end": 0.2}
        analyze(f"{server.url}/clip.mp4", progress=shown, download=download, **options)
        assert ("Downloading" in capfd.readouterr().err) == shown


def test_the_command_line_passes_options_of_downloads(
    server: Server, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PYOPENFACE_CACHE", str(tmp_path / "cache"))
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsecret\n")
    line = ["extract", f"{server.url}/clip.mp4", "--models", str(models), "--model", "clnf"]
    more = [
        "-o",
        str(tmp_path / "a.csv"),
        "--end",
        "0.2",
        "--cookies",
        str(jar),
        "--height",
        "300",
        "--quiet",
    ]
    assert main([*line, *more]) == 0
    assert "session=secret" in server.cookies
    assert list((tmp_path / "cache" / "videos" / "requests").glob("*-300*.json"))


# --- failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cause", "step"),
    [
        ("missing.mp4", "404", "open the address in a browser"),
        ("text.html", "Unsupported URL", "Pass the address of the page that plays the video"),
    ],
)
def test_a_failure_says_what_to_do_next(
    name: str, cause: str, step: str, server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DownloadError, match=step) as caught:
        fetch(server, name, tmp_path / "cache")
    message = str(caught.value)
    assert cause in message
    assert f"{server.url}/{name}" in message
    assert "\n" not in message and "\x1b" not in message
    assert type(caught.value.__cause__).__module__.startswith("yt_dlp")
    assert capfd.readouterr() == ("", "")
    assert not list((tmp_path / "cache").glob("*.mp4"))


def test_bytes_that_are_no_video_are_not_kept(server: Server, tmp_path: Path) -> None:
    download = {"folder": tmp_path / "cache", "progress": False, "ytdlp_options": LOCAL}
    with pytest.raises(DownloadError, match="no video"):
        open_source(f"{server.url}/broken.mp4", download=download)
    assert not list((tmp_path / "cache").glob("*.mp4"))


def test_a_site_that_stalls_is_given_up(server: Server, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(DownloadError, match="does not answer"):
        fetch(server, "stalled.mp4", tmp_path / "cache", ytdlp_options={**LOCAL, "socket_timeout": 1})
    assert time.monotonic() - begun < 25


def test_a_site_that_is_not_there_is_a_network_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="check the connection"):
        youtube.fetch("http://127.0.0.1:9/a.mp4", folder=tmp_path, progress=False, ytdlp_options=LOCAL)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("ERROR: [youtube] x: Sign in to confirm you’re not a bot. Use --cookies-from-browser", "firefox"),
        ("No supported JavaScript runtime could be found. Only deno is enabled by default", "Install Deno"),
        ("ERROR: [youtube] x: Private video. Sign in if you've been granted access", "cookies_from_browser"),
        ("ERROR: [youtube] x: Video unavailable. This video has been removed by the uploader", "gone"),
        ("ERROR: [youtube] x: The uploader has not made this video available in your country", "elsewhere"),
        ("ERROR: unable to download video data: HTTP Error 403: Forbidden", "Update yt-dlp"),
        ("ERROR: unable to write data: [Errno 28] No space left on device", "make room"),
        ("ERROR: [youtube] x: Requested format is not available", "another height="),
        (
            "[youtube] x: Video unavailable. The uploader has not made this video available in your country",
            "elsewhere",
        ),
        (
            "[youtube] x: Video unavailable. This video is no longer available because the YouTube account "
            "associated with this video has been terminated.",
            "gone",
        ),
        ("[youtube] x: This video is not available", "gone"),
        (
            "[youtube] x: Video unavailable. This content isn't available, try again later. The current "
            "session has been rate-limited by YouTube for up to an hour.",
            "wait an hour",
        ),
        ("[youtube] x: Sign in to confirm your age. This video may be inappropriate.", "firefox"),
        ("[youtube] x: Join this channel to get access to members-only content", "firefox"),
        ("[youtube] x: This live event will begin in 3 hours.", "not begun"),
        ("This video is DRM protected", "protected"),
        ("could not find firefox cookies database in '/home/me'", "can't be read"),
        ("ffmpeg exited with code 8", "whole video first"),
        ("You have requested merging of multiple formats but ffmpeg is not installed", "install ffmpeg"),
        ("Unable to download webpage: [Errno 110] Connection timed out", "check the connection"),
        ("ERROR: something never seen before", "Sites change often"),
    ],
)
def test_what_sites_say_has_a_next_step(said: str, step: str) -> None:
    """The texts are yt-dlp's; these sites can't be reached from a test."""
    error = youtube._explain("https://example.org/v", RuntimeError(said), youtube._Log())
    assert step in str(error)
    assert "ERROR" not in str(error)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("something odd", "Install Deno"),
        ("Requested format is not available", "Install Deno"),
        ("unable to download video data: HTTP Error 403: Forbidden", "Install Deno"),
        ("Video unavailable. This video has been removed by the uploader", "gone"),
    ],
)
def test_a_warning_explains_an_unclear_error(said: str, step: str) -> None:
    log = youtube._Log()
    log.warning("No supported JavaScript runtime could be found.")
    error = youtube._explain("https://example.org/v", RuntimeError(said), log)
    assert said in str(error) and step in str(error)


@pytest.mark.parametrize("options", [{"start": -1}, {"start": 2, "end": 1}, {"height": 0}])
def test_bad_options_are_named(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(start|end|height)="):
        youtube.fetch("http://127.0.0.1:9/a.mp4", folder=tmp_path, **options)


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="PYOPENFACE_CACHE"):
        youtube.fetch("http://127.0.0.1:9/a.mp4", folder=tmp_path / "file")


def test_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYOPENFACE_CACHE", str(tmp_path))
    assert doctest.testmod(youtube).failed == 0


def test_yt_dlp_is_quiet_but_logs(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "pyopenface"):
        fetch(server, "clip.mp4", tmp_path / "cache")
    assert "yt-dlp: " in caplog.text
    assert capfd.readouterr().out == ""
    shutil.rmtree(tmp_path / "cache")
