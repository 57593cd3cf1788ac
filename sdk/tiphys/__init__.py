"""Tiphys: ML pipelines in Python, as Argo Workflows YAML, on a laptop or on Kubernetes.

The front door is small and loads lazily, so that ``import tiphys`` stays fast: ``to_yaml``, ``lint`` and
``run`` take a :class:`Pipeline`, any Hera workflow object, a mapping, or a path to YAML.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> module that defines it; imported on first use
_PUBLIC = {
    "Cache": "tiphys.dsl",
    "Client": "tiphys.cluster",
    "ClusterError": "tiphys.errors",
    "ComponentError": "tiphys.errors",
    "DefinitionError": "tiphys.errors",
    "Fake": "tiphys.dsl",
    "Gang": "tiphys.dsl",
    "Mutex": "tiphys.dsl",
    "Pipeline": "tiphys.dsl",
    "Reference": "tiphys.reference",
    "RefusedError": "tiphys.errors",
    "Resource": "tiphys.dsl",
    "Resources": "tiphys.dsl",
    "Retry": "tiphys.dsl",
    "RunError": "tiphys.errors",
    "Scheduling": "tiphys.dsl",
    "Semaphore": "tiphys.dsl",
    "Serving": "tiphys.dsl",
    "ServingError": "tiphys.errors",
    "StoreError": "tiphys.errors",
    "TFJob": "tiphys.dsl",
    "TiphysError": "tiphys.errors",
    "UserCodeError": "tiphys.errors",
    "Volume": "tiphys.dsl",
    "collect": "tiphys.dsl",
    "component": "tiphys.dsl",
    "compose": "tiphys.dsl",
    "dag": "tiphys.dsl",
    "for_each": "tiphys.dsl",
    "raw": "tiphys.dsl",
    "run": "tiphys.front",
    "splice": "tiphys.dsl",
    "to_yaml": "tiphys.compiler",
    "with_fakes": "tiphys.dsl",
    "workflow_name": "tiphys.dsl",
    "workflow_status": "tiphys.dsl",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'tiphys' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
