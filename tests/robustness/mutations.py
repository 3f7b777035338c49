"""How files are damaged, and what a loader must do with them: refuse them naming the file, or work.

The rules are those of models.md, section 17; the ways to damage are those of tests/stages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from test_patch_expert_loaders import damage_bytes, damage_text, memory_limit

from pyopenface.errors import ModelError

#: Damaged files per format; PYOPENFACE_MUTATIONS=10000 for the long run.
MUTATIONS = int(os.environ.get("PYOPENFACE_MUTATIONS", "2000"))
#: No damaged file of a few kilobytes may keep a loader busy for longer, in seconds.
SLOWEST = 10.0

__all__ = ["MUTATIONS", "SLOWEST", "Format", "damage_bytes", "damage_text", "survive", "try_to_load"]


@dataclass
class Format:
    """One file of a model: who reads it, and good bytes of it.

    Attributes
    ----------
    name : str
        The file's name in the folder, also that of the format.
    load : callable
        Loads the model from the folder and uses it a little.
    damage : callable
        Makes damaged bytes out of good ones.
    files : dict
        Every file that the loader needs, by name, good.
    also : sequence of str
        Other names that an error may give: those of the files that this one points to or contradicts.
    """

    name: str
    load: Callable[[Path], object]
    damage: Callable[[bytes, np.random.Generator], bytes]
    files: dict[str, bytes]
    also: Sequence[str] = field(default=())

    def write(self, folder: Path) -> None:
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


def overwrite(path: Path, data: bytes) -> None:
    """Put other bytes into a file. Emptying it first is slow on some file systems."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


def try_to_load(form: Format, folder: Path, data: bytes) -> bool:
    """Load the model with these bytes in place of the good file; tells whether that worked."""
    overwrite(folder / form.name, data)
    total = len(data) + sum(len(other) for name, other in form.files.items() if name != form.name)
    try:
        with memory_limit(2 * total + (16 << 20)):
            form.load(folder)
    except ModelError as error:
        assert any(Path(name).name in str(error) for name in (form.name, *form.also)), error
        return False
    return True


def survive(form: Format, folder: Path, count: int = MUTATIONS, seed: int = 1) -> int:
    """Load `count` damaged versions of the file; the number of those that are a model all the same."""
    form.write(folder)
    good = form.files[form.name]
    assert try_to_load(form, folder, good)
    rng = np.random.default_rng(seed)
    accepted, slowest = 0, 0.0
    for _ in range(count):
        begin = time.perf_counter()
        accepted += try_to_load(form, folder, form.damage(good, rng))
        slowest = max(slowest, time.perf_counter() - begin)
    assert slowest < SLOWEST
    return accepted
