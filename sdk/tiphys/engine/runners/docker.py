"""The docker runner: containers in their own images, through the docker (or podman) program."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

from tiphys.engine.runners.base import Container
from tiphys.engine.runners.process import ProcessRunner
from tiphys.engine.runners.spawner import Launch

__all__ = ["DockerRunner"]

# paths of a container that its image owns: only what is declared below them may be shared with the host
_NOT_SHARED = {
    "/",
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
}


class DockerRunner:
    """Runs each container with ``docker run`` on the host's network; the client's end ends the container.

    The folders of declared inputs and outputs, ``/tmp`` and the volumes are bind mounts of the step's private
    folder, so outputs are read as with the other runners. A declared path directly below ``/`` is not supported.
    """

    name = "docker"

    def __init__(self) -> None:
        self._program = shutil.which("docker") or shutil.which("podman") or ""

    def check(self) -> str:
        """Why it cannot be used here, or an empty string."""
        return _check(self._program)

    def launch(self, container: Container) -> Launch:
        """What to start."""
        if container.image.kind in ("project", "serving", "host"):
            return self._here(container)
        name = f"tiphys-{container.env.get('ARGO_NODE_ID', container.hostname)}-{container.name}"[:120]
        command = [
            self._program,
            "run",
            "--rm",
            "--init",
            "--network=host",
            f"--name={name}",
            "--pull=missing",
        ]
        command += [f"--user={os.geteuid()}:{os.getegid()}"]
        shared = {"/tmp": container.root / "tmp"}
        for path in container.declared:
            parent = os.path.dirname(os.path.normpath(path))
            if parent not in _NOT_SHARED and not parent.startswith("/tmp"):
                shared.setdefault(parent, container.on_host(parent))
        for target, source in shared.items():
            source.mkdir(parents=True, exist_ok=True)
            command.append(f"--volume={source}:{target}")
        if (container.root / "argo").is_dir():
            command.append(f"--volume={container.root / 'argo'}:/argo")
        for mount in container.mounts:
            suffix = ":ro" if mount.read_only else ""
            command.append(f"--volume={mount.source}:{mount.path}{suffix}")
        if container.workdir != "/":
            command.append(f"--workdir={container.workdir}")
        # values go through the client's environment: they do not show in the process list
        for key in container.env:
            command += ["--env", key]
        words = list(container.command)
        if words and not container.own_entrypoint:
            command += ["--entrypoint", words[0], container.image.name, *words[1:]]
        else:
            command += [container.image.name, *words]
        env = {**os.environ, **container.env}
        return Launch(self._program, command, env, "/", str(container.log))

    def _here(self, container: Container) -> Launch:
        """The project's own images need no container."""
        return ProcessRunner().launch(container)


@functools.cache
def _check(program: str) -> str:
    if not program:
        return "neither docker nor podman is installed"
    try:
        done = subprocess.run([program, "info"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (
        ""
        if done.returncode == 0
        else (done.stderr.strip().splitlines() or ["the daemon does not answer"])[-1]
    )
