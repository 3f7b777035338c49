"""From the address of a video to a file on this machine, through yt-dlp and a cache.

Works for YouTube and every other site that yt-dlp knows, and for direct links. Only pictures are needed, so
only the picture track is fetched unless sound is asked for; H.264 in mp4 comes first, because every build of
OpenCV decodes it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyopenface._cache import cache_folder
from pyopenface._options import file_path, whole_number
from pyopenface.errors import DownloadError, InputError
from pyopenface.sources.base import check_times

__all__ = ["Video", "download", "fetch", "forget"]

logger = logging.getLogger("pyopenface")

_SCRIPTS = r"javascript runtime|n challenge|nsig|signature extraction|\bejs\b|jsc?interp"
_FORMATS = r"requested format|no video formats|only images"
#: What yt-dlp says when it fails, and what to do then; the first pattern that fits counts.
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        _SCRIPTS,
        "The site hides its videos behind a script and no program that runs it was found. Install Deno "
        "(https://deno.com) or Node.js, and `pip install -U 'yt-dlp[default]'`, then try again.",
    ),
    (
        r"cookies? database|unsupported browser|decrypt|netscape format|cookie file",
        "These cookies can't be read: name a browser of this machine, cookies_from_browser='firefox', and "
        "close it, or give cookiefile='cookies.txt', a file in Netscape's format.",
    ),
    (
        r"ff(mpeg|probe) (is )?not (installed|found)",
        "A part of the download is ffmpeg's work: install ffmpeg and try again.",
    ),
    (
        r"ffmpeg exited",
        "ffmpeg could not fetch this part: check the connection, or fetch the whole video first, with "
        "pyopenface.youtube.fetch and neither start= nor end=.",
    ),
    (
        r"HTTP Error 429|too many requests|rate.?limit",
        "The site has had too many requests: wait an hour, or pass cookies_from_browser=, then try again.",
    ),
    (
        r"\bdrm\b",
        "The video is protected against copying and can't be downloaded. Pass a file of your own.",
    ),
    (
        r"will begin|premieres? in|not (yet )?started|upcoming",
        "The video has not begun yet: try again when it can be watched.",
    ),
    (
        r"in your country|geo.?restrict|blocked it|in your (location|region)",
        "The video is not offered where this machine is; download it elsewhere and pass the file's path.",
    ),
    (
        r"removed|deleted|terminated|no longer available|does not exist|HTTP Error (404|410)",
        "The video is gone, or the address has a mistake in it: open the address in a browser to check.",
    ),
    (
        r"sign in|log.?in|not a bot|your age|age.restrict|members.only|private video|requires? (payment|"
        r"authentication|purchase)|join this channel|cookies",
        "The site wants to know who asks. Pass the cookies of a browser in which you can watch the video: "
        "cookies_from_browser='firefox', or cookiefile='cookies.txt' on a machine without a browser (Colab).",
    ),
    (
        _FORMATS,
        "The site has the video in other formats only: try another height=, or pass "
        "ytdlp_options={'format': 'best'}.",
    ),
    (
        r"unavailable|not available|not found",
        "The video is gone, or the address has a mistake in it: open the address in a browser to check.",
    ),
    (
        r"unsupported url|no video could be found|no media|not a valid url|invalid url|no host",
        "There is no video at this address that yt-dlp can find. Pass the address of the page that plays the "
        "video, or download the file yourself and pass its path.",
    ),
    (
        r"HTTP Error 403",
        "The site refuses the download. Update yt-dlp (`pip install -U 'yt-dlp[default]'`), wait a while, or "
        "pass cookies_from_browser=.",
    ),
    (
        r"no space left|permission denied|read-only file|is a directory|not a directory",
        "The file can't be written: make room, or choose another folder with folder= or PYOPENFACE_CACHE.",
    ),
    (
        r"timed? ?out|connection|resolve|getaddrinfo|name or service|network|unreachable|SSL|certificate|"
        r"incomplete|bytes read|content too short|HTTP Error 5\d\d",
        "The network or the site does not answer: check the connection and try again; what has been "
        "downloaded is kept and continued.",
    ),
)
#: What can be chosen besides the part of the video.
_OPTIONS = (
    "height", "sound", "cookies_from_browser", "cookiefile", "ytdlp_options", "folder", "progress",
)  # fmt: skip
#: Options of yt-dlp that make it take another video or format.
_CHOOSING = ("format", "format_sort", "extractor_args", "noplaylist", "playlist_items")
_OTHERWISE = (
    "Sites change often: update yt-dlp (`pip install -U 'yt-dlp[default]'`) and try again, or download the "
    "video by other means and pass the file's path."
)


@dataclass(frozen=True, slots=True)
class Video:
    """A downloaded video.

    Attributes
    ----------
    path
        The file.
    start
        Seconds of the original that lie before the file's first frame; 0 for a whole video.
    title
        The title that the site gives it.
    """

    path: Path
    start: float = 0.0
    title: str = ""


def fetch(
    url: str,
    *,
    start: float | None = None,
    end: float | None = None,
    height: int = 720,
    sound: bool = False,
    cookies_from_browser: str | None = None,
    cookiefile: str | os.PathLike[str] | None = None,
    ytdlp_options: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Path:
    """Download a video, or find it in the cache, and return its path.

    Parameters
    ----------
    url
        Address of a page with a video, or of a video file.
    start, end
        Seconds. If the program ``ffmpeg`` is installed, only this section is downloaded (cut at `start`
        without encoding anew, so to about one frame); otherwise the whole video is.
    height
        The best quality up to this height in pixels is taken.
    sound
        True to get the sound as well, for annotated videos.
    cookies_from_browser
        Name of a browser whose cookies are sent: ``"firefox"``, ``"chrome:Profile 1"``.
    cookiefile
        Path of a cookies.txt file.
    ytdlp_options
        Further options of yt-dlp's Python interface; they win over the ones set here.
    folder
        Where downloaded videos are kept; by default ``videos`` in pyopenface's cache folder.
    progress
        True to show a progress bar.

    Returns
    -------
    pathlib.Path
        The video file. The second call with the same arguments needs no network.

    Raises
    ------
    DownloadError
        If yt-dlp can't get the video: the message says what to do next, ``__cause__`` is yt-dlp's error.
    InputError
        If an option can't be used.

    Examples
    --------
    >>> fetch("https://youtu.be/aqz-KE-bpKQ", end=10)  # doctest: +SKIP
    PosixPath('/home/me/.cache/pyopenface/videos/youtube-aqz-KE-bpKQ-136-0-10.mp4')
    """
    return download(
        url,
        start=start,
        end=end,
        height=height,
        sound=sound,
        cookies_from_browser=cookies_from_browser,
        cookiefile=cookiefile,
        ytdlp_options=ytdlp_options,
        folder=folder,
        progress=progress,
    ).path


def checked_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check options that are to be handed on to `download`, such as those of ``analyze(…, download=…)``.

    Parameters
    ----------
    options
        A mapping of names of `fetch` to values, or None.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        It has something in it that `fetch` doesn't take.

    Examples
    --------
    >>> checked_options({"height": 480})
    {'height': 480}
    """
    if options is None:
        return {}
    for name in options:
        if name not in _OPTIONS:
            raise InputError(f"download: there is no option {name!r}; the options are {', '.join(_OPTIONS)}")
    return dict(options)


