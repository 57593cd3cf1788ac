"""How a worker calls the author's function: what the step's runner and torchrun understand."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.dsl import library
from tiphys.dsl.worker_command import called, torchrun


def test_the_function_is_called_with_its_inputs() -> None:
    command = called("tests.dsl.library", library.greet)
    env = {**os.environ, "TIPHYS_INPUT_NAME": "you", "TIPHYS_OUTPUTS": os.devnull + "/no"}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=env, capture_output=True, text=True, check=False
    )
    assert "NotADirectoryError" in done.stderr  # it has been called: what it returns has no place


def test_a_function_without_a_result_needs_no_place_for_outputs() -> None:
    inputs = {"TIPHYS_INPUT_DATA": "d", "TIPHYS_INPUT_OUTPUT": "o", "TIPHYS_INPUT_WORK": "w"}
    env = {**os.environ, **inputs, "TIPHYS_OUTPUTS": os.devnull + "/no"}
    command = called("tests.dsl.library", library.train)
    assert subprocess.run([sys.executable, *command[1:]], env=env, check=False).returncode == 0


def test_torchrun_calls_the_same() -> None:
    """``torchrun [options] -m MODULE ARGUMENT``, whose options are in ``PET_…``."""
    command = called("a.b", library.train)
    assert torchrun(command) == ["python", "-m", "torch.distributed.run", *command[1:]]
    assert command[1:3] == ["-m", "tiphys.step"]
