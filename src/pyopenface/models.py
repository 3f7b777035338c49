"""Where OpenFace's weights are, which files a model needs, and whether they are the published ones.

Files go by relative names of two kinds, ``model/...`` and ``AU_predictors/...``, as in the published
distribution (models.md, section 2). An OpenFace installation keeps them in other places, sometimes in two
different folders; a `ModelFolder` hides that.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pyopenface import _manifest
from pyopenface._cache import cache_folder
from pyopenface._model_check import FileStatus, Status, check
from pyopenface._model_files import action_unit_files, landmark_files, listed_files
from pyopenface.errors import InputError, ModelError

__all__ = [
    "FileStatus",
    "MainFile",
    "ModelFolder",
    "Status",
    "default_folder",
    "download",
    "find",
    "required_files",
    "verify",
]

logger = logging.getLogger(__name__)

#: Main file of each model that has a short name.
MAIN_FILES = {
    "ceclm": "model/main_ceclm_general.txt",
    "clnf": "model/main_clnf_general.txt",
    "clm": "model/main_clm_general.txt",
    "clnf_wild": "model/main_clnf_wild.txt",
    "clnf_multi_pie": "model/main_clnf_multi_pie.txt",
    "clm_wild": "model/main_clm_wild.txt",
}
CEN_FILES = tuple(
    f"model/patch_experts/cen_patches_{scale}_of.dat" for scale in ("0.25", "0.35", "0.50", "1.00")
)
FACE_DETECTOR_FILE = "model/mtcnn_detector/MTCNN_detector.txt"
ACTION_UNIT_FILES = {
    False: "AU_predictors/main_dynamic_svms.txt",
    True: "AU_predictors/main_static_svms.txt",
}

#: Where the two kinds of files lie inside an OpenFace folder: (folder of model/, folder of AU_predictors/).
LAYOUTS = (
    (".", "."),  # our own cache, the programs' folder of a release
    ("build/bin", "build/bin"),  # a source build
    ("bin", "bin"),
    ("etc/OpenFace", "etc/OpenFace"),  # an install prefix
    ("lib/local/LandmarkDetector", "lib/local/FaceAnalyser"),  # a source checkout
)

#: Where OpenFace is often put for everybody on a machine: its own folder, or the prefix it was installed to.
SYSTEM_FOLDERS = ("/opt/OpenFace", "/opt/openface", "/usr/local/src/OpenFace", "/usr/local", "/usr")


class MainFile(NamedTuple):
    """A model's main file and the model's name (``"clnf"``, ...; the file's stem if it has no short name)."""

    path: Path
    name: str


@dataclass(frozen=True)
class ModelFolder:
    """
    A folder with OpenFace's weights, whatever its layout.

    Attributes
    ----------
    path : pathlib.Path
        The folder as it was named.
    roots : tuple of pathlib.Path
        The folders that hold ``model/`` and ``AU_predictors/`` (one or two).
    origin : str
        How it was found: ``"argument"``, ``"PYOPENFACE_MODELS"``, ``"cache"`` or ``"installation"``.
    """

    path: Path
    roots: tuple[Path, ...]
    origin: str = "argument"

    @classmethod
    def recognise(cls, folder: str | os.PathLike[str], origin: str = "argument") -> ModelFolder | None:
        """
        Look for weights in a folder: our own layout or any layout of an OpenFace installation.

        Parameters
        ----------
        folder : path
            The folder; a folder named ``model`` stands for the one above it.
        origin : str
            Noted in the result.

        Returns
        -------
        ModelFolder or None
            None if no main file of a model is there in any layout.

        Examples
        --------
        >>> from pyopenface.models import ModelFolder
        >>> ModelFolder.recognise("/no/such/folder") is None
        True
        """
        path = Path(folder).expanduser().absolute()
        home = path.parent if path.name == "model" and _has_main_file(path) else path
        pairs = [(home / model, home / units) for model, units in LAYOUTS]
        found = [pair for pair in pairs if _has_main_file(pair[0] / "model")]
        if not found:
            return None
        # A checkout may hold a build besides its sources, with the large CEN files in one of the two only.
        model_root, unit_root = max(
            found, key=lambda pair: sum((pair[0] / name).is_file() for name in CEN_FILES)
        )
        holders = [unit_root, model_root, *(units for _, units in pairs)]
        unit_root = next((root for root in holders if (root / "AU_predictors").is_dir()), model_root)
        return cls(path, tuple(dict.fromkeys((model_root, unit_root))), origin)

    def target(self, name: str) -> Path:
        """
        Name the place of a file that may not exist yet.

        Parameters
        ----------
        name : str
            Relative name, such as ``"model/tris_68.txt"``.

        Returns
        -------
        pathlib.Path
            The file's place in the root that holds its kind, else in the first root.

        Examples
        --------
        >>> from pathlib import Path
        >>> from pyopenface.models import ModelFolder
        >>> ModelFolder(Path("/w"), (Path("/w"),)).target("model/tris_68.txt")
        PosixPath('/w/model/tris_68.txt')
        """
        kind = Path(name).parts[0]
        root = next((root for root in self.roots if (root / kind).is_dir()), self.roots[0])
        return root / name

    def locate(self, name: str) -> Path | None:
        """
        Find a file by its relative name.

        Parameters
        ----------
        name : str
            Relative name, such as ``"AU_predictors/main_static_svms.txt"``.

        Returns
        -------
        pathlib.Path or None
            None if it is not there.

        Examples
        --------
        >>> from pathlib import Path
        >>> from pyopenface.models import ModelFolder
        >>> ModelFolder(Path("/w"), (Path("/w"),)).locate("model/tris_68.txt") is None
        True
        """
        path = self.target(name)
        return path if path.is_file() else None

    def resolve(self, name: str) -> Path:
        """
        Find a file by its relative name, or say what is missing.

        Parameters
        ----------
        name : str
            Relative name, such as ``"model/main_clnf_general.txt"``.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ModelError
            If it is not there.

        Examples
        --------
        >>> from pyopenface import models
        >>> models.find().resolve("model/tris_68.txt").is_file()  # doctest: +SKIP
        True
        """
        path = self.locate(name)
        if path is None:
            raise ModelError(_missing_text(f"Weights are missing in {self.path}.", (name,)))
        return path

    def main_file(self, model: str | os.PathLike[str] = "auto") -> MainFile:
        """
        Choose a landmark model and check that every file it needs is there (action units aside).

        Parameters
        ----------
        model : str or path
            ``"auto"`` (CE-CLM if its four CEN files are there, else CLNF), ``"ceclm"``, ``"clnf"``,
            ``"clm"``, ``"clnf_wild"``, ``"clnf_multi_pie"``, ``"clm_wild"``, or the path of a main file: as
            it is, relative to the current folder, or relative to this folder
            (``"model/main_clnf_general.txt"``).

        Returns
        -------
        MainFile
            Path of the main file and the model's name.

        Raises
        ------
        ModelError
            If files are missing; the text lists them.
        InputError
            If ``model`` is neither a known name nor an existing file.

        Examples
        --------
        >>> from pyopenface import models
        >>> models.find().main_file("clnf").name  # doctest: +SKIP
        'clnf'
        """
        if model == "auto":
            has_cen = all(self.locate(name) for name in CEN_FILES) and self.locate(MAIN_FILES["ceclm"])
            chosen = self.main_file("ceclm" if has_cen else "clnf")
            _log_choice(chosen.name, self.path)
            return chosen
        name = os.fspath(model)
        path = self.locate(MAIN_FILES[name]) if name in MAIN_FILES else self._named_main_file(name)
        if path is None:
            raise ModelError(
                _missing_text(f"Weights are missing in {self.path}.", _published(name, self), name)
            )
        files = [*landmark_files(path), *listed_files(self.target(FACE_DETECTOR_FILE))]
        self._require(files, _model_name(path))
        return MainFile(path, _model_name(path))

    def face_detector_file(self) -> Path:
        """
        Path of the face detector's listing (MTCNN).

        Returns
        -------
        pathlib.Path
            ``model/mtcnn_detector/MTCNN_detector.txt`` in this folder.

        Raises
        ------
        ModelError
            If it or a network that it names is missing.

        Examples
        --------
        >>> from pyopenface import models
        >>> models.find().face_detector_file().name  # doctest: +SKIP
        'MTCNN_detector.txt'
        """
        return self._checked(FACE_DETECTOR_FILE, listed_files)

    def action_unit_file(self, static: bool = False) -> Path:
        """
        Path of the action units' main file.

        Parameters
        ----------
        static : bool
            The predictors for single images instead of those for video.

        Returns
        -------
        pathlib.Path
            ``AU_predictors/main_dynamic_svms.txt`` or ``AU_predictors/main_static_svms.txt`` in this folder.

        Raises
        ------
        ModelError
            If it or a file that it names is missing.

        Examples
        --------
        >>> from pyopenface import models
        >>> models.find().action_unit_file(static=True).name  # doctest: +SKIP
        'main_static_svms.txt'
        """
        return self._checked(ACTION_UNIT_FILES[static], action_unit_files)

    def _checked(self, name: str, files_of: Callable[[Path], list[Path]]) -> Path:
        path = self.target(name)
        self._require(files_of(path))
        return path

    def _require(self, files: Iterable[Path], model: str = "") -> None:
        missing = [_relative(file, self.roots) for file in files if not file.is_file()]
        if missing:
            raise ModelError(
                _missing_text(f"Weights are missing in {self.path}.", dict.fromkeys(missing), model)
            )

    def _named_main_file(self, name: str) -> Path:
        given = Path(name).expanduser()
        candidates = [given] if given.is_absolute() else [given.absolute(), self.target(given.as_posix())]
        for path in candidates:
            if path.is_file():
                return path
        if given.suffix or len(given.parts) > 1:
            tried = "; ".join(str(path) for path in candidates)
            raise ModelError(f"main file of the landmark model not found: {name} (tried {tried})")
        raise InputError(
            f"unknown model {name!r}: choose auto, {', '.join(MAIN_FILES)}, or the path of a main file"
        )


def default_folder() -> Path:
    """
    Name the folder that downloads go to: ``PYOPENFACE_MODELS`` if set, else a folder in the user's cache.

    Returns
    -------
    pathlib.Path
        The folder; it need not exist yet.

    Examples
    --------
    >>> from pyopenface import models
    >>> models.default_folder().is_absolute()
    True
    """
    chosen = os.environ.get("PYOPENFACE_MODELS")
    return Path(chosen).expanduser().absolute() if chosen else cache_folder() / "OpenFace-2.2.0"


def find(folder: str | os.PathLike[str] | None = None) -> ModelFolder:
    """
    Find OpenFace's weights: the argument, ``PYOPENFACE_MODELS``, the user's cache, an OpenFace installation.

    The first of them that is given (argument, variable) or that holds weights (cache, installation) counts.
    Installations are looked for in ``OPENFACE_DIR``, ``OPENFACE_HOME``, beside the program
    ``FeatureExtraction`` and in common folders (``~/OpenFace``, ``/opt/OpenFace``,
    ``/usr/local/etc/OpenFace``, ...).

    Parameters
    ----------
    folder : path, optional
        A folder with ``model/`` and ``AU_predictors/``, or an OpenFace installation.

    Returns
    -------
    ModelFolder
        The folder, whatever its layout.

    Raises
    ------
    ModelError
        If there are no weights; the text says what is missing, where was looked, and how to get them.

    Examples
    --------
    >>> from pyopenface import models
    >>> models.find("/data/openface-models").main_file("auto").path  # doctest: +SKIP
    PosixPath('/data/openface-models/model/main_clnf_general.txt')
    """
    chosen = os.environ.get("PYOPENFACE_MODELS")
    if folder is not None:
        return _recognise_or_fail(folder, "argument")
    if chosen:
        return _recognise_or_fail(chosen, "PYOPENFACE_MODELS")
    places = [(default_folder(), "cache"), *((place, "installation") for place in _installations())]
    for place, origin in places:
        found = ModelFolder.recognise(place, origin)
        if found:
            return found
    looked = "\n".join(f"  {place}" for place, _ in places)
    text = f"No weights of OpenFace were found. PYOPENFACE_MODELS is not set; looked in\n{looked}"
    raise ModelError(_missing_text(text, (file.path for file in _manifest.load().needed_by("clnf")), "clnf"))


def required_files(
    model: str | os.PathLike[str] = "auto",
    folder: str | os.PathLike[str] | ModelFolder | None = None,
    *,
    action_units: bool = True,
) -> list[Path]:
    """
    List the files that a model needs, by reading its main file and the listings that this names.

    Parameters
    ----------
    model : str or path
        As in `ModelFolder.main_file`.
    folder : path or ModelFolder, optional
        Where the weights are; by default what `find` finds.
    action_units : bool
        Add the action units' files (for video and for single images).

    Returns
    -------
    list of pathlib.Path
        Main file, listings, weights, parts, validator and face detector, each once. Files that a listing
        names are in the list even if they don't exist.

    Raises
    ------
    ModelError
        If there are no weights at all or the main file is missing.

    Examples
    --------
    >>> from pyopenface import models
    >>> [file.name for file in models.required_files("clnf")][:2]  # doctest: +SKIP
    ['main_clnf_general.txt', 'clnf_general.txt']
    """
    place = folder if isinstance(folder, ModelFolder) else find(folder)
    if model == "auto":
        model = place.main_file("auto").path
    name = os.fspath(model)
    main = place.resolve(MAIN_FILES[name]) if name in MAIN_FILES else place._named_main_file(name)
    files = [*landmark_files(main), *listed_files(place.target(FACE_DETECTOR_FILE))]
    if action_units:
        for static in (False, True):
            files += action_unit_files(place.target(ACTION_UNIT_FILES[static]))
    return list(dict.fromkeys(files))


def verify(
    folder: str | os.PathLike[str] | ModelFolder | None = None, which: str | os.PathLike[str] = "all"
) -> list[FileStatus]:
    """
    Compare files with the published ones, by size and sha256.

    Parameters
    ----------
    folder : path or ModelFolder, optional
        Where the weights are; by default what `find` finds.
    which : str or path
        A model's name (``"clnf"``, ``"ceclm"``, ...), ``"all"`` for every published file, or the path of a
        main file.

    Returns
    -------
    list of FileStatus
        One per file. CEN weights that are well formed but not the published ones, and files of models that
        were not published, are ``Status.UNKNOWN_WEIGHTS``; they can be used. Text files with Windows line
        ends are ok.

    Raises
    ------
    ModelError
        If there are no weights at all.

    Examples
    --------
    >>> from pyopenface import models
    >>> all(file.usable for file in models.verify(which="clnf"))  # doctest: +SKIP
    True
    """
    place = folder if isinstance(folder, ModelFolder) else find(folder)
    manifest = _manifest.load()
    if which == "all" or which in MAIN_FILES:
        names = [file.path for file in manifest.needed_by(os.fspath(which))]
    else:
        names = [_relative(file, place.roots) for file in required_files(which, place)]
    return [check(name, place.locate(name), manifest.get(name)) for name in names]


def download(
    which: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    from_: str | os.PathLike[str] | None = None,
    sources: Sequence[str] | None = None,
    *,
    progress: bool = True,
    timeout: float = 30.0,
) -> ModelFolder:
    """
    Fetch OpenFace's weights from their publisher, a mirror, a folder or an archive; keep what is there
    already.

    Every file is checked against its published sha256 before it gets its final name. A download that broke
    off is continued by the next call. Several processes may call this at once: one works, the others wait for
    it.

    Parameters
    ----------
    which : str, optional
        A model's name (``"clnf"``, ``"ceclm"``, ``"clm"``, ...) or ``"all"``. Default: ``"clnf"``, or with
        ``from_`` every published file that is there.
    folder : path, optional
        Where to put them. Default: `default_folder`.
    from_ : path, optional
        An OpenFace installation, or a zip or tar archive of one, to take the files from instead of the
        network.
    sources : sequence of str, optional
        Base addresses of mirrors, tried in turn, each holding ``model/...`` and ``AU_predictors/...``; the
        word ``"upstream"`` stands for the publisher's addresses. Default: the environment variable
        ``PYOPENFACE_MODEL_URL`` (separated by blanks), else the publisher's.
    progress : bool
        Show a progress bar if standard error is a terminal.
    timeout : float
        Seconds without a byte after which a connection counts as stalled and is tried again.

    Returns
    -------
    ModelFolder
        The folder, complete for ``which``.

    Raises
    ------
    DownloadError
        If a file can't be had; the text gives each source's answer and what to do by hand.
    InputError
        If ``which`` is unknown.

    Examples
    --------
    >>> from pyopenface import models
    >>> models.download("clnf")  # doctest: +SKIP
    >>> models.download(from_="OpenFace_2.2.0_win_x64.zip")  # doctest: +SKIP
    """
    from pyopenface import _download

    return _download.download(which, folder, from_, sources, progress=progress, timeout=timeout)


def _recognise_or_fail(folder: str | os.PathLike[str], origin: str) -> ModelFolder:
    found = ModelFolder.recognise(folder, origin)
    if found:
        return found
    kind = "the folder given" if origin == "argument" else origin
    text = f"No weights of OpenFace are in {os.fspath(folder)} ({kind}), in any known layout."
    raise ModelError(_missing_text(text, (file.path for file in _manifest.load().needed_by("clnf")), "clnf"))


def _installations() -> list[Path]:
    import shutil

    places = [Path(os.environ[name]) for name in ("OPENFACE_DIR", "OPENFACE_HOME") if os.environ.get(name)]
    program = shutil.which("FeatureExtraction")
    if program:
        beside = Path(program).resolve().parent
        places += [beside, beside.parent]
    places += [Path.home() / name for name in ("OpenFace", "openface")]
    places += [Path(folder) for folder in SYSTEM_FOLDERS]
    return list(dict.fromkeys(places))


def _has_main_file(folder: Path) -> bool:
    return next(folder.glob("main_*.txt"), None) is not None


@lru_cache(maxsize=64)
def _log_choice(name: str, folder: Path) -> None:
    if name == "ceclm":
        logger.info("Landmark model: CE-CLM (its weights are in %s)", folder)
    else:
        logger.info("Landmark model: CLNF (the four CEN files of CE-CLM are not in %s)", folder)


def _model_name(main: Path) -> str:
    stems = {Path(file).stem: name for name, file in MAIN_FILES.items()}
    return stems.get(main.stem, main.stem)


def _relative(file: Path, roots: Sequence[Path]) -> str:
    for root in roots:
        if file.is_relative_to(root):
            return file.relative_to(root).as_posix()
    return str(file)


def _published(model: str, folder: ModelFolder) -> list[str]:
    files = [file.path for file in _manifest.load().needed_by(model)]
    return [name for name in files if folder.locate(name) is None]


def _missing_text(headline: str, missing: Iterable[str], model: str = "") -> str:
    names = sorted(missing, key=lambda name: not Path(name).name.startswith("main_"))
    listed = "\n".join(f"  {name}" for name in names[:6])
    more = f"\n  ... and {len(names) - 6} more" if len(names) > 6 else ""
    which = model if model in MAIN_FILES else "clnf"
    needed = f" for the model {model}" if model in MAIN_FILES else ""
    size = _manifest.total_size(_manifest.load().needed_by(which))
    return (
        f"{headline}\nMissing{needed}:\n{listed}{more}\n"
        "Three ways to get them:\n"
        f"  1. pyopenface models download {which}  (from the publisher, {size}, into {default_folder()})\n"
        "  2. pyopenface models download --from DIR_OR_ARCHIVE  (of an OpenFace installation or release)\n"
        "  3. set PYOPENFACE_MODELS to a folder that holds model/ and AU_predictors/\n"
        "The weights are Carnegie Mellon University's, for academic, non-commercial research use."
    )