def download(
    url: str,
    *,
    start: float | None = None,
    end: float | None = None,
    height: int = 720,
    sound: bool = False,
    cookies_from_browser: str | None = None,
    cookiefile: str | os.PathLike[str] | None = None,
    ytdlp_options: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Video:
    """Download a video like `fetch`, and say which part of the original the file holds.

    Parameters
    ----------
    url, start, end, height, sound, cookies_from_browser, cookiefile, ytdlp_options, folder, progress
        See `fetch`.

    Returns
    -------
    Video

    Raises
    ------
    DownloadError, InputError
        See `fetch`.

    Examples
    --------
    >>> download("https://youtu.be/aqz-KE-bpKQ", end=10).title  # doctest: +SKIP
    'Big Buck Bunny 60fps 4K - Official Blender Foundation Short Film'
    """
    check_times(start, end)
    height = whole_number("height", height)
    ffmpeg = shutil.which("ffmpeg") is not None
    end = None if end == math.inf else end
    section = (start or 0.0, end) if ffmpeg and (start or end is not None) else None
    if not isinstance(ytdlp_options, Mapping | None):
        raise InputError(f"ytdlp_options={ytdlp_options!r}: expected a mapping of yt-dlp's options")
    options = _cookie_options(cookies_from_browser, cookiefile) | dict(ytdlp_options or {})
    cache = _Cache(
        _videos(folder), _address(url), height, sound, {name: options.get(name) for name in _CHOOSING}
    )
    with cache.lock():
        video = cache.find(section)
        if video is None:
            plan = _Plan(url, section, _format(height, sound, ffmpeg), options)
            video = _run(plan, cache.folder, progress)
            cache.remember(video, section)
    return video


def forget(url: str, *, folder: str | os.PathLike[str] | None = None) -> int:
    """Delete what the cache holds of an address.

    Parameters
    ----------
    url
        The address as it was given to `fetch`.
    folder
        The folder that was given to `fetch`, if any.

    Returns
    -------
    int
        Number of video files deleted.

    Examples
    --------
    >>> forget("https://example.org/never-fetched.mp4")
    0
    """
    deleted = 0
    for path in _records(_videos(folder)).glob(f"{_digest(_address(url))}-*.json"):
        video = _recorded(path)
        path.unlink()
        if video is not None and video.path.is_file():
            video.path.unlink()
            deleted += 1
    return deleted


def _videos(folder: str | os.PathLike[str] | None) -> Path:
    """The folder in which videos are kept."""
    return cache_folder() / "videos" if folder is None else file_path("folder", folder)


def _address(url: Any) -> str:
    """Check an address; whether there is a video, yt-dlp says."""
    if not isinstance(url, str):
        raise InputError(f"url={url!r}: expected an address")
    return url


def _cookie_options(browser: str | None, file: str | os.PathLike[str] | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if browser is not None:
        if not isinstance(browser, str):
            raise InputError(
                f"cookies_from_browser={browser!r}: expected a browser's name, such as 'firefox'"
            )
        name, _, profile = browser.partition(":")
        options["cookiesfrombrowser"] = (name, profile or None, None, None)
    if file is not None:
        # yt-dlp goes on without cookies, and makes a file of that name.
        if not (isinstance(file, str | os.PathLike) and Path(file).is_file()):
            raise InputError(f"cookiefile={file!r}: no such file")
        options["cookiefile"] = os.fspath(file)
    return options


def _format(height: int, sound: bool, can_merge: bool) -> str:
    """Name the formats to take, the first that exists: H.264 in mp4, mp4, anything; up to the height."""
    limit = f"[height<=?{height}]"
    video = "b" if sound else "bv*"
    choices = [f"{video}{limit}[ext=mp4][vcodec^=avc1]", f"{video}{limit}[ext=mp4]", f"{video}{limit}"]
    if sound and can_merge:
        merged = [f"bv*{limit}[ext=mp4][vcodec^=avc1]+ba[ext=m4a]", f"bv*{limit}+ba"]
        choices = merged + choices
    return "/".join([*choices, video, "b"])


# --- the cache --------------------------------------------------------------------------------------------


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _records(folder: Path) -> Path:
    return folder / "requests"


class _Cache:
    """Remembers which file answered which request, so that asking again needs no network."""

    def __init__(self, folder: Path, url: str, height: int, sound: bool, chosen: Mapping[str, Any]) -> None:
        self.folder = folder.absolute()
        self._base = f"{_digest(url)}-{height}{'-sound' if sound else ''}"
        if any(value is not None for value in chosen.values()):
            self._base += f"-{_digest(repr(sorted(chosen.items())))}"
        try:
            _records(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(
                f"{folder}: videos can't be kept there ({error.strerror}). Choose another with folder= or "
                "the environment variable PYOPENFACE_CACHE."
            ) from error

    def lock(self) -> Any:
        """Keep other threads and processes from downloading the same video at the same time."""
        from filelock import FileLock

        return FileLock(_records(self.folder) / f"{self._base}.lock")

    def _record(self, section: tuple[float, float | None] | None) -> Path:
        return _records(self.folder) / f"{self._base}{_section_tag(section)}.json"

    def find(self, section: tuple[float, float | None] | None) -> Video | None:
        """Return the whole video if there is one, else the section; None if neither is there."""
        for wanted in (None, section):
            video = _recorded(self._record(wanted))
            if video is not None and video.path.is_file() and video.path.stat().st_size:
                return video
        return None

    def remember(self, video: Video, section: tuple[float, float | None] | None) -> None:
        """Write the record of a finished download, whole or not at all."""
        record = self._record(section)
        text = json.dumps({**asdict(video), "path": video.path.name}, ensure_ascii=False)
        partial = record.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(record)


def _recorded(record: Path) -> Video | None:
    """Return the video that a record names; None if there is no such record, or it is damaged."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return Video(record.parents[1] / found["path"], float(found["start"]), str(found["title"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _section_tag(section: tuple[float, float | None] | None) -> str:
    if section is None:
        return ""
    start, end = section
    return f"-{start:g}-{'end' if end is None else f'{end:g}'}"


# --- yt-dlp -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    url: str
    section: tuple[float, float | None] | None
    format: str
    options: dict[str, Any]


def _run(plan: _Plan, folder: Path, progress: bool) -> Video:
    import yt_dlp

    log = _Log()
    bar = _Bar(progress)
    try:
        with bar, yt_dlp.YoutubeDL(_parameters(plan, log, bar)) as loader:
            info = _first(loader.extract_info(plan.url, download=False), plan.url)
            loader.params["outtmpl"]["default"] = str(folder / _file_name(info, plan))
            done = loader.process_ie_result(info, download=True)
            path = Path(done["requested_downloads"][0]["filepath"])
    except (yt_dlp.utils.YoutubeDLError, OSError) as error:
        raise _explain(plan.url, error, log) from error
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        # What sites return is not ours to trust: yt-dlp's extractors sometimes trip over it.
        raise _explain(plan.url, error, log) from error
    if not path.is_file() or path.stat().st_size == 0:
        raise _explain(plan.url, FileNotFoundError(f"incomplete: nothing was written to {path}"), log)
    start = plan.section[0] if plan.section is not None else 0.0
    return Video(path, start, str(info.get("title") or ""))


def _parameters(plan: _Plan, log: _Log, bar: _Bar) -> dict[str, Any]:
    from yt_dlp.utils import download_range_func

    parameters: dict[str, Any] = {
        "format": plan.format,
        "outtmpl": {"default": "%(id)s.%(ext)s"},
        "noplaylist": True,
        "playlist_items": "1",
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "logger": log,
        "progress_hooks": [bar.update],
        "retries": 3,
        "fragment_retries": 3,
        "socket_timeout": 20,
        "js_runtimes": {"deno": {}, "node": {}, "bun": {}, "quickjs": {}},
    }
    if plan.section is not None:
        start, end = plan.section
        parameters["download_ranges"] = download_range_func(None, [(start, math.inf if end is None else end)])
    return parameters | plan.options


def _first(info: Any, url: str) -> dict[str, Any]:
    """Return the one video that an address means; of a page or list with several, the first."""
    if info and "entries" in info:
        entries = [entry for entry in info["entries"] if entry]
        if not entries:
            raise DownloadError(f"{url}: no video could be found in this list. {_OTHERWISE}")
        logger.info("%s is a list of videos; the first one is taken", url)
        return _first(entries[0], url)
    if not info:
        raise DownloadError(f"{url}: no video could be found at this address. {_OTHERWISE}")
    return dict(info)


def _file_name(info: Mapping[str, Any], plan: _Plan) -> str:
    """Name the file by extractor, id, format and section; '%' doubled, as it goes through a template."""
    extractor = str(info.get("extractor_key") or info.get("extractor") or "video").lower()
    video = str(info.get("id") or "video")
    parts = [extractor, video[:80]]
    if extractor in ("generic", "html5mediaembed"):
        # Its ids are file names, the same on different sites.
        parts.append(_digest(plan.url)[:8])
    elif len(video) > 80:
        parts.append(_digest(video)[:8])
    parts.append(str(info.get("format_id") or "0")[:40])
    name = re.sub(r"[^\w.+-]", "_", "-".join(parts)) + _section_tag(plan.section)
    return name.replace("%", "%%") + ".%(ext)s"


class _Log:
    """Collects what yt-dlp says; it is shown only if the download fails."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", message)

    info = debug

    def warning(self, message: str) -> None:
        self.lines.append(message)
        logger.debug("yt-dlp warns: %s", message)

    error = warning


class _Bar:
    """A progress bar that appears with the first bytes."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._file: str | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def update(self, status: Mapping[str, Any]) -> None:
        """Take one of yt-dlp's progress reports."""
        if not self._shown:
            return
        if status.get("filename") != self._file:
            self._close()
            self._file = status.get("filename")
        total = status.get("total_bytes") or status.get("total_bytes_estimate")
        if self._bar is None:
            from pyopenface._progress import progress_bar

            self._bar = progress_bar(
                total=total, unit="B", unit_scale=True, unit_divisor=1024, desc="Downloading"
            )
        if total:
            self._bar.total = total
        self._bar.update((status.get("downloaded_bytes") or self._bar.n) - self._bar.n)
        if status.get("status") == "finished":
            self._close()


def _explain(url: str, error: BaseException, log: _Log) -> DownloadError:
    """Turn yt-dlp's error into one paragraph: what was asked, what went wrong, what to do next."""
    if isinstance(error, DownloadError):
        return error
    said = _plain(str(error)) or type(error).__name__
    warned = " ".join(log.lines)
    # Without a JavaScript runtime sites give fewer formats or none that works; that is a warning only.
    hidden = re.search(_SCRIPTS, warned, re.IGNORECASE) and re.search(
        rf"{_FORMATS}|HTTP Error 403", said, re.IGNORECASE
    )
    remedy = _remedy(warned if hidden else said) or _remedy(warned) or _OTHERWISE
    return DownloadError(f"{url}: the video could not be downloaded: {said.rstrip('.')}. {remedy}")


def _remedy(text: str) -> str | None:
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text, re.IGNORECASE):
            return remedy
    return None


def _plain(message: str) -> str:
    """Drop colours, yt-dlp's prefix, its advice for its own command line, and line ends."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    text = re.sub(r"^ERROR:\s*", "", text)
    text = re.split(r";? ?please report this issue|\. ?See +https|\(caused by", text, maxsplit=1)[0]
    text = re.sub(r"Use --(cookies|list-formats).*", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text).strip()
