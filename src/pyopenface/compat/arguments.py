"""The command line of OpenFace's programs: words in, `Options` out (tracking.md, section 9).

Flags are matched exactly, words that no flag explains are ignored, numbers are read as a C++ stream reads
them ("2.5x" is 2.5). Our own additions begin with two dashes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pyopenface import _core
from pyopenface.errors import InputError

__all__ = ["OUTPUTS", "Input", "Options", "ProgramName", "parse"]

ProgramName = Literal["FeatureExtraction", "FaceLandmarkVidMulti", "FaceLandmarkImg"]
Camera = tuple[float, float, float, float]

_log = logging.getLogger("pyopenface")

#: The flags that choose outputs; if none of them is given, all outputs are on.
OUTPUTS = ("-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-aus", "-gaze", "-hogalign", "-simalign", "-tracked")
#: Flags without a value.
_SWITCHES = frozenset(
    (*OUTPUTS, "-wild", "-au_static", "-g", "-nomask", "-nobadaligned", "-verbose", "-q", "--quiet", "--help")
)
_TEXTS = frozenset(
    (
        "-f", "-fdir", "-root", "-inroot", "-bboxdir", "-mloc", "-fdloc", "-out_dir", "-of",
        "-format_aligned", "-format_vis_image", "--models",
    )
)  # fmt: skip
_NUMBERS = frozenset(("-fx", "-fy", "-cx", "-cy", "-sigma", "-reg", "-w_reg", "-simscale"))
_INTEGERS = frozenset(
    (
        "-device", "-cam_width", "-cam_height", "-n_iter", "-multi_view", "-validate_detections", "-simsize",
        "--threads",
    )
)  # fmt: skip
#: Flags that open windows in OpenFace.
_WINDOWS = frozenset(("-verbose", "-vis-track", "-vis-align", "-vis-hog", "-vis-aus"))
#: Flags of one kind of program; the others ignore them.
_ONLY_SEQUENCES = frozenset(("-device", "-cam_width", "-cam_height"))
_ONLY_IMAGES = frozenset(("-bboxdir", "-format_vis_image"))

#: Settings of the fit, in the order of the command line; "-wild" replaces all of them.
_FIT_FLAGS = frozenset(
    ("-wild", "-sigma", "-reg", "-w_reg", "-n_iter", "-multi_view", "-validate_detections")
)

_DEFAULT_SIZE = 112
_DEFAULT_SCALE = 0.7
#: What aligned faces can be: pixels, and pixels per millimetre of the face model.
_LARGEST_SIZE = 4096
_LARGEST_SCALE = 1000.0


@dataclass(frozen=True)
class Input:
    """One thing to read: a file, a folder of images, or a camera's index."""

    kind: Literal["file", "folder", "camera"]
    path: str = ""
    device: int = 0


