"""Small stand-ins of OpenFace's weights with the real names and listings, and a web server with bad habits.

The contents are random bytes: nothing here loads a model. The manifest is made from the files, so that
finding, checking and downloading run as they do with the real ones, without any weights.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pyopenface import _manifest
from pyopenface._manifest import Manifest
from pyopenface.models import CEN_FILES

LISTINGS = {
    "model/main_clnf_general.txt": "LandmarkDetector clnf_general.txt\n"
    "LandmarkDetector_part model_inner/main_clnf_inner.txt inner 17 0\n"
    "FaceDetConversion haarAlign.txt\nDetectionValidator validator.txt",
    "model/clnf_general.txt": "# scales\nPDM pdms/pdm.txt\r\nTriangulations tris_68.txt\n"
    "PatchesCCNF patch_experts/ccnf 1.txt",
    "model/model_inner/main_clnf_inner.txt": "LandmarkDetector clnf_inner.txt",
    "model/model_inner/clnf_inner.txt": "PDM pdm_inner.txt",
    "model/main_ceclm_general.txt": "LandmarkDetector cen_general.txt\nDetectionValidator validator.txt\n",
    "model/cen_general.txt": "PDM pdms/pdm.txt\n"
    + "".join(f"PatchesCEN {name.removeprefix('model/')}\n" for name in CEN_FILES),
    "model/mtcnn_detector/MTCNN_detector.txt": "PNet PNet.dat\nRNet RNet.dat\nONet ONet.dat",
    "AU_predictors/main_dynamic_svms.txt": "AUPredictor AU_all.txt\nPDM pdm.txt\n",
    "AU_predictors/main_static_svms.txt": "AUPredictor AU_all.txt\nPDM pdm.txt\n",
    "AU_predictors/AU_all.txt": "svm/AU_1.dat AU01\nsvm/AU_2.dat AU02\n",
}
LARGE = "model/mtcnn_detector/ONet.dat"
SHARED = {
    "model/validator.txt": 1500,
    "model/mtcnn_detector/PNet.dat": 700,
    "model/mtcnn_detector/RNet.dat": 800,
    LARGE: 400_000,
    "AU_predictors/svm/AU_1.dat": 600,
    "AU_predictors/svm/AU_2.dat": 600,
}
CLNF = {
    "model/tris_68.txt": 300,
    "model/patch_experts/ccnf 1.txt": 4000,
    "model/model_inner/pdm_inner.txt": 500,
}
CECLM = dict.fromkeys(CEN_FILES, 150_000)


def make_weights(folder: Path) -> Path:
    """Write the files in our own layout."""
    source = random.Random(1)
    contents = {name: text.encode() for name, text in LISTINGS.items()}
    contents |= {name: source.randbytes(size) for name, size in (SHARED | CLNF | CECLM).items()}
    contents["model/pdms/pdm.txt"] = contents["AU_predictors/pdm.txt"] = b"# mean\n" + b"1 2 3\n" * 150
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def make_manifest(folder: Path) -> Manifest:
    """Describe the files of `make_weights`; their publisher's addresses lead nowhere."""
    only_ceclm = {*CECLM, "model/main_ceclm_general.txt", "model/cen_general.txt"}
    only_clnf = {*CLNF, *(name for name in LISTINGS if "clnf" in name)}
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            models = [*([] if name in only_clnf else ["ceclm"]), *([] if name in only_ceclm else ["clnf"])]
            files.append(
                {
                    "path": name,
                    "size": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "models": models,
                    "addresses": [f"http://127.0.0.1:9/upstream/{name}"],
                }
            )
    return _manifest.parse(json.dumps({"files": files, "archive": "http://127.0.0.1:9/all.tar.gz"}))


def same_files(first: Path, second: Path, names: Iterable[str]) -> bool:
    """Compare files of the same relative names byte for byte."""
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


class WeightsServer:
    """
    Serves a folder on 127.0.0.1 over real HTTP, and misbehaves on request.

    ``habits[name]`` lists what to do on the next requests of that file, one after the other; the last entry
    stays. Habits: ``ok``, ``no-range`` (always the whole file), ``truncate`` (breaks off half-way), ``short``
    (half of the file as if it were all), ``stall`` (half of it, then silence), ``wrong`` (right size, wrong
    bytes), ``longer``, ``page`` (a web page), ``slow`` (pieces with pauses), or a status such as ``404``.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.habits: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def ranges(self, name: str) -> list[str | None]:
        """Range header of every request of a file so far."""
        return [asked for requested, asked in self.requests if requested == name]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.lstrip("/").replace("%20", " ")
        asked = handler.headers.get("Range")
        self.requests.append((name, asked))
        queue = self.habits.get(name, ["ok"])
        habit = queue.pop(0) if len(queue) > 1 else queue[0]
        path = self.folder / name
        if habit.isdigit() or not path.is_file():
            handler.send_error(int(habit) if habit.isdigit() else 404)
            return
        content = self._content(path, habit)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and habit != "no-range" else 0
        if start >= len(content) and start:
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Type", "text/html" if habit == "page" else "application/octet-stream")
        if habit == "longer":
            handler.send_header("Connection", "close")
        else:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        self._send(handler, content[start:], habit)

    def _content(self, path: Path, habit: str) -> bytes:
        content = path.read_bytes()
        if habit == "page":
            return b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>" + b" " * 500
        if habit == "short":
            return content[: len(content) // 2]
        if habit == "wrong":
            return content[::-1]
        return content + b"more" if habit == "longer" else content

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes, habit: str) -> None:
        if habit in ("truncate", "stall"):
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            if habit == "stall":
                self.stopping.wait(30)
            handler.close_connection = True
        elif habit == "slow":
            piece = max(len(body) // 20, 1)
            for at in range(0, len(body), piece):
                handler.wfile.write(body[at : at + piece])
                self.stopping.wait(0.05)
        else:
            handler.wfile.write(body)
