"""The process runner: a container's program as a plain process of this machine.

What is weaker than a pod: paths are rewritten in texts (a path that a program computes is not seen), ``/`` is the
host's, and steps see the host's files, network and processes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tiphys.engine.runners.base import Container, StartProblem
from tiphys.engine.runners.relocate import Relocation
from tiphys.engine.runners.spawner import Launch

__all__ = ["STANDINS", "ProcessRunner", "own_command"]

STANDINS = Path(__file__).with_name("standins")


def own_command(command: Sequence[str]) -> list[str]:
    """Commands that mean a part of this environment: python, and the model server."""
    name = command[0]
    if name in ("python", "python3", "/usr/bin/python3", "/usr/local/bin/python", "/usr/local/bin/python3"):
        return [sys.executable, *command[1:]]
    if name in ("tensorflow_model_server", "/usr/bin/tensorflow_model_server"):
        return [sys.executable, "-m", "tiphys.serving", *command[1:]]
    return list(command)


class ProcessRunner:
    """Runs containers as processes of the host."""

    name = "process"
    limits_memory = False
    slowness = 0.0
    not_run: tuple[int, ...] = ()

    @property
    def last(self) -> Sequence[str]:
        return ()

    def check(self) -> str:
        return ""

    def execute(self, container: Container, command: Sequence[str]) -> Launch:
        """What to start for a command beside a container that runs, in the same files."""
        return self.launch(container.beside(command))

    def launch(self, container: Container) -> Launch:
        """What to start. Raises StartProblem with Argo's text when the program is not there."""
        relocation = Relocation(container)
        for script in container.scripts:
            script.write_text(relocation.text(script.read_text()))
        env = dict(container.base_env)
        for name, value in container.env.items():
            env[name] = relocation.value(value)
        env["TMPDIR"] = relocation.place("/tmp")
        argv = relocation.texts(container.command)
        if not argv:
            raise StartProblem(
                f"{container.name}: Error (exit code 64): the image {container.image.name} has no known "
                "entrypoint; give the container a command",
                code=64,
            )
        argv = own_command(argv)
        path = find_program(argv[0], env.get("PATH", ""), container.root)
        if path is None:
            raise not_found(container.name, argv[0])
        workdir = container.root
        if container.workdir != "/":
            workdir = container.on_host(container.workdir)
            workdir.mkdir(parents=True, exist_ok=True)
        return Launch(path, argv, env, str(workdir), str(container.log))


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
