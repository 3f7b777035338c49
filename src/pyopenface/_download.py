"""Fetching of weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pyopenface.errors import DownloadError
from pyopenface.models import ModelFolder


def download(
    which: str | None,
    folder: str | os.PathLike[str] | None,
    from_: str | os.PathLike[str] | None,
    sources: Sequence[str] | None,
    *,
    progress: bool,
) -> ModelFolder:
    """Say that this can't be done yet."""
    raise DownloadError("downloading is not there yet: copy the weights to a folder, set PYOPENFACE_MODELS")
