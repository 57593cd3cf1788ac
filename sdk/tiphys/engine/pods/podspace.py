"""One pod on this machine: its folder, volumes, address, and containers made ready for a runner.

Steps, training workers and serving replicas are all pods, so they share this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.names import invalid
from tiphys.argo.paths import refused_container, subpath_problem
from tiphys.argo.spec import written
from tiphys.engine.pods.environment import container_environment, expand, pod_fields
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.hosts import hosts_file
from tiphys.engine.pods.podspec import SCRIPT
from tiphys.engine.pods.volumes import Volume, make_volume
from tiphys.engine.runners.base import Container, Mount, StartProblem, absolute
from tiphys.engine.runners.gpus import Gpu
from tiphys.engine.runners.images import Image
from tiphys.engine.runners.network import nameservers
from tiphys.engine.runners.places import make_folders
from tiphys.engine.runners.resources import resource_field
from tiphys.lazy import regex
from tiphys.store.files import remove
from tiphys.store.reports import reports_of

if TYPE_CHECKING:
    from tiphys.argo.pod_types import (
        ContainerSecurity,
        ContainerSpec,
        HostAlias,
        Metadata,
        PodSecurity,
        ResourceFieldRef,
    )
    from tiphys.argo.volume_types import VolumeSpec


__all__ = ["PodSpace", "claim_address"]

_HOSTS, _RESOLV = "/etc/hosts", "/etc/resolv.conf"
_VARIABLE = regex(r"\$\(([^)]+)\)")
_IMAGE_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def claim_address(host: Host, prefix: str, ports: Sequence[int] = ()) -> str:
    """An unused loopback address ``PREFIX.x.y`` on which all ``ports`` are free; kept until given back."""
    chooser = random.Random(f"{host.uid}{len(host.addresses)}{prefix}")
    for _ in range(2000):
        address = f"{prefix}.{chooser.randrange(1, 255)}.{chooser.randrange(1, 255)}"
        if address in host.addresses:
            continue
        with contextlib.ExitStack() as stack:
            try:
                for port in ports:
                    probe = stack.enter_context(host.network.new_socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, port))
            except PermissionError:
                pass  # a port below 1024: whoever listens will say so
            except OSError:
                continue
        host.addresses.add(address)
        return address
    raise StartProblem(f"no free loopback address {prefix}.x.y for ports {list(ports)}", phase="Error")


class PodSpace:
    """A pod's folders and what its containers see. ``folder`` is an empty one (see :class:`Folders`).

    ``node`` is the ID of the step that it is of, ``worker`` which replica of the step's gang: what is known of the pod
    while it runs is kept under these. Without a node nothing is.
    """

    def __init__(
        self,
        host: Host,
        name: str,
        folder: Path,
        *,
        volumes: Sequence[VolumeSpec] = (),
        metadata: Metadata | None = None,
        ip: str = "127.0.0.1",
        hostname: str = "",
        main: str = "main",
        security: PodSecurity | None = None,
        aliases: Sequence[HostAlias] = (),
        containers: Mapping[str, ContainerSpec] | None = None,
        addresses: Mapping[str, str] | None = None,
        node: str = "",
        worker: str = "",
    ) -> None:
        self.host = host
        self.name = name
        self.folder = folder  # the main container's root; what else the pod needs lies beside it
        self.ip = ip
        self.hostname = hostname or name
        self.node = node
        self.worker = worker
        self.main = main
        self.gpus: Mapping[str, Sequence[Gpu]] = {}  # by its containers
        self._security = security  # the pod's securityContext
        self._aliases = aliases
        self._addresses = addresses or {}  # where on this machine those are that variables name (host:port)
        self._containers = containers or {}  # those of the pod, by name
        self._besides: set[Path] = set()
        self._told: str | None = None
        self._specs = {str(volume.get("name")): volume for volume in volumes}
        self._made: dict[str, Volume] = {}
        self._metadata = metadata or {}
        self._fields: dict[str, str] | None = None
        self._roots: dict[str, Path] = {}

    def fields(self) -> dict[str, str]:
        """What ``fieldRef`` can name."""
        if self._fields is None:
            self._fields = pod_fields(self.host, self.name, self.ip, self._metadata)
        return self._fields

    def volume(self, name: str) -> Volume:
        """The folder of one of the pod's volumes. Raises StartProblem for one that the pod does not have."""
        if name not in self._made:
            if name not in self._specs:
                raise StartProblem(f"volume '{name}' not found in workflow spec", phase="Error")
            self._made[name] = make_volume(
                self.host, self._specs[name], self._beside("+pod"), self.fields(), self._resource
            )
        return self._made[name]

    def container(
        self,
        spec: ContainerSpec,
        *,
        name: str = "",
        extra_env: Mapping[str, str] | None = None,
        declared: Sequence[str] = (),
        log: str,
    ) -> Container:
        """Resolve one container: image, command, environment, mounts. Raises StartProblem or RefusedError."""
        name = name or str(spec.get("name") or "main")
        for where, found, problem in refused_container({**spec, "name": name}, ("spec", "containers")):
            raise StartProblem(invalid("Pod", self.name, written(where), found, problem), phase="Error")
        image = self.host.images.resolve(str(spec.get("image", "")), where=f"container {name} of {self.name}")
        mounts = self.mounts(spec)
        base = self._base(image)
        env = container_environment(self.host, spec, self.fields, base, lambda one: self._resource(one, spec))
        env = self._all_here(env) if self._addresses else env
        if image.kind != "docker":  # a container's HOME is its user's
            env.setdefault("HOME", "/root" if image.kind == "root" else "/tmp")
        env["HOSTNAME"] = self.hostname
        env["TIPHYS_POD_IP"] = self.ip
        env.update(self.host.options.env)
        if extra_env:
            env.update(extra_env)
        gpus, machine = self.gpus.get(name, ()), self.host.room.gpus.machine
        command = image.command(
            [expand(str(word), base, env) for word in spec.get("command") or []],
            [expand(str(word), base, env) for word in spec.get("args") or []],
        )
        return Container(
            name=name,
            image=image,
            command=command,
            env=env,
            base_env=base,
            workdir=str(spec.get("workingDir") or "/"),
            root=self.root(name),
            mounts=mounts,
            declared=declared,
            hostname=self.hostname,
            log=log,
            spec=self._as_the_pods_user(spec),
            own_entrypoint=not spec.get("command"),
            hidden=[self.host.store.root],
            gpus=gpus,
            nodes=machine.nodes(gpus),
            reports=self._reports(),
            drivers=machine.libraries() if gpus and image.kind == "root" else {},
        )

    def _all_here(self, env: Mapping[str, str]) -> dict[str, str]:
        """Variables with the addresses that are on this machine, also of one in two: ``X_ADDR`` and ``X_PORT``."""
        found = {key: self._here(value) for key, value in env.items()}
        for key, value in env.items():
            port = key.removesuffix("_ADDR") + "_PORT"
            if here := self._addresses.get(f"{value}:{env.get(port)}"):
                found[key], _, found[port] = here.partition(":")
        return found

    def _here(self, text: str) -> str:
        """A variable's value with the addresses that are on this machine."""
        for there, here in self._addresses.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(there)}(?!\d)", here, text)
        return text

    def _as_the_pods_user(self, spec: ContainerSpec) -> ContainerSpec:
        """With the pod's user and group where the container names none."""
        if not self._security:
            return spec
        security: ContainerSecurity = {}
        if "runAsUser" in self._security:
            security["runAsUser"] = self._security["runAsUser"]
        if "runAsGroup" in self._security:
            security["runAsGroup"] = self._security["runAsGroup"]
        return {**spec, "securityContext": {**security, **(spec.get("securityContext") or {})}}

    def root(self, name: str) -> Path:
        """The private root folder of a container; the main container's is the pod's own."""
        if name == self.main:
            return self.folder
        if name not in self._roots:
            root = self._roots[name] = self._beside(name)
            (root / "tmp").mkdir(parents=True, exist_ok=True)
        return self._roots[name]

    def script(self, *, again: bool = False) -> Path:
        """Where the source of a script template is to be written. ``again``: the main container runs already and reads
        its own; how it was started is found out with another one."""
        root = self._beside("+again") if again else self.folder
        place = root / SCRIPT[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _reports(self) -> str | None:
        """What its containers have to tell is kept under this name, where no volume of theirs is meant for it."""
        if self.node and self._told is None:
            self._told = reports_of(self.host.folder, self.node, self.worker)
            if not self.host.reports:
                os.makedirs(os.path.dirname(self._told), exist_ok=True)
                self.host.reports = True
        return self._told

    def clean(self) -> None:
        """Give the folders back."""
        if self.node and not self.worker:
            self.host.sampler.forget(self.node)
        if self._told is not None:
            with contextlib.suppress(OSError):  # something was told, or there is none
                os.rmdir(self._told)
        for folder in self._besides:
            remove(folder)
        if not self.host.options.keep_folders:
            self.host.folders.give_back(self.folder)

    def _resource(self, reference: ResourceFieldRef, own: ContainerSpec | None = None) -> str:
        """A ``resourceFieldRef``: of the container that it names, else of its ``own``."""
        name = str(reference.get("containerName") or "")
        container = self._containers.get(name) if name else own
        if container is None:
            raise StartProblem(f"container {name} not found", phase="Error")
        return resource_field(container, reference)

    def _beside(self, name: str) -> Path:
        folder = self.folder.with_name(f"{self.folder.name}.{name}")
        self._besides.add(folder)
        return folder

    def _base(self, image: Image) -> Mapping[str, str]:
        if image.kind in ("root", "docker"):
            return _IMAGE_ENV
        if image.kind == "host":
            return self.host.base_env
        return self.host.project_env

    def mounts(self, spec: ContainerSpec) -> list[Mount]:
        """The volume mounts of a container. Raises StartProblem."""
        mounts = []
        for item in spec.get("volumeMounts") or []:
            source, read_only = self.volume(str(item["name"]))
            part = str(item.get("subPath") or "")
            if expression := item.get("subPathExpr"):
                part = self._expand_path(str(expression), spec)
            if part:
                if problem := subpath_problem(part):
                    raise StartProblem(
                        invalid("Pod", self.name, "spec.containers.volumeMounts.subPath", part, problem),
                        phase="Error",
                    )
                source = _part_of(source, part, str(item["name"]), str(spec.get("name") or self.main))
            path = absolute(str(item["mountPath"]))
            mounts.append(Mount(path, source, read_only or bool(item.get("readOnly"))))
        # every pod has one; a plain process sees this machine's, and one of its own only where that would miss names
        wanted = bool(self._aliases) or self.host.runner.name != "process"
        taken = {mount.path for mount in mounts}
        if wanted and _HOSTS not in taken:
            text = hosts_file(self.ip, self.hostname, self._aliases)
            mounts.append(Mount(_HOSTS, self._file(_HOSTS, text)))
        confined = self.host.runner.name == "sandbox" and _RESOLV not in taken
        if confined and (text := nameservers(self.host.network)):
            mounts.append(Mount(_RESOLV, self._file(_RESOLV, text), read_only=True))
        return mounts

    def _expand_path(self, expression: str, spec: ContainerSpec) -> str:
        """``subPathExpr``: every variable must be known to the container."""
        env = container_environment(self.host, spec, self.fields, {}, lambda one: self._resource(one, spec))
        part = expand(expression, {}, env)
        if (missing := _VARIABLE.search(part)) is not None:
            raise StartProblem(f"CreateContainerConfigError: missing value for {missing[1]}", phase="Error")
        return part

    def _file(self, path: str, text: str) -> Path:
        """One of the pod's own, which the kubelet writes."""
        folder = self._beside("+pod")  # no container has such a name
        folder.mkdir(exist_ok=True)
        place = folder / os.path.basename(path)
        if not place.exists() or place.read_text() != text:  # a container may be reading it
            place.write_text(text)
        return place


def _part_of(volume: Path, part: str, name: str, container: str) -> Path:
    """The part of a volume that is mounted; as the kubelet, which makes it, refuses one that a link leads out."""
    place, top = (volume / part).resolve(), volume.resolve()
    try:
        if not place.is_relative_to(top):
            raise OSError(errno.EXDEV, f"a link leads out of the volume, to {place}")
        return place if place.is_file() else top / make_folders(part, top)[1:]
    except OSError as error:
        raise StartProblem(
            f'CreateContainerConfigError: failed to prepare subPath for volumeMount "{name}" of container '
            f'"{container}": {error.strerror}',
            phase="Error",
        ) from error
