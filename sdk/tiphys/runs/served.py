"""What is served of the registry of a store: a folder of versions, and what a server is told of them.

A server (``tiphys serve --registry NAME``) looks again and again; an alias that moves is a label that moves, for all of
its replicas at once, and versions that it was at before stay loaded, so that a rollback is only another order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.errors import ServingError, StoreError, TiphysError
from tiphys.net.protobuf import quoted
from tiphys.reference import Reference, resolve, verify
from tiphys.registry.document import ModelVersion
from tiphys.registry.names import check_alias
from tiphys.registry.routes import CHAMPION, routes
from tiphys.runs.registry import registered
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import VersionStatus
from tiphys.serving.rollout import NotTaken, chain_text, has_failed, versions_text
from tiphys.store.layout import Store
from tiphys.store.registry import LocalRegistry

__all__ = ["Followed", "Generation"]

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Generation:
    """``chains`` and ``weights`` of what is there, as :class:`tiphys.registry.routes.Routes` has them; ``sequence``:
    the number of the registry's change of which it came."""

    chains: Mapping[str, tuple[int, ...]]
    weights: Mapping[int, int]
    sequence: int = field(compare=False)

    @property
    def versions(self) -> set[int]:
        return {each for chain in self.chains.values() for each in chain} | set(self.weights)

    @property
    def ending(self) -> str:
        """Of the labels by which it is asked: an alias has no ``@``."""
        return f"@{self.sequence}"


class Followed:
    """One model of the registry, as :func:`tiphys.serving.serve` takes it (a :class:`RolloutSource`); ``folder`` has a
    link for each version.

    ``champion``: the alias that answers requests which name no version.
    """

    flags: Sequence[str] = ("--max_num_load_retries=0",)

    def __init__(
        self, store: Store, name: str, *, champion: str = CHAMPION, report: Report = lambda text: None
    ) -> None:
        check_alias(champion)
        self.store, self.name, self.champion = store, name, champion
        self._registry = LocalRegistry(store)
        self._report = report
        self._told: set[str] = set()
        self._seen: object = None
        self._now: Generation | None = None
        self._refused: Generation | None = None
        self.folder = store.root / "serving" / f"{name}.{champion}"

    def read(self) -> Generation:
        """What the registry says now; the folder is brought to it.

        Raises RefusedError TIP261 where nothing is registered, ServingError TIP519 when no version is whole.
        """
        document = registered(self._registry, self.name)
        asked = routes(document, self.champion)
        whole = {number for number in asked.versions if self._linked(document.version(number))}
        chains = {
            label: there
            for label, chain in asked.chains.items()
            if (there := tuple(number for number in chain if number in whole))
        }
        if "" not in chains:
            raise ServingError(
                "TIP519",
                f"No version of {self.name} that is to be served is there.",
                cause="; ".join(sorted(self._told)),
                fix=f"tiphys models versions {self.name}",
            )
        weights = asked.weights if asked.weights.keys() <= whole else {}
        return Generation(chains, weights, document.sequence)

    # ---- as a source
    def wanted(self) -> Generation | None:
        """What the registry says, if it has changed and could be taken. Raises what :meth:`read` does, the first
        time."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen, self._refused = stamp, None
            try:
                self._now = self.read()
            except (TiphysError, OSError) as error:  # what is served goes on
                if self._now is None:
                    raise
                self._tell(f"the registry cannot be followed: {error}")
        return None if self._now == self._refused else self._now

    def text(self, mark: str, now: Generation, *fresh: Generation) -> str:
        """The server's ModelServerConfig: with the labels of each, and those of ``now`` as they are called."""
        versions = sorted({number for each in (now, *fresh) for number in each.versions})
        lines = [
            f"name: {quoted(self.name)}",
            f"base_path: {quoted(str(self.folder))}",
            f"model_version_policy {{ specific {{ {versions_text(versions)} }} }}",
            *_labels(now, ""),
            *(line for each in (now, *fresh) for line in _labels(each, each.ending)),
            chain_text(mark, reversed(versions)),
        ]
        inner = "\n  ".join(lines)
        return f"model_config_list {{ config {{\n  {inner}\n}} }}\n"

    def pin(self, what: Generation) -> VersionPin:
        return VersionPin(self.name, what.ending)

    def has(self, what: Generation, rows: Sequence[VersionStatus]) -> bool:
        """Whether a version answers who names none. Raises NotTaken when none of those can be loaded."""
        known, chain = {each.version: each for each in rows}, what.chains[""]
        asked = [known[number] for number in chain if number in known]
        if len(asked) == len(chain) and all(map(has_failed, asked)):
            raise NotTaken(asked[0].error_message or asked[0].error_code)
        return any(each.state == "AVAILABLE" for each in asked)

    def refuse(self, what: Generation) -> None:
        self._refused = what

    def is_gone(self, what: Generation) -> bool:
        return False

    def told(self, what: Generation) -> str:
        by = ", ".join(f"{part} % version {number}" for number, part in sorted(what.weights.items()))
        return f"version {' then '.join(map(str, what.chains['']))}" + (f" ({by})" if by else "")

    # ---- what it looks at
    def _stamp(self) -> object:
        """Changes with the registry's file and its log."""
        found = []
        for end in ("", "-wal"):
            with contextlib.suppress(OSError):
                state = os.stat(f"{self._registry.path}{end}")
                found.append((end, state.st_ino, state.st_mtime_ns, state.st_size))
        return found

    def _linked(self, version: ModelVersion) -> bool:
        """Whether a version is in the folder; it is looked at when it gets there."""
        link = self.folder / str(version.number)
        if link.is_symlink() and link.exists():
            return True
        problem = verify(Reference(version.uri, version.digest), self.store.volumes())
        try:
            target = None if problem else _saved_model(resolve(version.uri, self.store.volumes()))
        except (OSError, StoreError) as error:
            target, problem = None, str(error)
        if target is None:
            problem = problem or f"{version.uri} holds no version of a SavedModel"
            self._tell(f"version {version.number} is not served: {problem}")
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{version.number}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
        return True

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._report(text)


def _labels(generation: Generation, ending: str) -> list[str]:
    """Lines of a ModelConfig: which versions answer to which labels, these with an end."""
    lines = []
    for label, chain in sorted(generation.chains.items()):
        label += ending
        if label:
            lines.append(f"version_labels {{ key: {quoted(label)} value: {chain[0]} }}")
        lines.append(chain_text(label, chain))
    for number, part in sorted(generation.weights.items()):
        lines.append(f"tiphys_weights {{ version: {number} percent: {part} label: {quoted(ending)} }}")
    return lines


def _saved_model(folder: Path) -> Path | None:
    """The folder of a SavedModel in that of a model: the newest of its numbered ones, or itself."""
    if (folder / "saved_model.pb").exists():
        return folder
    found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    return max(found, key=lambda path: int(path.name), default=None)
