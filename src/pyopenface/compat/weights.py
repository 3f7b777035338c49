"""Which weights a command line of OpenFace's programs asks for, and their loading beside Python's imports."""

from __future__ import annotations

from pathlib import Path

from pyopenface import models as model_files
from pyopenface._threads import thread_count
from pyopenface.compat.arguments import Options
from pyopenface.weights import ActionUnits, PathLike, preload

__all__ = ["begin_loading", "wanted_weights"]


def wanted_weights(options: Options) -> tuple[PathLike | None, PathLike, ActionUnits | None]:
    """Choose folder, model and kind of action units, the arguments of `pyopenface.weights.load_models`.

    A main file that is there as it was given brings its own folder along; otherwise it is looked for in the
    folder that ``pyopenface.models`` finds.
    """
    analyser = {"-aus", "-hogalign", "-simalign"} & options.outputs
    units: ActionUnits | None = ("static" if options.static else "dynamic") if analyser else None
    model = options.model or "auto"
    if options.models is None and Path(model).is_file():
        own = model_files.ModelFolder.recognise(Path(model).absolute().parent)
        if own is not None and own.locate(model_files.FACE_DETECTOR_FILE):
            return own.path, str(Path(model).absolute()), units
    return options.models, model, units


def begin_loading(options: Options) -> None:
    """Load the weights in the background if there is an input and more than one thread."""
    if not options.inputs or thread_count(options.threads) < 2:
        return
    wild = any(flag == "-wild" for flag, _ in options.fit)
    every_view = wild or any(flag == "-multi_view" and value for flag, value in options.fit)
    preload(
        *wanted_weights(options),
        wild=wild,
        all_rotations=every_view if options.is_image_program else options.program == "FeatureExtraction",
    )
