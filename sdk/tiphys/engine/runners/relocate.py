"""Rewriting a container's paths to a step's private folder, for the process runner.

A pod's absolute paths mean nothing on the host, so those that belong to the step are replaced in its command,
arguments, environment and script: its volume mounts, the paths of its declared inputs and outputs, and ``/tmp``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath

from tiphys.engine.runners.base import Container
from tiphys.lazy import regex

__all__ = ["Relocation"]

# not inside a longer path or word: "$HOME/tmp", "x/tmp", "${d}/tmp" stay; "file:///tmp" and "--out=/tmp" do not
# (said after the first slash: what begins with a letter is searched for much faster)
_BEFORE = r"/(?:(?<=file:///)|(?<![\w.\-/})~*]/))"
_AFTER = r"(?!\w|[.\-]\w)"
_BELOW = regex(r"/[^\s\"':;,|<>]+")
_ALWAYS = ("/tmp", "/argo/staging", "/var/run/argo")


class Relocation:
    """The rewriting of one container's texts."""

    def __init__(self, container: Container) -> None:
        self._container = container
        exact = {mount.path for mount in container.mounts if str(mount.source) != mount.path}
        for path in container.declared:
            exact.add(os.path.normpath(path))
            for parent in map(str, PurePosixPath(os.path.normpath(path)).parents):
                if parent.startswith("/tmp/") or (parent != "/" and not os.path.isdir(parent)):
                    exact.add(parent)
        self._pattern = _pattern(frozenset(path for path in exact if path.startswith("/") and path != "/"))
        self._root = "" if container.mounts else str(container.root)

    def text(self, text: str) -> str:
        """A command, argument or script with the step's paths replaced."""
        if "/" not in text:
            return text
        return self._pattern.sub(lambda match: self.place(match[0]), text)

    def names(self, path: str, text: str) -> bool:
        """Whether ``text`` has the path, or a folder above it: then it can be replaced there."""
        return any(
            path == match[0] or path.startswith(match[0] + "/") for match in self._pattern.finditer(text)
        )

    def values(self, env: Mapping[str, str]) -> dict[str, str]:
        """Environment values: like :meth:`text`, but a file below ``/tmp`` that is there on this machine is meant as it
        is (a person gave its path as a parameter)."""
        return {name: self._value(text) if "/" in text else text for name, text in env.items()}

    def _value(self, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            path = match[0]
            if path == "/tmp":
                tail = _BELOW.match(text, match.end())
                if tail and os.path.exists(path + tail[0]):
                    return path
            return self.place(path)

        return self._pattern.sub(replace, text)

    def texts(self, texts: Iterable[str]) -> list[str]:
        return [self.text(each) for each in texts]

    def place(self, path: str) -> str:
        """Where a normal absolute path of the container is."""
        return self._root + path if self._root else str(self._container.on_host(path))


@lru_cache(maxsize=256)
def _pattern(exact: frozenset[str]) -> re.Pattern[str]:
    everything = sorted({*exact, *_ALWAYS}, key=len, reverse=True)
    paths = "|".join(re.escape(path[1:]) for path in everything)
    return re.compile(f"{_BEFORE}(?:{paths}){_AFTER}")
