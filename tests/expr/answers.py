"""What Go and the libraries that Argo calls answered (``record.py``), and what is made of the same questions here."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tiphys.expr import gojson
from tiphys.expr.argo_functions import ARGO
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.moment import PRESENT
from tiphys.expr.sprig import SPRIG

Json = Any
HERE = Path(__file__).parent
PRESENTLY = 2_000_000_000.0  # later than any moment in a question, as the recorder's own was


@cache
def answers(topic: str) -> list[Json]:
    """All recorded answers of a topic, each with its question."""
    return list(json.loads((HERE / "recorded" / f"{topic}.json").read_text(encoding="utf-8")))


@cache
def otherwise() -> dict[str, dict[str, str]]:
    """Topic to question to why it is answered otherwise here."""
    return dict(json.loads((HERE / "recorded" / "otherwise.json").read_text(encoding="utf-8")))


def agreed(topic: str, ask: str = "") -> list[Json]:
    """The answers that are followed."""
    known = otherwise().get(topic, {})
    return [one for one in answers(topic) if shown(one) not in known and ask in ("", one["ask"])]


def differing(topic: str) -> list[Json]:
    """The answers that are not followed."""
    return [one for one in answers(topic) if shown(one) in otherwise().get(topic, {})]


def shown(case: Json) -> str:
    """A test's name: its question."""
    return " ".join(str(value) for key, value in case.items() if key in ("text", "other", "values")).strip()


def theirs(case: Json) -> str:
    """The answer as JSON, or that there was none."""
    return "an error" if "error" in case else gojson.marshal(case["value"])


@cache
def environment() -> dict[str, Any]:
    """What the expressions may name."""
    given = json.loads((HERE / "questions" / "environment.json").read_text(encoding="utf-8"))
    return {**given, **ARGO, "sprig": SPRIG}


def evaluated(case: Json) -> str:
    """An expression's value as JSON, or that it has none."""
    token = PRESENT.set(PRESENTLY)
    try:
        value = evaluate(case["text"], environment())
    except ExprError:
        return "an error"
    finally:
        PRESENT.reset(token)
    try:
        return gojson.marshal(value)
    except (TypeError, ValueError):  # no JSON: Go refused it in the same place
        return "an error"
