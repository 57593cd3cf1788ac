"""The process runner: a container's program as a plain process of this machine.

What is weaker than a pod: paths are rewritten in texts, ``/`` is the host's, and steps see the host's files,
network and processes. A step that must make a file whose path no text of it names runs as with the sandbox runner,
where that can be had: its code computes the path.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from tiphys.engine.runners.base import Container, StartProblem, absolute
from tiphys.engine.runners.gpus import visible_devices
from tiphys.engine.runners.network import HostNetwork, Network
from tiphys.engine.runners.places import make_folders
from tiphys.engine.runners.programs import PACKAGES, find_program, keep_packages, not_found, own_command
from tiphys.engine.runners.relocate import Relocation
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.engine.runners.spawner import Launch
from tiphys.step.report import REPORT

__all__ = ["ProcessRunner"]

_HERAS_RUNNER = "hera.workflows.runner"
_HERA = "/tmp/hera-outputs"  # hera.workflows.script.RunnerScriptConstructor.DEFAULT_HERA_OUTPUTS_DIRECTORY
_SYSTEM = tuple(f"/{each}/" for each in ("etc", "usr", "var", "opt", "bin", "sbin", "lib", "lib32", "lib64"))


class ProcessRunner:
    """Runs containers as processes of the host."""

    name = "process"
    limits_memory = False
    slowness = 0.0
    not_run: tuple[int, ...] = ()
    network: Network = HostNetwork()

    @property
    def last(self) -> Sequence[str]:
        return ()

    def check(self) -> str:
        return ""

    def execute(self, container: Container, command: Sequence[str]) -> Launch:
        """What to start for a command beside a container that runs, in the same files."""
        if container.confined:
            return SandboxRunner().execute(container, command)
        return self.launch(container.beside(command))

    def launch(self, container: Container) -> Launch:
        """What to start. Raises StartProblem with Argo's text when the program is not there."""
        relocation = Relocation(container)
        if _computes_paths(container, relocation) and not SandboxRunner().check():
            return SandboxRunner().launch(container)
        container.shown = [
            path
            for path in map(absolute, container.declared)
            if container.on_host(path).is_relative_to(container.root) and _of_image(path)
        ]
        for script in container.scripts:
            script.write_text(relocation.text(script.read_text()))
        _make_folders(container)
        own = {**visible_devices(container.gpus), **_told(container), **container.env}
        env = {**container.base_env, **relocation.values(own)}
        env["TMPDIR"] = relocation.place("/tmp")
        if REPORT not in env and (told := container.told) is not None:
            env[REPORT] = told
        keep_packages(env, relocation.place(PACKAGES))
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
            made = make_folders(container.workdir, container.root, container.mounts)
            workdir = container.on_host(made)
        return Launch(path, argv, env, str(workdir), container.log)


def _of_image(path: str) -> bool:
    """Whether an image has this file or folder too: one of the system's, which was there before the step. What
    anyone may write to is the step's own or nobody's."""
    above = os.path.realpath(os.path.dirname(path))
    real = os.path.join(above, os.path.basename(path))
    return f"{real}/".startswith(_SYSTEM) and not f"{real}/".startswith("/var/tmp/") and os.path.exists(real)


def _make_folders(container: Container) -> None:
    """The nearest folder above each declared path that an image has, as this machine has it (``/mnt``, ``/opt``)."""
    for path in container.declared:
        above = PurePosixPath(absolute(path)).parent
        while not os.path.isdir(above):
            above = above.parent
        place = container.on_host(str(above))
        if place.is_relative_to(container.root):
            place.mkdir(parents=True, exist_ok=True)


def _computes_paths(container: Container, relocation: Relocation) -> bool:
    """Whether the program makes paths itself, where no text can be replaced: an output that must be there and that no
    text names or that the image has, or the inputs of Hera's runner. Such a step gets a file system of its own where
    that is to be had."""
    if container.declared and _HERAS_RUNNER in container.command:
        return True
    if not container.outputs:
        return False
    if any(map(_of_image, container.outputs)):  # what is moved would hide what the image has there
        return True
    texts = [
        *container.command,
        *(value for name, value in container.env.items() if not name.startswith("ARGO_")),
        *(script.read_text() for script in container.scripts),
    ]
    inside = container.workdir.rstrip("/") + "/"
    return any(
        not any(relocation.names(path, text) for text in texts)
        and (inside == "/" or not path.startswith(inside))
        for path in container.outputs
    )


def _told(container: Container) -> dict[str, str]:
    """Paths that a well-known program computes itself, where a variable can tell it: those of Hera's runner."""
    if any(path.startswith(_HERA + "/") for path in container.declared):
        return {"hera__outputs_directory": _HERA}
    return {}
