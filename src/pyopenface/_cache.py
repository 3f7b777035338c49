"""The folder where pyopenface keeps what it downloads."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """
    Name the user's cache folder of pyopenface; it need not exist yet.

    Returns
    -------
    pathlib.Path
        The folder that the environment variable ``PYOPENFACE_CACHE`` names, else ``pyopenface`` in the
        platform's cache folder (``~/.cache`` on Linux, ``~/Library/Caches`` on macOS).

    Examples
    --------
    >>> from pyopenface._cache import cache_folder
    >>> cache_folder().is_absolute()
    True
    """
    chosen = os.environ.get("PYOPENFACE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("pyopenface")).absolute()