@dataclass
class Options:
    """What a command line asks for.

    Attributes
    ----------
    program
        Whose command line it is.
    inputs
        In order; for FaceLandmarkImg either files or one folder.
    outputs
        The flags of `OUTPUTS` that are on.
    names
        The values of ``-of``, one per sequence or image.
    fx, fy, cx, cy
        Intrinsics in pixels, -1 where not given.
    fit
        The settings of the fit in their order.
    """

    program: ProgramName
    inputs: list[Input] = field(default_factory=list)
    outputs: frozenset[str] = frozenset()
    names: list[str] = field(default_factory=list)
    out_dir: str = ""
    boxes_folder: str | None = None
    camera_size: tuple[int, int] = (640, 480)
    fx: float = -1.0
    fy: float = -1.0
    cx: float = -1.0
    cy: float = -1.0
    model: str | None = None
    fit: list[tuple[str, float]] = field(default_factory=list)
    au_static: bool = False
    grey: bool = False
    mask: bool = True
    scale: float | None = None
    size: int = _DEFAULT_SIZE
    bad_aligned: bool = True
    aligned_format: str = "bmp"
    overlay_format: str = "jpg"
    models: str | None = None
    threads: int | None = None
    quiet: bool = False
    help: bool = False

    @property
    def is_image_program(self) -> bool:
        """Whether each image stands for itself."""
        return self.program == "FaceLandmarkImg"

    @property
    def static(self) -> bool:
        """Whether action units come from the static predictors."""
        return self.au_static or self.program != "FeatureExtraction"

    @property
    def alignment(self) -> tuple[int, float, bool, bool]:
        """Size, scale, mask and grey of the aligned faces."""
        scale = self.size * _DEFAULT_SCALE / _DEFAULT_SIZE if self.scale is None else self.scale
        # Only FeatureExtraction honours -g (tracking.md, section 9.3).
        return self.size, scale, self.mask, self.grey and self.program == "FeatureExtraction"

    def parameters(self, main_file_stem: str) -> _core.LandmarkParameters:
        """Settings of the fit: each flag in its turn, then the factors that CE-CLM's main file brings.

        Parameters
        ----------
        main_file_stem
            Name of the model's main file without its extension.

        Returns
        -------
        LandmarkParameters

        Raises
        ------
        InputError
            A setting is out of range.
        """
        parameters = _core.LandmarkParameters()
        for flag, value in self.fit:
            if flag == "-wild":
                validate = parameters.validate
                parameters = _core.LandmarkParameters(True)
                parameters.validate = validate
            elif flag == "-sigma":
                parameters.sigma = value
            elif flag == "-reg":
                parameters.regularisation = value
            elif flag == "-w_reg":
                parameters.weight_factor = value
            elif flag == "-n_iter":
                parameters.iterations = int(value)
            elif flag == "-multi_view":
                parameters.multi_view = value != 0
            else:
                parameters.validate = value != 0
        parameters.check()
        parameters.apply_model_factors(main_file_stem)
        return parameters

    def camera(self, default: Camera) -> Camera:
        """Intrinsics of an input: given ones and defaults, mixed as OpenFace does (tracking.md, 10.3).

        Parameters
        ----------
        default
            fx, fy, cx, cy in pixels guessed from the frame size.

        Returns
        -------
        fx, fy, cx, cy
            A value that goes without its partner can count for nothing or leave the partner at -1.
        """
        given_f, given_c = self.fx != -1, self.cx != -1
        if self.is_image_program:
            given_f, given_c = given_f and self.fy != -1, given_c and self.cy != -1
        fx, fy = (self.fx, self.fy) if given_f else default[:2]
        cx, cy = (self.cx, self.cy) if given_c else default[2:]
        return fx, fy, cx, cy


