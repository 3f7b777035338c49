"""Clips in which it is known who is where, made from the samples, and counts of what went wrong with ids.

A clip is a list of scenes; a scene is a frame and the people in it, each with the region of the frame that is
theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Region = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass
class Scene:
    image: Image
    people: list[tuple[str, Region]]

    def person_at(self, x: float, y: float) -> str | None:
        for name, (left, top, right, bottom) in self.people:
            if left <= x < right and top <= y < bottom:
                return name
        return None


@cache
def frames_of(path: Path, count: int = 10**6) -> tuple[Image, ...]:
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while len(frames) < count:
        found, frame = capture.read()
        if not found:
            break
        frames.append(frame)
    return tuple(frames)


def one(name: str, frames: Sequence[Image]) -> list[Scene]:
    return [Scene(f, [(name, (0, 0, f.shape[1], f.shape[0]))]) for f in frames]


def black(like: Scene, count: int) -> list[Scene]:
    return [Scene(np.zeros_like(like.image), [])] * count


def beside(left: Sequence[Scene], right: Sequence[Scene]) -> list[Scene]:
    """Two clips side by side, as long as the shorter one."""
    scenes = []
    for a, b in zip(left, right, strict=False):
        shift = a.image.shape[1]
        moved = [(name, (r[0] + shift, r[1], r[2] + shift, r[3])) for name, r in b.people]
        scenes.append(Scene(np.hstack([a.image, b.image]), a.people + moved))
    return scenes


def above(top: Sequence[Scene], bottom: Sequence[Scene]) -> list[Scene]:
    """One clip above the other, of the same width."""
    scenes = []
    for a, b in zip(top, bottom, strict=False):
        shift = a.image.shape[0]
        moved = [(name, (r[0], r[1] + shift, r[2], r[3] + shift)) for name, r in b.people]
        scenes.append(Scene(np.vstack([a.image, b.image]), a.people + moved))
    return scenes


def mirrored(clip: Sequence[Scene]) -> list[Scene]:
    scenes = []
    for scene in clip:
        width = scene.image.shape[1]
        people = [(name, (width - r[2], r[1], width - r[0], r[3])) for name, r in scene.people]
        scenes.append(Scene(np.ascontiguousarray(scene.image[:, ::-1]), people))
    return scenes


def shuffled(clip: list[Scene], seed: int, shortest: int, longest: int, gap: int = 0) -> list[Scene]:
    """The clip cut at random and put together in another order, with up to ``gap`` black frames between."""
    random = np.random.default_rng(seed)
    cuts = [0]
    while cuts[-1] < len(clip):
        cuts.append(cuts[-1] + int(random.integers(shortest, longest)))
    order = random.permutation(len(cuts) - 1)
    scenes = []
    for i in order:
        scenes += clip[cuts[i] : cuts[i + 1]]
        if gap:
            scenes += black(clip[0], int(random.integers(0, gap)))
    return scenes


def noisy(clip: Sequence[Scene]) -> list[Scene]:
    random = np.random.default_rng(5)
    return [
        Scene(np.clip(s.image + random.normal(0, 8, s.image.shape), 0, 255).astype(np.uint8), s.people)
        for s in clip
    ]


def lit(clip: Sequence[Scene]) -> list[Scene]:
    """The light goes up and down between 0.55 and 1.05 of the clip's own."""
    return [
        Scene(np.clip(s.image * (0.8 + 0.25 * np.sin(i / 40)), 0, 255).astype(np.uint8), s.people)
        for i, s in enumerate(clip)
    ]


