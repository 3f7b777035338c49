"""The snippets of the guide run as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

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
