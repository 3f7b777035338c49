r"""OpenFace's programs as commands: ``pyopenface FeatureExtraction -f video.avi -out_dir results``.

``FeatureExtraction`` (one face), ``FaceLandmarkVidMulti`` (several) and ``FaceLandmarkImg`` (pictures) take
the flags of OpenFace 2.2 and write the same files, so that a script only needs ``pyopenface`` in front of the
program's name. ``docs/openface-command-line.md`` lists the flags and the few differences.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

__all__ = ["register"]

_PROGRAMS = {
    "FeatureExtraction": "OpenFace's program for videos with one face",
    "FaceLandmarkVidMulti": "OpenFace's program for videos with several faces",
    "FaceLandmarkImg": "OpenFace's program for pictures",
}

_USAGE = """\
usage: pyopenface {program} INPUT [FLAGS]

  inputs    {inputs}
  where to  -out_dir DIR (processed), -of NAME
  outputs   -2Dfp -3Dfp -pdmparams -pose -aus -gaze -hogalign -simalign -tracked (none given: all)
  model     -mloc FILE, such as model/main_clnf_general.txt; -wild for difficult images
  ours      --models DIR (weights), --threads N, --quiet

All flags of OpenFace 2.2: docs/openface-command-line.md"""

_SEQUENCES = "-f VIDEO, -fdir FOLDER_OF_IMAGES (both may be repeated), -device CAMERA"
_PICTURES = "-f IMAGE (may be repeated) or -fdir FOLDER_OF_IMAGES"


def register(subparsers: Any) -> None:
    """Add the commands to the program's parser."""
    for program, text in _PROGRAMS.items():
        # prefix_chars: the words go as they are to our own reader of OpenFace's flags.
        parser: argparse.ArgumentParser = subparsers.add_parser(
            program, help=text, add_help=False, prefix_chars="\0"
        )
        parser.add_argument("arguments", nargs="*")
        parser.set_defaults(run=partial(_run, program))


def _run(program: Any, arguments: argparse.Namespace) -> int:
    from pyopenface.compat.arguments import parse

    options = parse(program, arguments.arguments)
    if not arguments.arguments or options.help:
        inputs = _PICTURES if program == "FaceLandmarkImg" else _SEQUENCES
        print(_USAGE.format(program=program, inputs=inputs))
        return 0
    from pyopenface.compat.weights import begin_loading

    # Before the import of numpy and OpenCV, which takes as long as loading the weights.
    begin_loading(options)
    from pyopenface.compat.programs import run

    run(options)
    return 0
