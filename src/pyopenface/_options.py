"""Arguments that have to be numbers or paths: checked in one way, refused with name and what was expected."""

from __future__ import annotations

import contextlib
import math
import os
from numbers import Real
from pathlib import Path
from typing import Any

from pyopenface.errors import InputError

__all__ = ["confidence_threshold", "file_path", "real_number", "true_or_false", "whole_number"]


def real_number(
    name: str,
    value: Any,
    expected: str,
    *,
    least: float = 0.0,
    above: bool = False,
    most: float = math.inf,
) -> float:
    """
    Check an option that is a finite number.

    Parameters
    ----------
    name : str
        The option's name, for the error.
    value : object
        What was given.
    expected : str
        What should have been, for the error.
    least : float
        The smallest number that is allowed, or the largest that isn't.
    above : bool
        Whether `least` itself is not allowed.
    most : float
        The largest number that is allowed.

    Returns
    -------
    float

    Raises
    ------
    InputError
        Anything else.

    Examples
    --------
    >>> from pyopenface._options import real_number
    >>> real_number("start", 2, "seconds, 0 or more")
    2.0
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # whole numbers beyond those with a point
            found = float(value)
            if math.isfinite(found) and (found > least or (found == least and not above)) and found <= most:
                return found
    raise InputError(f"{name}={value!r}: expected {expected}")


def confidence_threshold(threshold: Any) -> float:
    """
    Check a threshold of the confidence, a number between 0 and 1.

    Parameters
    ----------
    threshold : object
        What was given.

    Returns
    -------
    float

    Raises
    ------
    InputError
        Anything else.

    Examples
    --------
    >>> from pyopenface._options import confidence_threshold
    >>> confidence_threshold(1)
    1.0
    """
    return real_number("threshold", threshold, "a number between 0 and 1", most=1.0)


def whole_number(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """
    Check an option that is a whole number.

    Parameters
    ----------
    name : str
        The option's name, for the error.
    value : object
        What was given; 2.0 is a whole number, True is none.
    least : int
        The smallest number that is allowed.
    most : float
        The largest number that is allowed.

    Returns
    -------
    int

    Raises
    ------
    InputError
        Anything else.

    Examples
    --------
    >>> from pyopenface._options import whole_number
    >>> whole_number("every", 2.0)
    2
    """
    end = " or more" if most == math.inf else f" to {most}"
    expected = f"a whole number, {least}{end}"
    found = real_number(name, value, expected, least=least, most=most)
    if found != int(found):
        raise InputError(f"{name}={value!r}: expected {expected}")
    return int(value)


def true_or_false(name: str, value: Any) -> bool:
    """
    Check an option that is True or False, numpy's included.

    Parameters
    ----------
    name : str
        The option's name, for the error.
    value : object
        What was given.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        Anything else.

    Examples
    --------
    >>> from pyopenface._options import true_or_false
    >>> true_or_false("mask", False)
    False
    """
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise InputError(f"{name}={value!r}: expected True or False")


def file_path(name: str, value: Any) -> Path:
    """
    Check an argument that is a path.

    Parameters
    ----------
    name : str
        The argument's name, for the error.
    value : object
        What was given; str, bytes and path objects are paths.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        Anything else.

    Examples
    --------
    >>> from pyopenface._options import file_path
    >>> file_path("output", b"a.csv").name
    'a.csv'
    """
    try:
        path = os.fsdecode(value)
    except TypeError:
        raise InputError(f"{name}={value!r}: expected a path") from None
    if "\0" in path:
        raise InputError(f"{name}={value!r}: expected a path, and none has a zero byte in it")
    return Path(path)