def parse(program: ProgramName, words: Sequence[str]) -> Options:
    """Read a command line.

    Parameters
    ----------
    program
        Name of OpenFace's program.
    words
        The arguments behind it.

    Returns
    -------
    Options

    Raises
    ------
    InputError
        A flag lacks its value, a number can't be read, or ``-fdloc`` asks for a detector that isn't here.

    Examples
    --------
    >>> from pyopenface.compat.arguments import parse
    >>> options = parse("FeatureExtraction", ["-f", "a.avi", "-simsize", "224", "-pose"])
    >>> options.inputs[0].path, options.alignment, sorted(options.outputs)
    ('a.avi', (224, 1.4, True, False), ['-pose'])
    """
    options = Options(program)
    chosen: set[str] = set()
    ignored: list[str] = []
    root: str | None = None
    camera: Input | None = None
    haar = ""
    width, height = options.camera_size
    for flag, text in _pairs(words):
        if not _known(program, flag):
            ignored.append(flag)
        elif flag in OUTPUTS:
            chosen.add(flag)
        elif flag in _FIT_FLAGS:
            options.fit.append((flag, 0.0 if flag == "-wild" else _value(flag, text)))
            haar = "" if flag == "-wild" else haar  # it also chooses the detector
        elif flag == "-fdloc":
            haar = text
        elif flag in ("-f", "-fdir"):
            options.inputs.append(Input("file" if flag == "-f" else "folder", text))
        elif flag in ("-root", "-inroot"):
            root = text
        elif flag == "-device":
            camera = camera or Input("camera", device=int(_value(flag, text)))
        elif flag == "-cam_width":
            width = int(_value(flag, text))
        elif flag == "-cam_height":
            height = int(_value(flag, text))
        elif flag == "-of":
            options.names.append(text)
        else:
            _set(options, flag, text)
    options.camera_size = (width, height)
    options.outputs = frozenset(chosen or OUTPUTS)
    _choose_inputs(options, root, camera)
    if haar and program != "FaceLandmarkVidMulti" and not options.help:
        raise InputError(
            f"-fdloc {haar}: the Haar cascade face detector is not part of pyopenface; without this flag "
            "MTCNN finds the faces, as in OpenFace by default"
        )
    _tell(program, ignored, words)
    return options


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Flags with their values ("" where there is none), and the words in between."""
    rest = iter(words)
    for word in rest:
        flag, equals, text = word.partition("=") if word.startswith("--") else (word, "", "")
        if not equals and flag in _TEXTS | _NUMBERS | _INTEGERS:
            value = next(rest, None)
            if value is None:
                raise InputError(f"{flag}: needs a value behind it")
            text = value
        yield flag, text


def _known(program: ProgramName, flag: str) -> bool:
    if flag in (_ONLY_SEQUENCES if program == "FaceLandmarkImg" else _ONLY_IMAGES):
        return False
    return flag in _SWITCHES | _TEXTS | _NUMBERS | _INTEGERS


def _value(flag: str, text: str) -> float:
    """Read the number at the beginning of a text; what follows it is left alone."""
    number = r"[+-]?\d+" if flag in _INTEGERS else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
    match = re.match(rf"\s*{number}", text)
    if match is None:
        kind = "a whole number" if flag in _INTEGERS else "a number"
        raise InputError(f"{flag} {text}: {kind} is expected")
    return float(match[0])


def _set(options: Options, flag: str, text: str) -> None:
    """Take a flag that sets one field."""
    texts = {
        "-bboxdir": "boxes_folder",
        "-mloc": "model",
        "-out_dir": "out_dir",
        "-format_aligned": "aligned_format",
        "-format_vis_image": "overlay_format",
        "--models": "models",
    }
    numbers = {"-fx": "fx", "-fy": "fy", "-cx": "cx", "-cy": "cy"}
    switches = {
        "-au_static": ("au_static", True),
        "-g": ("grey", True),
        "-nomask": ("mask", False),
        "-nobadaligned": ("bad_aligned", False),
        "-q": ("quiet", True),
        "--quiet": ("quiet", True),
        "--help": ("help", True),
    }
    if flag in texts:
        setattr(options, texts[flag], text)
    elif flag in numbers:
        setattr(options, numbers[flag], _value(flag, text))
    elif flag in switches:
        setattr(options, *switches[flag])
    elif flag == "-simscale":
        options.scale = _value(flag, text)
        if not 0 < options.scale <= _LARGEST_SCALE:
            raise InputError(f"-simscale {text}: must be above 0 and at most {_LARGEST_SCALE:g}")
    elif flag == "-simsize":
        options.size = int(_value(flag, text))
        if not 1 <= options.size <= _LARGEST_SIZE:
            raise InputError(f"-simsize {text}: must be between 1 and {_LARGEST_SIZE} px")
    elif flag == "--threads":
        options.threads = int(_value(flag, text))


def _choose_inputs(options: Options, root: str | None, camera: Input | None) -> None:
    """Put the root in front of the paths, and keep the inputs that count."""
    if root is not None:
        options.inputs = [Input(item.kind, f"{root}/{item.path}") for item in options.inputs]
        if options.boxes_folder is not None:
            options.boxes_folder = f"{root}/{options.boxes_folder}"
    if camera is not None:
        options.inputs = [camera]
    if options.is_image_program:
        files = [item for item in options.inputs if item.kind == "file"]
        options.inputs = files or options.inputs[:1]


def _tell(program: ProgramName, ignored: Sequence[str], words: Sequence[str]) -> None:
    windows = [word for word in words if word in _WINDOWS]
    if windows:
        _log.info("%s: no windows are opened (-tracked writes what they would show)", " ".join(windows))
    unknown = [word for word in ignored if word not in _WINDOWS]
    if unknown:
        _log.info("ignored, as %s does with words that it doesn't know: %s", program, " ".join(unknown))
