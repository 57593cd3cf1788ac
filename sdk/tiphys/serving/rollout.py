"""A new version for all replicas at once: load → warm up → switch → drain → unload.

Replicas serve exactly the versions that a configuration file names. Of a new one they hear while the old one goes on;
when all of them have it, the balancer names it to whoever names none, and then the old one is let go, which waits for
its requests. A version that one of them cannot load is not switched to; it is tried again when its folder has changed.
When the version that serves is deleted, the one before takes its place as each replica has it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tiphys.errors import ServingError
from tiphys.net.protobuf import quoted
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import ServingClient, VersionStatus
from tiphys.serving.versions import version_folders

__all__ = ["Rollout"]

_POLL = 0.1  # seconds in which a replica hears of a change


class Rollout:
    """The versions of one model below ``base``. ``pin`` is told what the balancer names from now on.

    Its folder with the configuration is made at once; :meth:`close` removes it.
    """

    def __init__(
        self, name: str, base: Path, pin: Callable[[VersionPin | None], None], report: Callable[[str], None]
    ) -> None:
        self.name, self._base, self._pin, self._report = name, base, pin, report
        self._folder = Path(tempfile.mkdtemp(prefix="tiphys-serve-"))
        self._failed: dict[int, float] = {}  # versions, and when their folders had changed last
        self._next: int | None = None
        self._now: VersionPin | None = None
        self._before: VersionPin | None = None  # of which requests may be on their way
        self.version = self._newest() or 0
        self._write(self.version)

    @property
    def flags(self) -> list[str]:
        """Of the model server."""
        return [
            f"--model_config_file={self._file}",
            f"--model_config_file_poll_wait_seconds={_POLL}",
        ]

    def begin(self) -> None:
        """All replicas have the first version."""
        self._switch()

    def _switch(self) -> None:
        self._before, self._now = self._now, VersionPin(self.name, self.version)
        self._pin(self._now)

    def has(self, address: str) -> bool:
        """Whether a replica has the version that the balancer names."""
        rows = _status(self.name, address)
        return any(row.version == self.version and row.state == "AVAILABLE" for row in rows)

    def look(self, addresses: Iterable[str]) -> None:
        """Do what is due; called again and again. ``addresses``: of the replicas that serve."""
        if self._before is not None:
            if not self._before.active:
                self._before = None
                self._write(self.version)
            return
        newest = self._newest()
        if self._next is None:
            if newest is None or newest == self.version:
                return
            self._next = newest
            if not (self._base / str(self.version)).is_dir():
                self._pin(None)  # replicas let go of it at once: better either version than none
            self._report(f"{self.name}: version {newest} is loaded")
            self._write(self.version, newest)
            return
        if newest != self._next:  # another has come, or it is gone again
            self._next = None
            self._write(self.version)
            return
        rows = [_status(self.name, address) for address in addresses]
        found = [next((row for row in each if row.version == self._next), None) for each in rows]
        wrong = next((row for row in found if row is not None and _has_failed(row)), None)
        if wrong is not None:
            self._failed[self._next] = _changed(self._base / str(self._next))
            self._report(
                f"{self.name}: version {self._next} is not taken: {wrong.error_message or wrong.error_code}"
            )
            self._next = None
            self._write(self.version)
        elif found and all(row is not None and row.state == "AVAILABLE" for row in found):
            self.version, self._next = self._next, None
            self._switch()
            self._report(f"{self.name}: version {self.version}")

    def close(self) -> None:
        """Remove the configuration."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _file(self) -> Path:
        return self._folder / "models.config"

    def _newest(self) -> int | None:
        """The newest version that is there, and did not fail as it is now."""
        try:
            found = version_folders(self._base)
        except OSError:  # it is as it was
            return None
        for version, changed in self._failed.items():
            if version in found and changed == _changed(found[version]):
                del found[version]
        return max(found, default=None)

    def _write(self, *versions: int) -> None:
        listed = " ".join(f"versions: {each}" for each in versions)
        text = (
            f"model_config_list {{ config {{ name: {quoted(self.name)} base_path: {quoted(str(self._base))} "
            f'model_platform: "tensorflow" model_version_policy {{ specific {{ {listed} }} }} }} }}\n'
        )
        fresh = self._folder / "new"
        fresh.write_text(text, "ascii")
        fresh.replace(self._file)


def _status(name: str, address: str) -> list[VersionStatus]:
    """What a replica says of the versions; nothing where it does not answer."""
    with ServingClient(f"http://{address}", name, timeout=2.0) as client:
        try:
            return list(client.status())
        except ServingError:
            return []


def _has_failed(row: VersionStatus) -> bool:
    return row.state == "END" and row.error_code not in ("", "OK")  # else it was unloaded before


def _changed(folder: Path) -> float:
    """When something in a version changed last."""
    try:
        return max(each.stat().st_mtime for each in (folder, *folder.rglob("*")))
    except (OSError, ValueError):
        return 0.0
