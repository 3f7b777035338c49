"""Frames fitted by the engine's own thread: the results of one frame after the other, whoever judges them."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import textwrap
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pyopenface import _core
from pyopenface.engine import Run, load_models
from pyopenface.errors import InputError, StateError
from pyopenface.sources.base import Frame
from pyopenface.sources.video import VideoSource
from pyopenface.weights import Models

CAMERA = (250.0, 250.0, 160.0, 120.0)


@pytest.fixture(scope="module")
def loaded(models: Path) -> Models:
    return load_models(models, "clnf", "static")


@pytest.fixture(scope="module")
def lively_frames(face_frames: list[np.ndarray]) -> list[np.ndarray]:
    """A face that is followed, jumps, is turned round, goes away; other sizes; frames without pixels."""
    rng = np.random.default_rng(3)
    frames: list[np.ndarray] = []
    while len(frames) < 150:
        some = [face_frames[(len(frames) + i) % 12] for i in range(rng.integers(1, 7))]
        kind = rng.integers(0, 9)
        if kind == 0:
            some = [np.zeros_like(frame) for frame in some]
        elif kind == 1:
            some = [rng.integers(0, 256, frame.shape, dtype=np.uint8) for frame in some]
        elif kind == 2:
            some = [np.roll(frame, (30, -70), (0, 1)) for frame in some]
        elif kind == 3:
            some = [np.ascontiguousarray(frame[::-1]) for frame in some]
        elif kind == 4:
            some = [cv2.resize(frame, None, fx=1.5, fy=1.5) for frame in some]
        elif kind == 5:
            some = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in some[:2]]
        elif kind == 6:
            some = [np.empty((0, 0, 3), np.uint8), np.zeros((7, 5, 3), np.uint8)]
        frames += some
    return frames


def tracking(loaded: Models, faces: int = 1) -> _core.FaceTracking:
    return _core.FaceTracking(
        loaded.landmark, loaded.detector, loaded.fit_parameters(), faces, "slot", threads=2
    )


def rows(loaded: Models, fitted: list[_core.FittedFrame], program: str = "single_face") -> list[Any]:
    """Everything that is known of the faces, as bytes."""
    observer = _core.Observer(loaded.landmark, None, program)
    return [
        (
            np.asarray(observer.observe(frame, CAMERA, number, 0.0)).tobytes(),
            np.array(frame.landmark_likelihoods).tobytes(),
            frame.accepted,
            frame.new_faces,
            frame.ids,
        )
        for number, frame in enumerate(fitted, 1)
    ]


def fitted_beside(
    used: _core.FaceTracking, frames: list[np.ndarray], ahead: int, pause: float = 0.0, pictures: bool = False
) -> list[_core.FittedFrame]:
    """Fit frames in the thread, so many of them handed over before the first result is asked for."""
    thread = _core.FittingThread(used, pictures)
    fitted: list[_core.FittedFrame] = []
    for number, frame in enumerate(frames):
        thread.submit(frame)
        if number >= ahead:
            fitted.append(thread.take())
            time.sleep(pause)
    while len(fitted) < len(frames):
        fitted.append(thread.take())
    thread.close()
    return fitted


# One frame at a time: who takes it judges it. All at once: the thread judges all but the last. Between them,
# with a pause that is longer or shorter than a fit, either does.
@pytest.mark.parametrize(("ahead", "pause"), [(0, 0.0), (3, 0.0), (3, 0.002), (8, 0.0005), (1000, 0.0)])
def test_the_results_are_those_of_one_frame_after_the_other(
    ahead: int, pause: float, loaded: Models, lively_frames: list[np.ndarray]
) -> None:
    alone = tracking(loaded)
    expected = [alone.track(frame) for frame in lively_frames]
    accepted = [frame.accepted == [True] for frame in expected]
    lost = sum(before and not now for before, now in itertools.pairwise(accepted))
    assert sum(accepted) > 60
    assert lost >= 8  # so often a fit that went ahead of its verdict has to be taken back
    got = fitted_beside(tracking(loaded), lively_frames, ahead, pause)
    for number, pair in enumerate(zip(rows(loaded, got), rows(loaded, expected), strict=True)):
        assert pair[0] == pair[1], number


@pytest.mark.parametrize("pictures", [False, True])
def test_several_faces_and_pictures(pictures: bool, loaded: Models, lively_frames: list[np.ndarray]) -> None:
    frames = lively_frames[:40]
    alone = tracking(loaded, 2)
    expected = [alone.fit_picture(frame) if pictures else alone.track(frame) for frame in frames]
    got = fitted_beside(tracking(loaded, 2), frames, 4, pictures=pictures)
    program = "pictures" if pictures else "several_faces"
    assert rows(loaded, got, program) == rows(loaded, expected, program)
    assert any(len(frame) for frame in got)


def test_tracking_goes_on_where_the_thread_ended(loaded: Models, lively_frames: list[np.ndarray]) -> None:
    first, second = lively_frames[:21], lively_frames[21:60]
    alone, shared = tracking(loaded), tracking(loaded)
    expected = [alone.track(frame) for frame in first + second]
    got = fitted_beside(shared, first, 2) + [shared.track(frame) for frame in second]
    assert rows(loaded, got) == rows(loaded, expected)


def test_wrong_use_is_refused(loaded: Models, face_frames: list[np.ndarray]) -> None:
    thread = _core.FittingThread(tracking(loaded))
    with pytest.raises(StateError, match="no frame"):
        thread.take()
    with pytest.raises(InputError, match="uint8"):
        thread.submit(face_frames[0].astype(np.float32))  # type: ignore[arg-type]
    thread.submit(face_frames[0])
    assert len(thread.take()) == 1
    thread.close()
    thread.close()
    with pytest.raises(StateError, match="closed"):
        thread.submit(face_frames[0])
    with pytest.raises(StateError, match="closed"):
        thread.take()


class BrokenVideo(VideoSource):
    """A video whose reading fails in its midst, or that yields a picture that can't be used."""

    damage: Any = None

    def _raw(self) -> Generator[Any, None, None]:
        for frame in super()._raw():
            number = frame[0]
            if number == 5 and isinstance(self.damage, Exception):
                raise self.damage
            yield frame

    def __iter__(self) -> Generator[Frame, None, None]:
        for frame in super().__iter__():
            if frame.number == 5 and isinstance(self.damage, np.ndarray):
                frame = Frame(self.damage, frame.timestamp, frame.number)
            yield frame


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("damage", "error", "text"),
    [
        (RuntimeError("the disk is gone"), RuntimeError, "the disk is gone"),
        (np.zeros((4, 4, 2), np.uint8), InputError, "frame 5: image"),
    ],
)
def test_errors_arrive_behind_the_results_before_them(
    threads: int, damage: Any, error: type[Exception], text: str, loaded: Models, samples: Path
) -> None:
    source = BrokenVideo(samples / "clip60.avi")
    source.damage = damage
    numbers = []
    with pytest.raises(error, match=text):
        for result in Run(loaded, threads=threads).results(source):
            numbers.append(result.frame.number)
    assert numbers == [1, 2, 3, 4]


