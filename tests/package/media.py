"""Small videos and a web server for the tests of sources, downloads and annotated videos."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason="PyAV (the extra 'video') writes the tests' videos")


def write_video(
    path: Path,
    images: Any,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: int = 25,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    sound: float = 0.0,
) -> Path:
    """Encode images (N, H, W, 3), shown at `times` (ms) or at `fps`, with some seconds of a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = pixels
        tick = Fraction(1, fps) if times is None else Fraction(1, 1000)
        stream.time_base = stream.codec_context.time_base = tick
        tone = container.add_stream("aac", rate=44100) if sound else None
        if tone is not None:
            _write_tone(container, tone, sound)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = (index if times is None else times[index]), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    wave = np.sin(2 * np.pi * 440 * np.arange(int(44100 * seconds)) / 44100).astype(np.float32) * 0.3
    for begin in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, begin, Fraction(1, 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def labelled(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames that tell their index in eight black or white columns, which lossy coding can't blur."""
    bits = (np.arange(count)[:, None] >> np.arange(8)) & 1
    columns = np.repeat(bits * 255, width // 8, axis=1).astype(np.uint8)
    return np.broadcast_to(columns[:, None, :, None], (count, height, columns.shape[1], 3)).copy()


def label_of(image: np.ndarray) -> int:
    """Read the index that `labelled` wrote into a frame."""
    columns = image[:, :, 1].reshape(image.shape[0], 8, -1).mean(axis=(0, 2)) > 127
    return int((columns * (1 << np.arange(8))).sum())


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder with byte ranges; /stalled never answers in full, /posted takes results."""

    stop: threading.Event
    seen: list[str]
    posted: dict[str, bytes]

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.posted[self.path] = body
        self.send_response(204)
        self.end_headers()

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.seen.append(self.path)
        self.cookies.append(self.headers.get("Cookie", ""))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.path.startswith("/stalled"):
                self._stall()
                return
            path = Path(self.translate_path(self.path))
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            begin, end = self._range(len(data))
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - begin))
            if "Range" in self.headers:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
            self.end_headers()
            if body:
                self.wfile.write(data[begin:end])

    def _range(self, size: int) -> tuple[int, int]:
        wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=")
        begin, _, end = wanted.partition("-")
        return int(begin or 0), min(size, int(end) + 1) if end else size

    def _stall(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"\0" * 1000)
        self.wfile.flush()
        self.stop.wait(30)


class Server:
    """A web server on this machine that serves a folder."""

    def __init__(self, folder: Path) -> None:
        members = {"stop": threading.Event(), "seen": [], "cookies": [], "posted": {}}
        handler = type("BoundHandler", (Handler,), members)
        self.seen: list[str] = members["seen"]
        self.cookies: list[str] = members["cookies"]
        self.posted: dict[str, bytes] = members["posted"]
        self.stop: threading.Event = members["stop"]
        self.folder = folder
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()
