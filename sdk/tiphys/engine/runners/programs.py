"""Which program of this machine a container's command means, and where what a step installs goes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tiphys.engine.runners.base import StartProblem

__all__ = ["PACKAGES", "STANDINS", "find_program", "keep_packages", "not_found", "own_command"]

STANDINS = Path(__file__).with_name("standins")
PACKAGES = "/tmp/.tiphys/packages"  # what a step installs


def own_command(command: Sequence[str]) -> list[str]:
    """Commands that mean a part of this environment: python, and the model server."""
    name = command[0]
    if name in ("python", "python3", "/usr/bin/python3", "/usr/local/bin/python", "/usr/local/bin/python3"):
        return [sys.executable, *command[1:]]
    if name in ("tensorflow_model_server", "/usr/bin/tensorflow_model_server"):
        return [sys.executable, "-m", "tiphys.serving", *command[1:]]
    return list(command)


def keep_packages(env: dict[str, str], place: str) -> None:
    """Let ``pip install`` in a step write to a folder of the step, and Python find it there: the environment that
    stands for the image is this machine's own."""
    env.setdefault("PIP_TARGET", place)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (env.get("PYTHONPATH"), place)))
    env["PATH"] = os.pathsep.join(filter(None, (env.get("PATH"), f"{place}/bin")))


def find_program(name: str, search: str, root: Path) -> str | None:
    """The file of a program: as given, in the step's folder, on PATH, or one of the stand-ins."""
    if "/" in name:
        if _runs(name):
            return name
        others = (str(root / name.lstrip("/")), str(STANDINS / os.path.basename(name)))
        return next((path for path in others if _runs(path)), None)
    return shutil.which(name, path=search)


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def not_found(container: str, name: str) -> StartProblem:
    """Argo's words for a program that is not there (the executor ends with code 64)."""
    why = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
    text = f'failed to find name in PATH: exec: "{name}": {why}'
    return StartProblem(f"{container}: Error (exit code 64): {text}", code=64)