def scaled(clip: Sequence[Scene], factor: float) -> list[Scene]:
    scenes = []
    for scene in clip:
        image = cv2.resize(scene.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        people = [
            (name, (factor * r[0], factor * r[1], factor * r[2], factor * r[3])) for name, r in scene.people
        ]
        scenes.append(Scene(image, people))
    return scenes


@dataclass
class Count:
    """What happened to ids: how often a person's id changed, how many ids there were too many, and how many
    ids were given to a second person."""

    rows: int = 0
    switches: int = 0
    ids: dict[int, set[str]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)

    def see(self, person: str, identity: int) -> None:
        self.rows += 1
        self.switches += self.people.get(person, identity) != identity
        self.people[person] = identity
        self.ids.setdefault(identity, set()).add(person)

    @property
    def spurious(self) -> int:
        return max(0, len(self.ids) - len(self.people))

    @property
    def inherited(self) -> int:
        return sum(len(people) - 1 for people in self.ids.values())

    def __str__(self) -> str:
        wrong = f"{self.switches} switches, {self.spurious} spurious, {self.inherited} inherited"
        return f"{self.rows} rows, {wrong}"


def count(clip: Iterable[Scene], faces_in: Callable[[Image], Iterator[tuple[int, float, float]]]) -> Count:
    """Follow a clip; ``faces_in`` gives id and nose of every accepted face."""
    result = Count()
    for scene in clip:
        for identity, x, y in faces_in(scene.image):
            person = scene.person_at(x, y)
            if person is not None:
                result.see(person, identity)
    return result


def clips(samples: Path) -> dict[str, list[Scene]]:
    """Cuts, swaps, blackouts of 0.5 to 5 s, re-entries and more than four people."""
    dora = one("dora", frames_of(samples / "default.wmv"))
    vic = one("vic", frames_of(samples / "2015-10-15-15-14.avi", 300))
    late = one("vic", frames_of(samples / "2015-10-15-15-14.avi")[420:700:2])
    trio = [
        Scene(f, [("left", (0, 0, 270, 480)), ("front", (270, 0, 480, 480)), ("right", (480, 0, 640, 480))])
        for f in frames_of(samples / "multi_face_h264.avi", 240)
    ]
    pair = beside(dora, vic)
    nobody = lambda clip, n: black(clip[0], n)  # noqa: E731
    return {
        "cut to another person and back": dora[:40] + vic[:40] + dora[60:100] + vic[60:100] + dora[120:160],
        "blackout of 0.5 s": pair[:40] + nobody(pair, 8) + pair[48:90],
        "blackout of 5 s": pair[:40] + nobody(pair, 75) + pair[115:160],
        "blackout, sides swapped": pair[:40] + nobody(pair, 30) + beside(vic[70:120], dora[70:120]),
        "sides swapped by a cut": pair[:40]
        + beside(vic[40:80], dora[40:80])
        + beside(dora[80:120], vic[80:120]),
        "mirrored, blackout of 2 s": mirrored(pair[:40] + nobody(pair, 30) + pair[70:120]),
        "one leaves, a stranger comes": pair[:40]
        + beside(black(dora[0], 30), vic[40:70])
        + beside(trio_face(trio[70:120]), vic[70:120])
        + beside(dora[120:160], vic[120:160]),
        "re-entry elsewhere, head turning": beside(dora[:60], black(vic[0], 60))
        + beside(black(vic[0], 40), black(vic[0], 40))
        + beside(late[:140], dora[100:240]),
        "five people": above(beside(dora[:150], vic[:150]), beside(trio[:150], black(vic[0], 150))),
        "five people, blackout and swap": above(
            beside(dora[:50], vic[:50]), beside(trio[:50], black(vic[0], 50))
        )
        + black(above(beside(dora[:1], vic[:1]), beside(trio[:1], black(vic[0], 1)))[0], 24)
        + above(beside(vic[74:140], dora[74:140]), beside(black(vic[0], 66), trio[74:140])),
    }


def held_out_clips(samples: Path, dance: list[Scene]) -> dict[str, list[Scene]]:
    """Clips on which nothing of the method was chosen; ``dance`` is multi_face_h264.avi."""
    dora = one("dora", frames_of(samples / "default.wmv"))
    vic = one("vic", frames_of(samples / "2015-10-15-15-14.avi"))
    random = np.random.default_rng(9)
    cuts = []
    for start in range(20, 265, 35):
        a, b = dora[start : start + 30], vic[(late := int(random.integers(0, 800))) : late + 30]
        kind = int(random.integers(0, 4))
        alone = [a, b][kind - 2]
        part = [beside(a, b), beside(b, a)][kind] if kind < 2 else beside(alone, black(vic[0], len(alone)))
        cuts += part + black(part[0], int(random.integers(0, 50)))
    return {
        "random cuts of two people": cuts,
        "dance, shuffled 1": shuffled(dance, 11, 20, 90),
        "dance, shuffled 2": shuffled(dance, 12, 20, 90),
        "dance, shuffled with blackouts 1": shuffled(dance, 14, 20, 90, 60),
        "dance, shuffled with blackouts 2": shuffled(dance, 15, 20, 90, 60),
        "dance, backwards and mirrored": mirrored(dance[::-1]),
        "dance, shuffled, mirrored and noisy": noisy(mirrored(shuffled(dance, 17, 40, 80))),
        "dance, shuffled, enlarged, changing light": scaled(lit(shuffled(dance, 18, 40, 80, 20)), 1.25),
        "dance, every second frame": dance[::2],
        "dance, every third frame": dance[1::3],
    }


def trio_face(trio: Sequence[Scene]) -> list[Scene]:
    """Only the person in front, enlarged to a whole frame."""
    scenes = []
    for scene in trio:
        part = cv2.resize(scene.image[90:450, 230:470], (640, 480))
        scenes.append(Scene(part, [("front", (0, 0, 640, 480))]))
    return scenes
