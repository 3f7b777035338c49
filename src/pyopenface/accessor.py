"""``df.openface``: what a table of results can do beyond a DataFrame. Importing this module registers it."""

from __future__ import annotations

import pandas as pd

__all__ = ["OpenFaceAccessor"]


@pd.api.extensions.register_dataframe_accessor("openface")
class OpenFaceAccessor:
    """Views of a table with OpenFace's columns."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df
