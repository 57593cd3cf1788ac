"""What a cached template's key is made of, written beside it so that somebody can ask why a step ran again.

The key itself is a hash. The annotation changes nothing on a cluster; the local engine keeps the parts with the entry,
and ``tiphys cache explain`` shows the first that differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tiphys.argo.memo import KEY_PARTS
from tiphys.dsl.cache import Cache
from tiphys.dsl.types import Field
from tiphys.reference import Reference

__all__ = ["key_parts"]


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
    parts["inputs"] = [f.name for f in keyed if f.type is not Reference]
    parts["references"] = [f.name for f in keyed if f.type is Reference]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return {KEY_PARTS: text.replace("{{", "\\u007b\\u007b")}  # no tag to Argo, and the same to who reads JSON
