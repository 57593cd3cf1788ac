"""Something new for all replicas at once: load → warm up → switch → drain → unload.

Replicas serve exactly what a configuration file says. Of what is new they hear while what serves goes on; when all of
them have it, the balancer names it to whoever asks, and then what served is let go, which waits for its requests. What
one of them cannot load is not switched to.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tiphys.errors import ServingError
from tiphys.net.protobuf import quoted
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import ServingClient, VersionStatus

__all__ = [
    "NotTaken",
    "Rollout",
    "RolloutSource",
    "chain_text",
    "has_failed",
    "replica_status",
    "versions_text",
]

_POLL = 0.1  # seconds in which a replica hears of a change
T = TypeVar("T")


class NotTaken(Exception):
    """A replica cannot serve it; the message says why."""


class RolloutSource(Protocol[T]):
    """Who says what is to be served of the model ``name``: a version of a folder, or a state of the registry."""

    name: str

    @property
    def flags(self) -> Sequence[str]:
        """Further ones of the model server."""
        ...

    def wanted(self) -> T | None:
        """What is to be served now; None: what is. The first time it raises ServingError TIP519 where there is
        nothing."""
        ...

    def text(self, mark: str, now: T, *fresh: T) -> str:
        """The model server's configuration with which ``now`` is served, and ``fresh`` beside it; all versions have
        the label ``mark``, one for another."""
        ...

    def pin(self, what: T) -> VersionPin:
        """What the balancer names while it is served."""
        ...

    def has(self, what: T, rows: Sequence[VersionStatus]) -> bool:
        """Whether a replica has it, by what that says of all versions. Raises NotTaken when it will not."""
        ...

    def refuse(self, what: T) -> None:
        """It is not taken, so it is not wanted until something of it has changed."""
        ...

    def is_gone(self, what: T) -> bool:
        """Whether replicas let go of it by themselves."""
        ...

    def told(self, what: T) -> str:
        """What it is called: ``version 7``."""
        ...


class Rollout(Generic[T]):
    """What is served of one model, as ``source`` wants it. ``report`` is told.

    Its folder with the configuration is made at once; :meth:`close` removes it. Raises ServingError TIP519 where there
    is nothing to serve.
    """

    def __init__(self, source: RolloutSource[T], report: Callable[[str], None]) -> None:
        self._source, self._report = source, report
        first = source.wanted()
        if first is None:
            raise ServingError("TIP519", f"There is no version of {source.name}.")
        self.now = first
        self._next: T | None = None
        self._pin: Callable[[VersionPin | None], None] = lambda pin: None
        self._named: VersionPin | None = None
        self._before: VersionPin | None = None  # of which requests may be on their way
        self._folder = Path(tempfile.mkdtemp(prefix="tiphys-serve-"))
        self._written = 0
        self._write()

    @property
    def flags(self) -> list[str]:
        """Of the model server."""
        return [
            f"--model_config_file={self._file}",
            f"--model_config_file_poll_wait_seconds={_POLL}",
            *self._source.flags,
        ]

    def begin(self, pin: Callable[[VersionPin | None], None]) -> None:
        """All replicas have what is served first. ``pin`` is told what the balancer names from now on."""
        self._pin = pin
        self._switch()

    def _switch(self) -> None:
        self._before, self._named = self._named, self._source.pin(self.now)
        self._pin(self._named)

    def has(self, address: str) -> bool:
        """Whether a replica has what the balancer names."""
        try:
            return self._has(self.now, address)
        except NotTaken:
            return False

    def _has(self, what: T, address: str) -> bool:
        """Raises NotTaken. Before a replica has tried what is written it tells of what was tried earlier."""
        name = self._source.name
        heard = replica_status(name, address, self._mark)
        return bool(heard) and self._source.has(what, replica_status(name, address))

    def look(self, addresses: Iterable[str]) -> None:
        """Do what is due; called again and again. ``addresses``: of the replicas that serve."""
        if self._before is not None:
            if not self._before.active:
                self._before = None
                self._write()
            return
        source = self._source
        wanted = source.wanted()
        if wanted is not None and wanted != (self.now if self._next is None else self._next):
            self._next = None if wanted == self.now else wanted
            if self._next is not None:
                if source.is_gone(self.now):
                    self._pin(None)  # replicas let go of it at once: better either version than none
                self._report(f"{source.name}: {source.told(wanted)} is loaded")
            self._write()
            return
        if self._next is None:
            return
        try:
            ready = [self._has(self._next, address) for address in addresses]
        except NotTaken as error:
            source.refuse(self._next)
            self._report(f"{source.name}: {source.told(self._next)} is not taken: {error}")
            self._next = None
            self._write()
            return
        if ready and all(ready):
            self.now, self._next = self._next, None
            self._switch()
            self._report(f"{source.name}: {source.told(self.now)}")

    def close(self) -> None:
        """Remove the configuration."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _file(self) -> Path:
        return self._folder / "models.config"

    @property
    def _mark(self) -> str:
        return f"@configuration-{self._written}"

    def _write(self) -> None:
        self._written += 1
        fresh = self._folder / "new"
        both = [self.now] if self._next is None else [self.now, self._next]
        fresh.write_text(self._source.text(self._mark, *both), "utf-8")
        fresh.replace(self._file)


def chain_text(label: str, versions: Iterable[int]) -> str:
    """Of a model server's configuration: the versions that are asked for a label, one for another."""
    return f"tiphys_chains {{ label: {quoted(label)} {versions_text(versions)} }}"


def versions_text(versions: Iterable[int]) -> str:
    """Versions in such a configuration."""
    return " ".join(f"versions: {each}" for each in versions)


def replica_status(name: str, address: str, label: str | None = None) -> list[VersionStatus]:
    """What a replica says of the versions of a model, or of the one with a label; nothing where it does not answer, or
    there is none."""
    with ServingClient(f"http://{address}", name, label=label, timeout=2.0) as client:
        try:
            return list(client.status())
        except ServingError:
            return []


def has_failed(row: VersionStatus) -> bool:
    """Whether a version could not be loaded."""
    return row.state == "END" and row.error_code not in ("", "OK")  # else it was unloaded before
