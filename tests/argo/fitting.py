"""Whether an object fits a TypedDict of ``argo/``, asked of what the real controller took or wrote."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from types import UnionType

from tiphys.argo import manifest_types, pod_types, types, volume_types

__all__ = ["misfits"]

_SCALAR = (bool, int, float, str)
_NAMES = {**vars(manifest_types), **vars(pod_types), **vars(volume_types), **vars(types)}


def misfits(
    value: object, kind: object, met: set[str], path: str = "", *, exact: bool = True
) -> Iterator[str]:
    """What does not fit, each by its path; ``met``: the names of the types that were asked.

    ``exact=False``: of a text that a person wrote, in which YAML's numbers and truth values may stand for text.
    """
    if typing.is_typeddict(kind):
        assert isinstance(kind, type)
        met.add(kind.__name__)
        if not isinstance(value, dict):
            yield f"{path}: {type(value).__name__} is no {kind.__name__}"
            return
        fields = typing.get_type_hints(kind, localns=_NAMES)
        for key, item in value.items():
            if key in fields:
                yield from misfits(item, fields[key], met, f"{path}.{key}", exact=exact)
            else:
                yield f"{path}: {kind.__name__} has no {key}"
        return
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    kinds = inner if origin in (UnionType, typing.Union) else (kind,)
    if any(typing.get_origin(each) is dict for each in kinds[1:]):
        return  # free JSON
    if origin is list and isinstance(value, list):
        for place, item in enumerate(value):
            yield from misfits(item, inner[0], met, f"{path}[{place}]", exact=exact)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from misfits(item, inner[1], met, f"{path}.{key}", exact=exact)
    elif type(value) not in kinds and (
        exact or not isinstance(value, _SCALAR) or not set(kinds) & set(_SCALAR)
    ):
        yield f"{path}: {value!r} is no {kind}"
