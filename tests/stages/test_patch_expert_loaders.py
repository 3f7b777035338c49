"""Damaged patch expert files give an error or a usable model, never a crash, a hang or a large allocation.

The rules are those of models.md, section 17.
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import patch_expert_files as files
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cen_experts import small_file as small_cen
from test_svr_experts import small_file as small_svr

from pyopenface._core import stages
from pyopenface.errors import ModelError

MUTATIONS = 10_000
# Integers that counts, sizes and codes are replaced with.
EXTREMES = [-(2**31), -1, 0, 1, 2, 3, 5, 7, 16, 17, 64, 65, 122, 4096, 4097, 65536, 2**24, 2**30, 2**31 - 1]
TOKENS = [
    "-1",
    "0",
    "2",
    "4",
    "9",
    "65",
    "99999",
    "2147483647",
    "99999999999999",
    "1e999",
    "nan",
    "inf",
    "x",
    "-",
    "#",
]

CEN = files.cen_bytes(small_cen(widths=(6, 4, 3, 1)))
SVR = files.svr_text(small_svr(landmarks=4)).encode()


@contextlib.contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Let the process take at most this many bytes more than it has; beyond that there is a MemoryError."""
    sanitized = "libasan" in os.environ.get("LD_PRELOAD", "")  # it reserves terabytes of addresses
    if sanitized or not sys.platform.startswith("linux"):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def try_to_load(kind: Callable[..., Any], path: Path, data: bytes, landmarks: int) -> bool:
    """Load the bytes; if that works, the model must work too. Tells whether it did."""
    # Emptying a file first is slow on some file systems, so its old contents are overwritten.
    path.touch()
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    try:
        with memory_limit(2 * len(data) + (16 << 20)):
            experts = kind([str(path)], landmarks)
    except ModelError as error:
        assert path.name in str(error)
        return False
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    points = np.full(2 * landmarks, 32, np.float32)
    for view in range(len(experts.centres(0))):
        maps = experts.respond(grey, points, 1.0, 0.1, 0, view, 5)
        assert maps.shape == (landmarks, 5, 5)
    return True


def damage_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(6)
    at = int(rng.integers(len(data)))
    if kind == 0:
        return data[:at]
    changed = bytearray(data)
    if kind == 1:
        for _ in range(rng.integers(1, 4)):
            changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        # The fields stand at multiples of four.
        struct.pack_into("<i", changed, at // 4 * 4 % (len(data) - 3), int(rng.choice(EXTREMES)))
    elif kind == 3:
        del changed[at : at + int(rng.integers(1, 64))]
    elif kind == 4:
        changed[at:at] = changed[at : at + int(rng.integers(1, 64))]
    else:
        # Headers are at the front: aim there.
        at = int(rng.integers(min(len(data) - 3, 400))) // 4 * 4
        struct.pack_into("<i", changed, at, int(rng.choice(EXTREMES)))
    return bytes(changed)


def damage_text(data: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(4)
    if kind == 0:
        return damage_bytes(data, rng)
    lines = data.split(b"\n")
    at = int(rng.integers(len(lines)))
    if kind == 1:
        words = lines[at].split() or [b""]
        words[int(rng.integers(len(words)))] = str(rng.choice(TOKENS)).encode()
        lines[at] = b" ".join(words)
    elif kind == 2:
        del lines[at]
    else:
        lines.insert(at, lines[int(rng.integers(len(lines)))])
    return b"\n".join(lines)


FORMATS = [
    pytest.param(stages.CenExperts, CEN, damage_bytes, 5, id="CEN"),
    pytest.param(stages.SvrExperts, SVR, damage_text, 4, id="SVR"),
]


@pytest.mark.parametrize(("kind", "data", "damage", "landmarks"), FORMATS)
def test_ten_thousand_damaged_files(
    tmp_path: Path, kind: Any, data: bytes, damage: Any, landmarks: int
) -> None:
    assert try_to_load(kind, tmp_path / "file", data, landmarks)
    rng = np.random.default_rng(20)
    accepted, slowest = 0, 0.0
    for _ in range(MUTATIONS):
        start = time.perf_counter()
        accepted += try_to_load(kind, tmp_path / "file", damage(data, rng), landmarks)
        slowest = max(slowest, time.perf_counter() - start)
    # Changed weights make another valid file; a changed structure must not pass.
    assert 0 < accepted < MUTATIONS
    assert slowest < 10.0  # no file of a few kilobytes keeps a loader busy


@pytest.mark.parametrize(("kind", "data", "damage", "landmarks"), FORMATS)
def test_every_truncation_is_refused(
    tmp_path: Path, kind: Any, data: bytes, damage: Any, landmarks: int
) -> None:
    stripped = data.rstrip()
    for length in range(0, len(stripped) - 25, 97):
        assert not try_to_load(kind, tmp_path / "file", stripped[:length], landmarks)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(CEN) // 4 - 1), st.sampled_from(EXTREMES)), min_size=1, max_size=3
    ),
    length=st.integers(0, 2 * len(CEN)),
)
def test_any_counts_in_a_cen_file(tmp_path: Path, changes: list[tuple[int, int]], length: int) -> None:
    changed = bytearray(CEN)
    for word, value in changes:
        struct.pack_into("<i", changed, 4 * word, value)
    try_to_load(stages.CenExperts, tmp_path / "file", bytes(changed[:length]), 5)


def test_a_large_cen_file_needs_hardly_more_memory_than_its_size(tmp_path: Path) -> None:
    content = small_cen(widths=(2000, 900, 3, 1))
    path = tmp_path / "large"
    path.write_bytes(files.cen_bytes(content))
    size = path.stat().st_size
    assert size > 50 << 20
    with memory_limit(size + (16 << 20)):
        experts = stages.CenExperts([str(path)], 5)
    assert experts.scale_count == 1
