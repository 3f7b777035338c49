"""One published file over HTTP: several addresses in turn, continued where it broke off, checked.

What is on disk while it arrives is a hidden ``.part`` file beside the target, named after the sha256 that it
shall have. It survives a broken connection, Ctrl-C and the end of the process, and the next try asks the
server for the rest only. pooch checks the sha256 again and gives the file its final name in one step.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pooch
import requests

from pyopenface._manifest import ManifestFile, sha256_of

__all__ = ["AllSourcesFailed", "Transfer"]

CONNECT_TIMEOUT = 10.0  # seconds
FRUITLESS_TRIES = 3  # per address; a try that brings the file on does not count
FRUITLESS_BYTES = 1 << 16  # a try that gains less than this counts
PAUSE = 1.0  # seconds before the second try, doubled before each further one
BLOCK = 1 << 16
TEMPORARY_ANSWERS = (408, 425, 429, 500, 502, 503, 504)
WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)


class AllSourcesFailed(Exception):
    """No address gave the file: why, per address, and whether not a single server could be reached."""

    def __init__(self, reasons: Sequence[tuple[str, str]], unreachable: bool):
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in reasons))
        self.reasons = tuple(reasons)
        self.unreachable = unreachable


class _Refused(Exception):
    """The address does not have the file; another try would not help."""

    unreachable = False


class _Interrupted(Exception):
    """The try broke off; the next one may get further."""

    def __init__(self, reason: str, unreachable: bool = False):
        super().__init__(reason)
        self.unreachable = unreachable


class Transfer:
    """
    Fetches files with one session, so that connections are kept between files.

    Parameters
    ----------
    timeout : float
        Seconds without a single byte after which a connection counts as stalled.
    """

    def __init__(self, timeout: float):
        self._session = requests.Session()
        # Compressed answers could not be continued by byte positions.
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "pyopenface"})
        self._timeout = timeout

    def fetch(
        self, file: ManifestFile, addresses: Sequence[str], target: Path, report: Callable[[int], None]
    ) -> None:
        """Fetch a file to its target, telling ``report`` how many bytes are there; or AllSourcesFailed."""

        def downloader(_url: str, output_file: str, _pooch: object) -> None:
            self._from_any(file, addresses, target, report).replace(output_file)

        pooch.get_logger().setLevel("WARNING")
        pooch.retrieve(
            addresses[0], f"sha256:{file.sha256}", target.name, path=target.parent, downloader=downloader
        )

    def _from_any(
        self, file: ManifestFile, addresses: Sequence[str], target: Path, report: Callable[[int], None]
    ) -> Path:
        part = target.with_name(f".{target.name}.{file.sha256[:12]}.part")
        reasons = []
        unreachable = True
        for address in addresses:
            try:
                self._from_one(file, address, part, report)
                return part
            except (_Refused, _Interrupted) as failure:
                reasons.append((address, str(failure)))
                unreachable = unreachable and failure.unreachable
        raise AllSourcesFailed(reasons, unreachable)

    def _from_one(self, file: ManifestFile, address: str, part: Path, report: Callable[[int], None]) -> None:
        fruitless = 0
        while True:
            before = _size(part)
            try:
                if before < file.size:
                    self._continue(file, address, part, report)
                self._check(file, part, before)
                return
            except _Interrupted as failure:
                fruitless = fruitless + 1 if _size(part) - before < FRUITLESS_BYTES else 0
                if fruitless >= (FRUITLESS_TRIES - 1 if failure.unreachable else FRUITLESS_TRIES):
                    raise
            time.sleep(PAUSE * 2 ** max(fruitless - 1, 0))

    def _continue(self, file: ManifestFile, address: str, part: Path, report: Callable[[int], None]) -> None:
        start = _size(part)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._answer(address, headers) as answer:
            if answer.status_code == 416:
                part.unlink()
                raise _Interrupted("the server can't continue the file")
            start = _start_of(answer, start)
            blocks = _blocks(answer, self._timeout)
            first = next(blocks, b"")
            if start == 0 and WEB_PAGE.match(first):
                raise _Refused("a web page instead of the file (a sign-in or error page)")
            _check_length(answer, start, file.size)
            with part.open("ab" if start else "wb") as stream:
                done = start
                while first:
                    stream.write(first)
                    done += len(first)
                    report(min(done, file.size))
                    if done > file.size:
                        break
                    first = next(blocks, b"")
        if done > file.size:
            part.unlink()
            raise _Refused(f"the file is longer than the published one ({file.size} bytes)")

    def _check(self, file: ManifestFile, part: Path, before: int) -> None:
        size = _size(part)
        if size < file.size:
            raise _Interrupted(f"the file broke off after {size} of {file.size} bytes")
        if sha256_of(part) == file.sha256:
            return
        part.unlink()
        if before:  # the first part may have come from elsewhere, or from another day
            raise _Interrupted("the continued file was not the published one (wrong sha256)")
        raise _Refused("the file is not the published one (wrong sha256)")

    @contextmanager
    def _answer(self, address: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        try:
            answer = self._session.get(
                address, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, self._timeout)
            )
        except requests.exceptions.ReadTimeout as error:
            raise _Interrupted(f"the server did not answer within {self._timeout:g} seconds") from error
        except requests.exceptions.SSLError as error:
            raise _Refused(f"no secure connection: {error}") from error
        except requests.exceptions.ConnectionError as error:
            raise _Interrupted("the server can't be reached", unreachable=True) from error
        except requests.exceptions.RequestException as error:
            raise _Refused(str(error)) from error
        with answer:
            status = f"the server answers {answer.status_code} {answer.reason}"
            if answer.status_code in TEMPORARY_ANSWERS:
                raise _Interrupted(status)
            if answer.status_code not in (200, 206, 416):
                raise _Refused(status)
            yield answer


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _start_of(answer: requests.Response, asked: int) -> int:
    """At which byte the answer starts: where asked, or 0 from a server that does not know ranges."""
    if answer.status_code == 200:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if not found or int(found[1]) != asked:
        raise _Refused("the server continues the file at the wrong place")
    return asked


def _check_length(answer: requests.Response, start: int, expected: int) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and "Content-Encoding" not in answer.headers and start + int(length) != expected:
        raise _Refused(f"the file has {start + int(length)} bytes instead of {expected}")


def _blocks(answer: requests.Response, timeout: float) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(BLOCK)
    except requests.exceptions.ConnectionError as error:
        raise _Interrupted(f"the connection stalled for {timeout:g} seconds") from error
    except requests.exceptions.RequestException as error:
        raise _Interrupted("the connection broke off") from error
