"""The command ``pyopenface extract``: videos and pictures to CSV files."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyopenface.analyze import Summary

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command to the program's parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "extract",
        help="analyse videos or pictures and write OpenFace's CSV",
        description="Analyse videos, pictures, folders of images or addresses and write one CSV with "
        "OpenFace's columns for each of them. One file that can't be read doesn't stop the others.",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="video, picture, folder of images, or address"
    )
    parser.add_argument(
        "-o", "--output", help="CSV file (one input) or folder (several); default: INPUT.csv here"
    )
    parser.add_argument(
        "--model", default="auto", help="auto, ceclm, clnf, clm, clnf_wild, ... or a main file"
    )
    parser.add_argument("--models", help="folder with OpenFace's weights")
    parser.add_argument(
        "--au", choices=["dynamic", "static", "none"], default="dynamic", help="kind of action units"
    )
    parser.add_argument(
        "--no-postprocess", action="store_true", help="leave action units as predicted frame by frame"
    )
    parser.add_argument("--max-faces", type=int, default=1, help="faces to follow (default 1)")
    parser.add_argument(
        "--identity", choices=["slot", "track"], default="slot",
        help="with several faces: ids of trackers, as in OpenFace, or of people",
    )  # fmt: skip
    parser.add_argument(
        "--kind", choices=["auto", "video", "pictures"], default="auto", help="how to take images"
    )
    parser.add_argument("--start", type=float, help="seconds")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument("--every", type=int, default=1, help="only every n-th frame")
    parser.add_argument("--fps", type=float, help="rate to come down to")
    parser.add_argument(
        "--timestamps", choices=["auto", "openface", "container"], default="auto",
        help="where times come from (auto: from the container where the rate varies)",
    )  # fmt: skip
    parser.add_argument(
        "--roi", type=int, nargs=4, metavar=("X", "Y", "WIDTH", "HEIGHT"), help="part of the picture, px"
    )
    parser.add_argument(
        "--camera", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="intrinsics, px"
    )
    parser.add_argument("--wild", action="store_true", help="OpenFace's settings for difficult images")
    parser.add_argument("--height", type=int, help="of addresses: the best video up to this height, px")
    parser.add_argument("--cookies", metavar="FILE", help="of addresses: cookies.txt to send")
    parser.add_argument(
        "--cookies-from-browser", metavar="NAME", help="of addresses: browser whose cookies to send"
    )
    parser.add_argument("--threads", type=int, help="default: as many as this process may use, at most 4")
    parser.add_argument("--workers", type=int, default=1, help="videos to analyse at a time (default 1)")
    parser.add_argument("--video", metavar="OUT.mp4", help="also write an annotated video (one input)")
    parser.add_argument("--resume", action="store_true", help="leave out inputs whose CSV is already there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; exit code 1 if an input failed."""
    from pyopenface._threads import thread_count
    from pyopenface.errors import InputError
    from pyopenface.weights import kind_of_units, preload

    # Before the import of numpy and OpenCV, which takes as long as loading the weights.
    if thread_count(arguments.threads) > 1:
        one_face = arguments.max_faces == 1
        units = None if arguments.au == "none" else arguments.au
        preload(
            arguments.models,
            arguments.model,
            kind_of_units(units, arguments.max_faces, arguments.identity),
            wild=arguments.wild,
            all_rotations=one_face and arguments.kind != "pictures",
        )
    from pyopenface.batch import each

    if len(arguments.inputs) > 1 and arguments.video:
        raise InputError("--video goes with one input")
    outputs = _outputs(arguments)

    def work(number: int, threads: int | None, hook: Any) -> None:
        source, output = arguments.inputs[number], outputs[number]
        finished = output.exists() and (not arguments.video or Path(arguments.video).exists())
        if arguments.resume and finished:
            print(f"{source}: {output} is there, left out", file=sys.stderr)
            return
        _extract(arguments, source, output, arguments.threads or threads, hook)

    failed = 0
    for error in each(work, len(outputs), arguments.workers):
        if error is None:
            continue
        if len(outputs) == 1:
            raise error
        print(f"pyopenface: {error}", file=sys.stderr)
        failed += 1
    if failed:
        print(f"pyopenface: {failed} of {len(arguments.inputs)} inputs failed", file=sys.stderr)
    return 1 if failed else 0


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """The CSV of every input; their folders are made."""
    from pyopenface.batch import csv_names

    if arguments.output is not None and len(arguments.inputs) == 1 and not Path(arguments.output).is_dir():
        return [Path(arguments.output)]
    folder = Path(arguments.output or ".")
    outputs = [folder / name for name in csv_names(arguments.inputs)]
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    return outputs


def _extract(
    arguments: argparse.Namespace, source: str, output: Path, threads: int | None, hook: Any
) -> None:
    from pyopenface.analyze import write_csv

    began = time.perf_counter()
    opened = int(source) if source.isdigit() else source
    # With --resume a CSV that is there means a finished one, so the rows grow under another name.
    growing = output.with_name(output.name + ".part") if arguments.resume else output
    settings: dict[str, Any] = {
        "model": arguments.model,
        "models": arguments.models,
        "au": None if arguments.au == "none" else arguments.au,
        "postprocess": not arguments.no_postprocess,
        "max_faces": arguments.max_faces,
        "identity": arguments.identity,
        "kind": arguments.kind,
        "start": arguments.start,
        "end": arguments.end,
        "every": arguments.every,
        "fps": arguments.fps,
        "timestamps": arguments.timestamps,
        "download": _download_options(arguments),
        "roi": arguments.roi,
        "camera": None if arguments.camera is None else tuple(arguments.camera),
        "wild": arguments.wild,
        "threads": threads,
        "progress": False if arguments.quiet or arguments.workers > 1 else None,
        "on_frame": hook,
    }
    if arguments.video:
        summary = _with_video(opened, growing, Path(arguments.video), settings)
    else:
        summary = write_csv(opened, growing, **settings)
    if growing != output:
        growing.replace(output)
    if not arguments.quiet:
        seconds = time.perf_counter() - began
        confidence = f", mean confidence {summary.confidence:.2f}" if summary.rows else ""
        print(
            f"{source}: {summary.frames} frames, {summary.rows} rows in {seconds:.1f} s{confidence} "
            f"-> {output}"
        )


def _download_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options for addresses that were given."""
    given = {
        "height": arguments.height,
        "cookiefile": arguments.cookies,
        "cookies_from_browser": arguments.cookies_from_browser,
        "progress": False if arguments.quiet or arguments.workers > 1 else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _with_video(source: Any, output: Path, video: Path, settings: dict[str, Any]) -> Summary:
    """Write the CSV, and then the annotated video from the table with all its digits."""
    from pyopenface.analyze import Summary, analyze
    from pyopenface.annotate import annotate
    from pyopenface.encoding import check_target
    from pyopenface.errors import InputError

    if isinstance(source, int):
        raise InputError(
            f"--video: camera {source} doesn't show again what was analysed; record a video first"
        )
    check_target(video)
    if isinstance(source, str) and Path(source).exists() and video.exists() and video.samefile(source):
        raise InputError(f"--video {video}: this is the input itself; choose another name")
    frames, hook = 0, settings["on_frame"]

    def count(*arguments: Any) -> object:
        nonlocal frames
        frames += 1
        return hook is None or hook(*arguments)

    df = analyze(source, output=output, **{**settings, "on_frame": count})
    annotate(source, df, video, progress=settings["progress"] is not False and sys.stderr.isatty())
    return Summary(frames, len(df), float(df["confidence"].mean()))
