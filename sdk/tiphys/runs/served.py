"""What is served of the registry of a store: a folder of versions and a configuration that follow the document.

A server (``tiphys serve --registry NAME``) reads both again and again; an alias that moves is a label that moves, and
versions that it was at before stay loaded, so that a rollback is only another order.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tiphys.errors import ServingError, StoreError, TiphysError
from tiphys.net.protobuf import quoted
from tiphys.reference import Reference, resolve, verify
from tiphys.registry.document import ModelDocument, ModelVersion
from tiphys.registry.names import check_alias
from tiphys.registry.routes import CHAMPION, Routes, routes
from tiphys.runs.registry import registered
from tiphys.store.files import write_atomic
from tiphys.store.layout import Store
from tiphys.store.registry import LocalRegistry

__all__ = ["Followed"]

Report = Callable[[str], None]
_LOOK = 0.1  # seconds between two looks at the registry, and at the configuration


class Followed:
    """One model of the registry, as a server takes it: ``folder`` with a link for each version, and ``flags``.

    ``champion``: the alias that answers requests which name no version.
    """

    def __init__(
        self, store: Store, name: str, *, champion: str = CHAMPION, report: Report = lambda text: None
    ) -> None:
        check_alias(champion)
        self.store, self.name, self.champion = store, name, champion
        self._registry = LocalRegistry(store)
        self._report = report
        self._told: set[str] = set()
        self.folder = store.root / "serving" / f"{name}.{champion}"
        self.config = self.folder / "models.config"

    @property
    def flags(self) -> list[str]:
        """Of the model server."""
        return [
            f"--model_config_file={self.config}",
            f"--model_config_file_poll_wait_seconds={_LOOK}",
            "--max_num_load_retries=0",
        ]

    def write(self) -> Routes:
        """Bring folder and configuration to what the registry says now.

        Raises RefusedError TIP261 where nothing is registered, ServingError TIP519 when no version is whole.
        """
        document = registered(self._registry, self.name)
        wanted = routes(document, self.champion)
        whole = {number for number in wanted.versions if self._linked(document.version(number))}
        if not whole:
            raise ServingError(
                "TIP519",
                f"No version of {self.name} that is to be served is there.",
                cause="; ".join(sorted(self._told)),
                fix=f"tiphys models versions {self.name}",
            )
        write_atomic(self.config, self._text(wanted, whole, document).encode())
        return wanted

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """For the length of a ``with``: what the registry says is written whenever it changes."""
        stop = threading.Event()
        thread = threading.Thread(target=self._follow, args=(stop,), name="tiphys-registry", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _follow(self, stop: threading.Event) -> None:
        seen, last = None, None
        while not stop.wait(_LOOK):
            now = self._stamp()
            if now == seen:
                continue
            seen = now
            try:
                wanted = self.write()
            except (TiphysError, OSError) as error:  # what is served goes on
                self._tell(f"the registry cannot be followed: {error}")
                continue
            if wanted != last and last is not None:
                chain = " then ".join(map(str, wanted.chains[""]))
                self._report(f"{self.name}: version {chain}")
            last = wanted

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

    def _text(self, wanted: Routes, whole: set[int], document: ModelDocument) -> str:
        """The server's ModelServerConfig."""
        lines = [f"name: {quoted(self.name)}", f"base_path: {quoted(str(self.folder))}"]
        lines.append(f"model_version_policy {{ specific {{ {_versions(sorted(whole))} }} }}")
        for label, chain in sorted(wanted.chains.items()):
            there = [number for number in chain if number in whole]
            if there and label:
                lines.append(f"version_labels {{ key: {quoted(label)} value: {there[0]} }}")
            if there:
                lines.append(f"tiphys_chains {{ label: {quoted(label)} {_versions(there)} }}")
        if wanted.weights.keys() <= whole:
            for number, part in sorted(wanted.weights.items()):
                lines.append(f"tiphys_weights {{ version: {number} percent: {part} }}")
        inner = "\n  ".join(lines)
        return f"# change {document.sequence}\nmodel_config_list {{ config {{\n  {inner}\n}} }}\n"


def _versions(numbers: list[int]) -> str:
    return " ".join(f"versions: {number}" for number in numbers)


def _saved_model(folder: Path) -> Path | None:
    """The folder of a SavedModel in that of a model: the newest of its numbered ones, or itself."""
    if (folder / "saved_model.pb").exists():
        return folder
    found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    return max(found, key=lambda path: int(path.name), default=None)
