"""Whole runs set beside the reference's, and the rules by which they are judged.

The judge is compare_csv.py, which comes with the golden data: for every group of columns it compares our
difference from the reference with the difference between two builds of the reference, the noise floor.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

FLOOR_SHARE = 0.02  # the judge's own margin: equal cells may be two points fewer than the floor's
KEYS = ("frame", "face_id")


def load_judge(shared: Path) -> ModuleType:
    """compare_csv.py as a module; skips the test where it isn't."""
    path = shared / "tools" / "compare_csv.py"
    if not path.is_file():
        pytest.skip(f"the judge of the golden data is not there: {path}")
    spec = importlib.util.spec_from_file_location("compare_csv", path)
    assert spec is not None
    assert spec.loader is not None
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    return judge


def judged(judge: ModuleType, *files: Path) -> dict[str, Any]:
    """The verdict of the judge, which leaves closing its files to the interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        verdict: dict[str, Any] = judge.compare(*map(str, files))
    return verdict


@dataclass(frozen=True)
class Clip:
    """A golden run: which configuration, which input."""

    folder: str
    name: str
    model: str
    au: str = "dynamic"

    def __str__(self) -> str:
        return f"{self.folder.removeprefix('feature_extraction_')}:{Path(self.name).stem}"


@dataclass
class Group:
    """What a group of columns shows: shares over all its cells."""

    frames: int
    cells: int
    equal: float
    floor_equal: float
    beyond_95: float  # share of cells whose difference is above the judge's bound for the 95th percentile
    beyond_99: float

    def expected(self, deviations: float) -> bool:
        """Inside the judge's rule but for chance.

        The runs are draws: identical code from a start that differs in the last bit gives other digits. A
        share estimated from n frames then scatters with the binomial deviation sqrt(p (1 - p) / n); the cells
        of one frame are not independent, so n counts frames. In the equal share both runs scatter.
        """

        def spread(share: float, draws: int) -> float:
            return deviations * float(np.sqrt(draws * share * (1.0 - share) / self.frames))

        return (
            self.equal >= self.floor_equal - FLOOR_SHARE - spread(self.floor_equal, 2)
            and self.beyond_95 <= 0.05 + spread(0.05, 1)
            and self.beyond_99 <= 0.01 + spread(0.01, 1)
        )


@dataclass
class Comparison:
    """A run of ours, the reference's and the reference's second build, as files."""

    clip: Clip
    judge: ModuleType
    reference: Path
    ours: Path
    floor: Path

    @cached_property
    def result(self) -> dict[str, Any]:
        """The judge's verdict."""
        return judged(self.judge, self.reference, self.ours, self.floor)

    @cached_property
    def groups(self) -> dict[str, Group]:
        tables = [pd.read_csv(path) for path in (self.reference, self.ours, self.floor)]
        reference, ours, floor = tables
        tracked = reference["success"].cumsum().to_numpy() > 0
        members: dict[str, list[str]] = {}
        for column in reference.columns:
            if column not in KEYS:
                members.setdefault(self.judge.group_of(column), []).append(column)
        groups = {}
        for name, columns in members.items():
            rows = tracked if name.startswith("pose") else np.ones(len(tracked), dtype=bool)
            want, got, second = (t.loc[rows, columns].to_numpy(float) for t in (reference, ours, floor))
            unit, base = self.result["groups"][name]["unit"], self.result["floor"]["groups"][name]
            difference = np.abs(want - got)
            groups[name] = Group(
                frames=int(rows.sum()),
                cells=difference.size,
                equal=float((difference < 0.5 * unit).mean()),
                floor_equal=float((np.abs(want - second) < 0.5 * unit).mean()),
                beyond_95=float((difference > 1.25 * base["p95"] + 1.01 * unit).mean()),
                beyond_99=float((difference > 1.5 * base["p99"] + 1.01 * unit).mean()),
            )
        return groups


def pooled(comparisons: list[Comparison], folder: Path) -> dict[str, Any]:
    """The judge's verdict over the cells of several runs together, each as a face of its own."""
    files = []
    for kind in ("reference", "ours", "floor"):
        tables = []
        for number, comparison in enumerate(comparisons):
            table = pd.read_csv(getattr(comparison, kind), dtype=str)
            tables.append(table.assign(face_id=str(number)))
        path = folder / f"{kind}.csv"
        pd.concat(tables).to_csv(path, index=False)
        files.append(path)
    return judged(comparisons[0].judge, *files)
