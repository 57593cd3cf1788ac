"""The sandbox runner: each container in its own file system view, by bubblewrap, without a daemon or root.

The container's private folder is bound at ``/``; the host's folders (or those of the image's unpacked root) are bound
read-only over it, and ``/tmp``, the volume mounts, ``/proc`` and ``/dev`` over those. So absolute paths mean what they
mean in a pod, two steps never see each other's ``/tmp``, and nothing on the host can be changed. The container has its
own user, process, hostname and IPC namespaces, no capability, and the network of its run
(:mod:`tiphys.engine.runners.network`), or none. What it must not see of the host (:mod:`tiphys.engine.runners.hiding`)
is laid over. docs/runners.md says what is promised.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tiphys.engine.runners.base import NOTHING, Container, Mount, StartProblem, absolute, given_reports
from tiphys.engine.runners.gpus import BESIDE, visible_devices
from tiphys.engine.runners.hiding import homes, not_for_all, parts_of_home, without_passwords
from tiphys.engine.runners.network import HostNetwork, Network, NetworkLost
from tiphys.engine.runners.places import held, make_folders
from tiphys.engine.runners.programs import PACKAGES, STANDINS, keep_packages, not_found, own_command
from tiphys.engine.runners.spawner import Launch

__all__ = ["SandboxRunner"]

# never taken from the host or an image: made anew
_OWN = {"proc", "dev", "tmp", "run", "sys", "argo", "mnt", "lost+found", "media"}
_HOSTS = {"home", "root", "var", "boot", "lost+found"}  # never taken from the host; an image has its own
_DATA = ("/var/lib/dpkg", "/var/lib/texmf", "/var/cache/fontconfig")  # of the programs in /usr
# user 0 of a namespace in which there is nobody else, without any capability
_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--uid", "0", "--gid", "0", "--cap-drop", "ALL",
)  # fmt: skip
_DRIVERS = "/run/nvidia/lib"  # where an image's programs find the driver's libraries
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class SandboxRunner:
    """Runs containers under ``bwrap``."""

    name = "sandbox"
    limits_memory = False
    slowness = 0.0
    not_run: tuple[int, ...] = ()

    def __init__(self, network: Network | None = None, *, alone: bool = False) -> None:
        """``network``: of the run's pods, this machine's if none is given; ``alone``: each has nothing but a loopback
        of its own."""
        self.network = network or HostNetwork()
        self._alone = alone

    @property
    def last(self) -> Sequence[str]:
        return ()

    def check(self) -> str:
        """Why bubblewrap cannot be used here, or an empty string."""
        return _check()

    def execute(self, container: Container, command: Sequence[str]) -> Launch:
        """What to start for a command beside a container that runs, in the same files."""
        return self.launch(container.beside(command))

    def launch(self, container: Container) -> Launch:
        """What to start. Raises StartProblem with Argo's text when the program is not in the container."""
        argv = list(container.command)
        if not argv:
            raise StartProblem(
                f"{container.name}: Error (exit code 64): the image {container.image.name} has no known "
                "entrypoint; give the container a command",
                code=64,
            )
        given_reports(container)
        image = container.image
        if image.kind in ("project", "serving", "host"):
            argv = own_command(argv)
        base = image.root if image.kind == "root" and image.root is not None else Path("/")
        plan = _View(container, base)
        own = {**visible_devices(container.gpus, alone=True), **container.env}
        env = {**without_passwords(container.base_env), **own}
        path = plan.program(argv[0], env.get("PATH", ""))
        if path is None:
            raise not_found(container.name, argv[0])
        bwrap = shutil.which("bwrap") or "bwrap"
        options = plan.options()
        if self._alone:
            options.insert(0, "--unshare-net")
        container.view = plan.view()
        container.confined = True
        command = [bwrap, *options, "--chdir", absolute(container.workdir), "--", *argv]
        make_folders(container.workdir, container.root, container.mounts)
        env["TMPDIR"] = "/tmp"
        if image.kind != "root":  # there the environment is the image's own
            keep_packages(env, PACKAGES)
        elif container.gpus:
            _find_drivers(container, env)
        try:
            return self.network.joined(Launch(bwrap, command, env, "/", container.log))
        except NetworkLost as error:
            raise StartProblem(f"{container.name}: {error}", phase="Error") from error