class WatchedVideo(VideoSource):
    """A video that counts the frames which were read of it, and says when its reading has ended."""

    read = 0
    ended = False

    def _raw(self) -> Generator[Any, None, None]:
        try:
            for frame in super()._raw():
                self.read += 1
                yield frame
        finally:
            self.ended = True


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 8), (3, 8 + 4 + 1)])
def test_few_frames_are_in_work_and_stopping_early_ends_the_reading(
    threads: int, most: int, loaded: Models, samples: Path
) -> None:
    source = WatchedVideo(samples / "clip60.avi")
    results = Run(loaded, threads=threads).results(source)
    for given, _ in enumerate(results):
        assert source.read - given <= most
        if given == 30:
            break
        time.sleep(0.002)
    results.close()
    assert source.ended
    assert source.read < 60


def test_threads_that_use_it_at_once_take_turns(loaded: Models, face_frames: list[np.ndarray]) -> None:
    alone = tracking(loaded)
    expected = [alone.track(frame) for frame in face_frames * 3]
    thread = _core.FittingThread(tracking(loaded))
    for frame in face_frames * 3:
        thread.submit(frame)
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda _: thread.take(), expected))
        pool.map(lambda _: thread.close(), range(3))

    def each(fitted: list[_core.FittedFrame]) -> list[tuple[bytes, bytes]]:
        """Picture and likelihoods of every frame, in an order that doesn't depend on who took it."""
        return sorted(
            (frame.image.tobytes(), np.array(frame.landmark_likelihoods).tobytes()) for frame in fitted
        )

    assert each(got) == each(expected)


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the system doesn't list a process's threads"
)
@pytest.mark.parametrize("threads", [2, 3])
def test_no_thread_is_left_when_the_consumer_stops(threads: int, loaded: Models, samples: Path) -> None:
    def running() -> int:
        gc.collect()
        return len(list(Path("/proc/self/task").iterdir()))

    run = Run(loaded, threads=threads)
    results = run.results(VideoSource(samples / "clip60.avi"))
    next(results)
    results.close()  # the helpers of the run's fits stay with it
    before = running()
    for _ in range(3):
        run.reset()
        results = run.results(VideoSource(samples / "clip60.avi"))
        next(results)
        assert running() > before
        results.close()
        assert running() == before
        results = run.results(VideoSource(samples / "clip60.avi"))
        next(results)
        del results  # without a word
        assert running() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_child_can_leave_its_parent_s_thread_alone(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    script = tmp_path / "fork.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys
            from pathlib import Path
            import pyopenface
            from pyopenface import _core
            from pyopenface.engine import Run, load_models
            from pyopenface.sources.video import VideoSource

            loaded = load_models(sys.argv[1], "clnf", "static")
            results = Run(loaded, threads=2).results(VideoSource(Path(sys.argv[2])))
            first = next(results)
            tracking = _core.FaceTracking(loaded.landmark, loaded.detector, loaded.fit_parameters())
            thread = _core.FittingThread(tracking)
            for _ in range(2):
                thread.submit(first.frame.image)
            assert len(thread.take()) == 1
            child = os.fork()
            if child == 0:
                try:
                    thread.take()
                except pyopenface.StateError as error:
                    assert "forked" in str(error), error
                    del results, thread
                    os._exit(7)
                os._exit(8)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert len(thread.take()) == 1
            assert sum(1 for _ in results) == 59
            print("agreed")
            """
        )
    )
    command = [sys.executable, str(script), str(models), str(samples / "clip60.avi")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "agreed\n"), done.stderr
