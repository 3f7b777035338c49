"""The commands ``pyopenface models path|list|verify|download``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from pyopenface import _manifest, models
from pyopenface.errors import ModelError

__all__ = ["register"]

SETS = (*models.MAIN_FILES, "all")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``models`` with its own commands."""
    parser = subparsers.add_parser("models", help="find, check and download OpenFace's weights")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    path = commands.add_parser("path", help="print the folder whose weights are used")
    _add_folder(path)
    path.set_defaults(run=_run_path)

    listing = commands.add_parser("list", help="list the models and whether their files are there")
    _add_folder(listing)
    listing.set_defaults(run=_run_list)

    verify = commands.add_parser("verify", help="compare the files with the published ones (size, sha256)")
    verify.add_argument(
        "which",
        nargs="?",
        default=None,
        metavar="MODEL",
        help=f"{', '.join(SETS)}, or a main file (default: what is there or needed by auto)",
    )
    verify.add_argument("-v", "--verbose", action="store_true", help="also name the files that are all right")
    _add_folder(verify)
    verify.set_defaults(run=_run_verify)

    download = commands.add_parser("download", help="fetch weights into the user's cache")
    download.add_argument(
        "which",
        nargs="?",
        default=None,
        choices=SETS,
        metavar="MODEL",
        help=f"{', '.join(SETS)} (default: clnf; with --from: everything that is there)",
    )
    download.add_argument("--folder", metavar="DIR", help="where to put them")
    download.add_argument(
        "--from",
        dest="from_",
        metavar="DIR|ZIP|TAR",
        help="take them from an OpenFace installation or archive",
    )
    download.add_argument(
        "--source",
        dest="sources",
        action="append",
        metavar="URL",
        help="base address of a mirror, or the word upstream; may be repeated",
    )
    download.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="seconds without a byte after which a connection counts as stalled (default: 30)",
    )
    download.add_argument("--quiet", action="store_true", help="no progress bar")
    download.set_defaults(run=_run_download)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", help="look only here")


def _run_path(arguments: argparse.Namespace) -> int:
    print(models.find(arguments.folder).path)
    return 0


def _run_list(arguments: argparse.Namespace) -> int:
    folder = models.find(arguments.folder)
    print(f"{folder.path}  ({folder.origin})")
    for name in models.MAIN_FILES:
        files = _manifest.load().needed_by(name)
        missing = [file.path for file in files if folder.locate(file.path) is None]
        state = f"{len(missing)} files missing, such as {missing[0]}" if missing else "complete"
        print(f"  {name:<15} {_manifest.total_size(files):>9}  {state}")
    try:
        print(f"auto chooses {folder.main_file('auto').name}")
    except ModelError:
        print("auto finds no complete model")
    return 0


def _run_verify(arguments: argparse.Namespace) -> int:
    folder = models.find(arguments.folder)
    results = models.verify(folder, arguments.which or "all")
    if arguments.which is None:
        needed = _needed_by_auto(folder)
        results = [result for result in results if result.path is not None or result.name in needed]
    for result in results:
        if arguments.verbose or result.status != models.Status.OK:
            print(f"{result.status.value:<16} {result.path or result.name}")
    counts = Counter(result.status.value for result in results)
    print(f"{folder.path}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    if all(result.usable for result in results):
        return 0
    print("pyopenface models download replaces broken files and adds missing ones.", file=sys.stderr)
    return 1


def _needed_by_auto(folder: models.ModelFolder) -> set[str]:
    has_cen = any(folder.locate(name) for name in models.CEN_FILES)
    return {file.path for file in _manifest.load().needed_by("ceclm" if has_cen else "clnf")}


def _run_download(arguments: argparse.Namespace) -> int:
    folder = models.download(
        arguments.which,
        arguments.folder,
        arguments.from_,
        arguments.sources,
        progress=not arguments.quiet,
        timeout=arguments.timeout,
    )
    print(folder.path)
    return 0
