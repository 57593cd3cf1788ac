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
    "ClusterError": "tiphys.errors",
    "ComponentError": "tiphys.errors",
    "DefinitionError": "tiphys.errors",
    "Reference": "tiphys.reference",
    "RefusedError": "tiphys.errors",
    "RunError": "tiphys.errors",
    "ServingError": "tiphys.errors",
    "StoreError": "tiphys.errors",
    "TiphysError": "tiphys.errors",
    "UserCodeError": "tiphys.errors",
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
