"""The embedded engine: runs Argo Workflow objects on this machine.

:func:`run` takes a Workflow as in its YAML and returns it with ``status`` as Argo writes it. :func:`resume` goes
on with a run that was killed.
"""

from __future__ import annotations

from typing import Any

from tiphys.lazy import asked_for

_PUBLIC = {
    "CacheChecked": "tiphys.engine.base.observations",
    "LogLine": "tiphys.engine.base.observations",
    "NodeChanged": "tiphys.engine.base.observations",
    "Notice": "tiphys.engine.base.observations",
    "Observation": "tiphys.engine.base.observations",
    "ReplicaChanged": "tiphys.engine.base.observations",
    "Run": "tiphys.engine.runtime.run",
    "RunFinished": "tiphys.engine.base.observations",
    "RunOptions": "tiphys.engine.base.options",
    "RunResult": "tiphys.engine.base.options",
    "RunStarted": "tiphys.engine.base.observations",
    "check": "tiphys.engine.runtime.refusals",
    "new_name": "tiphys.engine.runtime.run",
    "resume": "tiphys.engine.runtime.run",
    "run": "tiphys.engine.runtime.run",
    "stop_serving": "tiphys.engine.runtime.kept_servers",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
