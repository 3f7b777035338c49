r"""The command line ``pyopenface``: a table of contents, and what all commands have in common.

A module with commands has a function ``register(subparsers)``. It adds one parser per command and names the
function that runs it, from the parsed arguments to the exit code, as the parser's default ``run``::

    def register(subparsers):
        parser = subparsers.add_parser("extract", help="...")
        parser.set_defaults(run=run_extract)

Such a module imports heavy things inside its ``run`` functions only: every call of the program registers all
of them. A command that reads its line on its own (OpenFace's programs) is added with ``add_help=False,
prefix_chars="\0"`` and one argument ``arguments`` with ``nargs="*"``: it gets everything behind its name as
it was typed.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from pyopenface._core import __version__
from pyopenface.errors import Error

__all__ = ["main", "program"]

#: Modules with a ``register(subparsers)``, in the order of the help text.
COMMAND_MODULES = ("pyopenface.extract", "pyopenface.compat", "pyopenface._models_commands")


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name; by default those of this process.

    Returns
    -------
    int
        Exit code: 0, 1 after an error of pyopenface (one message on standard error), 130 after Ctrl-C. Wrong
        usage ends the process with code 2, as argparse does.

    Examples
    --------
    >>> from pyopenface.cli import main
    >>> main(["info"])  # doctest: +SKIP
    0
    """
    arguments = _parser().parse_args(argv)
    log = logging.getLogger("pyopenface")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return int(code)
    except Error as error:
        print(f"pyopenface: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pyopenface: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as head, has gone; nothing more may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def program() -> NoReturn:
    """
    Run the command line as a process and end the process, with the exit codes of `main`.

    Ctrl-C gives 130 and one line on standard error at whatever moment of the run it comes; once the work is
    done it changes nothing any more. The interpreter isn't torn down: that takes longer than reading a
    frame, nothing is left to be written, and Ctrl-C in the midst of it kills the process.

    Examples
    --------
    >>> from pyopenface.cli import program
    >>> program()  # doctest: +SKIP
    """
    # Before numpy and OpenCV are loaded: the threads that OpenBLAS starts wait busily at first, on the cores
    # that frames are decoded and fitted on, and nothing here is left to it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(50_000)  # imports make many objects and hardly any that only the collector could free
    # So long does one of Python's threads wait for its turn while another computes: the thread that loads
    # weights needs many short ones while this one imports.
    sys.setswitchinterval(0.0005)
    over = False

    def interrupt(_: int, __: FrameType | None) -> None:
        if not over:
            raise KeyboardInterrupt

    # A shell starts what runs in its background with Ctrl-C ignored, and that stays.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = _interrupt_again
    try:
        code = main()
        over = True
    except KeyboardInterrupt:  # a second one, or between the commands and here
        over = True
        code = 130
    sys.stderr.flush()
    os._exit(code)


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Repeat an interruption that came while Python cleaned up an object, where exceptions have no effect."""
    if unraisable.exc_type is KeyboardInterrupt:
        main_thread = threading.main_thread().ident
        repeat = threading.Timer(0.01, signal.pthread_kill, [main_thread, signal.SIGINT])
        repeat.daemon = True
        repeat.start()
    else:
        sys.__unraisablehook__(unraisable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyopenface", description="Facial landmarks, head pose, gaze and action units of OpenFace 2.2."
    )
    parser.add_argument("--version", action="version", version=f"pyopenface {__version__}")
    # Without `prog` argparse formats a usage to find it, and asks for the width of the terminal.
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=parser.prog)
    for name in COMMAND_MODULES:
        importlib.import_module(name).register(subparsers)
    info = subparsers.add_parser("info", help="print version, compiler and instruction sets")
    info.set_defaults(run=_run_info)
    return parser


def _run_info(_: argparse.Namespace) -> int:
    from pyopenface.build_config import build_config

    for key, value in build_config().items():
        print(f"{key}: {value if isinstance(value, str) else ', '.join(value)}")
    return 0
