"""Early publication: the first models that pass take the services' slots, first come, first served."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from components.publish import writing
from tiphys.errors import ComponentError
from tiphys.reference import resolve
from tiphys.step.enough import decided

__all__ = ["Claim", "claim"]

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Claim:
    """The slot that the model has, or an empty string when none was left."""

    slot: str


def claim(name: str, slots: list[str], folder: str) -> Claim:
    """Take the first free of ``slots`` for the model ``name``. Each slot goes to one model, each model has one slot.

    A slot is a file below ``folder`` (a URI) that appears at once with its owner's name in it: two steps that run at
    the same moment cannot both have it. Asked again for the same model, the answer is the same, until the run has
    selected (:func:`tiphys.enough`): what is published then is not taken away by one that was late. Raises
    ComponentError TIP740 for a name that cannot be one, TIP707 when the folder cannot be written.
    """
    for text in (name, *slots):
        if not _NAME.fullmatch(text):
            raise ComponentError("TIP740", f"{text!r} is not a name", fix="use letters, digits and dashes")
    root = resolve(folder)
    with writing(folder):
        root.mkdir(parents=True, exist_ok=True)
        if decided(root):
            return Claim("")
        for slot in slots:
            if _owner(root / f"slot-{slot}") == name:
                return Claim(slot)
        for slot in slots:
            if _take(root / f"slot-{slot}", name):
                return Claim(slot)
    return Claim("")


def _owner(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _take(path: Path, name: str) -> bool:
    """Create ``path`` with ``name`` in it; False when it is there. A hard link makes both one step."""
    draft = path.with_name(f".{path.name}-{name}-{os.getpid()}")
    try:
        draft.write_text(name)
        os.link(draft, path)
        return True
    except FileExistsError:
        return _owner(path) == name
    finally:
        draft.unlink(missing_ok=True)
