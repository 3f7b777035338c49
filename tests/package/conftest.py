"""Fixtures for the tests of the Python layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_weights import WeightsServer, make_manifest, make_weights

from pyopenface import _download, _manifest, _transfer
from pyopenface import models as weights


@pytest.fixture
def clean_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, no weights anywhere, no settings in the environment, no pauses between tries."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("PYOPENFACE_MODELS", "PYOPENFACE_MODEL_URL", "OPENFACE_DIR", "OPENFACE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PYOPENFACE_CACHE", str(home / "cache"))
    monkeypatch.setattr(weights, "SYSTEM_FOLDERS", ())
    monkeypatch.setattr(_transfer, "PAUSE", 0.01)
    weights._log_choice.cache_clear()
    _download._tell_licence.cache_clear()
    return home


@pytest.fixture
def small_weights(tmp_path: Path, clean_machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files under the names of OpenFace's weights, and a manifest that describes them."""
    folder = make_weights(tmp_path / "published")
    manifest = make_manifest(folder)
    monkeypatch.setattr(_manifest, "load", lambda: manifest)
    return folder


@pytest.fixture
def weights_server(small_weights: Path) -> Iterator[WeightsServer]:
    """A real web server that serves the small weights."""
    server = WeightsServer(small_weights)
    yield server
    server.stop()
