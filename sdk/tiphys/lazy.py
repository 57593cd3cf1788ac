"""Names of a package that are imported when they are asked for, so that the package costs nothing (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["asked_for"]


def asked_for(package: str, homes: Mapping[str, str], name: str) -> Any:
    """What ``package.name`` is, from the module in ``homes`` (``.x``: in the package); from now on the package has it.

    Raises AttributeError, as Python does of a module that has no such name.
    """
    home = homes.get(name)
    if home is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, package), name)
    setattr(sys.modules[package], name, value)
    return value
