"""What Argo's own functions made of workflows (``record.py``)."""

from __future__ import annotations

import copy
import gzip
import json
from functools import cache
from typing import Any

from tests.argo.verbs.record import RECORDED

Json = Any
NOW = "2030-01-01T00:00:00Z"


@cache
def _all() -> list[Json]:
    return list(json.loads(gzip.decompress(RECORDED.read_bytes())))


def cases(*verbs: str) -> list[Json]:
    """The questions of the verbs with their answers."""
    return [one for one in _all() if one["verb"] in verbs]


def shown(case: Json) -> str:
    """A test's name."""
    words = (case["case"], case["verb"], case.get("selector", ""), *case.get("parameters", ()))
    return " ".join((*words, "restart" if case.get("restart") else "", case.get("message", ""))).strip()


def given(case: Json) -> Json:
    """The workflow of the question, to do with as one likes."""
    return copy.deepcopy(case["workflow"])


def parameters(case: Json) -> dict[str, str]:
    """The parameters of the question."""
    return dict(text.split("=", 1) for text in case.get("parameters") or ())
