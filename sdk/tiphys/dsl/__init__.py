"""What the author of a pipeline writes."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "Cache": "cache",
    "Component": "components",
    "Condition": "values",
    "Dag": "dags",
    "Fake": "fakes",
    "Gang": "locks",
    "Mutex": "locks",
    "Pipeline": "pipeline",
    "Resource": "resource",
    "Resources": "pod",
    "Retry": "retry",
    "Scheduling": "pod",
    "Semaphore": "locks",
    "Serving": "serving",
    "TFJob": "tfjob",
    "Task": "task",
    "Template": "template",
    "Value": "values",
    "Volume": "pod",
    "collect": "composed",
    "component": "components",
    "compose": "composed",
    "dag": "dags",
    "for_each": "context",
    "raw": "composed",
    "splice": "resource",
    "with_fakes": "fakes",
    "workflow_name": "values",
    "workflow_status": "values",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'tiphys.dsl' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tiphys.dsl.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
