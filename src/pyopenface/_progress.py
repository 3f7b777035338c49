"""Progress bars: tqdm's, for terminals and notebooks."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["progress_bar"]


def progress_bar(*arguments: Any, **options: Any) -> Any:
    """Give a tqdm bar that suits where the program runs; a notebook without ipywidgets gets one of text."""
    with warnings.catch_warnings():
        # tqdm tells every notebook without ipywidgets to install them, in red.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm

        return tqdm(*arguments, **options)
