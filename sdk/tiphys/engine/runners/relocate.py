"""Rewriting a container's paths to a step's private folder, for the process runner.

A pod's absolute paths mean nothing on the host, so those that belong to the step are replaced in its command,
arguments, environment and script: its volume mounts, the paths of its declared inputs and outputs, and ``/tmp``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from tiphys.engine.runners.base import Container

__all__ = ["Relocation"]

# not inside a longer path or word: "$HOME/tmp", "x/tmp", "${d}/tmp" stay; "file:///tmp" and "--out=/tmp" do not
_BEFORE = r"(?:(?<=file://)|(?<![\w.\-/})~*]))"
_AFTER = r"(?!\w|[.\-]\w)"
_ALWAYS = ("/tmp", "/argo/staging", "/var/run/argo")


class Relocation:
    """The rewriting of one container's texts."""

    def __init__(self, container: Container) -> None:
        self._container = container
        exact = {mount.path for mount in container.mounts if str(mount.source) != mount.path}
        for path in container.declared:
            exact.add(os.path.normpath(path))
            parent = str(PurePosixPath(os.path.normpath(path)).parent)
            if (parent != "/" and not os.path.isdir(parent)) or parent.startswith("/tmp/"):
                exact.add(parent)
        self._exact = {path for path in exact if path.startswith("/") and path != "/"}
        everything = sorted({*self._exact, *_ALWAYS}, key=len, reverse=True)
        paths = "|".join(re.escape(path) for path in everything)
        self._pattern = re.compile(f"{_BEFORE}({paths}){_AFTER}")

    def text(self, text: str) -> str:
        """A command, argument or script with the step's paths replaced."""
        if "/" not in text:
            return text
        return self._pattern.sub(lambda match: self._place(match[1]), text)

    def value(self, text: str) -> str:
        """An environment value: like :meth:`text`, but a file below ``/tmp`` that is there on this machine is
        meant as it is (a person gave its path as a parameter)."""
        if "/" not in text:
            return text

        def replace(match: re.Match[str]) -> str:
            path = match[1]
            if path == "/tmp":
                tail = re.match(r"/[^\s\"':;,|<>]+", text[match.end() :])
                if tail and os.path.exists(path + tail[0]):
                    return path
            return self._place(path)

        return self._pattern.sub(replace, text)

    def texts(self, texts: Iterable[str]) -> list[str]:
        return [self.text(each) for each in texts]

    @property
    def place(self) -> Callable[[str], str]:
        return self._place

    def _place(self, path: str) -> str:
        return str(self._container.on_host(path))
