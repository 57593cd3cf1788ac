"""What every runner offers: turn a container of a pod into something to start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tiphys.engine.runners.gpus import Gpu
from tiphys.engine.runners.images import Image
from tiphys.engine.runners.network import Network
from tiphys.engine.runners.spawner import Launch
from tiphys.frozen import frozen
from tiphys.step.report import REPORT
from tiphys.store.reports import REPORT_FILE

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec


__all__ = [
    "NOTHING",
    "Container",
    "Mount",
    "Runner",
    "StartProblem",
    "exit_message",
    "given_reports",
    "place_of",
    "startable",
]

NOTHING = Path("/dev/null/nothing")
"""The source of a mount that hides what is there: nothing ever is below a device."""
_REPORTS = "/var/lib/tiphys"
_KERNEL = ("dev", "proc", "sys")  # not files, and not kept when the processes are gone


class StartProblem(Exception):
    """A container cannot be started; ``message`` is what Argo would write, ``phase`` the node's phase."""

    def __init__(
        self, message: str, *, phase: Literal["Failed", "Error"] = "Failed", code: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.code = code


def startable(launch: Launch, name: str) -> Launch:
    """A launch that the kernel can be asked for. Raises StartProblem, as a container runtime that cannot start it."""
    for variable in launch.env:
        if not variable or "=" in variable:
            raise StartProblem(
                f"{name}: StartError (exit code 128): {variable!r} is no variable", phase="Error", code=128
            )
    texts = [launch.path, launch.cwd, *launch.argv, *launch.env, *launch.env.values()]
    joined = "\0".join(texts)  # one look at all, mostly
    if joined.count("\0") == len(texts) - 1 and _encodes(joined):
        return launch
    for text in texts:
        why = "holds a NUL" if "\0" in text else "" if _encodes(text) else "holds half a character"
        if why:
            raise StartProblem(
                f"{name}: StartError (exit code 128): an argument or variable {why}", phase="Error", code=128
            )
    return launch


def _encodes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def exit_message(name: str, code: int, *, oom_killed: bool = False) -> str:
    """Argo's words for a container that ended badly (the controller's inferFailedReason)."""
    return f"{name}: {'OOMKilled' if oom_killed else 'Error'} (exit code {code})"


@frozen
class Mount:
    """``path`` in the container is ``source`` on this machine."""

    path: str
    source: Path
    read_only: bool = False


@dataclass(slots=True)
class Container:
    """One container, ready to be started: everything is resolved, paths are still those of the container."""

    name: str
    image: Image
    command: Sequence[str]
    env: Mapping[str, str]  # its own variables, with the container's paths
    base_env: Mapping[str, str]  # those of the image, with this machine's paths
    workdir: str
    root: Path  # its private root folder
    mounts: Sequence[Mount]
    declared: Sequence[str]  # paths of inputs and outputs
    hostname: str
    log: str
    spec: ContainerSpec  # as the template has it
    own_entrypoint: bool = (
        False  # the container gave no command: ``command`` holds what its image does not know
    )
    confined: bool = False  # it was started in a file system of its own
    outputs: Sequence[str] = ()  # paths that must be there when it ends
    scripts: Sequence[Path] = field(default_factory=tuple)  # files on this machine whose text may name paths
    view: Sequence[Mount] = ()  # all that its runner laid over the root: the mounts, and the image's files
    hidden: Sequence[Path] = ()  # folders of this machine that it must not see by their own paths: the store
    gpus: Sequence[Gpu] = ()  # its own
    nodes: Mapping[str, str] = field(
        default_factory=dict
    )  # by which it opens them: its path -> that on this machine
    drivers: Mapping[str, str] = field(
        default_factory=dict
    )  # libraries by which: the name of each -> where it is
    # what its file of reports is called on this machine, where it is given none (given_reports)
    reports: str | None = None
    shown: Sequence[str] = ()  # declared paths that a plain process finds on this machine, as if in its image

    def beside(self, command: Sequence[str]) -> Container:
        """A second container with the same files and environment, for a command whose output nobody reads."""
        return replace(self, command=command, scripts=(), outputs=(), log=os.devnull, own_entrypoint=False)

    @property
    def told(self) -> str | None:
        """The file on this machine in which it tells what it has to tell (:mod:`tiphys.step.report`)."""
        if (path := self.env.get(REPORT)) is not None:
            return str(self.on_host(path))
        return None if self.reports is None else f"{self.reports}.jsonl"

    def on_host(self, path: str) -> Path:
        """Where an absolute (or, from ``/``, relative) path of the container is on this machine."""
        return place_of(path, self.root, self.mounts)

    def seen(self, path: str) -> Path:
        """Like :meth:`on_host`, also for what its runner shows it of the image. Only to be read."""
        return place_of(path, self.root, self.view or self.mounts)

    def below(self, path: str) -> dict[str, Path]:
        """What is mounted below a path: the rest of the path -> where it is on this machine. Below the root of an image
        for which this machine stands, only the volumes: the rest is all of this machine."""
        top = "/" + path.strip("/") + "/" if path.strip("/") else "/"
        whole = top == "/" and self.image.kind != "root"
        return {
            mount.path[len(top) :]: mount.source
            for mount in reversed(self.mounts if whole else self.view or self.mounts)
            if mount.path.startswith(top) and mount.path != top
        }

    def found(self, path: str, *, follow: bool = True) -> Path | None:
        """Where a path of the container is on this machine, its links followed as the container sees them, never
        those of the host; None when nothing is there, or only what the kernel makes. Without ``follow`` the
        last of the path may be a link itself."""
        done: list[str] = []
        left = [part for part in absolute(path).split("/") if part]
        for _ in range(256):
            if not left:
                place = self.seen("/" + "/".join(done))
                kernel = self.view and done[:1] and done[0] in _KERNEL and place.is_relative_to(self.root)
                return place if os.path.lexists(place) and not kernel else None
            part = left.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            place = self.seen("/" + "/".join([*done, part]))
            if not place.is_symlink() or not (left or follow):
                done.append(part)
                continue
            target = os.readlink(place)
            left = [*target.split("/"), *left]
            if target.startswith("/"):
                done = []
        return None


def given_reports(container: Container) -> None:
    """Of one that has files of its own: a folder in which it tells what it has to tell."""
    if container.reports is not None and REPORT not in container.env:
        folder = Path(container.reports)
        folder.mkdir(exist_ok=True)
        container.mounts = [*container.mounts, Mount(_REPORTS, folder)]
        container.env = {**container.env, REPORT: f"{_REPORTS}/{REPORT_FILE}"}


def absolute(path: str) -> str:
    """A path of a container in its normal form; a relative one is taken from ``/``."""
    return os.path.normpath("/" + path.lstrip("/"))


def place_of(path: str, root: Path, mounts: Sequence[Mount]) -> Path:
    """Where a container's path is on this machine: in the mount that is nearest, else below ``root``."""
    path = absolute(path)
    best: Mount | None = None
    for mount in mounts:
        inside = path == mount.path or path.startswith(mount.path.rstrip("/") + "/")
        if inside and (best is None or len(mount.path) > len(best.path)):
            best = mount
    if best is None:
        return root / path[1:]
    rest = path[len(best.path) :].lstrip("/")
    return best.source / rest if rest else best.source


class Runner(Protocol):
    """A way to run containers."""

    name: str
    limits_memory: (
        bool  # it enforces limits itself: a container that ends with 137 unasked was over its limit
    )
    slowness: float  # seconds that a command in a container may take to start, beyond the probe's own timeout
    not_run: tuple[int, ...]  # exit codes of such a command that mean that it could not be run
    network: Network  # of its pods

    @property
    def last(self) -> Sequence[str]:
        """A command that removes what a run may leave beside its processes, or nothing."""
        ...

    def check(self) -> str:
        """Why this runner cannot be used here, or an empty string."""
        ...

    def launch(self, container: Container) -> Launch:
        """What to start. Raises StartProblem."""
        ...

    def execute(self, container: Container, command: Sequence[str]) -> Launch:
        """What to start for a command in a container that runs; its output goes nowhere. Raises StartProblem."""
        ...
