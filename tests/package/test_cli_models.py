"""The command line: what it prints, its exit codes, and that nobody sees a traceback."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from small_weights import LARGE, WeightsServer

import pyopenface
from pyopenface import cli
from pyopenface import models as weights
from pyopenface.models import CEN_FILES


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, with the environment of the test."""
    return subprocess.run(
        [sys.executable, "-m", "pyopenface", *arguments], capture_output=True, text=True, timeout=60
    )


def test_path_prints_the_folder(small_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "path", "--folder", str(small_weights)]) == 0
    assert capsys.readouterr().out == f"{small_weights}\n"


def test_without_weights_there_is_one_message_and_code_1(clean_machine: Path) -> None:
    run = run_program("models", "path")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("pyopenface: No weights of OpenFace were found.")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["models"], ["models", "download", "deep"]])
def test_wrong_usage_is_code_2(arguments: list[str], clean_machine: Path) -> None:
    run = run_program(*arguments)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: pyopenface")


def test_list_shows_each_model_and_what_auto_chooses(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "MAIN_FILES", {name: weights.MAIN_FILES[name] for name in ("ceclm", "clnf")})
    monkeypatch.setenv("PYOPENFACE_MODELS", str(small_weights))
    (small_weights / CEN_FILES[1]).unlink()
    assert cli.main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{small_weights}  (PYOPENFACE_MODELS)"
    assert lines[1].split()[0] == "ceclm"
    assert lines[1].endswith(f"1 files missing, such as {CEN_FILES[1]}")
    assert lines[2].split()[0] == "clnf"
    assert lines[2].endswith("complete")
    assert lines[3] == "auto chooses clnf"


def test_verify_is_silent_about_good_files(small_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "verify", "--folder", str(small_weights)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert cli.main(["models", "verify", "-v", "--folder", str(small_weights)]) == 0
    assert str(small_weights / LARGE) in capsys.readouterr().out


def test_verify_names_what_is_wrong(small_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_weights / LARGE).write_bytes(b"half")
    (small_weights / "model/tris_68.txt").unlink()
    assert cli.main(["models", "verify", "clnf", "--folder", str(small_weights)]) == 1
    told = capsys.readouterr()
    assert f"wrong size       {small_weights / LARGE}" in told.out
    assert "missing          model/tris_68.txt" in told.out
    assert "pyopenface models download" in told.err


def test_verify_does_not_ask_for_models_that_nobody_fetched(
    small_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.download("clnf", from_=small_weights)
    assert cli.main(["models", "verify"]) == 0
    weights.download("ceclm", from_=small_weights)
    (weights.default_folder() / CEN_FILES[0]).unlink()
    assert cli.main(["models", "verify"]) == 1
    assert f"missing          {CEN_FILES[0]}" in capsys.readouterr().out


def test_download_prints_the_folder(
    weights_server: WeightsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "here"
    arguments = ["models", "download", "clnf", "--folder", str(folder), "--source", weights_server.url]
    assert cli.main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == f"{folder}\n"
    assert "non-commercial" in told.err
    assert "%" not in told.err  # no progress bar where standard error is no terminal


def test_a_failed_download_is_one_message_and_code_1(
    weights_server: WeightsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_server.habits[LARGE] = ["page"]
    assert cli.main(["models", "download", "--source", weights_server.url]) == 1
    assert "a web page instead of the file" in capsys.readouterr().err


def test_download_from_a_folder(small_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "download", "--from", str(small_weights)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{weights.default_folder()}\n"
    assert f"files taken from {small_weights}" in told.err


def test_ctrl_c_ends_with_code_130_and_no_traceback(clean_machine: Path) -> None:
    script = (
        "import sys, time; from pyopenface import cli, models\n"
        "def slow(*_, **__): print('begun', flush=True); time.sleep(60)\n"
        "models.download = slow\n"
        "sys.exit(cli.main(['models', 'download']))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=30)
    assert run.returncode == 130
    assert told == "pyopenface: interrupted\n"


def test_a_reader_that_goes_away_is_no_error(models: Path, clean_machine: Path) -> None:
    environment = dict(os.environ, PYOPENFACE_MODELS=str(models), PYTHONUNBUFFERED="1")
    command = f"{sys.executable} -m pyopenface models verify clnf -v | true"
    run = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, timeout=60)
    assert run.stderr == ""


def test_info_prints_what_build_config_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    config = pyopenface.build_config()
    assert set(printed) == set(config)
    assert printed["version"] == config["version"] == pyopenface.__version__
    assert config["instruction_set"] in config["instruction_sets"]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pyopenface {pyopenface.__version__}\n"


def test_a_command_can_take_its_line_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[str] = []

    def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        parser = subparsers.add_parser("AsTyped", add_help=False, prefix_chars="\0")
        parser.add_argument("arguments", nargs="*")
        parser.set_defaults(run=lambda arguments: received.extend(arguments.arguments) or 7)

    module = types.ModuleType("commands_of_a_test")
    module.register = register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMAND_MODULES", (*cli.COMMAND_MODULES, module.__name__))
    line = ["-f", "a.avi", "-f", "b.avi", "-2Dfp", "-h", "-vis-track", "-fx", "500", "--version"]
    assert cli.main(["AsTyped", *line]) == 7
    assert received == line


def test_the_command_line_starts_quickly() -> None:
    heavy = ["pooch", "requests", "pandas", "scipy", "matplotlib", "av", "yt_dlp"]
    script = f"import sys; from pyopenface import cli; cli._parser(); print(set({heavy}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
