"""A user's program that touches the whole public surface; the tests check its types, and never run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import pyopenface
from pyopenface import (
    AnalysedFace,
    DownloadError,
    Face,
    FaceAnalyser,
    FaceTracker,
    Gaze,
    GazeAnalyser,
    HogWriter,
    InputError,
    LandmarkDetector,
    LandmarkParameters,
    ModelError,
    OutputError,
    SourceError,
    StateError,
    columns,
    models,
    plot,
    sources,
    synchrony,
    table,
    youtube,
)
from pyopenface.accessor import OpenFaceAccessor

Image = npt.NDArray[np.uint8]


def on_frame(number: int, seconds: float, faces: list[Face]) -> bool:
    return number < 100 and all(face.confidence > 0.5 for face in faces)


def videos() -> pd.DataFrame:
    folder: models.ModelFolder = models.download("clnf")
    main: models.MainFile = folder.main_file("clnf")
    missing: list[Path] = [file for file in models.required_files("clnf") if not file.is_file()]
    states: list[models.FileStatus] = models.verify(models.find(), which="clnf")
    bad = [state.path for state in states if state.status is not models.Status.OK]
    print(main.path, missing, bad, models.default_folder())
    path: Path = youtube.fetch(
        "https://youtu.be/x", start=5, end=10, height=480, sound=True, cookies_from_browser="firefox",
        cookiefile="cookies.txt", ytdlp_options={"proxy": ""}, folder="videos", progress=False,
    )  # fmt: skip
    video: youtube.Video = youtube.download("https://youtu.be/x")
    print(video.title, youtube.forget("https://youtu.be/x"))
    fit = LandmarkParameters()
    fit.iterations = 10
    one: pd.DataFrame = pyopenface.analyze(
        path, model="clnf", models="weights", au="static", postprocess=False, max_faces=3,
        identity="track", kind="video",
        start=0.5, end=9.5, every=2, roi=(0, 0, 320, 240), timestamps="container",
        camera=(500.0, 500.0, 160.0, 120.0), wild=True, multi_view=True, threads=2, progress=False,
        on_frame=on_frame, output="rows.csv",
    )  # fmt: skip
    many = pyopenface.analyze(["a.mp4", "b.mp4"], on_error="skip", workers=2, output=Path("results"))
    many = pyopenface.analyze("https://youtu.be/x", parameters=fit, download={"height": 480})
    array = pyopenface.analyze(np.zeros((5, 60, 80, 3), np.uint8), fps=25, rgb=True, au=None)
    return pd.concat([one, many, array])


def live(images: list[Image]) -> None:
    part = sources.Selection(start=0.5, every=2)
    opened: list[sources.Source] = [
        sources.open_source(images, fps=25),
        sources.ArraySource(np.stack(images), part, fps=25),
        sources.IterableSource(iter(images), part, timestamps=[0.0, 0.1]),
        sources.VideoSource(Path("a.mp4"), part, timestamps="container"),
        sources.ImageSource([Path("a.png")]),
        sources.CameraSource(0, size=(1280, 720)),
    ]
    for source in opened:
        with source:
            for frame in sources.prefetch(source):
                image: sources.Image = frame.image
                print(frame.number, frame.timestamp, image.shape, sources.default_camera(640, 480))
    again: sources.Frame = sources.Frame(sources.read_image("a.png"), timestamp=0.0, number=1)
    print(again.path)
    for number, seconds, faces in pyopenface.analyze_iter(0, live=True):
        for face in faces:
            print(number, seconds, face.id, face.landmarks_2d[30], face.pose, face.gaze_angle, face["AU12_r"])
            units: dict[str, float] = face.action_units
            print(units, face.box, face.to_dict())
    detector, analyser, eyes = LandmarkDetector("clnf"), FaceAnalyser(), GazeAnalyser()
    tracker = FaceTracker(max_faces=3, identity="track")
    for image in images:
        print([face.identity_confidence for face in tracker.update(image, timestamp=0.0)])
        found: Face = detector.update(image, timestamp=0.0)
        everyone: list[Face] = detector.detect(image)
        gaze: Gaze = eyes.analyse(found)
        measured: AnalysedFace = analyser.update(image, found.landmarks_2d, found.success)
        measured = analyser.update(image, found)
        pyopenface.draw_face(image, found.to_dict())
        print(len(everyone), gaze.gaze_angle, measured)


def results(df: pd.DataFrame) -> None:
    of = OpenFaceAccessor(df)
    clean: pd.DataFrame = of.confident(0.8)
    landmarks: npt.NDArray[np.float64] = of.landmarks(0, missing="nan")
    wide: pd.DataFrame = OpenFaceAccessor(clean).wide("AU12_r")
    print(landmarks.shape, of.faces, of.summary(), of.pose(degrees=False), of.gaze(), of.blinks())
    OpenFaceAccessor(of.interpolate(0.3)).smooth(5).pipe(OpenFaceAccessor).resample(10, "mean")
    print(of.landmarks_3d(0).shape, of.eye_landmarks(0, dimensions=3).shape, of.face(0), of.missing("drop"))
    of.to_csv("df.csv", spaced_header=True)
    print(of.rename_faces({0: "Ann"}), of.merge_faces, of.split_face(0, at_frame=10), of.swap_faces(0, 1, 5))
    plot.positions(df, 0.8)[0].set_title("where")
    plot.face(df, 0).set_title("who")
    plot.action_units(df, ["AU12"]), plot.gaze(df), plot.gaze_density(df), plot.pose(df), plot.confidence(df)
    synchrony.correlation(wide), synchrony.correlation_matrix(wide), synchrony.rolling_correlation(wide, 3)
    synchrony.pick_peaks(synchrony.windowed_cross_correlation(wide, 3, 1.5))
    synchrony.phase_synchrony(wide, 3, band=(0.2, 2)), synchrony.surrogate_test(wide, 2, seed=1)
    synchrony.pseudo_pairs({"monday": wide, "tuesday": synchrony.shuffle_segments(wide, 2)})


def files(df: pd.DataFrame) -> None:
    pyopenface.to_openface_csv(df, "df.csv")
    pyopenface.to_parquet(df, Path("df.parquet"))
    print(pyopenface.read_openface_csv("df.csv").equals(pyopenface.read_parquet("df.parquet")))
    layout: columns.Layout = columns.layout("sequence", ["pose", "aus"])
    with table.CsvWriter("rows.csv", layout) as writer:
        writer.write_rows(np.zeros((1, len(layout))))
    with HogWriter("faces.hog") as hog:
        print(hog)
    column: columns.Column = columns.describe("AU12_r")
    whole: pd.DataFrame = table.to_dataframe(np.zeros((1, len(layout))), layout)
    print(whole, columns.table("image"), columns.markdown(), columns.GROUPS, columns.FRAMES_OF_REFERENCE)
    print(columns.AU_NAMES["AU12"], columns.AU_INTENSITIES, columns.AU_PRESENCES)
    video: Path = pyopenface.annotate("a.mp4", df, "annotated.mp4", head_box=False)
    print(column.unit, video, pyopenface.show(video), pyopenface.read_hog("faces.hog"))
    print(pyopenface.__version__, pyopenface.build_config())


def careful() -> None:
    try:
        results(videos())
    except (SourceError, DownloadError, OutputError) as error:
        print(error.errno, error)
    except (InputError, ModelError, StateError) as error:
        print(error)
    except pyopenface.Error:
        raise
