"""``jqFilter`` outputs: the paths, pipes and a few functions that such filters use; the jq program for the rest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

__all__ = ["JqError", "jq"]

Json = Any
_PATH = re.compile(
    r"""\.(?P<name>[A-Za-z_]\w*)?(?P<optional>\?)?|\."(?P<quoted>[^"]*)"|\[(?P<index>-?\d+)\]|\["(?P<key>[^"]*)"\]|(?P<all>\[\])"""
)


class JqError(ValueError):
    """The filter is wrong or does not fit."""


def jq(value: Json, text: str) -> str:
    """The results as Argo joins them: strings raw, others as JSON, one a line, trimmed. Raises JqError."""
    try:
        results = _run(value, text)
    except NotImplementedError:
        return _program(value, text)
    return "\n".join(
        each if isinstance(each, str) else json.dumps(each, separators=(",", ":"), ensure_ascii=False)
        for each in results
    ).strip()


def _run(value: Json, text: str) -> list[Json]:
    current = [value]
    for stage in text.split("|"):
        current = [found for each in current for found in _stage(each, stage.strip())]
    return current


def _stage(value: Json, text: str) -> list[Json]:
    if text in ("tostring", "tojson"):
        plain = isinstance(value, str) and text == "tostring"
        return [value if plain else json.dumps(value, separators=(",", ":"))]
    if text in ("length", "keys"):
        return [len(value) if text == "length" else sorted(value)]
    current = [value]
    position = 0
    while position < len(text):
        match = _PATH.match(text, position)
        if match is None or match.end() == position:
            raise NotImplementedError(text)
        position = match.end()
        current = [found for each in current for found in _step(each, match)]
    return current


def _step(value: Json, match: re.Match[str]) -> list[Json]:
    if match["all"]:
        return list(value.values()) if isinstance(value, Mapping) else list(value)
    if match["index"] is not None:
        index = int(match["index"])
        return [value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None]
    name = match["name"] or match["quoted"] or match["key"]
    if name is None:
        return [value]
    if value is None:
        return [None]
    if not isinstance(value, Mapping):
        raise JqError(f"expected an object but got: {json.dumps(value)[:80]}")
    return [value.get(name)]


def _program(value: Json, text: str) -> str:
    program = shutil.which("jq")
    if program is None:
        raise JqError(f"the filter {text!r} needs the program jq, which is not on this machine")
    done = subprocess.run(
        [program, "-rc", text],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise JqError(done.stderr.strip())
    return done.stdout.strip()
