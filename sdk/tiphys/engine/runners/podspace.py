"""One pod on this machine: its folder, volumes, address, and containers made ready for a runner.

Steps, training workers and serving replicas are all pods, so they share this.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import random
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.engine.runners.base import Container, Mount, StartProblem
from tiphys.engine.runners.environment import base_environment, container_environment, expand, pod_fields
from tiphys.engine.runners.host import Host
from tiphys.engine.runners.images import Image
from tiphys.engine.runners.volumes import Volume, make_volume

__all__ = ["PodSpace", "claim_address"]

Json = Any


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
                    probe = stack.enter_context(socket.socket())
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
    """A pod's folder ``FOLDER/{root,volumes}`` and what its containers see."""

    def __init__(
        self,
        host: Host,
        name: str,
        folder: Path,
        *,
        volumes: Sequence[Mapping[str, Json]] = (),
        metadata: Mapping[str, Json] | None = None,
        ip: str = "127.0.0.1",
        hostname: str = "",
    ) -> None:
        self.host = host
        self.name = name
        self.folder = folder
        self.ip = ip
        self.hostname = hostname or name
        self._specs = {str(volume.get("name")): volume for volume in volumes}
        self._made: dict[str, Volume] = {}
        self._metadata = metadata or {}
        self._fields: dict[str, str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def fields(self) -> dict[str, str]:
        if self._fields is None:
            self._fields = pod_fields(self.host, self.name, self.ip, self._metadata)
        return self._fields

    def volume(self, name: str) -> Volume:
        """The folder of one of the pod's volumes. Raises StartProblem for one that the pod does not have."""
        if name not in self._made:
            if name not in self._specs:
                raise StartProblem(f"volume '{name}' not found in workflow spec", phase="Error")
            self._made[name] = make_volume(self.host, self._specs[name], self.folder, self.fields)
        return self._made[name]

    def container(
        self,
        spec: Mapping[str, Json],
        *,
        name: str = "",
        extra_env: Mapping[str, str] | None = None,
        extra_mounts: Sequence[Mount] = (),
        declared: Sequence[str] = (),
        log: Path,
        kept: bool = False,
    ) -> Container:
        """Resolve one container: image, command, environment, mounts. Raises StartProblem or RefusedError."""
        name = name or str(spec.get("name") or "main")
        image = self.host.images.resolve(str(spec.get("image", "")), where=f"container {name} of {self.name}")
        mounts = [*self._mounts(spec), *extra_mounts]
        env = container_environment(self.host, spec, self.fields, self._base(image))
        env.update(extra_env or {})
        root = self.folder / "root" / name
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        command = image.command(
            [expand(str(word), env) for word in spec.get("command") or []],
            [expand(str(word), env) for word in spec.get("args") or []],
        )
        return Container(
            name=name,
            image=image,
            command=command,
            env=env,
            workdir=str(spec.get("workingDir") or "/"),
            root=root,
            mounts=mounts,
            declared=declared,
            hostname=self.hostname,
            log=log,
            kept=kept,
        )

    def clean(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _base(self, image: Image) -> dict[str, str]:
        if image.kind in ("root", "docker"):
            env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        else:
            env = base_environment(self.host)
            if image.kind in ("project", "serving"):
                # components/ and the user's own modules: what the image has in its working folder
                path = [str(self.host.options.project or os.getcwd()), os.environ.get("PYTHONPATH", "")]
                env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
                env["PYTHONUNBUFFERED"] = "1"
        env["HOME"] = "/tmp" if image.kind in ("host", "project", "serving") else "/root"
        env["HOSTNAME"] = self.hostname
        env["TIPHYS_POD_IP"] = self.ip
        env.update(self.host.options.env)
        return env

    def _mounts(self, spec: Mapping[str, Json]) -> list[Mount]:
        mounts = []
        for item in spec.get("volumeMounts") or []:
            source, read_only = self.volume(str(item["name"]))
            part = str(item.get("subPath") or "")
            if part:
                if posixpath.isabs(part) or ".." in posixpath.normpath(part).split("/"):
                    raise StartProblem(
                        f"subPath {part!r} must be a relative path without '..'", phase="Error"
                    )
                source = source / part
                if not source.exists():
                    source.mkdir(parents=True, exist_ok=True)
            path = posixpath.normpath("/" + str(item["mountPath"]).lstrip("/"))
            mounts.append(Mount(path, source, read_only or bool(item.get("readOnly"))))
        return mounts
