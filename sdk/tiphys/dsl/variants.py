"""Other options for one call of a component: a template of its own, whose name says by a digest what is other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from tiphys.dsl.component_options import ComponentOptions

__all__ = ["VARIANT_OF", "variant_name"]

VARIANT_OF = "tiphys.dev/variant-of"
"""The annotation of a template that is another's with other options."""

_DIGITS = 6
_LIMIT = 63  # of a template's name


def variant_name(base: str, own: ComponentOptions, other: ComponentOptions) -> str:
    """The name of the component ``base`` with ``other`` options than its ``own``: the same for the same options, in
    whatever order and pipeline they are written; ``base`` where none is other."""
    known = {each.name for each in dataclasses.fields(own)} - {"name"}
    said = {name: _text(getattr(other, name)) for name in known}
    changed = {name: text for name, text in said.items() if text != _text(getattr(own, name))}
    if not changed:
        return base
    digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return f"{base[: _LIMIT - _DIGITS - 1].rstrip('-')}-{digest}"


def _text(value: object) -> str:
    """A value without the line on which it was written, and without what is usual."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        said = [
            (each, getattr(value, each.name)) for each in dataclasses.fields(value) if each.name != "site"
        ]
        inner = ", ".join(f"{each.name}={_text(own)}" for each, own in said if own != each.default)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, Mapping):
        return _text(sorted(value.items()))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    return repr(value)
