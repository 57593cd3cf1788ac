"""What is made when it is asked for: names of a package, which costs nothing then (PEP 562), and patterns."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from typing import Any, AnyStr, cast

__all__ = ["asked_for", "regex"]


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


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """``re.compile(text, flags)`` as a constant of a module, compiled when it is first used: a command imports two
    hundred of them and uses twenty. What has the methods of a pattern, and is none for ``re.sub(pattern, …)``."""
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))


class _Pattern:
    """Each method is looked up once: from then on the instance has it."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._written = text, flags

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_compiled" not in own:
            own["_compiled"] = re.compile(*self._written)
        found = own[name] = getattr(own["_compiled"], name)
        return found
