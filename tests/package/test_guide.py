"""The snippets of the guide run as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyopenface

DOCS = Path(__file__).resolve().parents[2] / "docs"


def snippets(name: str) -> list[str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_guide_runs(models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("av", "pyarrow"):
        pytest.importorskip(needed)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.setenv("PYOPENFACE_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    shutil.copy(samples / "multi_face_h264.avi", "whole.avi")
    shorten(Path("whole.avi"), Path("talk.mp4"), frames=60)
    names: dict[str, Any] = {}
    for snippet in snippets("python-api.md"):
        exec(compile(snippet, "docs/python-api.md", "exec"), names)
        plt.close("all")
    assert len(names["df"]) > 0
    assert list(names["both"].attrs["failed"]) == ["gone.mp4"]


def test_a_calibration_spans_videos_as_the_page_on_action_units_says(
    models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYOPENFACE_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    (snippet,) = [text for text in snippets("action-units.md") if "from_state" in text]
    shutil.copy(samples / "clip60.avi", "monday.mp4")
    shutil.copy(samples / "changeLighting.wmv", "tuesday.mp4")
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs/action-units.md", "exec"), names)
    assert names["intensity"].shape == (88, 17)
    alone = pyopenface.FaceAnalyser()
    intensity, presence = names["follow"]("tuesday.mp4", alone)
    static = [alone.intensity_names.index(name) for name in ("AU04", "AU06", "AU07", "AU10", "AU12", "AU14")]
    np.testing.assert_array_equal(intensity[:, static], names["intensity"][:, static])
    assert np.abs(intensity - names["intensity"]).max() > 0.1
    assert presence.shape == names["presence"].shape
    assert len(names["anna"].state()) > len(alone.state())  # more samples


def shorten(source: Path, target: Path, frames: int) -> None:
    import cv2

    from pyopenface.encoding import Mp4Writer

    capture = cv2.VideoCapture(str(source))
    with Mp4Writer(target, fps=30) as writer:
        for number in range(frames):
            writer.write(capture.read()[1], number / 30)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
