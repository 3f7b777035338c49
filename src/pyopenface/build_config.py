"""How this pyopenface was built and what it runs on: one dictionary for bug reports."""

from __future__ import annotations

from pyopenface import _core

__all__ = ["build_config"]


def build_config() -> dict[str, str | list[str]]:
    """
    Describe this build and this machine.

    Returns
    -------
    dict
        ``version``, ``compiler``, ``instruction_set`` (in use; the environment variable ``PYOPENFACE_ISA``
        forces one), ``instruction_sets`` (that this build has and this processor can run), ``python``,
        ``platform``.

    Examples
    --------
    >>> import pyopenface
    >>> "portable" in pyopenface.build_config()["instruction_sets"]
    True
    """
    import platform

    return {
        "version": _core.__version__,
        "compiler": _core._compiler(),
        "instruction_set": _core._instruction_set(),
        "instruction_sets": _core._available_instruction_sets(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
