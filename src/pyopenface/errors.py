"""The exceptions that pyopenface raises."""

from __future__ import annotations

__all__ = ["DownloadError", "Error", "InputError", "ModelError", "OutputError", "SourceError", "StateError"]


class Error(Exception):
    """Base class of every exception that pyopenface raises on its own account."""


class ModelError(Error):
    """A model file is missing, truncated, corrupted or of a kind that is not supported."""


class InputError(Error, ValueError):
    """An argument can't be used: an array of the wrong dtype or shape, an option out of range."""


class StateError(Error, RuntimeError):
    """A call that the object's present state does not allow."""


class SourceError(Error, OSError):
    """A video, image, camera or address can't be opened or read."""


class DownloadError(Error, OSError):
    """Model files or a video could not be downloaded."""


class OutputError(Error, OSError):
    """A file of results can't be written."""
