"""The docker runner: containers in their own images, through the docker (or podman) program."""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.engine.runners.base import Container, absolute, given_reports
from tiphys.engine.runners.gpus import visible_devices
from tiphys.engine.runners.network import HostNetwork, Network
from tiphys.engine.runners.process import ProcessRunner
from tiphys.engine.runners.resources import memory_limit
from tiphys.engine.runners.spawner import Launch

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSecurity


__all__ = ["DockerRunner"]

# $1 program, $2 container, $3 how many outputs; then pairs (path in the container, path here), then the command line.
# SIGTERM goes to the client, which hands it on; this shell stays to bring out what the container made.
_SHELL = """ended=; trap ended=1 TERM
program=$1 name=$2 count=$3; shift 3
outputs=''; i=0
while [ $i -lt $count ]; do eval "from_$i=\\$1 to_$i=\\$2"; shift 2; i=$((i+1)); done
"$@"; code=$?
if [ -n "$ended" ]; then # a client that is told to end before its container has started says 0
  case $("$program" inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$name" 2>/dev/null) in
  exited\\ *|stopped\\ *) ;;
  *) code=143 ;;
  esac
fi
i=0
while [ $i -lt $count ]; do
  eval "from=\\$from_$i to=\\$to_$i"
  if [ -d "$to" ]; then from=$from/.; fi # made for what lies below it: cp would go into it
  "$program" cp "$name:$from" "$to" >/dev/null 2>&1
  i=$((i+1))
done
"$program" rm -f "$name" >/dev/null 2>&1
exit $code"""
# variables that would change what the client itself does
_CLIENTS = ("HOME", "PATH", "DOCKER_", "CONTAINER", "XDG_", "LD_", "BUILDAH_", "STORAGE_", "TMPDIR")
_INITS = ("/usr/libexec/podman/catatonit", "/usr/local/libexec/podman/catatonit", "/usr/lib/podman/catatonit")


class DockerRunner:
    """Runs each container with ``docker run`` on the host's network.

    ``/tmp`` and the volumes are bind mounts of the step's private folder; declared inputs are mounted one by one, and
    declared outputs that lie elsewhere are copied out of the ended container, so that nothing of the image is hidden.
    Memory and CPU limits, ``runAsUser`` and ``readOnlyRootFilesystem`` are given to the program.
    """

    name = "docker"
    limits_memory = True
    slowness = 10.0
    not_run: tuple[int, ...] = (125, 126, 127)
    network: Network = HostNetwork()

    def __init__(self, *, network: str = "host") -> None:
        self._network = network
        self._program = shutil.which("docker") or shutil.which("podman") or ""
        if _check(self._program) and (other := shutil.which("podman")):
            self._program = other  # a client without its daemon
        self._label = f"tiphys.run={secrets.token_hex(8)}"
        self._names: dict[tuple[Path, str], str] = {}

    @property
    def last(self) -> Sequence[str]:
        """A command that removes what is left of this run."""
        line = f'"$0" ps -aq --filter label={self._label} | xargs -r "$0" rm -f'
        return ["/bin/sh", "-c", line, self._program]

    def check(self) -> str:
        """Why it cannot be used here, or an empty string."""
        return _check(self._program)

    def execute(self, container: Container, command: Sequence[str]) -> Launch:
        """What to start for a command in a container that runs."""
        name = self._names.get((container.root, container.name))
        if name is None:
            return ProcessRunner().execute(container, command)
        argv = [self._program, "exec", name, *command]
        return Launch(self._program, argv, dict(os.environ), "/", os.devnull)

    def launch(self, container: Container) -> Launch:
        """What to start."""
        if container.image.kind in ("project", "serving", "host"):
            return ProcessRunner().launch(container)  # the project's own images need no container
        container.confined = True
        given_reports(container)
        name = f"tiphys-{container.env.get('ARGO_NODE_ID', container.hostname)}-{container.name}"[:110]
        name = self._names[container.root, container.name] = f"{name}-{secrets.token_hex(3)}"
        run = [
            self._program,
            "run",
            f"--network={self._network}",
            f"--name={name}",
            "--pull=missing",
            "--label",
            self._label,
        ]
        podman = os.path.basename(self._program) == "podman"
        if not podman or shutil.which("catatonit") or _any_file(_INITS):
            run.append("--init")
        run += _identity(container, self._program)
        if (container.spec.get("securityContext") or {}).get("readOnlyRootFilesystem"):
            run += ["--read-only", "--read-only-tmpfs=false"] if podman else ["--read-only"]
        run += _limits(container)
        volumes, outputs = _files(container)
        run += [f"--volume={volume}" for volume in volumes]
        if container.workdir != "/":
            run.append(f"--workdir={container.workdir}")
        env = dict(os.environ)
        run += _gpus(container, podman=podman)
        for key, value in {**visible_devices(container.gpus, alone=True), **container.env}.items():
            if key.startswith(_CLIENTS):
                run.append(f"--env={key}={value}")
            else:  # through the client's environment: it does not show in the process list
                run.append(f"--env={key}")
                env[key] = value
        words = list(container.command)
        if words and not container.own_entrypoint:
            run += ["--entrypoint", words[0], container.image.name, *words[1:]]
        else:
            run += [container.image.name, *words]
        pairs = [each for pair in outputs for each in pair]
        argv = ["/bin/sh", "-c", _SHELL, "tiphys", self._program, name, str(len(outputs)), *pairs, *run]
        kill = (self._program, "kill", name)
        return Launch("/bin/sh", argv, env, "/", container.log, kill=kill)


