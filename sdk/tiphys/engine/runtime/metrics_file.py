"""The file of a run's metrics: ``runs/NAME/metrics.prom``, which a Prometheus textfile collector can read."""

from __future__ import annotations

from pathlib import Path

from tiphys.engine.base.loop import Loop, Timer
from tiphys.engine.machine.counters import Counters
from tiphys.errors import RefusedError
from tiphys.store import Store, write_atomic

__all__ = ["MetricsFile", "run_metrics"]

_FILE = "metrics.prom"
_PERIOD = 1.0  # seconds; realtime gauges are as fresh as the last change


class MetricsFile:
    """Writes the registry whenever it has changed, at most once a second, and at the end."""

    def __init__(self, loop: Loop, folder: Path, registry: Counters) -> None:
        self._loop = loop
        self._path = folder / _FILE
        self._registry = registry
        self._timer: Timer | None = None

    def touch(self) -> None:
        """Something may have been measured."""
        if self._registry.changed and self._timer is None:
            self._timer = self._loop.call_later(_PERIOD, self.write)

    def write(self) -> None:
        """Write now, if there is anything. Raises StoreError."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._registry:
            self._registry.changed = False
            write_atomic(self._path, self._registry.text().encode())


def run_metrics(store: Store, name: str) -> str:
    """The metrics of a run of the store, empty when it declares none. Raises RefusedError for one that is not there."""
    if not store.has_run(name):
        raise RefusedError("TIP211", f"there is no run {name!r}", where=str(store.root))
    path = store.run(name) / _FILE
    return path.read_text() if path.is_file() else ""
