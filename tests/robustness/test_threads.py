"""One object in several threads, many analyses side by side, forked processes, and the end of the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import pyopenface
from pyopenface.engine import Run, load_models
from pyopenface.face import Face
from pyopenface.sources.base import Frame, default_camera
from pyopenface.weights import preload

CALLS = 56  # a multiple of every number of threads that is tried


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    """Call a function CALLS times from `count` threads that start together."""
    gate = threading.Barrier(count)

    def several(_: int) -> list[object]:
        gate.wait()
        return [work() for _ in range(CALLS // count)]

    with ThreadPoolExecutor(count) as pool:
        return [result for results in pool.map(several, range(count)) for result in results]


def sorted_rows(values: list[np.ndarray]) -> np.ndarray:
    """Put arrays that came in any order into one."""
    stacked = np.stack([np.asarray(value, float).ravel() for value in values])
    return stacked[np.lexsort(stacked.T[::-1])]


@pytest.mark.parametrize("count", [1, 4, 7])
def test_a_shared_detector_follows_one_face(count: int, models: Path, face_frames: list[np.ndarray]) -> None:
    # The same picture again and again: the n-th call gives the n-th result, whoever makes it.
    def landmarks(face: object) -> np.ndarray:
        assert isinstance(face, Face)
        return face.landmarks_2d

    alone = pyopenface.LandmarkDetector("clnf", models)
    wanted = [alone.update(face_frames[0]).landmarks_2d for _ in range(CALLS)]
    shared = pyopenface.LandmarkDetector("clnf", models)
    got = [landmarks(face) for face in in_threads(count, lambda: shared.update(face_frames[0]))]
    np.testing.assert_array_equal(sorted_rows(got), sorted_rows(wanted))


@pytest.mark.parametrize("count", [4, 7])
def test_a_shared_face_analyser_counts_every_frame(
    count: int, models: Path, face_frames: list[np.ndarray]
) -> None:
    points = pyopenface.LandmarkDetector("clnf", models).update(face_frames[0]).landmarks_2d

    def analysed(threads: int) -> tuple[np.ndarray, np.ndarray]:
        analyser = pyopenface.FaceAnalyser(models)
        faces = in_threads(threads, lambda: analyser.update(face_frames[0], points).au_intensity)
        assert analyser.frames == CALLS
        return sorted_rows([np.asarray(face) for face in faces]), analyser.finish()[0]

    for one, several in zip(analysed(1), analysed(count), strict=True):
        np.testing.assert_array_equal(one, several)


@pytest.mark.parametrize("count", [4, 7])
def test_a_shared_observer_gives_the_same_rows(
    count: int, models: Path, face_frames: list[np.ndarray]
) -> None:
    run = Run(load_models(models, "clnf", None))
    frame = Frame(face_frames[0], 0.0, 1)
    fitted, camera = run.fit(frame), default_camera(320, 240)
    wanted = run.measure(frame, fitted, camera).rows
    for rows in in_threads(count, lambda: run.measure(frame, fitted, camera).rows):
        np.testing.assert_array_equal(np.asarray(rows), wanted)


def test_analyses_side_by_side_share_the_weights_and_agree(
    models: Path, face_frames: list[np.ndarray]
) -> None:
    def analyse(_: int = 0) -> np.ndarray:
        table = pyopenface.analyze(np.stack(face_frames), models=models, model="clnf", fps=30)
        return table.to_numpy()

    wanted = analyse()
    with ThreadPoolExecutor(5) as pool:
        for table in pool.map(analyse, range(10)):
            np.testing.assert_array_equal(table, wanted)
    assert load_models(models, "clnf", None).landmark is load_models(models, "clnf").landmark


def test_a_fit_may_begin_while_its_experts_are_being_prepared(
    models: Path, face_frames: list[np.ndarray]
) -> None:
    def landmarks(landmark_model: pyopenface._core.LandmarkModel, prepare: int) -> np.ndarray:
        parameters = pyopenface._core.LandmarkParameters()
        tracking = pyopenface._core.FaceTracking(
            landmark_model, loaded.detector, parameters, 1, "slot", max(1, prepare)
        )
        helpers = [
            threading.Thread(target=landmark_model.prepare_first_fits, args=(parameters, True))
            for _ in range(prepare)
        ]
        for helper in helpers:
            helper.start()
        rows = [np.asarray(tracking.track(image, None).landmark_likelihoods) for image in face_frames[:2]]
        for helper in helpers:
            helper.join()
        return np.stack(rows)

    loaded = load_models(models, "clnf")
    main_file = str(loaded.main_file)
    alone = landmarks(pyopenface._core.LandmarkModel(main_file), 0)
    for helpers in (1, 3):
        np.testing.assert_array_equal(landmarks(pyopenface._core.LandmarkModel(main_file), helpers), alone)


def test_rotations_that_are_shared_out_give_the_same_faces(
    models: Path, face_frames: list[np.ndarray]
) -> None:
    # Small boxes: fits that end before they have a likelihood keep that of the rotation before.
    boxes = np.array(
        [[200, 100, 200, 200], [300, 150, 12, 12], [280, 160, 40, 30], [250, 130, 70, 70]], np.float32
    )
    loaded = load_models(models, "clnf", "static")
    parameters = pyopenface._core.LandmarkParameters()
    parameters.multi_view = True

    def rows(threads: int) -> np.ndarray:
        tracking = pyopenface._core.FaceTracking(
            loaded.landmark, loaded.detector, parameters, 1, "slot", threads
        )
        observer = pyopenface._core.Observer(loaded.landmark, loaded.analyser, "pictures")
        fitted = tracking.fit_picture(face_frames[0], boxes)
        found = observer.observe(fitted, (500.0, 500.0, 320.0, 240.0), 1, 0.0)
        return np.hstack([found, np.array(fitted.landmark_likelihoods)])

    alone = rows(1)
    assert len(alone) == len(boxes)
    for threads in (2, 3):
        np.testing.assert_array_equal(rows(threads), alone)


def test_weights_that_are_loaded_in_the_background_are_awaited(models: Path) -> None:
    preload(models, "clm", "static", all_rotations=False)
    first = load_models(models, "clm", "static")
    assert first.landmark is load_models(models, "clm", "static").landmark
    assert first.analyser is not None


def test_what_goes_wrong_in_the_background_is_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    preload(tmp_path / "nothing")
    for thread in threading.enumerate():
        if thread.name == "pyopenface-preload":
            thread.join()
    with pytest.raises(pyopenface.ModelError, match="nothing"):
        load_models(tmp_path / "nothing")
    assert capfd.readouterr() == ("", "")


def test_other_threads_run_while_the_engine_works(models: Path, samples: Path) -> None:
    detector = pyopenface.LandmarkDetector("clnf", models)
    image = cv2.imread(str(samples / "sample1.jpg"))
    stop = threading.Event()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.0005)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # from here on a thread runs only when another one gives up the lock
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        moved = 0
        for _ in range(8):
            before = ticks
            detector.detect(image)
            moved += ticks > before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert moved >= 6


def run_script(text: str, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_four_processes_give_the_parent_s_numbers(
    method: str, models: Path, samples: Path, tmp_path: Path
) -> None:
    script = tmp_path / "processes.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys
            import numpy as np
            import pyopenface

            def analyse(_):
                return pyopenface.analyze(sys.argv[2], models=sys.argv[3], model="clnf", end=0.3).to_numpy()

            if __name__ == "__main__":
                wanted = analyse(0)  # the parent has loaded weights and used threads before it forks
                with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
                    for table in pool.map(analyse, range(4)):
                        np.testing.assert_array_equal(table, wanted)
                print("agreed")
            """
        )
    )
    command = [sys.executable, str(script), method, str(samples / "default.wmv"), str(models)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stdout) == (0, "agreed\n"), done.stderr


BUSY = """
    import sys, threading, time
    import numpy as np
    import pyopenface

    detector = pyopenface.LandmarkDetector("clnf", sys.argv[1])
    image = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)

    def work():
        while True:
            detector.detect(image)

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.2])
def test_python_exits_while_a_background_thread_is_in_the_engine(seconds: float, models: Path) -> None:
    done = run_script(BUSY, models, seconds)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_engine_still_works_in_the_main_thread_s_own_exit_handlers(models: Path) -> None:
    done = run_script(
        """
        import atexit, sys
        def last():
            print(len(detector.detect(image)))
        atexit.register(last)  # before the package is imported, so it runs after the package's own handler
        import numpy as np
        import pyopenface
        detector = pyopenface.LandmarkDetector("clnf", sys.argv[1])
        image = np.zeros((100, 100, 3), np.uint8)
        """,
        models,
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