def _identity(container: Container, program: str) -> list[str]:
    """Whom the container runs as: ``runAsUser`` and ``runAsGroup``, else the image's user; a plain user of docker runs
    it as itself, so that what it leaves can be removed."""
    security: ContainerSecurity = container.spec.get("securityContext") or {}
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    if user is not None:
        return [f"--user={user}" if group is None else f"--user={user}:{group}"]
    if os.geteuid() != 0 and os.path.basename(program) != "podman":
        return [f"--user={os.geteuid()}:{os.getegid()}"]
    return []


def _limits(container: Container) -> list[str]:
    found = []
    if memory := memory_limit(container.spec):
        found += [f"--memory={memory}", f"--memory-swap={memory}"]
    cpu = ((container.spec.get("resources") or {}).get("limits") or {}).get("cpu")
    if cpu not in (None, ""):
        # more than the machine has would be refused
        found.append(f"--cpus={min(quantity(cpu), float(os.cpu_count() or 1)):g}")
    return found


def _files(container: Container) -> tuple[list[str], list[tuple[str, str]]]:
    """Bind mounts, and outputs to be copied out of the ended container: (path there, path here)."""
    temporary = container.root / "tmp"
    volumes, open_to_all = [], []
    if all(mount.path != "/tmp" for mount in container.mounts):
        volumes, open_to_all = [f"{temporary}:/tmp"], [temporary]
    if (container.root / "argo").is_dir():
        volumes.append(f"{container.root / 'argo'}:/argo")
    for mount in container.mounts:
        volumes.append(f"{mount.source}:{mount.path}{':ro' if mount.read_only else ''}")
        if not mount.read_only:
            open_to_all.append(mount.source)
    for folder in open_to_all:
        if folder.is_dir() and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o1777)  # the image's user may be any
    covered = ["/tmp", *(mount.path for mount in container.mounts)]
    outputs = []
    folders = []
    for path in dict.fromkeys(absolute(each) for each in container.declared):
        if any(path == each or path.startswith(each.rstrip("/") + "/") for each in covered):
            continue
        here = container.on_host(path)
        if here.exists():
            volumes.append(f"{here}:{path}")
        else:
            folders.append(here.parent)
            outputs.append((path, str(here)))
    for folder in folders:  # not before: an output above another one is no input
        folder.mkdir(parents=True, exist_ok=True)
    return volumes, outputs


def _gpus(container: Container, *, podman: bool) -> list[str]:
    """Its GPUs, and no others: docker takes UUIDs and numbers; podman the names of the toolkit's CDI specification, in
    which a whole GPU always has its number (nvidia-ctk cdi generate)."""
    if not container.gpus:
        return []
    if podman:
        named = [str(gpu.index) if not gpu.uuid.startswith("MIG-") else gpu.uuid for gpu in container.gpus]
        return [f"--device=nvidia.com/gpu={name}" for name in named]
    return ["--gpus", f'"device={",".join(gpu.name for gpu in container.gpus)}"']


def _any_file(paths: Sequence[str]) -> bool:
    return any(os.path.isfile(path) for path in paths)


@functools.cache
def _check(program: str) -> str:
    if not program:
        return "neither docker nor podman is installed"
    try:
        done = subprocess.run([program, "info"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["the daemon does not answer"])[-1]
