"""Which files a main file or a listing names.

Sections of models.md: 5 (main file), 6 (listing), 14 (face detector), 15 (action units).
A file that does not exist is still named in the result, so that the caller can say that it is missing.
"""

from __future__ import annotations

from pathlib import Path

from pyopenface.errors import ModelError

__all__ = ["action_unit_files", "landmark_files", "listed_files"]

LISTING_KEYWORDS = frozenset(
    ["PDM", "Triangulations", "PatchesCCNF", "PatchesIntensity", "PatchesCEN", "EarlyTermination"]
)
DETECTOR_KEYWORDS = frozenset(["PNet", "RNet", "ONet"])
DEEPEST_PART = 4


def landmark_files(main: Path, depth: int = 0) -> list[Path]:
    """List a landmark model's main file and everything that it names, parts included."""
    if depth > DEEPEST_PART:
        raise ModelError(f"{main}: part models are nested more than {DEEPEST_PART} deep")
    files = [main]
    for keyword, rest in _lines(main):
        name = rest.split()[0] if rest else ""
        if not name:
            continue
        if keyword == "LandmarkDetector":
            files += listed_files(main.parent / name)
        elif keyword == "LandmarkDetector_part":
            files += landmark_files(main.parent / name, depth + 1)
        elif keyword == "DetectionValidator":
            files.append(main.parent / name)
    return list(dict.fromkeys(files))


def listed_files(listing: Path) -> list[Path]:
    """List a listing and the files it names: of a landmark model, or of the face detector."""
    named = [
        listing.parent / (rest.split()[0] if keyword in DETECTOR_KEYWORDS else rest)
        for keyword, rest in _lines(listing)
        if rest and keyword in LISTING_KEYWORDS | DETECTOR_KEYWORDS
    ]
    return list(dict.fromkeys([listing, *named]))


def action_unit_files(main: Path) -> list[Path]:
    """List an action unit main file, its predictor list, and the files that these two name."""
    files = [main]
    for keyword, rest in _lines(main):
        if not rest or keyword not in ("AUPredictor", "PDM", "Triangulation"):
            continue
        file = main.parent / rest.split()[0]
        files.append(file)
        if keyword == "AUPredictor":
            files += [file.parent / name for name, _ in _lines(file)]
    return list(dict.fromkeys(files))


def _lines(path: Path) -> list[tuple[str, str]]:
    """Split each line that is neither empty nor a comment into its first token and the rest."""
    if not path.is_file():
        return []
    if path.stat().st_size > 1 << 20:
        raise ModelError(f"{path}: too large for a listing")
    pairs = []
    for line in path.read_bytes().decode("utf-8-sig", errors="replace").splitlines():
        if line.strip() and not line.startswith("#"):
            keyword, _, rest = line.strip().partition(" ")
            pairs.append((keyword, rest.strip()))
    return pairs
