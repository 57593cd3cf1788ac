"""The embedded engine: runs Argo Workflow objects on this machine.

:func:`run` takes a Workflow as in its YAML and returns it with ``status`` as Argo writes it. :func:`resume` goes
on with a run that was killed.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "CacheChecked": "tiphys.engine.observe",
    "LogLine": "tiphys.engine.observe",
    "NodeChanged": "tiphys.engine.observe",
    "Notice": "tiphys.engine.observe",
    "Observation": "tiphys.engine.observe",
    "ReplicaChanged": "tiphys.engine.observe",
    "Run": "tiphys.engine.api",
    "RunFinished": "tiphys.engine.observe",
    "RunOptions": "tiphys.engine.options",
    "RunResult": "tiphys.engine.options",
    "RunStarted": "tiphys.engine.observe",
    "check": "tiphys.engine.precheck",
    "new_name": "tiphys.engine.api",
    "resume": "tiphys.engine.api",
    "run": "tiphys.engine.api",
    "stop_serving": "tiphys.engine.serving",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'tiphys.engine' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
