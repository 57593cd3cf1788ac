"""Which image means what on this machine."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from tiphys.errors import RefusedError
from tiphys.frozen import frozen

__all__ = ["ENTRYPOINTS", "Image", "Images"]

# images of the project itself, and those it serves with: always known
_OWN = {
    "tiphys/step:*": "project",
    "tiphys/step@*": "project",
    "tiphys/step": "project",
    "tiphys/serving*": "serving",
    "tensorflow/serving*": "serving",
}

# what runs when a container of a mapped image has no command: (entrypoint, default arguments)
ENTRYPOINTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "argoproj/argosay:v2": (("/argosay",), ()),
    "argoproj/argosay:v1": (("cowsay",), ()),
    "tensorflow/serving*": (("tensorflow_model_server",), ()),
    "tiphys/serving*": (("tensorflow_model_server",), ()),
    "tiphys/step*": ((), ("python",)),
    "stedolan/jq*": (("jq",), ()),
    "curlimages/curl*": (("curl",), ()),
    "python:*": ((), ("python3",)),
    "node:*": ((), ("node",)),
    "nginx*": ((), ("nginx", "-g", "daemon off;")),
    "busybox*": ((), ("sh",)),
    "alpine*": ((), ("sh",)),
    "debian*": ((), ("bash",)),
    "ubuntu*": ((), ("bash",)),
}


@frozen
class Image:
    """An image's stand-in: this Python environment (``project``, ``serving``), the host's programs, a root folder."""

    name: str
    kind: Literal["project", "serving", "host", "root", "docker"]
    root: Path | None = None
    entrypoint: Sequence[str] = ()
    arguments: Sequence[str] = ()  # used when the container gives none

    def command(self, command: Sequence[str], args: Sequence[str]) -> list[str]:
        """The full command line of a container that gives ``command`` and ``args``."""
        if command:
            return [*command, *args]
        return [*self.entrypoint, *(args or self.arguments)]


class Images:
    """The mapping of one run. ``patterns``: shell globs to ``host`` or a folder."""

    def __init__(self, patterns: Mapping[str, str], *, everything: bool = False) -> None:
        self._known: dict[str, Image] = {}
        self._everything = everything  # the docker runner takes any image
        self._patterns: dict[str, tuple[str, Path | None]] = {}
        for pattern, target in patterns.items():
            if target in ("host", "project", "serving"):
                self._patterns[pattern] = (target, None)
            elif os.path.isdir(target):  # also no where this user may not look
                self._patterns[pattern] = ("root", Path(target).absolute())
            else:
                raise RefusedError(
                    "TIP221",
                    f"the image mapping {pattern}={target} names no folder",
                    fix="map an image to 'host', or to a folder that holds the image's unpacked root",
                )

    def resolve(self, name: str, *, where: str = "") -> Image:
        """The stand-in of an image. Raises RefusedError for one that nothing maps."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._find(name, where)
        return known

    def _find(self, name: str, where: str) -> Image:
        short = _short(name)
        for table in (self._patterns, {key: (kind, None) for key, kind in _OWN.items()}):
            for pattern, (kind, root) in table.items():
                if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(short, pattern):
                    return Image(name, kind, root, *_entrypoint(short))  # type: ignore[arg-type]
        if self._everything:
            return Image(name, "docker")
        family = short.partition(":")[0].partition("@")[0]
        raise RefusedError(
            "TIP220",
            f"the image {name!r} is not available on this machine",
            where=where,
            cause="a step runs in its image only on a cluster or with a container runner",
            fix=f"use this machine's programs instead: --image '{family}*=host'; or run with --runner docker",
        )


def _entrypoint(short: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for pattern, command in ENTRYPOINTS.items():
        if fnmatch.fnmatchcase(short, pattern):
            return command
    return (), ()


def _short(name: str) -> str:
    """Without Docker Hub's implied prefixes."""
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