class _View:
    """What one container sees, as bubblewrap options."""

    def __init__(self, container: Container, base: Path) -> None:
        self.container = container
        self.base = base
        # every path that the container may write or that is mounted needs private folders down to it
        self._private = {
            self._canonical(path)
            for path in [
                *(mount.path for mount in container.mounts if not self._covers(mount)),
                *(os.path.dirname(absolute(path)) for path in container.declared),
                container.workdir or "/",
            ]
        }
        self._binds: list[tuple[str, str]] = []  # of files and folders of the image, read-only
        self._covered: list[str] = []  # paths over which nothing is laid
        self._unlisted: list[str] = []  # folders of the host whose entries this user may not list

    def _covers(self, mount: Mount) -> bool:
        """Whether a file is laid over one of the image: nothing has to be made for it."""
        return mount.source.is_file() and (self.base / self._canonical(mount.path)[1:]).is_file()

    def options(self) -> list[str]:
        container = self.container
        options = [*_NAMESPACES, "--hostname", container.hostname[:63] or "pod"]
        options += ["--bind", str(container.root), "/"]
        for name in (
            "run",
            "mnt",
            "opt",
            "srv",
            "home",
            "media",
            "var",
            "root",
        ):  # every image has them; /var/run may be a link to run
            (container.root / name).mkdir(exist_ok=True)
        self._top()
        for source, target in self._binds:
            options += ["--ro-bind", source, target]
        options += ["--bind", str(container.root / "tmp"), "/tmp", "--proc", "/proc", "--dev", "/dev"]
        for name, place in container.nodes.items():
            options += ["--dev-bind", place, name]
        for path in BESIDE if container.gpus else ():
            options += ["--ro-bind-try", path, path]
        for name, place in container.drivers.items():
            options += ["--ro-bind", place, f"{_DRIVERS}/{name}"]
        if self.base == Path("/"):
            options += self._hide()
        laid: list[Mount] = []
        for mount in sorted(container.mounts, key=lambda mount: len(mount.path)):
            target = self._reached(self._canonical(mount.path), mount.source, laid)
            options += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), target]
            laid.append(replace(mount, path=target))
        for above in {os.path.dirname(target) for _, target in self._binds}:
            if make_folders(above, container.root) != above:
                raise StartProblem(f"{container.name}: {above} is a link now", phase="Error")
        return options

    def _reached(self, target: str, source: Path, laid: Sequence[Mount]) -> str:
        """Where something is mounted, without links: bubblewrap makes what is missing before it has left the host's
        files, and would follow them there."""
        if source.is_dir():
            return make_folders(target, self.container.root, laid)
        above = make_folders(os.path.dirname(target), self.container.root, laid)
        target = os.path.join(above, os.path.basename(target))
        with held(target, self.container.root, laid) as place:
            if place.is_symlink():
                raise StartProblem(
                    f"{self.container.name}: cannot mount over the link {target}", phase="Error"
                )
        return target

    def view(self) -> list[Mount]:
        """The same for who looks for outputs (after :meth:`options`): what the step must not see is not there for it,
        either, nor are the folders of this Python, which are not the image's. Mounts come first: they hide what is
        bound there."""
        mounts = [
            Mount(self._canonical(each.path), each.source, each.read_only) for each in self.container.mounts
        ]
        hidden = tuple(f"{each.path.rstrip('/')}/" for each in mounts)
        image = [Mount(path, NOTHING, read_only=True) for path in self._covered]
        image += [Mount(target, Path(source), read_only=True) for source, target in self._binds]
        return [*mounts, *(each for each in image if not f"{each.path}/".startswith(hidden))]

    def program(self, name: str, search: str) -> str | None:
        """The path in the container of a program, or None."""
        candidates = (
            [name] if "/" in name else [f"{folder}/{name}" for folder in search.split(os.pathsep) if folder]
        )
        for candidate in candidates:
            absolute = (
                candidate if candidate.startswith("/") else os.path.join(self.container.workdir, candidate)
            )
            for place in self._places(absolute):
                if os.path.isfile(place) and os.access(place, os.X_OK):
                    return candidate
        return None

    # -- inside -----------------------------------------------------------------------------------------------

    def _places(self, path: str) -> Iterable[Path]:
        yield self.container.on_host(path)
        yield self._resolve(path)
        if self.base == Path("/") and os.path.basename(path) in ("argosay", "cowsay"):
            yield STANDINS / os.path.basename(path)

    def _resolve(self, path: str) -> Path:
        """The file of the image's root behind a container's path."""
        return self.base / self._canonical(path)[1:]

    def _canonical(self, path: str) -> str:
        """The container's path with the image's links resolved (bubblewrap would follow them on the host)."""
        done: list[str] = []
        left = [part for part in absolute(path).split("/") if part]
        for _ in range(200):
            if not left:
                break
            part = left.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            candidate = self.base.joinpath(*done, part)
            if os.path.islink(candidate) and (done or part in _LINKS):
                target = os.readlink(candidate)
                left = [each for each in target.split("/") if each and each != "."] + left
                if target.startswith("/"):
                    done = []
                continue
            done.append(part)
        return "/" + "/".join(done)

    def _top(self) -> None:
        """Bind what the image has at its top."""
        for entry in sorted(os.scandir(self.base), key=lambda entry: entry.name):
            name = entry.name
            if name in _OWN and (self.base == Path("/") or name not in ("argo", "mnt")):
                continue
            if self.base == Path("/") and (name in _HOSTS or f"/{name}" in not_for_all("/", below=False)):
                continue
            if name in _LINKS and entry.is_symlink():
                self._link(Path(entry.path), f"/{name}")
                continue
            self._add(Path(entry.path), f"/{name}")
        if self.base == Path("/") and not os.path.exists("/argosay"):
            self._binds.append((str(STANDINS / "argosay"), "/argosay"))

    def _add(self, source: Path, target: str) -> None:
        """Bind one entry read-only; where something private lies below, bind its entries one by one instead.

        What this user may not look at is not there for the step, either.
        """
        below = any(path.startswith(target + "/") or path == target for path in self._private)
        if os.path.islink(source):
            self._link(source, target)
            return
        if not os.path.isdir(source):
            if os.path.isfile(source) and os.access(source, os.R_OK):
                self._binds.append((str(source), target))
            return
        if any(mount.path == target for mount in self.container.mounts):
            return
        if not below:
            if os.access(source, os.X_OK):  # enough to reach what lies below, which may be this Python
                self._binds.append((str(source), target))
            return
        if not os.access(source, os.R_OK | os.X_OK):
            self._unlisted.append(target)
            return
        for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
            self._add(Path(entry.path), f"{target}/{entry.name}")

    def _hide(self) -> list[str]:
        """Lay something over what is bound and must not be seen, and bind again what this Python and the project need
        of it."""
        options = []
        for path in _DATA:
            options += ["--ro-bind-try", path, path]
        shown = [target for _, target in self._binds]
        for path in [*homes(), *not_for_all("/etc")]:
            if _below(path, shown) and os.path.lexists(path):
                self._covered.append(path)
                options += ["--tmpfs", path] if os.path.isdir(path) else ["--ro-bind", os.devnull, path]
        needed = self._needed()
        for path in needed:
            options += ["--ro-bind", path, path]
        for folder in {path for each in self.container.hidden for path in (str(each), str(each.resolve()))}:
            if _below(folder, [*shown, *needed]):
                self._covered.append(folder)
                options += ["--tmpfs", folder]
        return options

    def _needed(self) -> list[str]:
        """Folders of this Python environment, of the programs in PATH and of the project that are not shown yet."""
        env = self.container.base_env
        wanted = {
            sys.prefix,
            sys.base_prefix,
            *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)),
            *filter(None, env.get("PATH", "").split(os.pathsep)),
        }
        wanted.add(str(Path(__file__).resolve().parents[3]))
        tops = [f"/{name}" for name in {*_OWN, *_HOSTS} - {"proc", "dev", "sys"}]
        hidden = [*tops, *self._unlisted, *homes(), *not_for_all("/", below=False)]
        store = [str(each) for each in self.container.hidden]
        return sorted(
            path
            for path in parts_of_home(wanted)
            if _below(path, hidden) and not _below(path, store) and path not in tops and os.path.exists(path)
        )

    def _link(self, source: Path, target: str) -> None:
        """Copy a link; the container may have been started before, or have made something there."""
        with held(target, self.container.root) as place:
            if not os.path.lexists(place):
                place.symlink_to(os.readlink(source))


def _find_drivers(container: Container, env: dict[str, str]) -> None:
    """Have programs of an image find the libraries of this machine's driver. Raises StartProblem without any."""
    if not any(name.startswith(("libcuda.so", "libdxcore.so")) for name in container.drivers):
        raise StartProblem(
            f"{container.name}: the NVIDIA driver's libcuda.so is not found here", phase="Error"
        )
    env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [_DRIVERS, env.get("LD_LIBRARY_PATH", "")]))


def _below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of the folders or lies in one."""
    return any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in folders)


@functools.cache
def _check() -> str:
    if sys.platform != "linux":
        return "it needs Linux"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bubblewrap is not installed"
    command = [bwrap, *_NAMESPACES, "--tmpfs", "/", "--ro-bind", "/usr", "/usr"]
    for name in _LINKS:
        if os.path.islink(f"/{name}"):
            command += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            command += ["--ro-bind", f"/{name}", f"/{name}"]
    command += ["--proc", "/proc", "--dev", "/dev", "--", "/bin/true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"bwrap ends with {done.returncode}")
