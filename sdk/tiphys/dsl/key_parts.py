"""What a cached template's key is made of, written beside it so that somebody can ask why a step ran again.

The key itself is a hash. The annotation changes nothing on a cluster; the local engine keeps the parts with the entry,
and ``tiphys cache explain`` shows the first that differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.memo import KEY_PARTS, cache_map
from tiphys.dsl.cache import Cache
from tiphys.dsl.literals import literal
from tiphys.dsl.types import Field
from tiphys.reference import Reference
from tiphys.step.files import DIGEST

if TYPE_CHECKING:
    from tiphys.argo.types import Memoize

__all__ = ["depends_made", "depends_parts", "key_parts", "memoize"]


def key_parts(
    cache: Cache, inputs: Iterable[Field], owner: str, *, scope: str, env: Mapping[str, str], **made: str
) -> dict[str, str]:
    """The annotation of a template with this cache.

    ``made``: code, image and what else the code's part of the key is of; ``scope`` stands in their place where the code
    does not count.
    """
    keyed = cache.keyed(inputs, owner)
    parts: dict[str, object] = dict(made) if cache.code else {"scope": scope}
    if cache.version:
        parts["version"] = cache.version
    parts |= {f"env.{name}": value for name, value in env.items()}
    parts["inputs"] = [f.name + DIGEST if f.is_file else f.name for f in keyed if f.type is not Reference]
    parts["references"] = [f.name for f in keyed if f.type is Reference]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return {KEY_PARTS: text.replace("{{", "\\u007b\\u007b")}  # no tag to Argo, and the same to who reads JSON


def depends_parts(found: Sequence[str]) -> list[str]:
    """How what ``depends_on`` gives counts in a key; nothing when it names nothing."""
    return ["['depends', " + ", ".join(literal(text) for text in found) + "]"] if found else []


def depends_made(found: Sequence[str]) -> dict[str, str]:
    """How what ``depends_on`` gives shows among the parts of a key."""
    return {"depends_on": " ".join(found)} if found else {}


def memoize(key: str, cache: Cache, template: str) -> Memoize:
    """Argo's ``memoize``: ConfigMaps of its own for each cached template, since one holds 1 MiB in all."""
    return {
        "key": key,
        "maxAge": cache.age,
        "cache": {"configMap": {"name": cache_map(template, key)}},
    }
